"""Did a restore bring back what it should? A pure judgement of counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from checks.facts import Missing
from checks.probes.rdb_head import Said

Counts = Mapping[str, int]  # database or family to keys
# EmailEngine's own words for what it cannot do without. Source: emailengine/facts.md §4.
FAMILIES: Final[Mapping[str, str]] = {
    "accounts": "ia:accounts",
    "settings": "settings",
    "tokens": "tokens",
}


@dataclass(frozen=True)
class RestoreLimits:
    """How far a restore may fall short of the live server: a share of its keys, above some. Ours."""

    least_of_live_ratio: float = 0.5
    compared_from_keys: int = 1000


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of a restore: keys by database, and what the copy and the live server say of theirs.

    `families` counts EmailEngine's in its own database; `families_before` is what the last good
    drill found, empty where there was none.
    """

    keys: Counts
    said: Said
    live_keys: Counts | Missing
    families: Counts
    families_before: Counts
    has_emailengine: bool


def shortfalls(restored: Restored, limits: RestoreLimits) -> list[str]:
    """Say what is missing, one sentence each; empty where all is there."""
    return [
        *_against_its_own(restored),
        *_against_live(restored, limits),
        *_families(restored),
    ]


def _against_its_own(restored: Restored) -> Iterator[str]:
    """Compare with what the copy says of its first database: keys that expired are not loaded."""
    said = restored.said
    if isinstance(said.keys_count, Missing) or not said.keys_count:
        return
    database = "0" if isinstance(said.database, Missing) else str(said.database)
    found = restored.keys.get(database, 0)
    expiring = 0 if isinstance(said.expiring_count, Missing) else said.expiring_count
    if not said.keys_count - expiring <= found <= said.keys_count:
        yield (
            f"database {database} came back with {found:,} keys; "
            f"the copy says that it holds {said.keys_count:,}"
        )


def _against_live(restored: Restored, limits: RestoreLimits) -> Iterator[str]:
    if isinstance(restored.live_keys, Missing):
        return
    for database, live in sorted(restored.live_keys.items()):
        found = restored.keys.get(database, 0)
        if live >= limits.compared_from_keys and found < live * limits.least_of_live_ratio:
            yield (
                f"database {database} came back with {found:,} keys, under "
                f"{limits.least_of_live_ratio:.0%} of the {live:,} that the live server has"
            )


def _families(restored: Restored) -> Iterator[str]:
    if not restored.has_emailengine:
        return
    if not any(restored.families.values()):
        yield f"none of EmailEngine's {', '.join(FAMILIES)} came back: is it another's copy?"
        return
    for family, before in restored.families_before.items():
        if before and not restored.families.get(family):
            yield f"EmailEngine's {family} did not come back; the last drill found {before:,}"

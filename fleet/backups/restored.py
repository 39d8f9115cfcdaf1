"""Did a restore bring back what it should? A pure judgement of counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from checks.facts import Missing
from checks.probes.rdb_keys import Databases, KeyCount

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
    """What came of a restore: keys by database, those counted in the copy, and the live server's.

    `families` counts EmailEngine's in its own database; `families_before` is what the last good
    drill found, empty where there was none.
    """

    keys: Counts
    copy_keys: Databases | Missing
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
    """Compare with what the copy holds: of keys that expire, those that are over are not loaded."""
    if isinstance(restored.copy_keys, Missing):
        return
    held = {str(number): count for number, count in restored.copy_keys.items()}
    for database in sorted({*held, *restored.keys}, key=int):
        count = held.get(database, KeyCount(0, 0))
        found = restored.keys.get(database, 0)
        if not count.keys - count.expiring <= found <= count.keys:
            yield (
                f"database {database} came back with {found:,} keys; the copy holds {count.keys:,}"
            )


def _against_live(restored: Restored, limits: RestoreLimits) -> Iterator[str]:
    if isinstance(restored.live_keys, Missing):
        return
    for database, live in sorted(restored.live_keys.items(), key=_by_number):
        found = restored.keys.get(database, 0)
        if live >= limits.compared_from_keys and found < live * limits.least_of_live_ratio:
            yield (
                f"database {database} came back with {found:,} keys, under "
                f"{limits.least_of_live_ratio:.0%} of the {live:,} that the live server has"
            )


def remarks(restored: Restored, limits: RestoreLimits) -> list[str]:
    """Say what a person should know that is no fault of the restore; empty where nothing is odd.

    A live server with far fewer keys than its copy lost them since, or was emptied on purpose: the
    restore is as good as it was, and may be what is needed now.
    """
    told = []
    if isinstance(restored.copy_keys, Missing):
        told.append(restored.copy_keys.text)
    if isinstance(restored.live_keys, Missing):
        return [*told, f"the live server could not be asked: {restored.live_keys.text}"]
    for database, found in sorted(restored.keys.items(), key=_by_number):
        live = restored.live_keys.get(database, 0)
        if found >= limits.compared_from_keys and live < found * limits.least_of_live_ratio:
            told.append(
                f"the live server holds {live:,} keys in database {database} now, under "
                f"{limits.least_of_live_ratio:.0%} of the {found:,} that came back"
            )
    return told


def _by_number(counted: tuple[str, int]) -> int:
    return int(counted[0])


def _families(restored: Restored) -> Iterator[str]:
    if not restored.has_emailengine:
        return
    if not any(restored.families.values()):
        yield f"none of EmailEngine's {', '.join(FAMILIES)} came back: is it another's copy?"
        return
    for family, before in restored.families_before.items():
        if before and not restored.families.get(family):
            yield f"EmailEngine's {family} did not come back; the last drill found {before:,}"

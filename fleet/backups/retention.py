"""Which pulled copies may go? Grandfather, father, son: a pure answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple


class Copy(NamedTuple):
    """One copy that lies there: when it was made, and whether reading it proved it whole."""

    id: int
    at: datetime
    is_good: bool


class Keep(NamedTuple):
    """How many of each period are kept, the newest of each."""

    hourly: int
    daily: int
    weekly: int
    monthly: int


# What tells two copies of the same period, in UTC; weeks are ISO's.
PERIODS: Final[tuple[Callable[[datetime], tuple[int, ...]], ...]] = (
    lambda at: (at.year, at.month, at.day, at.hour),
    lambda at: (at.year, at.month, at.day),
    lambda at: tuple(at.isocalendar()[:2]),
    lambda at: (at.year, at.month),
)


def to_remove(copies: Sequence[Copy], keep: Keep) -> list[int]:
    """Name the copies that no period wants any more, by id, oldest first.

    Of each of the last n periods that have a good copy, the newest good one stays. The newest good
    copy always stays, and so does everything newer: it may yet be verified. Where no copy is good,
    none goes.
    """
    newest_first = sorted(copies, key=lambda one: (one.at, one.id), reverse=True)
    good = [one for one in newest_first if one.is_good]
    if not good:
        return []
    kept = {good[0].id}
    for period, count in zip(PERIODS, keep, strict=True):
        seen: set[tuple[int, ...]] = set()
        for one in good:
            name = period(one.at.astimezone(UTC))
            if name not in seen and len(seen) < count:
                seen.add(name)
                kept.add(one.id)
    at, newest = good[0].at, good[0].id
    older = [one for one in newest_first if (one.at, one.id) < (at, newest)]
    return [one.id for one in reversed(older) if one.id not in kept]

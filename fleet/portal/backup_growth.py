"""How large a pair's copies will be: the forecast of each source, and of the fleet those that grow most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from heapq import nlargest
from typing import Final

from checks.growth import Growth, growth
from checks.missing import Missing
from fleet.backups.growth import sizes
from fleet.backups.models import BackupSource
from fleet.portal import addresses
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target, Tenant

DAY_S: Final = 86_400
AHEAD_DAYS: Final = 30
# A line that ended longer ago, in intervals of its source, foretells nothing.
STALE_TIMES: Final = 3
SHOWN: Final = 8
COLUMNS: Final = (
    "label",
    "interval_s",
    *(
        f"growth__{name}"
        for name in (
            "days_count",
            "last_day",
            "newest_bytes",
            "level_bytes",
            "slope_bytes",
            "low_bytes",
            "high_bytes",
        )
    ),
)


@dataclass(frozen=True)
class Copies:
    """The copies of one source: how large, how they grow, and how large they will be in AHEAD_DAYS.

    `newest_bytes` is the largest good copy of the newest day with one; None: none told a size.
    """

    label: str
    interval_s: int
    days_count: int
    newest_bytes: int | None
    age_days: int
    growth: Growth | None

    @property
    def state(self) -> str:
        """Give the word for it: "none", "stale", "young", "steady" or "growing"."""
        if self.newest_bytes is None:
            return "none"
        if self.age_days > STALE_TIMES * max(1, -(-self.interval_s // DAY_S)):
            return "stale"
        if self.growth is None:
            return "young"
        return "growing" if self.growth.is_steady else "steady"

    @property
    def slope_bytes(self) -> float:
        """Give the growth a day, in bytes; 0 where these days show none."""
        return self.growth.slope_bytes if self.growth and self.state == "growing" else 0

    @property
    def likely_bytes(self) -> float | None:
        """Give the likely size in AHEAD_DAYS."""
        return self._later(self.growth.slope_bytes) if self.growth else None

    @property
    def least_bytes(self) -> float | None:
        """Give the least that is likely."""
        return self._later(self.growth.low_bytes) if self.growth else None

    @property
    def most_bytes(self) -> float | None:
        """Give the most that is likely."""
        return self._later(self.growth.high_bytes) if self.growth else None

    def _later(self, slope_bytes: float) -> float | None:
        if self.growth is None or self.state != "growing":
            return None
        return self.growth.level_bytes + slope_bytes * (self.age_days + AHEAD_DAYS)


@dataclass(frozen=True)
class Grown:
    """One source of the fleet's list, and whose it is."""

    target_id: int
    name: str
    tenant: str
    copies: Copies

    @property
    def url(self) -> str:
        """Where the pair's backups are told in full."""
        return addresses.backups(self.target_id)


@dataclass(frozen=True)
class FleetCopies:
    """All sources that are on: those that grow, fastest first, how many of the rest, and the sums."""

    fastest: list[Grown]
    sources_count: int
    counts: Mapping[str, int]  # by Copies.state
    newest_bytes: int  # one copy of each source
    later_bytes: float  # the same in AHEAD_DAYS


def of_sources(sources: Iterable[BackupSource], now: datetime) -> list[Copies]:
    """Give the forecast of each source that is on, by its copies so far. One query."""
    enabled = [one for one in sources if one.is_enabled]
    found = dict(sizes(now, [one.pk for one in enabled])) if enabled else {}
    return [_copies(one, found.get(one.pk, []), now) for one in enabled]


def _copies(source: BackupSource, days: list[tuple[int, int]], now: datetime) -> Copies:
    line = growth(days)
    last_day, newest = days[-1] if days else (0, None)
    return Copies(
        source.label,
        source.interval_s,
        len(days),
        newest,
        _today(now) - last_day,
        None if isinstance(line, Missing) else line,
    )


def of_fleet(rows: Rows, tenant: Tenant | None, now: datetime) -> FleetCopies:
    """Give those that grow fastest by the lines that were drawn last, and count the rest. Two queries."""
    sources = rows.of(BackupSource).filter(is_enabled=True, target__state=Target.State.ACTIVE)
    if tenant is not None:
        sources = sources.filter(target__tenant=tenant)
    found = {pk: _drawn(now, *columns) for pk, *columns in sources.values_list("pk", *COLUMNS)}
    growing = [pk for pk, one in found.items() if one.state == "growing"]
    first = nlargest(SHOWN, growing, key=lambda pk: found[pk].slope_bytes)
    named = sources.filter(pk__in=first).values_list(
        "pk", "target_id", "target__name", "target__tenant__name"
    )
    lines = {pk: Grown(target_id, name, whose, found[pk]) for pk, target_id, name, whose in named}
    return FleetCopies(
        fastest=[lines[pk] for pk in first],
        sources_count=len(found),
        counts=dict(Counter(one.state for one in found.values())),
        newest_bytes=sum(one.newest_bytes or 0 for one in found.values()),
        later_bytes=sum(one.likely_bytes or one.newest_bytes or 0 for one in found.values()),
    )


def _drawn(
    now: datetime,
    label: str,
    interval_s: int,
    days_count: int | None,
    last_day: int | None,
    newest_bytes: int | None,
    *line: float | None,
) -> Copies:
    """Put together what was kept of a source."""
    numbers = [one for one in line if one is not None]
    drawn = Growth(days_count or 0, last_day or 0, *numbers) if len(numbers) == len(line) else None
    age_days = _today(now) - (last_day or 0)
    return Copies(label, interval_s, days_count or 0, newest_bytes, age_days, drawn)


def _today(now: datetime) -> int:
    """Count the days from 1970."""
    return int(now.timestamp() // DAY_S)

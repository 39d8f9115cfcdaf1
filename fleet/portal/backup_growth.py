"""How large a pair's copies will be: the forecast of each source, and of the fleet those that grow most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Case, Count, F, FloatField, Sum, Value, When
from django.db.models.functions import Ceil, Greatest

from checks.growth import Growth
from fleet.backups.models import BackupSource, CopyGrowth
from fleet.portal import addresses
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target, Tenant

DAY_S: Final = 86_400
AHEAD_DAYS: Final = 30
# A line that ended longer ago, in intervals of its source, foretells nothing.
STALE_TIMES: Final = 3
SHOWN: Final = 8
MOST_DAYS: Final = STALE_TIMES * Greatest(1.0, Ceil(F("interval_s") / float(DAY_S)))
NONE, STALE, YOUNG, STEADY, GROWING = "none", "stale", "young", "steady", "growing"


@dataclass(frozen=True)
class Copies:
    """The copies of one source: how large, how they grow, and how large they will be in AHEAD_DAYS.

    `newest_bytes` is the largest good copy of the newest day with one; None: none told a size.
    """

    label: str
    state: str
    days_count: int = 0
    newest_bytes: int | None = None
    age_days: int = 0
    growth: Growth | None = None

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
        if self.growth is None or self.state != GROWING:
            return None
        return self.growth.level_bytes + slope_bytes * (self.age_days + AHEAD_DAYS)


@dataclass(frozen=True)
class Grown:
    """One source of the fleet's list, and whose it is."""

    target_id: int
    name: str
    copies: Copies

    @property
    def url(self) -> str:
        """Where the pair's backups are told in full."""
        return addresses.backups(self.target_id)


@dataclass(frozen=True)
class FleetCopies:
    """All sources that are on: those that grow, fastest first, how many of the rest, and the sums."""

    fastest: list[Grown]
    counts: Mapping[str, int]  # by state
    newest_bytes: int  # one copy of each source
    later_bytes: float  # the same in AHEAD_DAYS

    @property
    def sources_count(self) -> int:
        """How many sources were asked."""
        return sum(self.counts.values())


def of_sources(sources: Iterable[BackupSource], now: datetime) -> list[Copies]:
    """Give the forecast of each source that is on, joined with its growth: no query."""
    return [_copies(one, now) for one in sources if one.is_enabled]


def of_fleet(rows: Rows, tenant: Tenant | None, now: datetime) -> FleetCopies:
    """Give those that grow fastest, and count the rest. Two queries."""
    sources = rows.of(BackupSource).filter(is_enabled=True, target__state=Target.State.ACTIVE)
    if tenant is not None:
        sources = sources.filter(target__tenant=tenant)
    aged = sources.annotate(age_days=Value(_today(now)) - F("growth__last_day"))
    judged = _judged(aged)
    later = F("growth__level_bytes") + F("growth__slope_bytes") * (F("age_days") + AHEAD_DAYS)
    counted: Any = (
        judged.order_by()
        .values("judged")
        .annotate(
            count=Count("pk"),
            newest=Sum("growth__newest_bytes"),
            later=Sum(
                Case(
                    When(judged=GROWING, then=later),
                    default="growth__newest_bytes",
                    output_field=FloatField(),
                )
            ),
        )
    )
    found = list(counted.values_list("judged", "count", "newest", "later"))
    # GROWING, said in the words of the index that knows the order.
    growing = aged.filter(growth__low_bytes__gt=0, age_days__lte=MOST_DAYS)
    fastest = growing.select_related("growth", "target")
    return FleetCopies(
        [
            Grown(one.target_id, one.target.name, _copies(one, now))
            for one in fastest.order_by("-growth__slope_bytes", "pk")[:SHOWN]
        ],
        {state: count for state, count, _newest, _later in found},
        sum(newest or 0 for _state, _count, newest, _later in found),
        sum(later or 0 for _state, _count, _newest, later in found),
    )


def _judged(aged: Any) -> Any:
    """Say of each source what _state says of one."""
    return aged.annotate(
        judged=Case(
            When(growth__isnull=True, then=Value(NONE)),
            When(age_days__gt=MOST_DAYS, then=Value(STALE)),
            When(growth__low_bytes__isnull=True, then=Value(YOUNG)),
            When(growth__low_bytes__gt=0, then=Value(GROWING)),
            default=Value(STEADY),
        )
    )


def _copies(source: BackupSource, now: datetime) -> Copies:
    row: CopyGrowth | None = getattr(source, "growth", None)
    if row is None:
        return Copies(source.label, NONE)
    line, age_days = _line(row), _today(now) - row.last_day
    state = _state(source, line, age_days)
    return Copies(source.label, state, row.days_count, row.newest_bytes, age_days, line)


def _line(row: CopyGrowth) -> Growth | None:
    level, slope, low, high = row.level_bytes, row.slope_bytes, row.low_bytes, row.high_bytes
    if level is None or slope is None or low is None or high is None:
        return None
    return Growth(row.days_count, row.last_day, level, slope, low, high)


def _state(source: BackupSource, line: Growth | None, age_days: int) -> str:
    if age_days > STALE_TIMES * max(1, -(-source.interval_s // DAY_S)):
        return STALE
    if line is None:
        return YOUNG
    return GROWING if line.is_steady else STEADY


def _today(now: datetime) -> int:
    """Count the days from 1970."""
    return int(now.timestamp() // DAY_S)

"""How fresh the fleet's readings are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Count, Max, Min, Q

from checks.rule import Cadence
from fleet.portal.scoped_admin import Rows
from fleet.registry.current import fleet_settings
from fleet.registry.intervals import Intervals, interval_s
from fleet.registry.models import Target

LATE_AFTER_INTERVALS = 3  # design §3: then a conclusive result is stale


@dataclass(frozen=True)
class Freshness:
    """Active pairs by when they were last checked; paused ones do not count."""

    active_count: int
    read_count: int
    late_count: int
    late_zones: tuple[str, ...]
    oldest_at: datetime | None
    newest_at: datetime | None

    @property
    def on_time_count(self) -> int:
        """Pairs read within three intervals."""
        return self.read_count - self.late_count

    @property
    def is_first_reading(self) -> bool:
        """Tell whether some pair was never read yet."""
        return self.read_count < self.active_count


def freshness(rows: Rows, now: datetime) -> Freshness:
    """Return how fresh the readings of active pairs are. Two queries."""
    late = late_pairs(fleet_settings().intervals, now)
    checked = "pair_state__checked_at"
    found = (
        rows.of(Target)
        .filter(state=Target.State.ACTIVE)
        .aggregate(
            active=Count("pk"),
            read=Count(checked),
            late=Count("pk", filter=late),
            zones=ArrayAgg("zone__slug", filter=late, distinct=True, default=[]),
            oldest=Min(checked),
            newest=Max(checked),
        )
    )
    zones = tuple(sorted(found["zones"]))
    return Freshness(
        found["active"], found["read"], found["late"], zones, found["oldest"], found["newest"]
    )


def late_pairs(intervals: Intervals, now: datetime) -> Q:
    """Select the pairs whose last reading is over three of their engine's intervals old."""
    engines = [engine for engine in intervals if engine != "default"]
    late = Q(pair_state__checked_at__lt=_limit(intervals, "", now)) & ~Q(
        pair_state__engine__in=engines
    )
    for engine in engines:
        late |= Q(
            pair_state__engine=engine, pair_state__checked_at__lt=_limit(intervals, engine, now)
        )
    return late


def _limit(intervals: Intervals, engine: str, now: datetime) -> datetime:
    seconds = interval_s(intervals, Cadence.HEALTH, engine)
    return now - timedelta(seconds=seconds * LATE_AFTER_INTERVALS)

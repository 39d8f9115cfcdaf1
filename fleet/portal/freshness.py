"""How fresh the fleet's readings are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.postgres.aggregates import ArrayAgg
from django.db.models import Aggregate, Count, Max, Min, Q

from checks.rule import Cadence
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
    def is_old(self) -> bool:
        """Tell whether no pair was read within three intervals."""
        return 0 < self.read_count == self.late_count

    @property
    def is_first_reading(self) -> bool:
        """Tell whether some pair was never read yet."""
        return self.read_count < self.active_count


def columns(now: datetime) -> dict[str, Aggregate]:
    """Give what tells how fresh a group of targets is, to annotate it with. One query.

    In the order of Freshness' fields.
    """
    active = Q(state=Target.State.ACTIVE)
    late = active & late_pairs(fleet_settings().intervals, now)
    checked = "pair_state__checked_at"
    return {
        "active": Count("pk", filter=active),
        "read": Count(checked, filter=active),
        "late": Count("pk", filter=late),
        "late_zones": ArrayAgg("zone__slug", filter=late, distinct=True, default=[]),
        "oldest": Min(checked, filter=active),
        "newest": Max(checked, filter=active),
    }


def together(parts: Sequence[Freshness]) -> Freshness:
    """Add several groups up."""
    oldest = (one.oldest_at for one in parts if one.oldest_at)
    newest = (one.newest_at for one in parts if one.newest_at)
    return Freshness(
        sum(one.active_count for one in parts),
        sum(one.read_count for one in parts),
        sum(one.late_count for one in parts),
        tuple(sorted({zone for one in parts for zone in one.late_zones})),
        min(oldest, default=None),
        max(newest, default=None),
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

"""When is it a storm? Many pairs that change at once, in all or in one zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime

from django.db.models import Count

from fleet.alerts.decide import News
from fleet.alerts.timing import (
    STORM_CALM,
    STORM_PAIRS,
    STORM_PATIENCE,
    STORM_ZONE_FLOOR,
    STORM_ZONE_RATIO,
)
from fleet.registry.models import Target


def zone_sizes() -> dict[int, int]:
    """Give how many active pairs each zone has. One query."""
    rows = Target.objects.filter(state=Target.State.ACTIVE).values_list("zone")
    return dict(rows.annotate(pairs_count=Count("pk")).order_by())


def in_storm(news: Collection[News], sizes: Mapping[int, int]) -> list[News]:
    """Give the part of the news that is a storm: all of it, that of the zones hit, or nothing."""
    zones = Counter(zone for _target, zone in {(one.target_id, one.zone_id) for one in news})
    if zones.total() > STORM_PAIRS:
        return list(news)
    hit = {zone for zone, count in zones.items() if _is_hit(count, sizes.get(zone, 0))}
    return [one for one in news if one.zone_id in hit]


def _is_hit(changed_count: int, pairs_count: int) -> bool:
    return changed_count >= STORM_ZONE_FLOOR and changed_count > STORM_ZONE_RATIO * pairs_count


def rising(
    news: Collection[News], sizes: Mapping[int, int], now: datetime
) -> set[tuple[int, int | None]]:
    """Give the (channel, tenant) whose part of a storm is not complete yet.

    It is complete once nothing more has come for STORM_CALM, or STORM_PATIENCE after its first.
    """
    recent = [one for one in news if now - one.first_at < STORM_PATIENCE]
    storm = in_storm(recent, sizes)
    if not storm or now - max(one.first_at for one in storm) >= STORM_CALM:
        return set()
    late = {(one.channel_id, one.tenant_id) for one in news} - {
        (one.channel_id, one.tenant_id) for one in recent
    }
    return {key for one in storm if (key := (one.channel_id, one.tenant_id)) not in late}

"""What is wrong with the portal itself, worked out from what its workers last said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.utils.translation import gettext, ngettext

from fleet.inspections.schedule import WORKER_SEEN
from fleet.portal.figures import long_age
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target, Worker, Zone
from fleet.registry.scoping import EVERYTHING

SEEN_WITHIN: Final = WORKER_SEEN  # dispatch sends pairs only where a worker was seen within this


@dataclass(frozen=True)
class ZoneSeen:
    """A zone, how many active pairs wait for it, and when one of its workers was last seen."""

    zone_id: int
    slug: str
    pairs_count: int
    seen_at: datetime | None

    def is_manned(self, now: datetime) -> bool:
        """Tell whether dispatch sends pairs there."""
        return self.seen_at is not None and now - self.seen_at <= SEEN_WITHIN


def zones_seen(rows: Rows) -> list[ZoneSeen]:
    """Return every zone. One query."""
    active = _per_zone(rows.of(Target).filter(state=Target.State.ACTIVE), Count("pk"))
    seen = _per_zone(rows.of(Worker), Max("last_seen_at"))
    found = rows.of(Zone).annotate(pairs_count=Coalesce(active, 0), seen_at=seen)
    columns = found.order_by("slug").values_list("pk", "slug", "pairs_count", "seen_at")
    return [ZoneSeen(*row) for row in columns]


def _per_zone(rows: QuerySet[Target] | QuerySet[Worker], wanted: Count | Max) -> Subquery:
    in_zone = rows.filter(zone=OuterRef("pk")).order_by().values("zone")
    return Subquery(in_zone.annotate(wanted=wanted).values("wanted"))


def alarms(rows: Rows, now: datetime) -> list[str]:
    """Say what keeps pairs from being checked, to those who see the whole fleet. One query."""
    if rows.seen != EVERYTHING:
        return []
    zones = (zone for zone in zones_seen(rows) if zone.pairs_count and not zone.is_manned(now))
    return [_unmanned(zone, now) for zone in zones]


def _unmanned(zone: ZoneSeen, now: datetime) -> str:
    values = {"zone": zone.slug, "count": f"{zone.pairs_count:,}"}
    waiting = ngettext(
        "%(count)s pair cannot be checked.", "%(count)s pairs cannot be checked.", zone.pairs_count
    )
    if zone.seen_at is None:
        return f"{gettext('No worker was ever seen in zone %(zone)s:')} {waiting}" % values
    values["age"] = long_age((now - zone.seen_at).total_seconds())
    return f"{gettext('No worker seen in zone %(zone)s for %(age)s:')} {waiting}" % values

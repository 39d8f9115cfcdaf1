"""Zones, and whether somebody is there to look at their pairs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from fleet.inspections.schedule import WORKER_SEEN
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target, Worker, Zone

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
    return [ZoneSeen(*row) for row in zones_with(rows).values_list(*COLUMNS)]


def zones_with(rows: Rows) -> QuerySet[Zone]:
    """Select the zones with what a ZoneSeen is made of, COLUMNS."""
    active = _per_zone(rows.of(Target).filter(state=Target.State.ACTIVE), Count("pk"))
    seen = _per_zone(rows.of(Worker), Max("last_seen_at"))
    found = rows.of(Zone).annotate(pairs_count=Coalesce(active, 0), seen_at=seen)
    return found.order_by("slug")


COLUMNS: Final = ("pk", "slug", "pairs_count", "seen_at")


def _per_zone(rows: QuerySet[Target] | QuerySet[Worker], wanted: Count | Max) -> Subquery:
    in_zone = rows.filter(zone=OuterRef("pk")).order_by().values("zone")
    return Subquery(in_zone.annotate(wanted=wanted).values("wanted"))

"""Zones and workers: where pairs are probed from, and who does it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from fleet.backups.models import PullRoom
from fleet.inspections.blind import AGAIN
from fleet.portal import addresses
from fleet.portal.backup_room import Room, room_of
from fleet.portal.manning import SEEN_WITHIN, ZoneSeen, zones_seen
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Worker, Zone
from fleet.registry.scoping import EVERYTHING


@dataclass(frozen=True)
class WorkerLine:
    """One worker, as it last reported itself."""

    id: int
    name: str
    version: str
    seen_at: datetime
    is_seen: bool


@dataclass(frozen=True)
class ZoneCard:
    """One zone with its workers."""

    zone: Zone
    seen: ZoneSeen
    is_manned: bool
    workers: tuple[WorkerLine, ...]
    room: Room | None = None  # for pulled copies, where any are pulled to a folder

    @property
    def has_gone(self) -> bool:
        """Tell whether a worker of it is gone, and may be forgotten."""
        return not all(one.is_seen for one in self.workers)

    @property
    def again_s(self) -> int:
        """How often it checks itself while it is blind."""
        return int(AGAIN.total_seconds())

    @property
    def pairs_url(self) -> str:
        """Where the zone's pairs are listed."""
        return addresses.pairs(zone=self.zone.slug)


def zone_cards(rows: Rows, now: datetime) -> list[ZoneCard]:
    """Return every zone that matters to this person. Four queries."""
    seen = {one.zone_id: one for one in zones_seen(rows)}
    found = rows.of(Zone).prefetch_related("workers").order_by("slug")
    shown = (zone for zone in found if rows.seen == EVERYTHING or seen[zone.pk].pairs_count)
    used = rows.of(PullRoom).filter(sources_count__gt=0).select_related("zone")
    rooms = {row.zone_id: room_of(row) for row in used}
    return [
        ZoneCard(
            zone,
            seen[zone.pk],
            seen[zone.pk].is_manned(now),
            _workers(zone, now),
            rooms.get(zone.pk),
        )
        for zone in shown
    ]


def _workers(zone: Zone, now: datetime) -> tuple[WorkerLine, ...]:
    return tuple(
        WorkerLine(one.pk, one.name, one.version, one.last_seen_at, not may_forget(one, now))
        for one in zone.workers.all()
    )


def may_forget(worker: Worker, now: datetime) -> bool:
    """Tell whether the worker is gone: not seen for longer than dispatch waits."""
    return now - worker.last_seen_at > SEEN_WITHIN

"""Where pulled copies lie: what they take in each place, and of a folder what is left there."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django.db.models import Count, Min, Q, Sum

from fleet.backups.models import Artefact, BackupSource, PullRoom
from fleet.portal.backup_room import Room, room_of
from fleet.portal.scoped_admin import Rows

SHOWN: Final = 12
DAY: Final = timedelta(days=1)
FORECAST_DAYS: Final = 30
PACE_DAYS: Final = 7.0


@dataclass(frozen=True)
class Store:
    """One place, and what pulled copies take there: a zone's folder, or a bucket (then `zone` is empty)."""

    zone: str
    bucket: str = ""
    endpoint: str = ""
    count: int = 0
    bytes: int = 0
    room: Room | None = None
    is_filling: bool = False
    is_stale: bool = False


@dataclass(frozen=True)
class Stores:
    """All places, folders first, then the fullest buckets; and what is taken in all of them together.

    `shows_room`: this person may know how full the folders' disks are.
    """

    shown: list[Store]
    others: list[Store]
    count: int
    bytes: int
    per_day_bytes: int
    shows_room: bool

    @property
    def later_bytes(self) -> int:
        """Give what they take in FORECAST_DAYS at the pace of the last days, nothing removed."""
        return self.bytes + self.per_day_bytes * FORECAST_DAYS

    @property
    def others_count(self) -> int:
        """How many copies lie in the places not shown."""
        return sum(one.count for one in self.others)

    @property
    def others_bytes(self) -> int:
        """What they take there."""
        return sum(one.bytes for one in self.others)


def stores_of(rows: Rows, now: datetime) -> Stores:
    """Add up the pulled copies that are there; the pace is of those that came within 7 days.

    Two queries.
    """
    there = rows.of(Artefact).filter(source__kind=BackupSource.Kind.PULL, gone_at=None)
    grouped: Any = there.order_by().values_list(
        "source__destination",
        "source__target__zone__slug",
        "source__bucket",
        "source__endpoint",
    )
    lately = Sum("stored_bytes", filter=Q(seen_at__gt=now - PACE_DAYS * DAY))
    sums = {
        "n": Count("pk"),
        "size": Sum("stored_bytes"),
        "lately": lately,
        "first": Min("seen_at"),
    }
    found = list(grouped.annotate(**sums))
    folders, buckets = _placed(rows, found, now)
    firsts = [row[-1] for row in found]
    days = max(1.0, min(PACE_DAYS, (now - min(firsts)) / DAY)) if firsts else 1.0
    return Stores(
        folders + buckets[:SHOWN],
        buckets[SHOWN:],
        sum(one.count for one in folders + buckets),
        sum(one.bytes for one in folders + buckets),
        int(sum(row[-2] or 0 for row in found) / days),
        rows.may_see(PullRoom),
    )


def _placed(rows: Rows, found: Iterable[Any], now: datetime) -> tuple[list[Store], list[Store]]:
    """Put together what lies in one place: a bucket may be written to from several zones."""
    taken: dict[tuple[str, str, str], tuple[int, int]] = {}
    for destination, zone, bucket, endpoint, count, size, _lately, _first in found:
        is_folder = destination == BackupSource.Destination.DIRECTORY
        place = (zone, "", "") if is_folder else ("", bucket, endpoint)
        before = taken.get(place, (0, 0))
        taken[place] = (before[0] + count, before[1] + (size or 0))
    rooms = {row.zone.slug: room_of(row) for row in rows.of(PullRoom).select_related("zone")}
    for slug, room in rooms.items():
        if room.row.sources_count:
            taken.setdefault((slug, "", ""), (0, 0))
    made = [_store(place, *sums, rooms, now) for place, sums in sorted(taken.items())]
    buckets = sorted((one for one in made if not one.zone), key=lambda one: -one.bytes)
    return [one for one in made if one.zone], buckets


def _store(
    place: tuple[str, str, str], count: int, size: int, rooms: dict[str, Room], now: datetime
) -> Store:
    room = rooms.get(place[0])
    if room is None:
        return Store(*place, count, size)
    return Store(*place, count, size, room, room.is_filling(now), room.is_stale(now))

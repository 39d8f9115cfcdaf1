"""How much room is left for pulled copies on each zone's disk, and when it is full."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.utils.translation import gettext

from checks.growth import Growth, growth
from checks.render import percent, size
from fleet.backups.models import PullRoom
from fleet.backups.safety import SafetyLimits
from fleet.portal.faults import Fault
from fleet.portal.figures import day, long_age
from fleet.portal.forecast import FAR_DAYS

# What a growing disk must leave free, and how soon it may be full. Ours.
LEAST_FREE_RATIO: Final = 0.10
FULL_WITHIN: Final = timedelta(days=7)
# Free beside the copies, or a pull is refused.
SPARE_BYTES: Final = SafetyLimits().spare_disk_bytes
# It is read on the hour: so much later nobody reads it.
STALE: Final = timedelta(hours=3)


@dataclass(frozen=True)
class Room:
    """One zone's disk for pulled copies, as it was read, and how its used bytes grow."""

    row: PullRoom
    growth: Growth | None

    @property
    def is_known(self) -> bool:
        """Tell whether it could be read."""
        return self.row.free_bytes is not None and bool(self.row.total_bytes)

    @property
    def days_count(self) -> int:
        """How many days were read."""
        return len(self.row.days)

    @property
    def free_ratio(self) -> float | None:
        """Give the free share, 0 to 1."""
        if self.row.free_bytes is None or not self.row.total_bytes:
            return None
        return self.row.free_bytes / self.row.total_bytes

    @property
    def needed_bytes(self) -> int:
        """Give what a next copy of each source takes, and what stays free beside."""
        return self.row.round_bytes + SPARE_BYTES

    @property
    def is_low(self) -> bool:
        """Tell whether too little is free."""
        free, ratio = self.row.free_bytes, self.free_ratio
        if free is None or ratio is None:
            return False
        return ratio < LEAST_FREE_RATIO or free < self.needed_bytes

    @property
    def is_growing(self) -> bool:
        """Tell whether it grows at all, as far as its days show."""
        return self.growth is not None and self.growth.is_steady

    @property
    def likely_at(self) -> datetime | None:
        """Give the day on which it is full; None: not known, or in over ten years."""
        return self._at(self.growth.slope_bytes) if self.growth else None

    @property
    def soonest_at(self) -> datetime | None:
        """Give the first likely day."""
        return self._at(self.growth.high_bytes) if self.growth else None

    @property
    def latest_at(self) -> datetime | None:
        """Give the last likely day."""
        return self._at(self.growth.low_bytes) if self.growth else None

    def is_filling(self, now: datetime) -> bool:
        """Tell whether it is likely to be full soon."""
        return self.likely_at is not None and self.likely_at - now <= FULL_WITHIN

    def is_stale(self, now: datetime) -> bool:
        """Tell whether nobody read it lately."""
        return now - self.row.read_at > STALE

    def _at(self, slope_bytes: float) -> datetime | None:
        if self.row.free_bytes is None or not self.is_growing:
            return None
        days = self.row.free_bytes / slope_bytes
        return self.row.read_at + timedelta(days=days) if days <= FAR_DAYS else None


def room_of(row: PullRoom) -> Room:
    """Draw the line through the row's days, if they are enough for one."""
    line = growth([(day, used) for day, used in row.days])
    return Room(row, line if isinstance(line, Growth) else None)


def little_room(rooms: Iterable[Room], manned: Collection[str], now: datetime) -> Iterator[Fault]:
    """Name the zones whose disk for pulled copies is nearly full, soon will be, or is not read.

    Nobody is told where no source is pulled to it, nor that a zone without a worker reads none.
    """
    for room in rooms:
        slug = room.row.zone.slug
        if not room.row.sources_count:
            continue
        if room.is_stale(now) and slug in manned:
            yield Fault(f"room.{slug}.unread", _unread(room, now), _serve(room))
        elif not room.is_known:
            yield Fault(f"room.{slug}.unseen", _unseen(room), _mount())
        elif room.is_low:
            yield Fault(f"room.{slug}.low", _low(room), _cure(room))
        elif room.is_filling(now):
            yield Fault(f"room.{slug}.filling", _filling(room), _cure(room))


def _names(room: Room) -> dict[str, str]:
    return {"zone": room.row.zone.slug, "folder": room.row.folder}


def _low(room: Room) -> str:
    text = gettext(
        "The disk for pulled copies of zone %(zone)s (%(folder)s) has %(free)s left, %(share)s of "
        "it; one more copy of each pair takes %(round)s."
    )
    figures = {
        "free": size(room.row.free_bytes or 0),
        "share": percent(room.free_ratio or 0.0),
        "round": size(room.row.round_bytes),
    }
    return text % (_names(room) | figures)


def _filling(room: Room) -> str:
    text = gettext(
        "The disk for pulled copies of zone %(zone)s (%(folder)s) will be full about %(at)s: "
        "%(free)s are left, and it grows by %(slope)s a day."
    )
    figures = {
        "at": day(room.likely_at) if room.likely_at else "",
        "free": size(room.row.free_bytes or 0),
        "slope": size(room.growth.slope_bytes) if room.growth else "",
    }
    return text % (_names(room) | figures)


def _cure(room: Room) -> str:
    text = gettext(
        "Enlarge it, or let the pairs keep fewer copies; at least %(ratio)s and %(need)s should be "
        "free, and that for over %(days)d days."
    )
    return text % {
        "ratio": percent(LEAST_FREE_RATIO),
        "need": size(room.needed_bytes),
        "days": FULL_WITHIN.days,
    }


def _unseen(room: Room) -> str:
    text = gettext(
        "How full the disk for pulled copies of zone %(zone)s (%(folder)s) is cannot be read: %(error)s."
    )
    return text % (_names(room) | {"error": room.row.error})


def _mount() -> str:
    return gettext("Mount PULL_FOLDER on the zone's workers, or let them read it.")


def _unread(room: Room, now: datetime) -> str:
    text = gettext(
        "Nobody has looked for %(age)s how full the disk for pulled copies of zone %(zone)s is "
        "(%(folder)s)."
    )
    age = long_age((now - room.row.read_at).total_seconds())
    return text % (_names(room) | {"age": age})


def _serve(room: Room) -> str:
    text = gettext("See that a worker with PULL_FOLDER serves the queue zone.%(zone)s.bulk.")
    return text % _names(room)

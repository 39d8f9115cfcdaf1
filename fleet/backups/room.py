"""Writes down how full the disk is that this worker keeps pulled copies on: on the hour, and at pulls."""

from __future__ import annotations

import os
import shutil
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import Count, OuterRef, Subquery, Sum

from checks.growth import MOST_DAYS
from fleet.backups.facts import GOOD
from fleet.backups.models import Artefact, BackupSource, PullRoom
from fleet.backups.schedule import WORKER_SEEN
from fleet.registry.models import Target, Zone

# Thousands of pulls a day look again no oftener than this: what each source takes is added up. Ours.
LOOK_AGAIN: Final = timedelta(minutes=5)
DAY_S: Final = 86_400


class Disk(NamedTuple):
    """A file system as `df` counts it: total is used and free, without what is kept for root."""

    total_bytes: int
    free_bytes: int

    @property
    def used_bytes(self) -> int:
        """Give what lies on it, whoever put it there."""
        return self.total_bytes - self.free_bytes


def disk_of(folder: str) -> Disk:
    """Read the file system that a folder lies on; raises OSError."""
    found = shutil.disk_usage(folder)
    return Disk(found.used + found.free, found.free)


def look(now: datetime, again_after: timedelta = timedelta(0)) -> bool:
    """Write how full this worker's pull folder is; tells whether it looked.

    Not without PULL_FOLDER, nor where the zone's last look is younger than `again_after`. A folder
    that cannot be read is written down with its reason. Safe to run twice and at once.
    """
    zone = Zone.objects.filter(slug=settings.ZONE).first() if settings.PULL_FOLDER else None
    if zone is None:
        return False
    if PullRoom.objects.filter(zone=zone, read_at__gt=now - again_after).exists():
        return False
    seen = _seen() | _wanted(zone)
    with transaction.atomic():
        before = PullRoom.objects.select_for_update().filter(zone=zone).first()
        days = before.days if before and before.folder == settings.PULL_FOLDER else []
        if seen["free_bytes"] is not None:
            used = seen["total_bytes"] - seen["free_bytes"]
            days = with_day(days, int(now.timestamp() // DAY_S), used)
        written = {**seen, "read_at": now, "worker": settings.WORKER_NAME, "days": days}
        PullRoom.objects.update_or_create(zone=zone, defaults=written)
    return True


def with_day(days: list[list[int]], today: int, used_bytes: int) -> list[list[int]]:
    """Add a reading to the most used of each of the last 28 days."""
    kept = {day: used for day, used in days if today - MOST_DAYS < day <= today}
    kept[today] = max(used_bytes, kept.get(today, 0))
    return [list(one) for one in sorted(kept.items())]


def zones_to_look_in(now: datetime) -> list[str]:
    """List the zones, by slug, in which a worker was seen that could look."""
    seen = Zone.objects.filter(workers__last_seen_at__gt=now - WORKER_SEEN)
    return list(seen.distinct().values_list("slug", flat=True))


def _seen() -> dict[str, Any]:
    folder = settings.PULL_FOLDER
    try:
        disk = disk_of(folder)
    except OSError as error:
        text = os.strerror(error.errno or 0).lower()
        return {"folder": folder, "total_bytes": None, "free_bytes": None, "error": text}
    return {
        "folder": folder,
        "total_bytes": disk.total_bytes,
        "free_bytes": disk.free_bytes,
        "error": "",
    }


def _wanted(zone: Zone) -> dict[str, int]:
    """Count the zone's sources that pull into the folder, and what one more copy of each takes.

    That of a source without a good copy yet is not known, and not counted.
    """
    good = Artefact.objects.filter(
        source=OuterRef("pk"), state__in=GOOD, stored_bytes__isnull=False
    ).order_by("-stored_at")
    sources = BackupSource.objects.filter(
        kind=BackupSource.Kind.PULL,
        destination=BackupSource.Destination.DIRECTORY,
        is_enabled=True,
        target__state=Target.State.ACTIVE,
        target__zone=zone,
    ).annotate(newest=Subquery(good.values("stored_bytes")[:1]))
    found = sources.aggregate(count=Count("pk"), size=Sum("newest"))
    return {"sources_count": found["count"], "round_bytes": found["size"] or 0}

"""Which sources are due, and which zones have work."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.db.models import F, Q

from fleet.backups.models import BackupJob, BackupSource
from fleet.registry.models import Target, Zone

WORKER_SEEN: Final = timedelta(seconds=60)
AT_ONCE: Final = 500
# A source is looked at four times per interval, within these: a late copy shows soon.
LOOK_LEAST, LOOK_MOST = timedelta(minutes=5), timedelta(hours=1)
Kind = BackupSource.Kind
JOBS: Final = {
    Kind.DIRECTORY: BackupJob.Kind.VERIFY,
    Kind.BUCKET: BackupJob.Kind.VERIFY,
    Kind.PULL: BackupJob.Kind.PULL,
}

# A source or a drill is due, or a job waits: what inspections/errands.py asks every other second.
HAS_WORK: Final = f"""EXISTS (
    SELECT FROM backups_backupsource s JOIN registry_target t ON t.id = s.target_id
    WHERE s.is_enabled AND s.kind IN ({", ".join(f"'{kind.value}'" for kind in JOBS)})
        AND t.state = 'active' AND (s.next_due_at IS NULL OR s.next_due_at <= %(now)s)
) OR EXISTS (
    SELECT FROM backups_drillplan p JOIN registry_target t ON t.id = p.target_id
    WHERE p.is_enabled AND t.state = 'active' AND p.next_due_at <= %(now)s
) OR EXISTS (
    SELECT FROM backups_backupjob
    WHERE state = 'waiting' OR state = 'leased' AND lease_until <= %(now)s
)"""  # noqa: S608  our own words


def ask_due(now: datetime) -> int:
    """Make jobs of the sources that are due; returns how many sources. Any number may run at once."""
    with transaction.atomic():
        due = list(
            BackupSource.objects.filter(
                Q(next_due_at=None) | Q(next_due_at__lte=now),
                is_enabled=True,
                kind__in=JOBS,
                target__state=Target.State.ACTIVE,
            )
            .order_by(F("next_due_at").asc(nulls_first=True), "pk")
            .select_for_update(skip_locked=True, of=("self",))[:AT_ONCE]
        )
        BackupJob.objects.bulk_create(
            [
                BackupJob(
                    kind=JOBS[Kind(one.kind)],
                    target_id=one.target_id,
                    source=one,
                    made_at=now,
                )
                for one in due
            ],
            ignore_conflicts=True,
        )
        for one in due:
            one.next_due_at = next_due(one, now)
        BackupSource.objects.bulk_update(due, ["next_due_at"])
    return len(due)


def next_due(source: BackupSource, now: datetime) -> datetime:
    """Say when a source is due after now: in its own rhythm where that was kept."""
    interval = timedelta(seconds=source.interval_s)
    every = interval
    if source.kind != Kind.PULL:
        every = min(max(interval / 4, LOOK_LEAST), LOOK_MOST)
    in_step = (source.next_due_at or now) + every
    return in_step if in_step > now else now + every


def zones_with_work(now: datetime) -> list[str]:
    """List the zones, by slug, in which a worker was seen and a job waits or has lost its worker."""
    free = Q(state=BackupJob.State.WAITING) | Q(state=BackupJob.State.LEASED, lease_until__lte=now)
    waiting = BackupJob.objects.filter(free).values("target__zone_id")
    seen = Q(workers__last_seen_at__gt=now - WORKER_SEEN)
    return list(Zone.objects.filter(seen, pk__in=waiting).distinct().values_list("slug", flat=True))

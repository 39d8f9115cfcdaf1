"""What nobody looks at any more goes: jobs that ended, copies that are long gone, old reports."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Q

from fleet.backups.models import Artefact, BackupJob, BackupSource

# Ours: the tab shows what is under way; a person's own question stays a while longer.
JOBS_KEPT, ASKED_KEPT = timedelta(days=1), timedelta(days=30)
# The mean and the size over time need what is gone; a drill names its copy.
GONE_KEPT, REPORTS_KEPT = timedelta(days=400), timedelta(days=120)
AT_ONCE: Final = 5_000


def sweep(now: datetime) -> tuple[int, int]:
    """Remove so many of the oldest; returns how many jobs and copies. Safe to run twice."""
    ended = BackupJob.objects.filter(
        Q(asked_by=None, ended_at__lt=now - JOBS_KEPT) | Q(ended_at__lt=now - ASKED_KEPT)
    )
    jobs = ended.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]
    heartbeat = Q(source__kind=BackupSource.Kind.HEARTBEAT)
    reported = Q(state=Artefact.State.REPORTED) | Q(heartbeat, state=Artefact.State.EMPTY)
    old = Artefact.objects.filter(
        Q(gone_at__lt=now - GONE_KEPT) | Q(reported, seen_at__lt=now - REPORTS_KEPT),
        seen_at__lt=now - REPORTS_KEPT,
    )
    copies = old.order_by("seen_at").values_list("pk", flat=True)[:AT_ONCE]
    jobs_count, _by_table = BackupJob.objects.filter(pk__in=list(jobs)).delete()
    copies_count, _by_table = Artefact.objects.filter(pk__in=list(copies)).delete()
    return jobs_count, copies_count

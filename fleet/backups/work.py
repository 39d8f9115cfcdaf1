"""Which jobs a worker does, and how a job ends that was cancelled, or whose lease was lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from django.conf import settings

from fleet.backups import drill, pull, verify
from fleet.backups.jobs import Cancelled, Clock, Lease, Lost, finish, recording, take
from fleet.backups.models import BackupJob

logger = logging.getLogger(__name__)
Kind = BackupJob.Kind
Runner = Callable[[BackupJob, Lease, Clock], None]

# A runner does the work, records what it found and finishes its job; it lets Lost and Cancelled pass.
RUNNERS: Final[Mapping[str, Runner]] = {
    Kind.VERIFY: verify.run,
    Kind.PULL: pull.run,
    Kind.DRILL: drill.run,
}
# How many of a kind may be under way in a zone at once.
MOST: Final[Mapping[str, int]] = {
    Kind.VERIFY: 16,
    Kind.PULL: settings.PULLS_PER_ZONE,
    Kind.DRILL: 16,
}
# Of a process' eight threads, so many do long work: inspections have the others.
AT_ONCE: Final = 2
_slots = threading.BoundedSemaphore(AT_ONCE)
# A drill takes a share of what memory is free: one at a time per worker.
_drilling = threading.Lock()


@contextmanager
def slot() -> Iterator[bool]:
    """Take one of this process' places for long work, or tell that none is free."""
    is_mine = _slots.acquire(blocking=False)
    try:
        yield is_mine
    finally:
        if is_mine:
            _slots.release()


@contextmanager
def taking(now: datetime) -> Iterator[tuple[BackupJob, Lease] | None]:
    """Take the zone's next job for the block, no drill while this worker has one; None: there is none."""
    may_drill = _drilling.acquire(blocking=False)
    kinds = {kind: most for kind, most in MOST.items() if may_drill or kind != Kind.DRILL}
    try:
        taken = take(kinds, now)
        if may_drill and (taken is None or taken[0].kind != Kind.DRILL):
            may_drill = False
            _drilling.release()
        yield taken
    finally:
        if may_drill:
            _drilling.release()


def do(job: BackupJob, lease: Lease, clock: Clock) -> None:
    """Do one job to its end. What its runner raises beside Lost and Cancelled is raised."""
    logger.info("backup job=%d kind=%s claim=%d", job.pk, job.kind, lease.claim)
    try:
        RUNNERS[job.kind](job, lease, clock)
    except Lost as lost:
        logger.warning("backup work thrown away: %s", lost)
    except Cancelled:
        fail(lease, clock, BackupJob.State.CANCELLED)


def fail(
    lease: Lease, clock: Clock, state: BackupJob.State, *, reason: str = "", error: str = ""
) -> None:
    """End a job that came to nothing; one that another has taken meanwhile is left alone."""
    try:
        with recording(lease):
            finish(lease, state, clock(), reason=reason, error=error)
    except Lost as lost:
        logger.warning("not ended: %s", lost)

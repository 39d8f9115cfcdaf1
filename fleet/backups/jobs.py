"""Long work under a lease: asked for, taken, renewed, recorded. Killed anywhere, another takes it over.

A job is done only by who holds its newest claim. Whatever it leaves is written inside `recording`,
in one transaction with its end, so that nothing half-done counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from django.conf import settings
from django.db import connection, transaction

from fleet.backups.models import BackupJob
from fleet.registry.arrays import rows_of

Clock = Callable[[], datetime]
State = BackupJob.State
LEASE: Final = timedelta(seconds=120)
RENEW_EVERY: Final = timedelta(seconds=15)
# A job whose workers died this often is given up: it may be what kills them.
MOST_CLAIMS: Final = 4
LIVE: Final = (State.WAITING, State.LEASED)


class Lost(Exception):
    """The lease ran out and another may hold the job: whatever was done must not count."""


class Cancelled(Exception):
    """Somebody asked for the end of this job."""


class Lease(NamedTuple):
    """The right to work on one job, until it is taken with a higher claim."""

    job_id: int
    claim: int


class Wish(NamedTuple):
    """What a job is for. One live job per wish; of a drill, source and artefact may be open."""

    kind: str
    target_id: int
    source_id: int | None = None
    artefact_id: int | None = None


def ask(wish: Wish, by_id: int | None, now: datetime) -> int:
    """Ask for a job; returns the id of the live one for the same, where there is one."""
    with transaction.atomic():
        made = BackupJob(**wish._asdict(), asked_by_id=by_id, made_at=now)
        BackupJob.objects.bulk_create([made], ignore_conflicts=True)
        live = BackupJob.objects.filter(**wish._asdict(), state__in=LIVE).order_by("pk").first()
    # Between the two it may have been finished by its worker: then it was done after we asked.
    return live.pk if live else BackupJob.objects.filter(**wish._asdict()).latest("pk").pk


# Somebody waits for what was asked for; the rest goes by age. `most` bounds a kind within the zone.
_TAKE: Final = """
UPDATE backups_backupjob SET state = 'leased', claim = claim + 1, holder = %(holder)s,
    lease_until = %(until)s, started_at = coalesce(started_at, %(now)s), done_bytes = 0
WHERE id = (
    SELECT j.id FROM backups_backupjob j
    JOIN registry_target t ON t.id = j.target_id
    WHERE t.zone_id = %(zone_id)s AND j.kind = ANY(%(kinds)s)
      AND (j.state = 'waiting' OR j.state = 'leased' AND j.lease_until <= %(now)s)
    ORDER BY j.asked_by_id IS NULL, j.made_at, j.id
    LIMIT 1 FOR UPDATE OF j SKIP LOCKED)
RETURNING id, claim
"""
_BUSY: Final = """
SELECT j.kind, count(*) FROM backups_backupjob j JOIN registry_target t ON t.id = j.target_id
WHERE t.zone_id = %s AND j.state = 'leased' AND j.lease_until > %s
GROUP BY j.kind
"""


def take(most: Mapping[str, int], now: datetime) -> tuple[BackupJob, Lease] | None:
    """Take this worker's zone's next job; None where there is none.

    `most` gives the kinds this worker does, and how many of each may be under way in the zone at
    once; takers of a zone go one after another, so that the bound holds.
    """
    _bury(now)
    with transaction.atomic():
        zone_id = _lock_zone()
        busy = dict(rows_of(_BUSY, [zone_id, now]))
        kinds = [kind for kind, bound in most.items() if busy.get(kind, 0) < bound]
        found = _take_one(zone_id, kinds, now)
    if found is None:
        return None
    job = BackupJob.objects.select_related("target__tenant", "target__pair", "source", "artefact")
    return job.get(pk=found.job_id), found


def _lock_zone() -> int | None:
    row = rows_of("SELECT id FROM registry_zone WHERE slug = %s", [settings.ZONE])
    zone_id: int | None = row[0][0] if row else None
    if zone_id is not None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(hashtext('backups.take'), %s)", [zone_id])
    return zone_id


def _take_one(zone_id: int | None, kinds: list[str], now: datetime) -> Lease | None:
    with connection.cursor() as cursor:
        cursor.execute(
            _TAKE,
            {
                "holder": settings.WORKER_NAME,
                "until": now + LEASE,
                "now": now,
                "zone_id": zone_id,
                "kinds": kinds,
            },
        )
        row = cursor.fetchone()
    return Lease(*row) if row else None


def _bury(now: datetime) -> None:
    """Give up jobs that outlived worker after worker, and those cancelled while nobody had them."""
    lapsed = BackupJob.objects.filter(state=State.LEASED, lease_until__lte=now)
    lapsed.filter(claim__gte=MOST_CLAIMS).update(
        state=State.FAILED,
        ended_at=now,
        reason="worker_lost",
        error=f"its worker went away {MOST_CLAIMS} times in a row",
    )
    nobodys = BackupJob.objects.filter(state=State.WAITING) | lapsed
    nobodys.filter(cancel_asked_at__isnull=False).update(state=State.CANCELLED, ended_at=now)


def renew(lease: Lease, now: datetime, done_bytes: int, total_bytes: int | None = None) -> None:
    """Hold the job for another LEASE and tell how far it is; Lost or Cancelled where it must end."""
    mine = BackupJob.objects.filter(pk=lease.job_id, claim=lease.claim, state=State.LEASED)
    if not mine.update(lease_until=now + LEASE, done_bytes=done_bytes, total_bytes=total_bytes):
        raise Lost(f"job {lease.job_id} is no longer held under claim {lease.claim}")
    if mine.filter(cancel_asked_at__isnull=False).exists():
        raise Cancelled(f"job {lease.job_id} was cancelled")


def is_live(lease: Lease, now: datetime) -> bool:
    """Say whether an attempt may still be under way."""
    held = BackupJob.objects.filter(pk=lease.job_id, claim=lease.claim, state=State.LEASED)
    return held.filter(lease_until__gt=now).exists()


class Holding:
    """A lease that is renewed as work goes on: call `at` with each piece, it renews every 15 s."""

    def __init__(self, lease: Lease, clock: Clock, total_bytes: int | None = None) -> None:
        self.lease = lease
        self.total_bytes = total_bytes
        self._clock = clock
        self._renewed_at = clock()

    def at(self, done_bytes: int) -> None:
        """Tell how many bytes are done; Lost or Cancelled where the work must end."""
        now = self._clock()
        if now - self._renewed_at >= RENEW_EVERY:
            renew(self.lease, now, done_bytes, self.total_bytes)
            self._renewed_at = now


@contextmanager
def recording(lease: Lease) -> Iterator[None]:
    """Record what a job found, in one transaction that holds its row; Lost where it is another's."""
    with transaction.atomic():
        mine = BackupJob.objects.select_for_update().filter(
            pk=lease.job_id, claim=lease.claim, state=State.LEASED
        )
        if not mine.exists():
            raise Lost(f"job {lease.job_id} is no longer held under claim {lease.claim}")
        yield


def finish(
    lease: Lease, state: BackupJob.State, now: datetime, *, reason: str = "", error: str = ""
) -> None:
    """End a job; call it inside `recording`, last. `error` holds no secret: people read it."""
    BackupJob.objects.filter(pk=lease.job_id, claim=lease.claim).update(
        state=state, ended_at=now, lease_until=None, reason=reason, error=error
    )


def cancel(job_id: int, now: datetime) -> bool:
    """Ask for the end of a job: at once where nobody has it, else at its next renewal."""
    asked = BackupJob.objects.filter(pk=job_id, state__in=LIVE, cancel_asked_at=None)
    is_asked = bool(asked.update(cancel_asked_at=now))
    BackupJob.objects.filter(pk=job_id, state=State.WAITING).update(
        state=State.CANCELLED, ended_at=now
    )
    return is_asked

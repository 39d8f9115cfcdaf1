"""When is a pair's next restore drill? Spread over the fleet, and only where there is a good copy."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import transaction

from fleet.backups.models import BackupJob, DrillPlan
from fleet.registry.models import Target

# The first drill comes within a day of the first good copy, at a moment of the pair's own.
FIRST_WITHIN: Final = timedelta(days=1)
# What could not be tried is tried again after so long.
AGAIN_AFTER: Final = timedelta(days=1)
AT_ONCE: Final = 100
_SPREADING: Final = 2_654_435_761  # ids in a row land far from each other. Source: Knuth, TAOCP 6.4


def plan(target_id: int, now: datetime) -> None:
    """Plan a pair's drills once it has a good copy; one that is planned stays as it is."""
    first = now + timedelta(seconds=offset_s(target_id))
    DrillPlan.objects.get_or_create(target_id=target_id, defaults={"next_due_at": first})


def offset_s(target_id: int) -> int:
    """Give a pair's own moment within FIRST_WITHIN, in seconds."""
    return target_id * _SPREADING % 2**32 % int(FIRST_WITHIN.total_seconds())


def put_off(target_id: int, now: datetime) -> None:
    """Try again sooner than planned what could not be done."""
    again = now + AGAIN_AFTER
    DrillPlan.objects.filter(target_id=target_id, next_due_at__gt=again).update(next_due_at=again)


def ask_due(now: datetime) -> int:
    """Make jobs of the drills that are due; returns how many. Any number may run at once."""
    with transaction.atomic():
        due = list(
            DrillPlan.objects.filter(
                next_due_at__lte=now, is_enabled=True, target__state=Target.State.ACTIVE
            )
            .order_by("next_due_at")
            .select_for_update(skip_locked=True, of=("self",))[:AT_ONCE]
        )
        jobs = [BackupJob(kind="drill", target_id=one.target_id, made_at=now) for one in due]
        BackupJob.objects.bulk_create(jobs, ignore_conflicts=True)
        for one in due:
            every = timedelta(seconds=one.every_s)
            in_step = one.next_due_at + every
            one.next_due_at = in_step if in_step > now else now + every
        DrillPlan.objects.bulk_update(due, ["next_due_at"])
    return len(due)

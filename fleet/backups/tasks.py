"""The doors of backups: what is due becomes jobs, and each zone's workers do its own."""

from __future__ import annotations

import logging
import time
from typing import Final

from celery import shared_task
from django.utils import timezone

from fleet.backups import drill_plan, schedule
from fleet.backups.growth import keep_growth
from fleet.backups.jobs import Lease
from fleet.backups.models import BackupJob
from fleet.backups.room import look, zones_to_look_in
from fleet.backups.sweep import sweep
from fleet.backups.work import do, fail, slot, taking
from fleet.registry.outage import AWAY, database_may_fail

logger = logging.getLogger(__name__)
# A worker gives its thread back after so long; the next message goes on. Ours.
TURN_S: Final = 60.0
EXPIRES_S: Final = 5
LOOK_EXPIRES_S: Final = 3000  # before the next is sent


@shared_task(ignore_result=True)
def dispatch_backups() -> None:
    """Make jobs of what is due, and wake the zones that have any. Any number may run at once."""
    with database_may_fail("backups' dispatch"):
        now = timezone.now()
        schedule.ask_due(now)
        drill_plan.ask_due(now)
        for slug in schedule.zones_with_work(now):
            work.apply_async(queue=f"zone.{slug}.bulk", expires=EXPIRES_S)


@shared_task(ignore_result=True)
def work() -> None:
    """Do this worker's zone's jobs, one after another, for a while. Any number may run at once."""
    with database_may_fail("backups' work"), slot() as is_free:
        ends_at = time.monotonic() + TURN_S
        while is_free and time.monotonic() < ends_at:
            with taking(timezone.now()) as taken:
                if taken is None:
                    return
                do_safely(*taken)


def do_safely(job: BackupJob, lease: Lease) -> None:
    try:
        do(job, lease, timezone.now)
    except AWAY:
        raise
    except Exception as error:  # the outermost door: one job's fault ends no other's
        logger.exception("backup job=%d failed", job.pk)
        text = f"a fault of the portal's ({type(error).__name__}): its worker's log has it"
        fail(lease, timezone.now, BackupJob.State.FAILED, reason="fault", error=text)


@shared_task(ignore_result=True)
def keep_backups() -> None:
    """Sweep, draw once a day how copies grow, and let zones look at their disks. Safe to run twice."""
    with database_may_fail("backups' sweep"):
        now = timezone.now()
        sweep(now)
        keep_growth(now)
        for slug in zones_to_look_in(now):
            look_at_room.apply_async(queue=f"zone.{slug}.bulk", expires=LOOK_EXPIRES_S)


@shared_task(ignore_result=True)
def look_at_room() -> None:
    """Write how full the disk is that this worker keeps pulled copies on. Safe to run twice."""
    with database_may_fail("the look at the pull folder"):
        look(timezone.now())

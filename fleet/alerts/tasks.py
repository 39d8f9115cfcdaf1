"""The doors of alerts: route, group and send every ten seconds, remind and watch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from celery import shared_task
from django.utils import timezone

from fleet.alerts import alarms, gather, periodic, reminders, route, send, trim, turns, watch
from fleet.registry.outage import AWAY, database_may_fail

logger = logging.getLogger(__name__)
# A sender gives its thread back after so long; the next tick goes on. Ours.
TURN_S: Final = 20.0
SEND_EXPIRES_S: Final = 10


@shared_task(ignore_result=True)
def tell() -> None:
    """Route transitions, group what waits into mails, wake who sends. Safe to run twice, at once too."""
    with database_may_fail("routing"):
        route.route(timezone.now())
        if gather.gather(timezone.now()) is not None:
            turns.ended("routing", timezone.now())
        if send.is_due(timezone.now()):
            send_mails.apply_async(expires=SEND_EXPIRES_S)


@shared_task(ignore_result=True)
def send_mails() -> None:
    """Send what is due, for a while. Any number may run at once: each mail has one lease."""
    with database_may_fail("sending"):
        end = time.monotonic() + TURN_S
        while time.monotonic() < end and send.send_one(timezone.now):
            pass
        turns.ended("sending", timezone.now())


@shared_task(ignore_result=True)
def keep_reminding() -> None:
    """Make reminders, digests, reports and warnings that are due, and look after our own alarms."""
    with database_may_fail("reminding"):
        for step in STEPS:
            try:
                step(timezone.now())
            except AWAY:
                raise
            except Exception:  # the outermost door: a fault of one keeps the others from nothing
                logger.exception("%s failed", step.__name__)


@shared_task(ignore_result=True)
def trim_mails() -> None:
    """Take the wording off old mails. Safe to run twice, at once too."""
    with database_may_fail("retention of mails"):
        trim.trim(timezone.now())


STEPS: Final[tuple[Callable[[datetime], object], ...]] = (
    reminders.remind,
    periodic.make_digests,
    periodic.make_reports,
    periodic.warn_of_ending,
    watch.watch,
    alarms.mail_alarms,
)

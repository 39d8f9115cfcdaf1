"""The doors of alerts: route and group every five seconds, send, remind and watch."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Final

from celery import shared_task
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from fleet.alerts import alarms, gather, periodic, reminders, route, send, watch

logger = logging.getLogger(__name__)
# A sender gives its thread back after so long; the next tick goes on. Ours.
TURN_S: Final = 20.0


@contextmanager
def database_may_fail(what: str) -> Iterator[None]:
    """End quietly, with one line, when the database is away: nothing is lost, the next turn does it."""
    close_old_connections()
    try:
        yield
    except (OperationalError, InterfaceError) as error:
        line = str(error).strip().split("\n", 1)[0]
        logger.error("%s not done, database away: %s", what, line)  # noqa: TRY400  no traceback wanted


@shared_task(ignore_result=True)
def tell() -> None:
    """Route transitions, and group what waits into mails. Safe to run twice, at once too."""
    with database_may_fail("routing"):
        route.route(timezone.now())
        gather.gather(timezone.now())


@shared_task(ignore_result=True)
def send_mails() -> None:
    """Send what is due, for a while. Any number may run at once: each mail has one lease."""
    with database_may_fail("sending"):
        end = time.monotonic() + TURN_S
        while time.monotonic() < end and send.send_one(timezone.now):
            pass


@shared_task(ignore_result=True)
def keep_reminding() -> None:
    """Make reminders, digests, reports and warnings that are due, and look after our own alarms."""
    with database_may_fail("reminding"):
        for step in STEPS:
            try:
                step(timezone.now())
            except (OperationalError, InterfaceError):
                raise
            except Exception:  # the outermost door: a fault of one keeps the others from nothing
                logger.exception("%s failed", step.__name__)


STEPS: Final[tuple[Callable[[datetime], object], ...]] = (
    reminders.remind,
    periodic.make_digests,
    periodic.make_reports,
    periodic.warn_of_ending,
    watch.watch,
    alarms.mail_alarms,
)

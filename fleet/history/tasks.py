"""The doors to history's hourly and nightly work."""

from __future__ import annotations

from typing import Any, Final

from celery import shared_task
from celery.signals import worker_ready
from django.db import connection
from django.utils import timezone

from fleet.history import hourly
from fleet.history.retention import keep
from fleet.registry.current import fleet_settings
from fleet.registry.outage import database_may_fail

EXPIRES_S: Final = 3000


@shared_task(ignore_result=True)
def keep_history() -> None:
    """Make the coming partitions, roll closed days up, drop what is past retention. Safe to run twice."""
    with database_may_fail("history"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT clock_timestamp()")
            (database_now,) = cursor.fetchone()
        keep(timezone.now(), database_now, fleet_settings())


@shared_task(ignore_result=True)
def roll_hours() -> None:
    """Write the hours that are over since the last run. Safe to run twice."""
    with database_may_fail("hours"):
        hourly.roll_hours(timezone.now())


def keep_at_start(**_signal: Any) -> None:
    """Do it when a worker starts: on a new installation, or after days off, partitions are missing."""
    keep_history.apply_async(expires=EXPIRES_S)


worker_ready.connect(keep_at_start, weak=False)

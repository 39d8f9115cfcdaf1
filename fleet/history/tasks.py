"""The door to history's nightly work."""

from __future__ import annotations

from celery import shared_task
from django.db import connection
from django.utils import timezone

from fleet.history.retention import keep
from fleet.registry.models import FleetSettings


@shared_task(ignore_result=True)
def keep_history() -> None:
    """Make the coming partitions, roll closed days up, drop what is past retention. Safe to run twice."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (database_now,) = cursor.fetchone()
    keep(timezone.now(), database_now, FleetSettings.objects.first() or FleetSettings())

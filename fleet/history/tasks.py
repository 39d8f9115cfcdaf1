"""The door to history's nightly work."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from fleet.history.partitions import maintain
from fleet.registry.models import FleetSettings


@shared_task(ignore_result=True)
def keep_partitions() -> None:
    """Make the coming days' partitions and drop those past retention. Safe to run twice."""
    settings = FleetSettings.objects.first() or FleetSettings()
    maintain(timezone.now(), settings.raw_days)

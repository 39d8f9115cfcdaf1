"""The door to the portal's watch over itself."""

from __future__ import annotations

from celery import shared_task
from django.utils import timezone

from fleet.portal.watch import watch
from fleet.registry.outage import database_may_fail


@shared_task(ignore_result=True)
def watch_portal() -> None:
    """Look at the portal itself. Safe to run twice; without a database it is silent, and so noticed."""
    with database_may_fail("watch"):
        watch(timezone.now())

"""The door to the portal's watch over itself."""

from __future__ import annotations

import logging

from celery import shared_task
from django.db import InterfaceError, OperationalError, close_old_connections
from django.utils import timezone

from fleet.portal.watch import watch

logger = logging.getLogger(__name__)


@shared_task(ignore_result=True)
def watch_portal() -> None:
    """Look at the portal itself. Safe to run twice; without a database it is silent, and so noticed."""
    close_old_connections()
    try:
        watch(timezone.now())
    except (OperationalError, InterfaceError) as error:
        line = str(error).strip().split("\n", 1)[0]
        logger.error("watch not done, database away: %s", line)  # noqa: TRY400  no traceback wanted

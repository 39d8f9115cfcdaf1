"""A worker process's sign of life: dispatch sends work only where one was seen within a minute."""

from __future__ import annotations

import logging
import threading
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone

from fleet.registry.models import Worker, Zone

logger = logging.getLogger(__name__)

EVERY_S: Final = 20.0


class Heartbeat:
    """Reports this process every 20 s from a thread of its own; a database outage is waited out."""

    def __init__(self) -> None:
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Report once, so that work may be sent at once, and then go on in the background."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join(1.0)

    def _run(self) -> None:
        try:
            while not self._stopped.wait(EVERY_S):
                self._beat()
        finally:
            connection.close()

    def _beat(self) -> None:
        close_old_connections()
        try:
            report(timezone.now())
        except (DatabaseError, InterfaceError) as error:
            logger.warning("not reported worker=%s: %s", settings.WORKER_NAME, error)


def report(now: datetime) -> None:
    """Write this worker's row; its zone is made where it is new."""
    zone, _is_new = Zone.objects.get_or_create(slug=settings.ZONE)
    Worker.objects.update_or_create(
        name=settings.WORKER_NAME,
        defaults={"zone": zone, "version": settings.VERSION, "last_seen_at": now},
    )

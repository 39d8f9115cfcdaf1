"""Raise and clear alarms about the portal itself; each is one episode per key, however often raised."""

from __future__ import annotations

import logging
from datetime import datetime

from fleet.alerts.models import PortalAlarm

logger = logging.getLogger(__name__)


def raise_alarm(key: str, text: str, cure: str, now: datetime) -> None:
    """Begin an episode, or say a running one in new words. Safe to call at every turn."""
    alarm, is_new = PortalAlarm.objects.update_or_create(
        key=key,
        ended_at=None,
        defaults={"text": text, "cure": cure},
        create_defaults={"text": text, "cure": cure, "since": now},
    )
    if is_new:
        logger.error("portal alarm key=%s: %s", alarm.key, alarm.text)


def clear_alarm(key: str, now: datetime) -> None:
    """End the episode, if there is one."""
    if PortalAlarm.objects.filter(key=key, ended_at=None).update(ended_at=now):
        logger.info("portal alarm over key=%s", key)

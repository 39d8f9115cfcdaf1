"""Raise and clear alarms about the portal itself; each is one episode per key, however often raised."""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import transaction

from fleet.alerts.models import Channel, Mail, PortalAlarm, new_message_id
from fleet.alerts.timing import ALARM_GRACE

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


def note_episode(key: str, text: str, cure: str, since: datetime, now: datetime) -> None:
    """Put on record an episode that is over when it is found out: no banner, no mail."""
    PortalAlarm.objects.create(key=key, text=text, cure=cure, since=since, ended_at=now)
    logger.warning("portal alarm found over key=%s: %s", key, text)


def clear_alarm(key: str, now: datetime) -> None:
    """End the episode, if there is one."""
    if PortalAlarm.objects.filter(key=key, ended_at=None).update(ended_at=now):
        logger.info("portal alarm over key=%s", key)


def mail_alarms(now: datetime) -> int:
    """Make a mail to each operators' channel of the alarms not mailed yet; returns how many mails.

    One that is over within a minute is not mailed. The mark and the mails are one transaction.
    """
    with transaction.atomic():
        live = PortalAlarm.objects.filter(ended_at=None, mailed_at=None)
        alarms = live.filter(since__lte=now - ALARM_GRACE).select_for_update(skip_locked=True)
        ids = list(alarms.values_list("pk", flat=True))
        if not ids:
            return 0
        channels = Channel.objects.filter(tenant=None, verified_at__isnull=False, stopped_at=None)
        mails = Mail.objects.bulk_create(
            Mail(
                channel_id=pk,
                kind=Mail.Kind.PORTAL,
                message_id=new_message_id(),
                made_at=now,
                next_attempt_at=now,
            )
            for pk in channels.values_list("pk", flat=True)
        )
        if mails:  # with no operator to tell they wait for one
            PortalAlarm.objects.filter(pk__in=ids).update(mailed_at=now)
    return len(mails)

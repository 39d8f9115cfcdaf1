"""When is a digest, a report, or a warning before a waiver ends due? Each is made once."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.db.models import QuerySet

from fleet.alerts.models import Channel, Mail, new_message_id
from fleet.alerts.timing import WEEKLY_DAY
from fleet.findings.models import WaiverNotice

# As many waiver warnings in one turn. Ours.
BATCH: Final = 1000


def make_digests(now: datetime) -> int:
    """Make the digests whose hour has come; returns how many. Safe to run twice."""
    return sum(
        _make_periodic(channel, "digested_at", Mail.Kind.DIGEST, now)
        for channel in _told().filter(has_digest=True)
        if is_due(channel, channel.digested_at, now)
    )


def make_reports(now: datetime) -> int:
    """Make the weekly reports of tenants whose hour has come; returns how many. Safe to run twice."""
    return sum(
        _make_periodic(channel, "reported_at", Mail.Kind.WEEKLY, now)
        for channel in _told().filter(has_weekly=True, tenant__isnull=False)
        if is_due(channel, channel.reported_at, now, weekday=WEEKLY_DAY)
    )


def _told() -> QuerySet[Channel]:
    return Channel.objects.filter(verified_at__isnull=False, stopped_at=None).order_by("pk")


def is_due(
    channel: Channel, made_at: datetime | None, now: datetime, weekday: int | None = None
) -> bool:
    """Tell whether the channel's hour has passed, today or since that weekday, with none made since.

    Who is registered after the hour waits for the next one.
    """
    local = now.astimezone(ZoneInfo(channel.time_zone))
    hour = local.replace(hour=channel.digest_hour, minute=0, second=0, microsecond=0)
    if weekday is not None:
        hour -= timedelta(days=(local.weekday() - weekday) % 7)
    since = max(made_at or channel.created_at, channel.created_at)
    return since < hour <= local


@transaction.atomic
def _make_periodic(channel: Channel, column: str, kind: Mail.Kind, now: datetime) -> bool:
    """Claim the channel's turn by the time it was last made, and make the mail with it."""
    seen = getattr(channel, column)
    rows = Channel.objects.filter(pk=channel.pk)
    mine = rows.filter(**({f"{column}__isnull": True} if seen is None else {column: seen}))
    if not mine.update(**{column: now}):
        return False
    _mail(channel.pk, channel.tenant_id, kind, now).save()
    return True


def _mail(channel_id: int, tenant_id: int | None, kind: Mail.Kind, now: datetime) -> Mail:
    return Mail(
        channel_id=channel_id,
        tenant_id=tenant_id,
        kind=kind,
        message_id=new_message_id(),
        made_at=now,
        next_attempt_at=now,
    )


@transaction.atomic
def warn_of_ending(now: datetime) -> int:
    """Make the warnings before waivers end, one per reader and tenant; returns how many notices.

    The tenant's channels are told, or the operators' where it has none.
    """
    unrouted = WaiverNotice.objects.filter(routed_at=None).select_related("waiver").order_by("pk")
    notices = list(unrouted.select_for_update(skip_locked=True, of=("self",))[:BATCH])
    if not notices:
        return 0
    channels: defaultdict[int | None, list[int]] = defaultdict(list)
    for channel_id, whose in _told().values_list("pk", "tenant_id"):
        channels[whose].append(channel_id)
    mails = Mail.objects.bulk_create(
        _mail(channel_id, tenant_id, Mail.Kind.WAIVERS, now)
        for tenant_id in sorted({one.waiver.tenant_id for one in notices})
        for channel_id in channels[tenant_id] or channels[None]
    )
    told = {mail.tenant_id for mail in mails}  # the others wait for somebody to tell
    ids = [one.pk for one in notices if one.waiver.tenant_id in told]
    return WaiverNotice.objects.filter(pk__in=ids).update(routed_at=now)

"""What the owner of an address decides by the signed links in their mails: agree, stop, take up again."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from simple_history.utils import update_change_reason

from fleet.alerts import links
from fleet.alerts.models import Channel


def channel_of(token: str) -> Channel | None:
    """Return the channel that a mail's link was signed for; None for any other token."""
    channel = _claimed(token)
    return channel if channel and links.may_stop(token, channel.address) else None


def channel_to_verify(token: str) -> Channel | None:
    """Return the channel that a verification link was signed for, while the link holds."""
    channel = _claimed(token)
    return channel if channel and links.may_verify(token, channel.address) else None


def stop(channel_id: int, now: datetime) -> None:
    """Send nothing more there, until somebody takes it up again. Safe to call twice."""
    _change(channel_id, stopped_at=now, reason="stopped by the address' owner")


def resume(channel_id: int) -> None:
    """Take the mails up again."""
    _change(channel_id, stopped_at=None, reason="resumed by the address' owner")


def verify(channel_id: int, now: datetime) -> None:
    """Note that the address' owner agreed."""
    _change(channel_id, verified_at=now, reason="verified by the address' owner")


def _change(channel_id: int, reason: str, **values: datetime | None) -> None:
    with transaction.atomic():
        channel = Channel.objects.select_for_update().get(pk=channel_id)
        news = {name: at for name, at in values.items() if _differs(getattr(channel, name), at)}
        for name, at in news.items():
            setattr(channel, name, at)
        if news:
            channel.save(update_fields=list(news))
            update_change_reason(channel, reason)


def _differs(was: datetime | None, at: datetime | None) -> bool:
    """Tell set from not set: the first instant stays."""
    return (was is None) is not (at is None)


def _claimed(token: str) -> Channel | None:
    number = links.channel_id_of(token)
    found = Channel.objects.select_related("tenant").filter(pk=number) if number else None
    return found.first() if found is not None else None

"""Hands one letter to its channel, whatever kind that is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from fleet.alerts.channels import email, webhook
from fleet.alerts.channels.refused import Refused
from fleet.alerts.letter import Letter, Rendered
from fleet.alerts.models import Channel
from fleet.alerts.payload import payload
from fleet.registry.egress import egress_rules
from fleet.registry.sealed import SecretError, reveal


def deliver(
    letter: Letter,
    rendered: Rendered,
    channel: Channel,
    *,
    message_id: str,
    references: Sequence[str],
    now: datetime,
) -> str:
    """Send the letter and return what the other side said on taking it; Refused otherwise."""
    if channel.kind == Channel.Kind.EMAIL:
        return email.send(
            rendered, to=channel.address, message_id=message_id, references=references
        )
    try:
        key = reveal(channel.key)
    except SecretError as error:  # of the set-up: whoever mends the key ring wants it sent
        raise Refused(str(error), permanent=False) from None
    return webhook.send(
        payload(letter, message_id),
        url=channel.address,
        key=key,
        timestamp=int(now.timestamp()),
        rules=egress_rules(),
    )

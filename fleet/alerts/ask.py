"""Messages that a person asks for while they wait: a test, and the question to an address' owner."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from fleet.alerts import consent, links
from fleet.alerts.channels.refused import Refused
from fleet.alerts.compose import reader
from fleet.alerts.deliver import deliver
from fleet.alerts.letter import Body, Letter, Trial, Verification
from fleet.alerts.models import Channel, Mail, new_message_id
from fleet.alerts.render import render

logger = logging.getLogger(__name__)
# Longer than an attempt takes; a sender that finds the row after that says nothing and closes it.
LEASE: Final = timedelta(minutes=5)


@dataclass(frozen=True)
class Asked:
    """What came of it: the other side's answer, or why it did not take the message."""

    is_taken: bool
    answer: str


def trial(channel: Channel, asked_by: str, now: datetime) -> Asked:
    """Send a test. A webhook that takes it is verified by that: it checked our signature, or chose not to."""
    asked = _send(channel, Mail.Kind.TEST, Trial(channel=channel.name, asked_by=asked_by), now)
    if asked.is_taken and channel.kind == Channel.Kind.WEBHOOK:
        consent.verify(channel.pk, now)
    return asked


def verify(channel: Channel, asked_by: str, now: datetime) -> Asked:
    """Ask by mail whether mails may go to this address."""
    body = Verification(
        channel=channel.name,
        tenant=channel.tenant.name if channel.tenant else "",
        asked_by=asked_by,
        hours=int(links.VERIFY_WITHIN.total_seconds() // 3600),
    )
    return _send(channel, Mail.Kind.VERIFICATION, body, now)


def _send(channel: Channel, kind: Mail.Kind, body: Body, now: datetime) -> Asked:
    """Try once, and write down in the log what came of it; nobody waits for a second try."""
    letter = Letter(reader=reader(channel), at=now, body=body)
    rendered = render(letter)
    mail = Mail.objects.create(
        channel=channel,
        tenant=channel.tenant,
        kind=kind,
        message_id=new_message_id(),
        state=Mail.State.LEASED,
        attempts=1,
        made_at=now,
        first_tried_at=now,
        next_attempt_at=now,
        lease_until=now + LEASE,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
    )
    try:
        answer = deliver(
            letter, rendered, channel, message_id=mail.message_id, references=(), now=now
        )
    except Refused as refused:
        _close(mail, Mail.State.CANCELLED, error=refused.text)
        return Asked(is_taken=False, answer=refused.text)
    _close(mail, Mail.State.SENT, answer=answer, sent_at=now)
    return Asked(is_taken=True, answer=answer)


def _close(mail: Mail, state: Mail.State, **values: object) -> None:
    Mail.objects.filter(pk=mail.pk, state=Mail.State.LEASED).update(
        state=state, lease_until=None, **values
    )
    logger.info("mail asked for id=%d kind=%s state=%s", mail.pk, mail.kind, state.value)

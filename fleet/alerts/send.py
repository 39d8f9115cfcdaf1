"""Sends what is due: a lease, a look whether it still holds, the attempt, and what came of it.

A mail is sent only once its server took it. A sender that dies in between leaves its lease to run
out: the next one sends the mail again, with the same Message-ID.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Final

from django.conf import settings
from django.db import transaction

from fleet.alerts import settle
from fleet.alerts.channels.refused import Refused
from fleet.alerts.compose import compose
from fleet.alerts.deliver import deliver
from fleet.alerts.letter import Letter
from fleet.alerts.models import Channel, Mail
from fleet.alerts.reminders import reminded
from fleet.alerts.render import render
from fleet.alerts.revalidate import Still, count_as_told, still_to_tell
from fleet.alerts.threads import references
from fleet.alerts.timing import FIRST_RETRY, GIVE_UP, LEASE, SENDERS, backoff
from fleet.registry.arrays import rows_of

logger = logging.getLogger(__name__)
Clock = Callable[[], datetime]
State = Mail.State

_DUE: Final = """(m.state = 'waiting' AND m.next_attempt_at <= %b
        OR m.state = 'leased' AND m.lease_until <= %b)
      AND (%b OR c.kind <> 'email')"""
_IS_DUE: Final = f"""
SELECT EXISTS (SELECT FROM alerts_mail m JOIN alerts_channel c ON c.id = m.channel_id WHERE {_DUE})
"""  # noqa: S608  our own text
# News before what is read at leisure, and nobody's tenth attempt before another's first.
_CLAIM: Final = f"""
UPDATE alerts_mail SET state = 'leased', lease_until = %b, attempts = attempts + 1,
    first_tried_at = coalesce(first_tried_at, %b), is_doubtful = is_doubtful OR state = 'leased',
    error = CASE WHEN state = 'leased' THEN 'an attempt came to no end' ELSE error END
WHERE id = (
    SELECT m.id FROM alerts_mail m JOIN alerts_channel c ON c.id = m.channel_id
    WHERE {_DUE}
      AND (SELECT count(*) FROM alerts_mail WHERE state = 'leased' AND lease_until > %b) < %b
    ORDER BY m.kind IN ('digest', 'weekly'), m.attempts, m.next_attempt_at, m.id
    LIMIT 1 FOR UPDATE OF m SKIP LOCKED)
RETURNING id
"""  # noqa: S608  our own text


def is_due(now: datetime) -> bool:
    """Tell whether a mail is due. One query."""
    return bool(rows_of(_IS_DUE, [now, now, settings.HAS_MAIL])[0][0])


def send_one(clock: Clock) -> bool:
    """Send the mail that is due first; False where none is. Any number of senders may run at once."""
    mail = _claim(clock())
    if mail is None:
        return False
    still = still_to_tell(mail, clock())
    letter = compose(mail, still, clock()) if still.is_any else None
    if letter is None:
        _cancel(mail)
        return True
    _attempt(mail, letter, still, clock)
    return True


def _claim(now: datetime) -> Mail | None:
    _bury(now)
    with transaction.atomic():
        params = [now + LEASE, now, now, now, settings.HAS_MAIL, now, SENDERS]
        found = rows_of(_CLAIM, params)
    if not found:
        return None
    return Mail.objects.select_related("channel__tenant", "tenant").get(pk=found[0][0])


def _bury(now: datetime) -> None:
    """Give up mails whose senders died again and again for a day."""
    lapsed = Mail.objects.filter(state=State.LEASED, lease_until__lte=now)
    with transaction.atomic():
        old = lapsed.filter(first_tried_at__lte=now - GIVE_UP).select_for_update()
        ids = list(old.values_list("pk", flat=True))
        error = "no attempt came to an end within 24 h"
        Mail.objects.filter(pk__in=ids).update(state=State.DEAD, is_doubtful=True, error=error)
        for mail_id in ids:
            count_as_told(mail_id, now)


def _attempt(mail: Mail, letter: Letter, still: Still, clock: Clock) -> None:
    rendered = render(letter)
    mine = Mail.objects.filter(pk=mail.pk, state=State.LEASED, attempts=mail.attempts)
    mine.update(
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        finding_ids=still.finding_ids,
    )
    try:
        answer = deliver(
            letter,
            rendered,
            mail.channel,
            message_id=mail.message_id,
            references=references(mail),
            now=clock(),
        )
    except Refused as refused:
        _refused(mail, refused, clock())
    else:
        _sent(mail, still, answer, clock())


def _cancel(mail: Mail) -> None:
    text = "nothing is left to tell"
    if mail.is_doubtful:
        text = f"{text}; an earlier attempt may have been taken"
    Mail.objects.filter(pk=mail.pk, state=State.LEASED, attempts=mail.attempts).update(
        state=State.CANCELLED, lease_until=None, error=text
    )
    logger.info("mail cancelled id=%d kind=%s", mail.pk, mail.kind)


@transaction.atomic
def _sent(mail: Mail, still: Still, answer: str, now: datetime) -> None:
    mine = Mail.objects.filter(pk=mail.pk, state=State.LEASED, attempts=mail.attempts)
    if not mine.update(
        state=State.SENT,
        sent_at=now,
        lease_until=None,
        answer=answer,
        error="",
        awaits_server=False,
    ):
        return  # the lease ran out meanwhile: whoever has the mail now writes this down
    settle.tell(mail.pk, still.says, now)
    reminded(still.reminds, now)
    if mail.channel.kind == Channel.Kind.EMAIL:
        waiting = Mail.objects.filter(state=State.WAITING, awaits_server=True)
        waiting.update(next_attempt_at=now, awaits_server=False)
    logger.info("mail sent id=%d kind=%s attempts=%d", mail.pk, mail.kind, mail.attempts)


@transaction.atomic
def _refused(mail: Mail, refused: Refused, now: datetime) -> None:
    is_dead = refused.permanent or now - (mail.first_tried_at or now) >= GIVE_UP
    is_doubtful = mail.is_doubtful or refused.in_doubt
    mine = Mail.objects.filter(pk=mail.pk, state=State.LEASED, attempts=mail.attempts)
    is_mine = mine.update(
        state=State.DEAD if is_dead else State.WAITING,
        lease_until=None,
        error=refused.text,
        next_attempt_at=now + backoff(mail.attempts),
        is_doubtful=is_doubtful,
        awaits_server=refused.unreached,
    )
    if is_mine and is_dead and is_doubtful:
        count_as_told(mail.pk, now)
    if refused.unreached and mail.channel.kind == Channel.Kind.EMAIL:
        _hold_others(refused.text, now)
    level = logging.ERROR if is_dead else logging.WARNING
    logger.log(level, "mail refused id=%d dead=%s: %s", mail.pk, is_dead, refused.text)


def _hold_others(text: str, now: datetime) -> None:
    """Let the mails that are due wait a minute: the server took none just now."""
    due = Mail.objects.filter(state=State.WAITING, next_attempt_at__lte=now)
    due.filter(channel__kind=Channel.Kind.EMAIL).update(
        next_attempt_at=now + FIRST_RETRY, awaits_server=True, error=text
    )


def retry(mail_id: int, now: datetime) -> bool:
    """Take up a dead mail again, from the first minute on; False where it is not dead."""
    return bool(
        Mail.objects.filter(pk=mail_id, state=State.DEAD).update(
            state=State.WAITING,
            attempts=0,
            first_tried_at=None,
            next_attempt_at=now,
        )
    )


def dismiss(mail_id: int) -> bool:
    """Put a dead mail away unsent; False where it is not dead."""
    return bool(Mail.objects.filter(pk=mail_id, state=State.DEAD).update(state=State.CANCELLED))

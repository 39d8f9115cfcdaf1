"""Hands one rendered letter to the mail server, and tells a refusal now from a refusal for good."""

from __future__ import annotations

import smtplib
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from django.conf import settings
from django.core.mail import EmailMultiAlternatives, get_connection

from fleet.alerts.channels.refused import Refused
from fleet.alerts.channels.smtp import said
from fleet.alerts.letter import Rendered

PERMANENT: Final = range(500, 600)
SOMEBODY: Final = f"{'x' * 60}@example.com"
SOME_ID: Final = f"<{'0' * 60}@example.com>"
TOO_LARGE: Final = 552  # to MAIL FROM: it is about this mail, not about the sender


def send(rendered: Rendered, *, to: str, message_id: str, references: Sequence[str] = ()) -> str:
    """Send one mail and return the server's answer, such as `250 2.0.0 queued as 4F2A`.

    message_id and references are in angle brackets. Returns only after the server took
    responsibility for the mail; Refused otherwise, and then it may be sent again with the
    same message_id. Takes at most about EMAIL_TIMEOUT seconds for each step of the dialogue.
    """
    if not settings.HAS_MAIL:
        raise Refused("no mail server is set: EMAIL_URL is empty", permanent=False)
    message = build(rendered, to=to, message_id=message_id, references=references)
    connection = get_connection()
    try:
        connection.open()
    except (smtplib.SMTPException, OSError) as error:
        raise unreached(error) from None
    try:
        connection.send_messages([message])
        return getattr(connection, "answer", "")
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise refusal(error) from None
    finally:
        # The server has answered for the mail: what goes wrong after that changes nothing.
        with suppress(smtplib.SMTPException, OSError):
            connection.close()


def build(
    rendered: Rendered, *, to: str, message_id: str, references: Sequence[str] = ()
) -> EmailMultiAlternatives:
    """Put a letter into MIME: plain text first, HTML as its better alternative."""
    headers = {**rendered.headers, "Message-ID": message_id}
    if references:
        headers["References"] = " ".join(references)
        headers["In-Reply-To"] = references[-1]
    message = EmailMultiAlternatives(
        rendered.subject, rendered.text, settings.DEFAULT_FROM_EMAIL, [to], headers=headers
    )
    message.attach_alternative(rendered.html, "text/html")
    return message


def size_bytes(rendered: Rendered) -> int:
    """Tell how large the mail is as it goes out: text that is not ASCII may triple."""
    message = build(rendered, to=SOMEBODY, message_id=SOME_ID)
    return len(message.message().as_bytes())


def unreached(error: Exception) -> Refused:
    """Tell why no mail can be handed over at present: no connection, no TLS, no sign-in."""
    if isinstance(error, smtplib.SMTPResponseException):
        text = said(error.smtp_code, error.smtp_error)
    else:
        text = _unreached(error)
    return Refused(text, permanent=False, unreached=True)


def refusal(error: Exception) -> Refused:
    """Tell what a failure means for this mail.

    Only the server's own 5xx about this recipient or this message is for good. Sign-in, sender
    and connection are the set-up's: whoever mends them wants the waiting mails to go out.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        code, text = next(iter(error.recipients.values()))
        return Refused(said(code, text), permanent=code in PERMANENT)
    if isinstance(error, smtplib.SMTPResponseException):
        is_about_this_mail = isinstance(error, smtplib.SMTPDataError) or _is_too_large(error)
        return Refused(
            said(error.smtp_code, error.smtp_error),
            permanent=is_about_this_mail and error.smtp_code in PERMANENT,
            unreached=isinstance(error, smtplib.SMTPSenderRefused) and not _is_too_large(error),
        )
    if isinstance(error, ValueError):
        return Refused("an address or header cannot be written in a mail", permanent=True)
    # The connection was lost on the way: whether before or after the last byte nobody knows.
    return Refused(_unreached(error), permanent=False, in_doubt=True)


def _is_too_large(error: smtplib.SMTPResponseException) -> bool:
    return isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code == TOO_LARGE


def _unreached(error: Exception) -> str:
    server = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    # smtplib tells of a time-out while it waits for an answer as of a closed connection.
    if isinstance(error, TimeoutError) or isinstance(error.__context__, TimeoutError):
        return f"{server} gave no answer within {settings.EMAIL_TIMEOUT} s"
    if isinstance(error, smtplib.SMTPServerDisconnected):
        return f"{server} closed the connection"
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return f"{server} does not offer what the settings ask for: STARTTLS or sign-in"
    why = getattr(error, "strerror", None) or type(error).__name__
    return f"{server} was not reached: {why}"

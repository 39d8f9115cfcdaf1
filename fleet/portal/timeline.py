"""What happened to a finding, in words: its moves, oldest first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.urls import reverse
from django.utils.translation import gettext as _

from checks.lifecycle import FLAPS, STALE_AFTER
from fleet.alerts.models import Delivery, Mail
from fleet.findings.models import Finding, Transition
from fleet.portal import marks
from fleet.portal.figures import instant
from fleet.portal.scoped_admin import Rows

SHOWN: Final = 60  # what flaps for days moves hundreds of times
Cause = Transition.Cause


@dataclass(frozen=True)
class Event:
    """One line: a mark of marks.py, what happened, what was said about it and by whom."""

    at: datetime
    mark: str
    words: str
    note: str
    url: str = ""


@dataclass(frozen=True)
class Timeline:
    """The newest moves, and whether there were more before them."""

    events: list[Event]
    has_more: bool


def timeline(rows: Rows, finding: Finding) -> Timeline:
    """Read the moves of one finding, and the messages that told of them. Two queries."""
    moves = rows.of(Transition).filter(finding=finding.pk).select_related("actor")
    newest = list(moves.order_by("-at", "-pk")[: SHOWN + 1])
    has_more = len(newest) > SHOWN
    shown = newest[SHOWN - 1 :: -1]
    was_open = has_more  # of those before we know no more than that there were some
    events = []
    for move in shown:
        events.append(Event(move.at, _mark(move), _words(move, was_open=was_open), _note(move)))
        was_open = was_open or move.cause == Cause.OPENED
    since = shown[0].at if has_more else finding.first_seen_at
    told = [one for one in _told(rows, finding) if one.at >= since]
    return Timeline(sorted([*events, *told], key=lambda one: one.at), has_more)


def _told(rows: Rows, finding: Finding) -> Iterator[Event]:
    """Give each message that told of a move: sent, or how it stands."""
    found = rows.of(Delivery).filter(transition__finding=finding.pk, mail__isnull=False)
    newest = found.select_related("mail", "channel").order_by("-mail__made_at")[:SHOWN]
    for mail, channel in {one.mail: one.channel for one in newest}.items():
        if mail is None or mail.state == Mail.State.CANCELLED:
            continue
        values = {"name": channel.name, "state": mail.get_state_display().lower()}
        text = _("Told %(name)s") if mail.sent_at else _("Message to %(name)s: %(state)s")
        url = reverse("admin:alerts_mail_change", args=[mail.pk])
        mark = "critical" if mail.state == Mail.State.DEAD else "info"
        yield Event(mail.sent_at or mail.made_at, mark, text % values, mail.subject, url)


def _mark(move: Transition) -> str:
    if move.cause in (Cause.STALE, Cause.FLAPPING, Cause.WITHDRAWN):
        return move.cause
    if move.to_state == Finding.State.RESOLVED:
        return Cause.RESOLVED.value
    if move.cause == Cause.WAIVED or (move.cause == Cause.ACKNOWLEDGED and move.until):
        return Cause.ACKNOWLEDGED.value
    return move.to_severity or "info"


def _words(move: Transition, *, was_open: bool) -> str:
    severity = f"{marks.MARKS[move.to_severity].word}".lower() if move.to_severity else ""
    if move.cause == Cause.OPENED:
        text = _("Opened again, %(severity)s") if was_open else _("Opened, %(severity)s")
        return text % {"severity": severity}
    if move.cause == Cause.SEVERITY:
        return _("Now %(severity)s") % {"severity": severity}
    if move.cause == Cause.ACKNOWLEDGED:
        if move.until:
            return _("Acknowledged until %(until)s") % {"until": instant(move.until)}
        if move.to_state == Finding.State.OPEN:
            return _("Acknowledgement ended")
        return _("Accepted, and closed")
    return move.get_cause_display()


def _note(move: Transition) -> str:
    by = _("by %(person)s") % {"person": move.actor} if move.actor else ""
    return " · ".join(part for part in (move.note, _why(move), by) if part)


def _why(move: Transition) -> str:
    """Explain what does not explain itself."""
    if move.is_quiet:
        return _("while flapping: nobody is told")
    if move.cause == Cause.FLAPPING:
        return _("%(count)d moves within an hour") % {"count": FLAPS}
    if move.cause == Cause.STALE:
        return _("no conclusive result for %(count)d intervals") % {"count": STALE_AFTER}
    return ""

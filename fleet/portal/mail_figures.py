"""How mail goes: what waits, what was given up, and when the last message was taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db.models import Count, QuerySet, Subquery, Value
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from fleet.alerts.models import Mail
from fleet.portal import addresses
from fleet.portal.scoped_admin import Rows

State = Mail.State


@dataclass(frozen=True)
class MailFigures:
    """Messages to the channels that one person may see. taken_at is None before the first."""

    waiting_count: int
    dead_count: int
    taken_at: datetime | None
    is_set_up: bool = field(default_factory=lambda: bool(settings.HAS_MAIL))

    @property
    def waiting_url(self) -> str:
        """Where those are listed that wait."""
        return addresses.mails(state=State.WAITING.value)

    @property
    def dead_url(self) -> str:
        """Where those are listed that were given up."""
        return addresses.mails(state=State.DEAD.value)

    @property
    def log_url(self) -> str:
        """Where all are listed."""
        return addresses.mails()


def columns(rows: Rows) -> dict[str, Combinable]:
    """Give what MailFigures are made of, in its fields' order, to annotate any row with.

    Each is found by a partial index: the log itself may be long.
    """
    mails = rows.of(Mail)
    sent = mails.filter(state=State.SENT).order_by("-sent_at")
    return {
        "waiting_count": _counted(mails.filter(state__in=[State.WAITING, State.LEASED])),
        "dead_count": _counted(mails.filter(state=State.DEAD)),
        "taken_at": Subquery(sent.values("sent_at")[:1]),
    }


def _counted(mails: QuerySet[Mail]) -> Coalesce:
    one_group = mails.order_by().annotate(all=Value(1)).values("all")
    return Coalesce(Subquery(one_group.annotate(n=Count("pk")).values("n")), 0)

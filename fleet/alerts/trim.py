"""The wording of old mails goes; when, to whom, about what and what was answered stays in the log."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db.models import Min

from fleet.alerts.models import Mail
from fleet.registry.current import fleet_settings

# As many in one statement: some 30 kB each. Ours.
BATCH: Final = 2000
OVER: Final = (Mail.State.SENT, Mail.State.DEAD, Mail.State.CANCELLED)


def trim(now: datetime) -> int:
    """Take the wording off mails that are past retention; returns how many. Safe to run twice."""
    since = now - timedelta(days=fleet_settings().mail_days)
    old = Mail.objects.filter(made_at__lt=since, state__in=OVER).exclude(text="")
    trimmed = 0
    while ids := list(old.order_by("made_at").values_list("pk", flat=True)[:BATCH]):
        trimmed += Mail.objects.filter(pk__in=ids, state__in=OVER).update(text="", html="")
    return trimmed


def oldest_wording() -> datetime | None:
    """Give when the oldest mail was made whose wording is kept; None: there is none."""
    first: datetime | None = Mail.objects.exclude(text="").aggregate(first=Min("made_at"))["first"]
    return first

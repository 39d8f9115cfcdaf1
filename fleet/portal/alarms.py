"""The banner: what is wrong with the portal itself, for those who see the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import Subquery
from django.db.models.functions import JSONObject
from django.urls import reverse

from fleet.alerts.models import PortalAlarm
from fleet.portal import mail_figures
from fleet.portal.faults import Fault, unmanned, unwatched
from fleet.portal.mail_figures import MailFigures
from fleet.portal.manning import COLUMNS, ZoneSeen, zones_with
from fleet.portal.models import Pulse
from fleet.portal.scoped_admin import Rows
from fleet.registry.scoping import EVERYTHING


@dataclass(frozen=True)
class Banner:
    """One alarm as a page shows it."""

    text: str
    cure: str
    url: str = ""


@dataclass(frozen=True)
class PortalNow:
    """How the portal itself does: its alarms under way, and its mail."""

    banners: list[Banner]
    mail: MailFigures


def banners(rows: Rows, now: datetime) -> list[Banner]:
    """Give the alarms under way: first what the page sees itself, then the oldest. One query."""
    return portal_now(rows, now).banners


def portal_now(rows: Rows, now: datetime) -> PortalNow:
    """Tell how the portal does; its alarms only to who sees the whole fleet. One query.

    Whether anybody works is asked now, for who would raise that alarm may be what is missing.
    """
    found = list(_zones_alarms_and_mail(rows))
    mail = MailFigures(*found[0][-3:]) if found else MailFigures(0, 0, None)
    if rows.seen != EVERYTHING:
        return PortalNow([], mail)
    zones = len(COLUMNS)
    seen = list(unmanned((ZoneSeen(*row[:zones]) for row in found), now))
    watched_at, kept = found[0][zones : zones + 2] if found else (None, [])
    seen += unwatched(watched_at, now)
    fresh = {fault.key for fault in seen}
    raised = [Fault(**alarm) for alarm in kept if alarm["key"] not in fresh]
    return PortalNow([_banner(fault) for fault in (*seen, *raised)], mail)


def _zones_alarms_and_mail(rows: Rows) -> Iterable[tuple[Any, ...]]:
    """Give every zone, each with the portal's pulse, alarms and mail: there is always a zone."""
    live = rows.of(PortalAlarm).filter(ended_at=None).order_by("since")
    said = live.values(said=JSONObject(key="key", text="text", cure="cure"))
    mail = mail_figures.columns(rows)
    return (
        zones_with(rows)
        .annotate(
            watched_at=Subquery(rows.of(Pulse).values("watched_at")[:1]),
            alarms=ArraySubquery(said),
            **mail,
        )
        .values_list(*COLUMNS, "watched_at", "alarms", *mail)
    )


def _banner(fault: Fault) -> Banner:
    url = reverse("portal:zones") if fault.key.startswith("zone.") else ""
    return Banner(fault.text, fault.cure, url)

"""The waivers that end within a week, for the overview."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, Window

from fleet.findings.models import Waiver
from fleet.findings.waivers import live
from fleet.portal.fails import title_of
from fleet.portal.scoped_admin import Rows

SOON: Final = timedelta(days=7)


@dataclass(frozen=True)
class EndingWaiver:
    """One line: what is waived, where, and until when."""

    waiver_id: int
    title: str
    scope: str
    expires_at: datetime


@dataclass(frozen=True)
class Ending:
    """The first to end, and how many there are."""

    first: list[EndingWaiver]
    count: int


def ending(rows: Rows, now: datetime, limit: int) -> Ending:
    """Return the live waivers that end within a week, the first to end on top. One query."""
    soon = rows.of(Waiver).filter(live(now), expires_at__lte=now + SOON)
    found = list(
        soon.select_related("tenant", "target")
        .annotate(in_all=Window(Count("pk")))
        .order_by("expires_at", "pk")[:limit]
    )
    lines = [
        EndingWaiver(one.pk, title_of(one.rule_id), str(one.target or one.tenant), one.expires_at)
        for one in found
    ]
    return Ending(lines, vars(found[0])["in_all"] if found else 0)

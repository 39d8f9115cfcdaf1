"""What is lost where history is kept for fewer days, told before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.db.models import Min, QuerySet
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from fleet.alerts.models import Mail
from fleet.history import partitions
from fleet.history.models import RolledDay, ScoreDay
from fleet.registry.models import FleetSettings

KEPT: Final = ("raw_days", "hourly_days", "daily_days", "mail_days")


def is_shorter(before: FleetSettings, after: Mapping[str, int], name: str) -> bool:
    """Tell whether a setting of days is made smaller."""
    return name in after and after[name] < getattr(before, name)


def lost(before: FleetSettings, after: Mapping[str, int], now: datetime) -> dict[str, str]:
    """Say by setting what its shorter time drops; one that drops nothing is left out."""
    found = {}
    for name in KEPT:
        oldest = _oldest(name) if is_shorter(before, after, name) else None
        if oldest is None:
            continue
        kept_from = now.astimezone(UTC).date() - timedelta(days=after[name])
        if oldest < kept_from:
            found[name] = _words(after[name], oldest, kept_from)
    return found


def _words(days: int, oldest: date, kept_from: date) -> str:
    text = _(
        "Keeping %(days)s days drops all from %(oldest)s to %(last)s, for good: "
        "tick the box below to save it so."
    )
    first, last = (date_format(day, "j M Y") for day in (oldest, kept_from - timedelta(days=1)))
    return text % {"days": days, "oldest": first, "last": last}


def _oldest(name: str) -> date | None:
    """Give the first day (UTC) of what a setting keeps; None where there is nothing."""
    if name == "raw_days":
        return min(partitions.attached_days(partitions.VISITS), default=None)
    if name == "mail_days":
        made_at = _first(Mail.objects.exclude(text=""), "made_at")
        return made_at.astimezone(UTC).date() if isinstance(made_at, datetime) else None
    rolled = _first(RolledDay.objects.all(), "day")
    if name == "daily_days":
        return min(filter(None, (rolled, _first(ScoreDay.objects.all(), "day"))), default=None)
    month = min(partitions.attached_days(partitions.HOURS), default=None)
    return max(month, rolled) if month and rolled else None


def _first(
    rows: QuerySet[Mail] | QuerySet[RolledDay] | QuerySet[ScoreDay], name: str
) -> date | None:
    first: date | None = rows.aggregate(first=Min(name))["first"]
    return first

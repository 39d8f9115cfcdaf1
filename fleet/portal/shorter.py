"""What is lost where history is kept for fewer days, told before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.utils.formats import date_format
from django.utils.translation import gettext as _

from fleet.alerts.trim import oldest_wording
from fleet.history.retention import oldest_day
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
    if name == "mail_days":
        made_at = oldest_wording()
        return made_at.astimezone(UTC).date() if made_at else None
    return oldest_day(name)

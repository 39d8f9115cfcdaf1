"""What is lost where history is kept for fewer days, told before it is saved."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django import forms
from django.core.exceptions import ValidationError
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from fleet.alerts.trim import oldest_wording
from fleet.history.retention import oldest_day
from fleet.registry.models import FleetSettings

KEPT: Final = ("raw_days", "hourly_days", "daily_days", "mail_days")


def may_lose(before: FleetSettings, posted: Mapping[str, str]) -> bool:
    """Tell whether the settings' form, as it was posted, keeps anything for fewer days."""
    days = {name: _days(posted.get(name, "")) for name in KEPT}
    return any(_is_shorter(before, days, name) for name in KEPT)


def _days(text: str) -> int | None:
    try:
        days: int | None = forms.IntegerField(required=False).clean(text)
    except ValidationError:
        return None
    return days


def _is_shorter(before: FleetSettings, after: Mapping[str, int | None], name: str) -> bool:
    days = after.get(name)
    return days is not None and days < getattr(before, name)


def lost(before: FleetSettings, after: Mapping[str, int], now: datetime) -> dict[str, str]:
    """Say by setting what its shorter time drops; one that drops nothing is left out."""
    found = {}
    for name in KEPT:
        oldest = _oldest(name) if _is_shorter(before, after, name) else None
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

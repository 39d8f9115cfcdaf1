"""The times over which a person looks at trends, and what a point of a chart is then."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.history.trend import Pace


@dataclass(frozen=True)
class Range:
    """A time that a person may look at, and what a point is then."""

    name: str
    label: str | Promise
    span: timedelta
    pace: Pace


# Source: ui.md §9: a day by visits, weeks by hours, longer by days.
RANGES: Final = (
    Range("24h", gettext_lazy("24 h"), timedelta(hours=24), Pace.VISIT),
    Range("7d", gettext_lazy("7 d"), timedelta(days=7), Pace.HOUR),
    Range("30d", gettext_lazy("30 d"), timedelta(days=30), Pace.HOUR),
    Range("90d", gettext_lazy("90 d"), timedelta(days=90), Pace.DAY),
    Range("2y", gettext_lazy("2 y"), timedelta(days=730), Pace.DAY),
)
BY_NAME: Final = {one.name: one for one in RANGES}


def as_kept(chosen: Range, hourly_days: int, daily_days: int) -> Range:
    """Give a range as far as history is kept: by days where hours are not, as long as days are."""
    is_by_hours = chosen.pace is Pace.HOUR and chosen.span <= timedelta(days=hourly_days)
    pace = Pace.DAY if chosen.pace is Pace.HOUR and not is_by_hours else chosen.pace
    return replace(chosen, pace=pace, span=min(chosen.span, timedelta(days=daily_days)))


def kept_words(chosen: Range, shown: Range) -> str:
    """Say what retention took from a range; "" where it is shown whole."""
    if shown.span < chosen.span:
        text = _("History is kept for %(days)s days: nothing older is shown.")
        return text % {"days": shown.span.days}
    if shown.pace is not chosen.pace:
        return _("Hours are not kept for so long: each point is a day (UTC).")
    return ""

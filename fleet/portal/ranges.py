"""The times over which a person looks at trends, and what a point of a chart is then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from django.utils.functional import Promise
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

"""When no pair at all was visited: the portal was down."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from django.db.models import Max, Min

from fleet.history.models import FleetHour, RolledDay
from fleet.history.rollup import bounds
from fleet.history.trend import Pace
from fleet.registry.arrays import rows_of

DAY, HOUR = timedelta(days=1), timedelta(hours=1)
# An hour's figures are written within five minutes of its end.
WRITTEN: Final = timedelta(minutes=10)
# From one hour to the next by the index: an hour has a row for each zone and engine, and only one
# of them is read.
HOURS: Final = """
WITH RECURSIVE hours AS (
    SELECT (SELECT at FROM history_fleethour
        WHERE at >= %(since)b AND at < %(until)b ORDER BY at LIMIT 1) AS at
    UNION ALL
    SELECT (SELECT f.at FROM history_fleethour f
        WHERE f.at > h.at AND f.at < %(until)b ORDER BY f.at LIMIT 1)
    FROM hours h WHERE h.at IS NOT NULL
)
SELECT at FROM hours WHERE at IS NOT NULL ORDER BY at
"""


def idle(since: datetime, until: datetime, pace: Pace) -> list[tuple[datetime, datetime]]:
    """Give the stretches of whole hours, or of days (UTC), between two with a visit. One query.

    What is after the newest hour or day that is written is not told: it may not be over.
    """
    if pace is Pace.DAY:
        days = RolledDay.objects.filter(day__gte=since.astimezone(UTC).date(), visits_count__gt=0)
        begins = [bounds(day)[0] for day in days.order_by("day").values_list("day", flat=True)]
        step = DAY
    else:
        begins = [at for (at,) in rows_of(HOURS, {"since": since - HOUR, "until": until})]
        step = HOUR
    return [(one + step, other) for one, other in pairwise(begins) if other - one > step]


def idle_since(at: datetime, now: datetime) -> datetime | None:
    """Give the hour from which on nobody was visited until `at`; None: somebody was, in that hour.

    None too before the first hour on record, and where the hour is not over. One query.
    """
    begin = at - timedelta(seconds=at.timestamp() % HOUR.total_seconds())
    if now < begin + HOUR + WRITTEN:
        return None
    newest: datetime | None = FleetHour.objects.filter(at__lte=begin).aggregate(at=Max("at"))["at"]
    return newest + HOUR if newest is not None and newest < begin else None


def told_from() -> datetime | None:
    """Give the hour from which on it is known whether any pair was visited. One query."""
    first: datetime | None = FleetHour.objects.aggregate(at=Min("at"))["at"]
    return first

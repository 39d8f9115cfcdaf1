"""One pair's numbers over time, for the charts of its page: by visit, by hour, by day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from django.db.models import FloatField
from django.db.models.functions import Cast, Extract

from fleet.history import rollup
from fleet.history.models import Visit, VisitDay, VisitHour

# What a chart may ask for: every measured column.
COLUMNS = frozenset(field.name for field in Visit._meta.get_fields()) - {"pk", "target_id", "at"}
ROLLED: Final = frozenset(rollup.COLUMNS) - {"target_id", "at"}

# Of the instant itself: left to Django, it would be shifted by the reader's time zone.
SECOND: Final = Cast(Extract("at", "epoch", tzinfo=UTC), FloatField())

Row = list[float | int | None]  # [Unix time in s, a value per column]; None = not read


class Pace(StrEnum):
    """What a row is of."""

    VISIT = "visit"
    HOUR = "hour"
    DAY = "day"

    @property
    def seconds(self) -> int:
        """How long a row's period is; 0 for a visit."""
        return {Pace.VISIT: 0, Pace.HOUR: 3600, Pace.DAY: 86_400}[self]


def trend(target_id: int, since: datetime, until: datetime, columns: Sequence[str]) -> list[Row]:
    """Return [Unix time, value, …] per visit of since <= at < until, oldest first, ready for JSON.

    One query over the raw visits, which go back FleetSettings.raw_days (3 by default). A visit
    that got no answer is a row of None: a gap. Raises ValueError for an unknown column.
    """
    _check(columns, COLUMNS)
    visits = Visit.objects.filter(target_id=target_id, at__gte=since, at__lt=until)
    return [list(row) for row in visits.order_by("at").values_list(SECOND, *columns)]


def rolled(
    target_id: int, since: datetime, until: datetime, columns: Sequence[str], pace: Pace
) -> list[Row]:
    """Return [Unix time of its begin, value, …] per hour or day, oldest first, ready for JSON.

    What is rolled up is read as written, the rest worked out from the raw visits, so that the
    newest hours are never missing: three queries. Periods without a visit have no row; the one
    that `since` falls into is whole. Raises ValueError for an unknown column.
    """
    _check(columns, ROLLED)
    since = _begin(since, pace)
    days_until, hours_until = rollup.written_until()
    model, written_until = (VisitHour, hours_until) if pace is Pace.HOUR else (VisitDay, days_until)
    live_from = max(since, hours_until or since)
    end = min(until, written_until or since)
    written = model.objects.filter(target_id=target_id, at__gte=since, at__lt=end)
    rows = [list(row) for row in written.order_by("at").values_list(SECOND, *columns)]
    if pace is Pace.HOUR:
        live = rollup.live_hours(target_id, live_from, until)
    else:
        live = rollup.live_days(target_id, max(since, days_until or since), live_from, until)
    return rows + _chosen(live, columns)


def _chosen(found: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> list[Row]:
    """Take these columns of rows in the order of rollup.COLUMNS."""
    places = [rollup.COLUMNS.index(column) for column in columns]
    at = rollup.COLUMNS.index("at")
    return [[row[at].timestamp(), *(row[place] for place in places)] for row in found]


def _begin(at: datetime, pace: Pace) -> datetime:
    """Give when the period that holds an instant began (UTC)."""
    return at - timedelta(seconds=at.timestamp() % pace.seconds)


def _check(columns: Sequence[str], allowed: frozenset[str]) -> None:
    unknown = set(columns) - allowed
    if unknown:
        raise ValueError(f"no column {min(unknown)} in history; it has {sorted(allowed)}")

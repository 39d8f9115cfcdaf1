"""How long history is kept: partitions made ahead, and dropped when their time is over."""

from __future__ import annotations

import logging
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeVar

from django.db.models import Min, Model, QuerySet

from fleet.history import ordering, partitions, rollup
from fleet.history.growth import keep_growth
from fleet.history.models import FleetHour, RolledDay, ScoreDay
from fleet.registry.models import FleetSettings

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=Model)
D = TypeVar("D", date, datetime)

# A run drops no more days or months of a table, and none where the clocks disagree: a clock that was
# wrong for minutes must not cost years.
DROPS: Final = 2
MONTH: Final = timedelta(days=31)
CLOCKS_AGREE: Final = timedelta(hours=1)


def keep(now: datetime, database_now: datetime, settings: FleetSettings) -> None:
    """Make the partitions of the coming days, roll closed days up, and drop what is past retention.

    Raw visits go only when their hours and day are written with all of them. What is left of a
    closed month is put in order.
    """
    today = now.astimezone(UTC).date()
    for table in partitions.TABLES:
        partitions.make_ahead(table, today)
    rollup.roll_up(now)
    keep_growth()
    if abs(database_now - now) > CLOCKS_AGREE:
        logger.error("nothing dropped: this clock and the database's differ by over an hour")
        return
    _drop_raw(today - timedelta(days=settings.raw_days), now)
    hours_from = today - timedelta(days=settings.hourly_days)
    days_from = today - timedelta(days=settings.daily_days)
    for table, oldest in (
        (partitions.HOURS, hours_from),
        (partitions.DAYS, days_from),
        (partitions.COMPLIANCE, days_from),
    ):
        partitions.drop_before(table, oldest, most=DROPS)
    since, _until = rollup.bounds(days_from)
    _delete_before(FleetHour.objects.all(), "at", since)
    _delete_before(ScoreDay.objects.all(), "day", days_from)
    _delete_before(RolledDay.objects.all(), "day", days_from)
    ordering.order_closed(rollup.first_open(now))


def _delete_before(rows: QuerySet[M], column: str, oldest: D) -> None:
    """Delete what is older, as many months of it as a run drops partitions."""
    first: D | None = rows.aggregate(first=Min(column))["first"]
    if first is not None:
        rows.filter(**{f"{column}__lt": min(oldest, first + DROPS * MONTH)}).delete()


def _drop_raw(oldest: date, now: datetime) -> None:
    """Drop the oldest raw days, up to the first that is not wholly rolled up."""
    over = [day for day in partitions.attached_days(partitions.VISITS) if day < oldest][:DROPS]
    kept = next((day for day in over if not _is_rolled(day, now)), oldest)
    dropped = partitions.drop_before(partitions.VISITS, kept, most=DROPS)
    if dropped:
        logger.info("dropped raw visits partitions=%s", ",".join(dropped))


def _is_rolled(day: date, now: datetime) -> bool:
    """Say whether a day's rollup holds every raw visit; what came after it is rolled up now.

    Fewer visits than it was made of tell of a partition that was dropped and made anew.
    """
    rolled = RolledDay.objects.filter(day=day).first()
    if rolled and rolled.visits_count >= rollup.visits_count(day):
        return True
    return rollup.roll_day(day, now)


def oldest_day(setting: str) -> date | None:
    """Give the first day (UTC) of what raw_days, hourly_days or daily_days keeps; None: nothing."""
    if setting == "raw_days":
        return min(partitions.attached_days(partitions.VISITS), default=None)
    rolled = RolledDay.objects.aggregate(first=Min("day"))["first"]
    if setting == "hourly_days":
        month = min(partitions.attached_days(partitions.HOURS), default=None)
        return max(month, rolled) if month and rolled else None
    scored = ScoreDay.objects.aggregate(first=Min("day"))["first"]
    return min(filter(None, (rolled, scored)), default=None)

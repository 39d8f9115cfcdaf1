"""The open day's hours: each written soon after it ends, so that charts read few raw visits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db import connection, transaction

from fleet.history import partitions, rollup
from fleet.history.models import RolledDay, RolledHour
from fleet.history.rollup import COLUMNS, HOUR, HOURS_OF_RAW, INSERT, ROLLING

# A visit's deadline is 15 s and its lease 60 s; what comes later is in what the night writes.
SETTLES: Final = timedelta(minutes=5)
WRITE: Final = (
    f"{INSERT.format('history_visithour', ', '.join(COLUMNS), HOURS_OF_RAW)}"
    " ON CONFLICT (target_id, at) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in COLUMNS[2:])
)


def roll_hours(now: datetime) -> list[datetime]:
    """Write the closed hours of days that are not written yet, oldest first; returns those hours.

    The night writes the whole day again, a pair's hours side by side. Each hour is one transaction
    with its mark: a run may be killed anywhere, and none leaves an hour out between two others.
    """
    closed = _hour(now - SETTLES)
    rollup.reopen(rollup.first_open(now))
    RolledHour.objects.filter(at__gte=closed).delete()  # of a clock that ran ahead
    rolled = set(RolledHour.objects.values_list("at", flat=True))
    written = []
    for at in _hours(closed):
        if at in rolled:
            continue
        if not roll_hour(at, now):
            break
        written.append(at)
    return written


def roll_hour(at: datetime, now: datetime) -> bool:
    """Write the hour that begins at this instant, over what was written of it; False = another does it."""
    partitions.make(partitions.HOURS, [at.date()])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ROLLING])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(WRITE, {"since": at, "until": at + HOUR})
        RolledHour.objects.update_or_create(at=at, defaults={"rolled_at": now})
    return True


def _hours(closed: datetime) -> Iterator[datetime]:
    """Give the hours before this instant of the days that have visits and are not rolled up."""
    newest = RolledDay.objects.order_by("-day").values_list("day", flat=True).first()
    for day in partitions.attached_days(partitions.VISITS):
        if newest is None or day > newest:
            since, until = rollup.bounds(day)
            hours = (min(until, closed) - since) // HOUR
            yield from (since + n * HOUR for n in range(hours))


def _hour(at: datetime) -> datetime:
    """Give when the hour that holds an instant began (UTC)."""
    return at - timedelta(seconds=at.timestamp() % HOUR.total_seconds())

"""What history costs with 90 days of it: trends, the rollup of an hour and of a day, retention of a day."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, timedelta
from typing import Any

from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from fleet.history import hourly, partitions, rollup
from fleet.history.models import RolledHour
from fleet.history.trend import ROLLED, Pace, rolled
from tests.bench import past
from tests.bench.figure import Figure

REPEATS = 5


def measure() -> Iterator[Figure]:
    """Measure all; the fleet's history is afterwards as it was before."""
    yield from rows()
    yield from an_hour_rolled_up()
    yield from trends()
    yield from a_day_rolled_up()
    yield from a_day_dropped()


def rows() -> Iterator[Figure]:
    """Weigh a row of hours and one of days, their index included."""
    for name, table in (("hour", partitions.HOURS), ("day", partitions.DAYS)):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT sum(pg_total_relation_size(inhrelid)), sum(c.reltuples) FROM pg_inherits"
                " JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = %s::regclass",
                [table.name],
            )
            size, count = cursor.fetchone()
        yield Figure.at_most(f"history_{name}_row", float(size) / count, "B")


def an_hour_rolled_up() -> Iterator[Figure]:
    """Write the open day's hours, as the timetable does, and the last of them once more."""
    now = timezone.now()
    hourly.roll_hours(now)
    newest = RolledHour.objects.order_by("-at").values_list("at", flat=True).first()
    if newest is None:  # within the day's first hour none is over
        return
    before = wal_bytes()
    yield Figure.at_most("rollup_hour", timed(lambda: hourly.roll_hour(newest, now)), "s")
    yield Figure.at_most("rollup_hour_wal", (wal_bytes() - before) / 1e6, "MB")


def trends() -> Iterator[Figure]:
    """Read 90 days of one pair, every column: by day as its page does, and by hour, the dearer way."""
    pair = past.FULL_EVERY  # the first of those that have hours, and visits at the full rate
    until = timezone.now()
    for pace in (Pace.DAY, Pace.HOUR):

        def read(pace: Pace = pace) -> None:
            rolled(pair, until - timedelta(days=90), until, sorted(ROLLED), pace)

        with CaptureQueriesContext(connection) as queries:
            read()
        budgets = (50, 200)
        name = f"trend_90d_by_{pace}"
        yield Figure.at_most(
            name, min(timed(read) for _ in range(REPEATS)) * 1000, "ms", budgets[0]
        )
        touched = sum(buffers(one["sql"]) for one in queries)
        yield Figure.at_most(f"{name}_buffers", touched, "pages", budgets[1])


def timed(act: Any) -> float:
    """Seconds that it takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def buffers(query: str) -> int:
    """Pages that a query touches, in memory or not."""
    with connection.cursor() as cursor:
        cursor.execute("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + query.replace("%", "%%"))
        answer = cursor.fetchone()[0]
    plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


def a_day_rolled_up() -> Iterator[Figure]:
    """Roll yesterday up, and take it back."""
    day = (timezone.now().astimezone(UTC) - timedelta(days=1)).date()
    visits = rollup.visits_count(day)
    before = wal_bytes()
    with transaction.atomic():
        took = timed(lambda: rollup.roll_day(day, timezone.now()))
        written = wal_bytes() - before
        transaction.set_rollback(True)
    yield Figure.at_most("rollup_day_visits", visits, "")
    yield Figure.at_most("rollup_day", took, "s")
    yield Figure.at_most("rollup_day_wal", written / 1e6, "MB")


def a_day_dropped() -> Iterator[Figure]:
    """Drop a day of raw visits: one of long ago, filled with as many as yesterday has."""
    yesterday = (timezone.now().astimezone(UTC) - timedelta(days=1)).date()
    old = yesterday - timedelta(days=60)
    partitions.make(partitions.VISITS, [old])
    back = timedelta(days=60)
    source, copy = (partitions.VISITS.partition(day) for day in (yesterday, old))
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {copy} SELECT (jsonb_populate_record(v,"
            f" jsonb_build_object('at', v.at - %s::interval))).* FROM {source} v",
            [back],
        )
        rows = cursor.rowcount
    before = wal_bytes()
    took = timed(lambda: partitions.drop_before(partitions.VISITS, old + timedelta(days=1)))
    yield Figure.at_most("retention_day_visits", rows, "")
    yield Figure.at_most("retention_day", took, "s", 1)
    yield Figure.at_most("retention_day_wal", (wal_bytes() - before) / 1e6, "MB", 1)


def wal_bytes() -> int:
    """Bytes of write-ahead log so far."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT (pg_current_wal_insert_lsn() - '0/0')::int8")
        return int(cursor.fetchone()[0])

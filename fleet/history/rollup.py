"""Raw visits to hours and days: written once per closed period, in the order that charts read."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

from django.db import connection, transaction

from fleet.history import partitions
from fleet.history.models import RolledDay, RolledHour, VisitHour
from fleet.history.replica import reader

logger = logging.getLogger(__name__)

# A visit of the day's last seconds may take its deadline, and a lost one its lease, to be recorded.
SETTLES: Final = timedelta(minutes=10)
HOUR: Final = timedelta(hours=1)
ROLLING: Final = 7_305_103  # an advisory lock key
MEANS: Final = {
    "rtt_median_us": "rtt_median_us",
    "emailengine_rtt_us": "emailengine_rtt_us",
    "api_response_us": "api_response_us",
    "used_memory_bytes": "used_memory_bytes",
    "fragmentation_ratio": "fragmentation_ratio",
    "connected_clients": "connected_clients",
    "submit_waiting_count": "submit_waiting_count",
    "notify_waiting_count": "notify_waiting_count",
    "processed_per_minute": "processed_per_minute",
    "bounce_ratio": "bounce_ratio",
}
LEAST: Final = {"rtt_min_us": "rtt_min_us", "used_memory_min_bytes": "used_memory_bytes"}
MOST: Final = {
    "rtt_max_us": "rtt_max_us",
    "emailengine_rtt_max_us": "emailengine_rtt_us",
    "api_response_max_us": "api_response_us",
    "used_memory_max_bytes": "used_memory_bytes",
    "used_memory_rss_max_bytes": "used_memory_rss_bytes",
    "maxmemory_bytes": "maxmemory_bytes",
    "fragmentation_max_ratio": "fragmentation_ratio",
    "last_save_age_max_s": "last_save_age_s",
    "rdb_changes_since_last_save": "rdb_changes_since_last_save",
    "evicted_keys": "evicted_keys",
    "rejected_connections": "rejected_connections",
    "total_commands_processed": "total_commands_processed",
    "keys_count": "keys_count",
    "connected_clients_max": "connected_clients",
    "submit_waiting_max_count": "submit_waiting_count",
    "notify_waiting_max_count": "notify_waiting_count",
    "submit_delayed_max_count": "submit_delayed_count",
    "accounts_count": "accounts_count",
    "accounts_in_error_max_count": "accounts_in_error_count",
    "fails_max_count": "fails_count",
    "processed_per_minute_max": "processed_per_minute",
    "bounce_max_ratio": "bounce_ratio",
}
COLUMNS: Final = tuple(str(field.column) for field in VisitHour._meta.concrete_fields)
# Dividing the sums is three times as fast as avg(), which reckons in numeric. A server may send any
# number: no product may be too great for its type, and a float's nearest to the greatest bigint is.
MEAN: Final = "sum({0})::float8 / nullif(count({0}), 0)"
WEIGHTED: Final = (
    "sum({0}::float8 * visits_count) / nullif(sum(visits_count) FILTER (WHERE {0} IS NOT NULL), 0)"
)
BIG: Final = frozenset({"used_memory_bytes"})
MEAN_OF_BIG: Final = "div(sum({0}), nullif(count({0}), 0))::int8"
WEIGHTED_OF_BIG: Final = (
    "div(sum({0}::numeric * visits_count),"
    " nullif(sum(visits_count) FILTER (WHERE {0} IS NOT NULL), 0))::int8"
)


def _of_raw(period: str) -> dict[str, str]:
    """Say how each column is made of raw visits."""
    counts = {
        "target_id": "target_id",
        "at": f"date_bin('{period}', at, 'epoch')",
        "visits_count": "count(*) FILTER (WHERE outcome = 0)",
        "silent_count": "count(*) FILTER (WHERE outcome = 1)",
        "blind_count": "count(*) FILTER (WHERE outcome = 2)",
    }
    means = {
        name: (MEAN_OF_BIG if name in BIG else MEAN).format(column)
        for name, column in MEANS.items()
    }
    return counts | means | _extremes(LEAST, MOST)


def _of_hours() -> dict[str, str]:
    """Say how each column of a day is made of its hours."""
    counts = {
        "target_id": "target_id",
        "at": "date_bin('1 day', at, 'epoch')",
        **{f"{name}_count": f"sum({name}_count)::int8" for name in ("visits", "silent", "blind")},
    }
    means = {name: (WEIGHTED_OF_BIG if name in BIG else WEIGHTED).format(name) for name in MEANS}
    return counts | means | _extremes(dict.fromkeys(LEAST), dict.fromkeys(MOST))


def _extremes(least: Mapping[str, str | None], most: Mapping[str, str | None]) -> dict[str, str]:
    return {name: f"min({column or name})" for name, column in least.items()} | {
        name: f"max({column or name})" for name, column in most.items()
    }


def _select(made_of: dict[str, str], source: str) -> str:
    """Write the query that rolls `source` up, rows in the order that charts read them."""
    wanted = ", ".join(f"{made_of[name]} AS {name}" for name in COLUMNS)
    return f"SELECT {wanted} FROM {source} GROUP BY 1, 2"  # noqa: S608  our own column names


WITHIN: Final = "at >= %(since)s AND at < %(until)s"
HOURS_OF_RAW: Final = _select(_of_raw("1 hour"), f"history_visit WHERE {WITHIN}")
DAYS_OF_HOURS: Final = _select(_of_hours(), f"history_visithour WHERE {WITHIN}")
ONE: Final = "target_id = %(target_id)s AND at < %(until)s AND at >="
# What is written of the open day is taken so, the rest straight from the raw visits.
HOURS_OF_ONE: Final = _select(_of_raw("1 hour"), f"history_visit WHERE {ONE} %(live_from)s")
WRITTEN_OF_ONE: Final = (
    f"SELECT {', '.join(COLUMNS)} FROM history_visithour"  # noqa: S608  our own column names
    f" WHERE {ONE} %(since)s AND at < %(live_from)s"
)
DAYS_OF_ONE: Final = _select(
    _of_hours(), f"({WRITTEN_OF_ONE} UNION ALL {HOURS_OF_ONE}) AS history_visithour"
)
INSERT: Final = "INSERT INTO {} ({}) {} ORDER BY target_id, at"


def roll_up(now: datetime) -> list[date]:
    """Write the hours and days of every closed day (UTC) that is not written; returns those days.

    Each day is one transaction with its mark, so a run may be killed anywhere, missed for as long
    as raw visits are kept, and done by two at once.
    """
    closed = first_open(now)
    reopen(closed)
    rolled = set(RolledDay.objects.values_list("day", flat=True))
    written: list[date] = []
    for day in partitions.attached_days(partitions.VISITS):
        if day < closed and day not in rolled:
            if not roll_day(day, now):
                break  # charts take all before the newest written day for written
            written.append(day)
    return written


def first_open(now: datetime) -> date:
    """Give the first day (UTC) that visits may still be recorded of."""
    return (now - SETTLES).astimezone(UTC).date()


def reopen(open_from: date) -> None:
    """Forget that open days are written: a clock ran ahead. All that they were made of is there.

    Where it is not the present clock is behind, and what is written stays.
    """
    for rolled in RolledDay.objects.filter(day__gte=open_from):
        if is_there(rolled.day) and visits_count(rolled.day) >= rolled.visits_count:
            rolled.delete()


def is_there(day: date) -> bool:
    """Say whether a day has raw visits that can be read."""
    return day in partitions.attached_days(partitions.VISITS)


def roll_day(day: date, now: datetime) -> bool:
    """Write one day's hours and its row, in place of what was written before; False = another does it.

    The day's raw visits must still be there: raises ValueError where they are not.
    """
    if not is_there(day):
        raise ValueError(f"the raw visits of {day} are gone: its hours and day stay as written")
    partitions.make(partitions.HOURS, [day])
    partitions.make(partitions.DAYS, [day])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [ROLLING])
        if not cursor.fetchone()[0]:
            return False
        since, until = bounds(day)
        span = {"since": since, "until": until}
        for table, query in (
            ("history_visithour", HOURS_OF_RAW),
            ("history_visitday", DAYS_OF_HOURS),
        ):
            cursor.execute(f"DELETE FROM {table} WHERE {WITHIN}", span)  # noqa: S608  our own names
            cursor.execute(INSERT.format(table, ", ".join(COLUMNS), query), span)
        count = visits_count(day)
        RolledDay.objects.update_or_create(
            day=day, defaults={"rolled_at": now, "visits_count": count}
        )
        RolledHour.objects.filter(at__lt=until).delete()
    logger.info("rolled up day=%s visits=%s", day, count)
    return True


def written_until() -> tuple[datetime | None, datetime | None]:
    """Give the instants before which all days, and all hours, are written; None: none is. One query."""
    with reader().cursor() as cursor:
        cursor.execute(
            "SELECT (SELECT max(day) FROM history_rolledday), (SELECT max(at) FROM history_rolledhour)"
        )
        day, hour = cursor.fetchone()
    days_until = bounds(day)[1] if day else None
    hours_until = hour + HOUR if hour else None
    return days_until, max(filter(None, (days_until, hours_until)), default=None)


def live_hours(target_id: int, live_from: datetime, until: datetime) -> list[tuple[Any, ...]]:
    """Give the hours of one target straight from its raw visits, in the order of COLUMNS."""
    params = {"target_id": target_id, "live_from": live_from, "until": until}
    return _rows(HOURS_OF_ONE, params)


def live_days(
    target_id: int, since: datetime, live_from: datetime, until: datetime
) -> list[tuple[Any, ...]]:
    """Give the days of one target, in the order of COLUMNS: as the night will write them.

    Made of the hours that are written, and from `live_from` on of the raw visits.
    """
    params = {"target_id": target_id, "since": since, "live_from": live_from, "until": until}
    return _rows(DAYS_OF_ONE, params)


def _rows(query: str, params: dict[str, Any]) -> list[tuple[Any, ...]]:
    with reader().cursor() as cursor:
        cursor.execute(f"{query} ORDER BY at", params)
        return list(cursor.fetchall())


def visits_count(day: date) -> int:
    """Count the raw visits of a day: seconds at ten thousand pairs."""
    since, until = bounds(day)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT count(*) FROM history_visit WHERE {WITHIN}",  # noqa: S608  our own names
            {"since": since, "until": until},
        )
        return int(cursor.fetchone()[0])


def bounds(day: date) -> tuple[datetime, datetime]:
    """Give the instants at which a day (UTC) begins and ends."""
    since = datetime.combine(day, time(), UTC)
    return since, since + timedelta(days=1)

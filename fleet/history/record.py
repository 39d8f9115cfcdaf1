"""Visits into the history table: one wide row each, by binary COPY."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from django.db import IntegrityError, connection

from checks.facts import EmailEngineFacts, Missing, PairFacts, RedisFacts, RoundTrips, Since
from fleet.history.models import Visit
from fleet.history.partitions import forget_days
from fleet.registry.arrays import driver

ANSWERED, SILENT, BLIND = 0, 1, 2
FIELDS: Final = tuple(Visit._meta.concrete_fields)
COLUMNS: Final = tuple(str(field.column) for field in FIELDS)
TYPES: Final = {
    "BigIntegerField": "int8",
    "IntegerField": "int4",
    "SmallIntegerField": "int2",
    "FloatField": "float4",
    "DateTimeField": "timestamptz",
}
MOST: Final = {"int8": 2**63 - 1, "int4": 2**31 - 1, "int2": 2**15 - 1}
COLUMN_TYPES: Final = tuple(TYPES[field.get_internal_type()] for field in FIELDS)
COPY: Final = f"COPY history_visit ({', '.join(COLUMNS)}) FROM STDIN (FORMAT BINARY)"
# The states of an account that does not sync. Source: EmailEngine's /v1/stats.
IN_ERROR: Final = ("authenticationError", "connectError")

Row = tuple[Any, ...]

# What a column is read from: the fact of its own name, in RedisFacts or in RoundTrips.
_PLAIN: Final = tuple(name for name in COLUMNS if name in RedisFacts.__dataclass_fields__)
_read_plain: Final = attrgetter(*_PLAIN)
_TRIPS: Final = {
    "rtt_min_us": "min_us",
    "rtt_median_us": "median_us",
    "rtt_p95_us": "p95_us",
    "rtt_max_us": "max_us",
    "network_us": "network_us",
    "probe_lag_us": "probe_lag_us",
}
_read_trips: Final = attrgetter(*_TRIPS.values())
FRACTIONS: Final = ("fragmentation_ratio", "bounce_ratio")  # the last columns
_NUMBERS: Final = COLUMNS[2 : -len(FRACTIONS)]  # all but who, when, and the fractions
_MOST: Final = tuple(MOST[kind] for kind in COLUMN_TYPES[2 : -len(FRACTIONS)])


def row(
    target_id: int, at: datetime, facts: PairFacts, fails_count: int, unknowns_count: int
) -> Row:
    """Give the columns of one visit, in the model's order; None = not read.

    A number that its column cannot hold (a server may send any) is stored as the greatest that fits.
    """
    values: dict[str, Any] = {
        "fails_count": fails_count,
        "unknowns_count": unknowns_count,
        "outcome": outcome(facts.redis),
    }
    if not isinstance(facts.redis, Missing):
        _add_redis(values, facts.redis)
    if not isinstance(facts.emailengine, Missing):
        _add_emailengine(values, facts.emailengine)
        if not isinstance(facts.since, Missing):
            _add_mail(values, facts.since)
    get = values.get
    numbers = [
        value if type(value) is int and -most <= value <= most else _fitting(value, most)
        for value, most in zip(map(get, _NUMBERS), _MOST, strict=True)
    ]
    return (target_id, at, *numbers, *(_known(get(name)) for name in FRACTIONS))


def outcome(redis: RedisFacts | Missing) -> int:
    """0 answered, 1 Redis did not answer, 2 the probe was blind."""
    if not isinstance(redis, Missing):
        return ANSWERED
    return BLIND if redis.reason == "probe_blind" else SILENT


def write(rows: Iterable[Row]) -> None:
    """Copy visits in, within the caller's transaction; their days must be there (partitions.ensure_day).

    Raises IntegrityError where a day that this process remembers is gone; the next time it is made.
    """
    try:
        with (
            connection.wrap_database_errors,
            driver().cursor() as cursor,
            cursor.copy(COPY) as copy,
        ):
            copy.set_types(COLUMN_TYPES)
            for one in rows:
                copy.write_row(one)
    except IntegrityError:  # a clock that ran ahead for hours, or a restored database
        forget_days()
        raise


def _add_redis(values: dict[str, Any], redis: RedisFacts) -> None:
    values.update(zip(_PLAIN, _read_plain(redis), strict=True))
    if isinstance(redis.round_trips, RoundTrips):
        values.update(zip(_TRIPS, _read_trips(redis.round_trips), strict=True))
    saved_s, now_s = redis.rdb_last_save_time_s, redis.server_time_s
    if not isinstance(saved_s, Missing) and not isinstance(now_s, Missing):
        values["last_save_age_s"] = max(0, now_s - saved_s)
    if not isinstance(redis.keys_by_database, Missing):
        values["keys_count"] = sum(redis.keys_by_database.values())
    if not isinstance(redis.replicas, Missing):
        values["replicas_count"] = len(redis.replicas)


def _add_emailengine(values: dict[str, Any], emailengine: EmailEngineFacts) -> None:
    values["emailengine_rtt_us"] = emailengine.redis_ping_us
    if not isinstance(emailengine.health_s, Missing):
        values["api_response_us"] = emailengine.health_s * 1e6
    if not isinstance(emailengine.queues, Missing):
        for queue in emailengine.queues:
            if queue.name in ("submit", "notify"):
                values[f"{queue.name}_waiting_count"] = queue.waiting_count
            if queue.name == "submit":
                values["submit_delayed_count"] = queue.delayed_count
    if not isinstance(emailengine.accounts, Missing):
        values["accounts_count"] = sum(emailengine.accounts.values())
        values["accounts_in_error_count"] = sum(emailengine.accounts.get(s, 0) for s in IN_ERROR)


def _add_mail(values: dict[str, Any], since: Since) -> None:
    """Add how fast mail went since stats were read last, and the share of a day's that bounced.

    Both only where a visit read stats and metrics; a share only once a bounce was ever seen here.
    """
    rise, over_s = since.processed_rise, since.processed_over_s
    if not isinstance(rise, Missing) and not isinstance(over_s, Missing) and over_s > 0:
        values["processed_per_minute"] = rise.get("submit/completed", 0) * 60 / over_s
    day = since.events_day
    if isinstance(day, Missing) or since.has_seen_bounce is not True:
        return
    lost = day.get("messageFailed", 0)
    count = day.get("messageSent", 0) + lost
    if count:
        values["bounce_ratio"] = (day.get("messageBounce", 0) + lost) / count


def _fitting(value: Any, most: int) -> int | None:
    """Give a whole number that fits, or None for what was not read."""
    if value is None or isinstance(value, Missing):
        return None
    return max(-most, min(int(value), most))


def _known(value: Any) -> Any:
    return None if isinstance(value, Missing) else value

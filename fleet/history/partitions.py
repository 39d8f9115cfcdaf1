"""Daily partitions of the visit table: made ahead, ensured before a recording, dropped by retention."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import cache, wraps
from typing import ParamSpec, TypeVar

from django.db import OperationalError, ProgrammingError, connection, transaction
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable, UndefinedTable

logger = logging.getLogger(__name__)

TABLE = "history_visit"
AHEAD_DAYS = 7
LOCK_WAIT = "2s"  # a waiting DDL lock holds up every recording behind it, so it waits briefly …
ATTEMPTS = 5  # … and often
PAUSE_S = 0.5
PASSING = (LockNotAvailable, DeadlockDetected, UndefinedTable)
# Advisory lock keys: any constant that nothing else in this database uses.
MAKING, DROPPING = 7_305_101, 7_305_102
NAMED = re.compile(rf"{TABLE}_(\d{{8}})")

P = ParamSpec("P")
R = TypeVar("R")


def retried(function: Callable[P, R]) -> Callable[P, R]:
    """Try again while somebody else holds the table, or drops what is about to be attached.

    The last refusal is raised.
    """

    @wraps(function)
    def trying(*args: P.args, **kwargs: P.kwargs) -> R:
        for _attempt in range(ATTEMPTS - 1):
            try:
                return function(*args, **kwargs)
            except (OperationalError, ProgrammingError) as error:
                if not isinstance(error.__cause__, PASSING):
                    raise
                time.sleep(PAUSE_S)
        return function(*args, **kwargs)

    return trying


@cache
def ensure_day(day: date) -> None:
    """Make sure visits of this day (UTC) can be stored; remembered per process.

    Call it before the recording transaction, not in it: the partition must outlive a rollback.
    """
    make((day,))


def forget_days() -> None:
    """Forget what this process remembers, for the database may be another one (a restore)."""
    ensure_day.cache_clear()


def make_ahead(today: date) -> list[str]:
    """Make the partitions of today and the next seven days; returns the names of new ones."""
    return make(today + timedelta(days=ahead) for ahead in range(AHEAD_DAYS + 1))


@retried
def make(days: Iterable[date]) -> list[str]:
    """Make and attach what is missing, in one transaction; safe with any number of runs at once."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_WAIT])
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MAKING])
        attached = set(_attached())
        missing = [day for day in days if _name(day) not in attached]
        for day in missing:
            _attach(day)
    return [_name(day) for day in missing]


def _attach(day: date) -> None:
    """Attach by a lock that lets recordings go on; the table may stand detached from an earlier drop."""
    name, parent = sql.Identifier(_name(day)), sql.Identifier(TABLE)
    start, end = (sql.Literal(at.isoformat()) for at in _bounds(day))
    with connection.cursor() as cursor:
        for statement in (
            sql.SQL("CREATE TABLE IF NOT EXISTS {} (LIKE {} INCLUDING DEFAULTS INCLUDING INDEXES)"),
            sql.SQL("ALTER TABLE {1} ATTACH PARTITION {0} FOR VALUES FROM ({2}) TO ({3})"),
        ):
            cursor.execute(statement.format(name, parent, start, end).as_string())


def drop_before(oldest: date) -> list[str]:
    """Drop the partitions of days before `oldest`; returns their names.

    Must run outside a transaction: DETACH … CONCURRENTLY forbids one, and lets recordings go on.
    What an interrupted run left (half detached, or detached and not dropped) is finished first.
    One run at a time: a second one returns at once.
    """
    with _only_one() as is_ours:
        if not is_ours:
            return []
        for name in _half_detached():
            _detach(name)
        for name in _attached():
            if _day(name) < oldest:
                _detach(name)
        gone = [name for name in _detached() if _day(name) < oldest]
        for name in gone:
            _drop(name)
    return gone


def maintain(now: datetime, raw_days: int) -> None:
    """Make what is coming and drop what is older than `raw_days` full days."""
    today = now.astimezone(UTC).date()
    made = make_ahead(today)
    dropped = drop_before(today - timedelta(days=raw_days))
    logger.info("visit partitions made=%s dropped=%s", ",".join(made), ",".join(dropped))


@contextmanager
def _only_one() -> Iterator[bool]:
    """Hold this session's advisory lock and its lock timeout; both end with the block."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [DROPPING])
        is_ours = bool(cursor.fetchone()[0])
        try:
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [LOCK_WAIT])
            yield is_ours
        finally:
            cursor.execute("RESET lock_timeout")
            if is_ours:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [DROPPING])


@retried
def _detach(name: str) -> None:
    """Detach, or finish a detaching that was interrupted while it waited for older transactions."""
    how = sql.SQL("FINALIZE" if name in _half_detached() else "CONCURRENTLY")
    words = sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}")
    with connection.cursor() as cursor:
        cursor.execute(words.format(sql.Identifier(TABLE), sql.Identifier(name), how).as_string())


@retried
def _drop(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)).as_string())


def _attached() -> list[str]:
    return _names("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass")


def _half_detached() -> list[str]:
    return _names(
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = %s::regclass AND inhdetachpending"
    )


def _detached() -> list[str]:
    return _names(
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND NOT relispartition"
        " AND relname LIKE %s || '\\_%%'"
    )


def _names(query: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, [TABLE])
        return sorted(name for (name,) in cursor.fetchall() if NAMED.fullmatch(name))


def _name(day: date) -> str:
    return f"{TABLE}_{day:%Y%m%d}"


def _day(name: str) -> date:
    return datetime.strptime(name[-8:], "%Y%m%d").replace(tzinfo=UTC).date()


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1)

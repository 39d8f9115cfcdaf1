"""Partitions of the history tables: made ahead, ensured before a recording, dropped by retention."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache, wraps
from typing import Final, ParamSpec, TypeVar

from django.db import OperationalError, ProgrammingError, connection, transaction
from psycopg import sql
from psycopg.errors import DeadlockDetected, LockNotAvailable, UndefinedTable

logger = logging.getLogger(__name__)

AHEAD_DAYS = 7
LOCK_WAIT = "2s"  # a waiting DDL lock holds up every recording behind it, so it waits briefly …
ATTEMPTS = 5  # … and often
PAUSE_S = 0.5
PASSING = (LockNotAvailable, DeadlockDetected, UndefinedTable)
# Advisory lock keys: any constant that nothing else in this database uses.
MAKING, DROPPING = 7_305_101, 7_305_102
ATTACHED = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Table:
    """A table partitioned by time (UTC): a day a partition, or a month."""

    name: str
    is_monthly: bool = False

    def partition(self, day: date) -> str:
        """Name the partition that holds this day."""
        return f"{self.name}_{day:%Y%m}" if self.is_monthly else f"{self.name}_{day:%Y%m%d}"

    def first_day(self, partition: str) -> date:
        """Give the first day that a partition holds."""
        form = "%Y%m" if self.is_monthly else "%Y%m%d"
        return datetime.strptime(partition.rpartition("_")[2], form).replace(tzinfo=UTC).date()

    def bounds(self, day: date) -> tuple[date, date]:
        """Give the first day of the partition that holds this day, and the first after it."""
        if not self.is_monthly:
            return day, day + timedelta(days=1)
        first = day.replace(day=1)
        return first, (first + timedelta(days=31)).replace(day=1)

    def has(self, partition: str) -> bool:
        """Tell one of our partitions from a table that only begins with our name."""
        return bool(re.fullmatch(rf"{self.name}_\d{{{6 if self.is_monthly else 8}}}", partition))


VISITS: Final = Table("history_visit")
# By the month, so that years of one target lie in few partitions: a query plans and looks in each.
HOURS: Final = Table("history_visithour", is_monthly=True)
DAYS: Final = Table("history_visitday", is_monthly=True)
COMPLIANCE: Final = Table("history_complianceday", is_monthly=True)
TABLES: Final = (VISITS, HOURS, DAYS, COMPLIANCE)


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
    make(VISITS, (day,))


def forget_days() -> None:
    """Forget what this process remembers, for the database may be another one (a restore)."""
    ensure_day.cache_clear()


def make_ahead(table: Table, today: date) -> list[str]:
    """Make the partitions of today and the next seven days; returns the names of new ones."""
    return make(table, (today + timedelta(days=ahead) for ahead in range(AHEAD_DAYS + 1)))


@retried
def make(table: Table, days: Iterable[date]) -> list[str]:
    """Make and attach what is missing, in one transaction; safe with any number of runs at once."""
    wanted = {table.partition(day): day for day in days}
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_WAIT])
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [MAKING])
        missing = sorted(wanted.keys() - set(_attached(table)))
        for name in missing:
            _attach(table, name, wanted[name])
    return missing


def _attach(table: Table, name: str, day: date) -> None:
    """Attach by a lock that lets recordings go on; the table may stand detached from an earlier drop."""
    child, parent = sql.Identifier(name), sql.Identifier(table.name)
    start, end = (sql.Literal(f"{one:%Y-%m-%d} 00:00+00") for one in table.bounds(day))
    with connection.cursor() as cursor:
        for statement in (
            sql.SQL("CREATE TABLE IF NOT EXISTS {} (LIKE {} INCLUDING DEFAULTS INCLUDING INDEXES)"),
            sql.SQL("ALTER TABLE {1} ATTACH PARTITION {0} FOR VALUES FROM ({2}) TO ({3})"),
        ):
            cursor.execute(statement.format(child, parent, start, end).as_string())


def drop_before(table: Table, oldest: date, most: int | None = None) -> list[str]:
    """Drop the partitions that hold only days before `oldest`; returns their names.

    With `most` no more than so many go, the oldest first.

    Must run outside a transaction: DETACH … CONCURRENTLY forbids one, and lets recordings go on.
    What an interrupted run left (half detached, or detached and not dropped) is finished first.
    One run at a time: a second one returns at once.
    """
    with _only_one() as is_ours:
        if not is_ours:
            return []
        for name in _half_detached(table):
            _detach(table, name)
        over = [name for name in _attached(table) if _is_over(table, name, oldest)]
        for name in over[:most]:
            _detach(table, name)
        gone = [name for name in _detached(table) if _is_over(table, name, oldest)]
        for name in gone:
            _drop(name)
    return gone


def _is_over(table: Table, name: str, oldest: date) -> bool:
    _first, after = table.bounds(table.first_day(name))
    return after <= oldest


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
def _detach(table: Table, name: str) -> None:
    """Detach, or finish a detaching that was interrupted while it waited for older transactions."""
    how = sql.SQL("FINALIZE" if name in _half_detached(table) else "CONCURRENTLY")
    words = sql.SQL("ALTER TABLE {} DETACH PARTITION {} {}")
    parent, child = sql.Identifier(table.name), sql.Identifier(name)
    with connection.cursor() as cursor:
        cursor.execute(words.format(parent, child, how).as_string())


@retried
def _drop(name: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql.SQL("DROP TABLE {}").format(sql.Identifier(name)).as_string())


def attached_days(table: Table) -> list[date]:
    """Give the first day of each partition there is, oldest first.

    One that is half detached is none: no query sees its rows, though they are there.
    """
    names = _names(table, f"{ATTACHED} AND NOT inhdetachpending")
    return [table.first_day(name) for name in names]


def _attached(table: Table) -> list[str]:
    return _names(table, ATTACHED)


def _half_detached(table: Table) -> list[str]:
    return _names(table, f"{ATTACHED} AND inhdetachpending")


def _detached(table: Table) -> list[str]:
    return _names(
        table,
        "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND NOT relispartition"
        " AND relname LIKE %s || '\\_%%'",
    )


def _names(table: Table, query: str) -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(query, [table.name])
        return sorted(name for (name,) in cursor.fetchall() if table.has(name))

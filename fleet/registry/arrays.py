"""Many rows in one statement: arrays bound by the server in binary, a sixth of the cost of text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import psycopg
from django.db import connection
from psycopg import sql

Params = Sequence[Any] | Mapping[str, Any]
# Django sets none, and then nothing is prepared, asked for or not: planning took a third of the
# database's time. Ours ask for it at their first use; Django's own queries are never prepared.
PREPARED_AT = 5


def run(statement: str, params: Params) -> int:
    """Run one statement of our own, within Django's transaction; returns the rows it touched."""
    with _cursor() as cursor, connection.wrap_database_errors:
        return cursor.execute(sql.SQL(statement), params, prepare=True).rowcount


def rows_of(statement: str, params: Params) -> list[tuple[Any, ...]]:
    """Run one query of our own and give its rows: times in UTC, jsonb as Python values."""
    with _cursor() as cursor, connection.wrap_database_errors:
        return cursor.execute(sql.SQL(statement), params, prepare=True, binary=True).fetchall()


def batches_of(statement: str, params: Params, rows_count: int) -> Iterator[list[tuple[Any, ...]]]:
    """Run a query as rows_of does and give its rows so many at a time: Python holds no others."""
    with _cursor() as cursor, connection.wrap_database_errors:
        cursor.execute(sql.SQL(statement), params, prepare=True, binary=True)
        while rows := cursor.fetchmany(rows_count):
            yield rows


def driver() -> psycopg.Connection[tuple[Any, ...]]:
    """Give the driver's own connection beneath Django's.

    As Django's cursors do, the first use in a task makes one anew that died since the last task:
    a restart of the database must not cost the next shard its claims.
    """
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    ours: psycopg.Connection[tuple[Any, ...]] = connection.connection
    ours.prepare_threshold = PREPARED_AT
    return ours


def _cursor() -> psycopg.Cursor[tuple[Any, ...]]:
    return psycopg.Cursor(driver())


def array_text(values: Iterable[int]) -> str:
    """Write an array as PostgreSQL reads it, where an array of arrays travels as texts."""
    return "{" + ",".join(map(str, values)) + "}"

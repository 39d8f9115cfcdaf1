"""Closed months: one pair's rows side by side, so that a trend of years reads few pages."""

from __future__ import annotations

import logging
from datetime import date
from typing import Final

from django.db import connection, transaction
from psycopg import sql

from fleet.history import partitions
from fleet.history.partitions import LOCK_WAIT, Table, retried

logger = logging.getLogger(__name__)

ORDERED: Final = (partitions.HOURS, partitions.DAYS)
# PostgreSQL marks the index by which a table was ordered: without that mark it never was.
NOT_YET: Final = """
SELECT c.relname, k.indexrelid::regclass::text
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_index k ON k.indrelid = c.oid
WHERE i.inhparent = %s::regclass AND NOT i.inhdetachpending
    AND k.indisprimary AND NOT k.indisclustered
ORDER BY c.relname DESC
"""


def order_closed(open_from: date, most: int = 1) -> list[str]:
    """Order the newest partitions whose days are all over, no more than so many; returns their names.

    A day is written in the order of pairs, so that a month holds a pair's rows in thirty places.
    Seconds at ten thousand pairs, in which charts that reach so far back wait: few a run.
    """
    found = [one for table in ORDERED for one in _not_yet(table, open_from)][:most]
    for name, key in found:
        _order(name, key)
    return [name for name, _key in found]


def _not_yet(table: Table, open_from: date) -> list[tuple[str, str]]:
    with connection.cursor() as cursor:
        cursor.execute(NOT_YET, [table.name])
        found = [(name, key) for name, key in cursor.fetchall() if table.has(name)]
    return [one for one in found if table.bounds(table.first_day(one[0]))[1] <= open_from]


@retried
def _order(name: str, key: str) -> None:
    """Order one partition by (target, at); killed anywhere, it stays as it was."""
    by = sql.SQL("CLUSTER {} USING {}").format(sql.Identifier(name), sql.Identifier(key))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, true)", [LOCK_WAIT])
        cursor.execute(by.as_string())
    logger.info("ordered partition=%s", name)

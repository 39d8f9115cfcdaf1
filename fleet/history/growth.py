"""How each target's memory grows: worked out once a night from its days, read by its visits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import QuerySet

from checks.growth import MOST_DAYS, Growth, Mailboxes, growth
from fleet.history.models import MailboxUse, MemoryGrowth, RolledDay
from fleet.history.rollup import bounds
from fleet.registry.arrays import batches_of, rows_of

EPOCH: Final = date(1970, 1, 1)
BATCH: Final = 1000
# A line that ends longer ago than this foretells nothing.
STALE_DAYS: Final = 3
DAYS: Final = """
SELECT target_id, at, used_memory_max_bytes FROM history_visitday
WHERE at >= %s AND used_memory_max_bytes IS NOT NULL ORDER BY target_id, at
"""
LINES: Final = """
SELECT target_id, days_count, last_day, level_bytes, slope_bytes, low_bytes, high_bytes
FROM history_memorygrowth WHERE target_id = ANY(%b::int8[]) AND made_of >= %b::date
"""
USES: Final = """
INSERT INTO history_mailboxuse (target_id, made_of, mailboxes_count, used_memory_bytes)
SELECT target_id, %s, accounts_count, used_memory_bytes FROM history_visitday
WHERE at = %s AND accounts_count > 0 AND used_memory_bytes IS NOT NULL
ON CONFLICT (target_id) DO NOTHING
"""
USED: Final = """
SELECT target_id, mailboxes_count, used_memory_bytes FROM history_mailboxuse
WHERE target_id = ANY(%b::int8[]) AND made_of >= %b::date
"""
BESIDE: Final = """
WITH asked AS ({asked})
SELECT asked.*, g.days_count, g.last_day, g.level_bytes, g.slope_bytes, g.low_bytes, g.high_bytes,
    u.mailboxes_count, u.used_memory_bytes
FROM asked
LEFT JOIN history_memorygrowth g ON g.target_id = asked.target_id AND g.made_of >= %s
LEFT JOIN history_mailboxuse u ON u.target_id = asked.target_id AND u.made_of >= %s
"""


def keep_growth() -> int:
    """Draw every target's line anew once a day is rolled up; returns how many were drawn.

    What the mailboxes of that day took is kept beside.

    Some 0.2 ms a target. One transaction, safe to run twice and at once.
    """
    newest = RolledDay.objects.order_by("-day").values_list("day", flat=True).first()
    if newest is None or MemoryGrowth.objects.filter(made_of=newest).exists():
        return 0
    since, _until = bounds(newest - timedelta(days=MOST_DAYS - 1))
    with transaction.atomic():
        MemoryGrowth.objects.all().delete()
        rows = [
            MemoryGrowth(target_id=target_id, made_of=newest, **_columns(line))
            for target_id, days in _days(since)
            if isinstance(line := growth(days), Growth)
        ]
        MemoryGrowth.objects.bulk_create(rows, batch_size=BATCH, ignore_conflicts=True)
        MailboxUse.objects.all().delete()
        with connection.cursor() as cursor:
            cursor.execute(USES, [newest, bounds(newest)[0]])
    return len(rows)


def growths(target_ids: Iterable[int], now: datetime) -> dict[int, Growth]:
    """Give the lines of these targets; one that has none, or an old one, is left out. One query."""
    rows = rows_of(LINES, [list(target_ids), _oldest(now)])
    return {target_id: Growth(*line) for target_id, *line in rows}


def mailbox_uses(target_ids: Iterable[int], now: datetime) -> dict[int, Mailboxes]:
    """Give what these targets' mailboxes take; one without, or with an old figure, is left out. One query."""
    rows = rows_of(USED, [list(target_ids), _oldest(now)])
    return {target_id: Mailboxes(*use) for target_id, *use in rows}


def beside(asked: QuerySet[Any, tuple[Any, ...]], now: datetime) -> Iterator[list[tuple[Any, ...]]]:
    """Give the rows of a values_list with target_id, each followed by its target's line and mailboxes.

    They are the fields of Growth and of Mailboxes, all None where there are none, or old ones. One
    query, its rows a thousand at a time: of ten thousand nobody needs all at once.
    """
    try:
        statement, params = asked.query.sql_with_params()
    except EmptyResultSet:  # it is known without the database that there are no rows
        return
    oldest = _oldest(now)
    yield from batches_of(BESIDE.format(asked=statement), [*params, oldest, oldest], BATCH)


def _oldest(now: datetime) -> date:
    return now.astimezone(UTC).date() - timedelta(days=STALE_DAYS)


def _days(since: datetime) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    with connection.cursor() as cursor:
        cursor.execute(DAYS, [since])
        rows = cursor.fetchall()
    for target_id, group in groupby(rows, key=itemgetter(0)):
        yield (
            target_id,
            [((at.astimezone(UTC).date() - EPOCH).days, used) for _id, at, used in group],
        )


def _columns(line: Growth) -> dict[str, float]:
    return {
        "days_count": line.days_count,
        "last_day": line.last_day,
        "level_bytes": line.level_bytes,
        "slope_bytes": line.slope_bytes,
        "low_bytes": line.low_bytes,
        "high_bytes": line.high_bytes,
    }

"""How each source's copies grow: a line through the largest good copy of each day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from django.db import connection, transaction

from checks.growth import MOST_DAYS, Growth, growth
from fleet.backups.facts import GOOD
from fleet.backups.models import CopyGrowth

# Copies that are gone count: a size that was proven stays so. As many days back as a line may be
# drawn through, of a source whose copies come more seldom than daily as many of its intervals.
SIZES: Final = """
SELECT a.source_id,
    (coalesce(a.content_at, a.stored_at) AT TIME ZONE 'UTC')::date - date '1970-01-01' AS day,
    max(coalesce(a.size_bytes, a.stored_bytes))
FROM backups_artefact a JOIN backups_backupsource s ON s.id = a.source_id
WHERE s.is_enabled AND a.state = ANY(%(good)s)
    AND a.stored_at > %(now)s - %(days)s * greatest(s.interval_s, 86400) * interval '1 s'
    AND coalesce(a.size_bytes, a.stored_bytes) IS NOT NULL
GROUP BY 1, 2 ORDER BY 1, 2
"""


def sizes(now: datetime) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Give each enabled source's days (counted from 1970) with the bytes of the largest good copy."""
    params: dict[str, Any] = {"good": [str(state) for state in GOOD], "now": now, "days": MOST_DAYS}
    with connection.cursor() as cursor:
        cursor.execute(SIZES, params)
        rows = cursor.fetchall()
    for source_id, group in groupby(rows, key=itemgetter(0)):
        yield source_id, [(day, size) for _id, day, size in group]


def keep_growth(now: datetime) -> int:
    """Draw every source's line anew, once a day (UTC); returns of how many sources a copy has a size.

    Some 0.2 ms a source. One transaction, safe to run twice and at once.
    """
    today = now.astimezone(UTC).date()
    if CopyGrowth.objects.filter(made_of=today).exists():
        return 0
    rows = [_row(source_id, days, today) for source_id, days in sizes(now)]
    with transaction.atomic():
        CopyGrowth.objects.all().delete()
        CopyGrowth.objects.bulk_create(rows, batch_size=1000, ignore_conflicts=True)
    return len(rows)


def _row(source_id: int, days: list[tuple[int, int]], today: date) -> CopyGrowth:
    line = growth(days)
    row = CopyGrowth(
        source_id=source_id,
        made_of=today,
        days_count=min(len(days), MOST_DAYS),
        last_day=days[-1][0],
        newest_bytes=days[-1][1],
    )
    if isinstance(line, Growth):
        row.level_bytes, row.slope_bytes = line.level_bytes, line.slope_bytes
        row.low_bytes, row.high_bytes = line.low_bytes, line.high_bytes
    return row

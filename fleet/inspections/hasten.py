"""Somebody asked for a verification, a pull or a drill: its pair is judged as soon as it ends."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.db import connection

LATELY: Final = timedelta(minutes=2)
HASTEN: Final = """
UPDATE inspections_pairschedule s
SET backup_due_at = %(now)s, next_due_at = least(s.next_due_at, %(now)s)
FROM (
    SELECT target_id, max(ended_at) AS ended_at FROM backups_backupjob
    WHERE asked_by_id IS NOT NULL AND ended_at > %(since)s GROUP BY target_id
) j
JOIN inspections_pairstate p ON p.target_id = j.target_id
WHERE s.target_id = j.target_id AND s.backup_due_at > %(now)s
  AND (p.backup_at IS NULL OR p.backup_at < j.ended_at)
"""


def judge_what_was_asked(now: datetime) -> int:
    """Make the backup cadence of these pairs due now; returns how many. Safe to run twice."""
    with connection.cursor() as cursor:
        cursor.execute(HASTEN, {"now": now, "since": now - LATELY})
        return int(cursor.rowcount)

"""What is new about a pair's copies is judged as soon as it is known, not when its hour comes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

LATELY: Final = timedelta(minutes=2)
YOUNG: Final = timedelta(minutes=10)
# What is known of copies is read before a visit begins: in a crowd by seconds. Ours.
READ_BEFORE: Final = timedelta(seconds=15)
HASTEN: Final = """
UPDATE inspections_pairschedule s
SET backup_due_at = %(now)s, next_due_at = least(s.next_due_at, %(now)s)
FROM (
    SELECT d.target_id, max(d.ended_at) AS ended_at FROM backups_backupjob d
    LEFT JOIN backups_backupsource b ON b.id = d.source_id
    WHERE d.ended_at > %(since)s
      AND (d.asked_by_id IS NOT NULL OR d.kind <> 'verify' OR b.created_at > %(young)s)
    GROUP BY d.target_id
) j
JOIN inspections_pairstate p ON p.target_id = j.target_id
WHERE s.target_id = j.target_id AND s.backup_due_at > %(now)s
  AND (p.backup_at IS NULL OR p.backup_at < j.ended_at + %(read_before)s)
"""


def judge_new_copies(now: datetime) -> int:
    """Make the backup cadence of these pairs due now; returns how many. Safe to run twice.

    After a pull, a drill, a look that somebody asked for, and the first looks at a new source. The
    others are four per interval and mostly find nothing.
    """
    params: dict[str, Any] = {
        "now": now,
        "since": now - LATELY,
        "young": now - YOUNG,
        "read_before": READ_BEFORE,
    }
    with connection.cursor() as cursor:
        cursor.execute(HASTEN, params)
        return int(cursor.rowcount)

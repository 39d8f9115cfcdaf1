"""How targets stood on past days and the fleet's figures of past hours, written again from the record."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from fleet.findings.past import OPEN_AT
from fleet.history import partitions
from fleet.history.again import has_visits
from fleet.history.models import FleetHour
from fleet.history.rollup import bounds
from fleet.inspections.scores import BY_RULE, COUNTED, COUNTS, INSERT
from fleet.inspections.standing import FIGURES, HOUR, INSTANT, STANDING

# As it was at the day's last instant: who was registered and not archived, their lamps, what was open.
WAS: Final = f"""
WITH known AS (
    SELECT DISTINCT ON (h.id) h.id, h.tenant_id, h.state, h.history_type
    FROM registry_historicaltarget h WHERE h.history_date <= %(at)s
    ORDER BY h.id, h.history_date DESC, h.history_id DESC
), members AS (
    SELECT id, tenant_id FROM known WHERE {COUNTED} AND history_type <> '-'
), was_open AS (
    {OPEN_AT}
)
"""  # noqa: S608  our own query
TARGETS: Final = f"""
{WAS}, counted AS (
    SELECT target_id,
        count(*) FILTER (WHERE NOT is_waived AND severity = 'critical') AS critical_count,
        count(*) FILTER (WHERE NOT is_waived AND severity = 'warning') AS warning_count,
        count(*) FILTER (WHERE is_waived) AS waived_count,
        max(CASE severity WHEN 'critical' THEN 2 WHEN 'warning' THEN 1 ELSE 0 END)
            FILTER (WHERE kind = 'requirement') AS worst
    FROM was_open GROUP BY target_id
)
INSERT INTO history_complianceday (target_id, day, compliance, raw_compliance, health,
    critical_count, warning_count, waived_count, conclusive_count, applicable_count)
SELECT m.id, %(day)s, l.compliance,
    CASE WHEN c.worst = 2 OR l.compliance = 'non_compliant' THEN 'non_compliant'
         WHEN c.worst = 1 THEN 'at_risk' ELSE l.compliance END,
    l.health, coalesce(c.critical_count, 0), coalesce(c.warning_count, 0),
    coalesce(c.waived_count, 0), 0, 0
FROM members m
CROSS JOIN LATERAL (
    SELECT compliance, health FROM history_lampmove
    WHERE target_id = m.id AND at <= %(at)s ORDER BY at DESC LIMIT 1
) l
LEFT JOIN counted c ON c.target_id = m.id
WHERE %(is_all)s OR m.id = ANY(%(target_ids)s)
ORDER BY m.id
ON CONFLICT (target_id, day) DO UPDATE SET {
    ", ".join(
        f"{name} = excluded.{name}"
        for name in (
            "compliance",
            "raw_compliance",
            "health",
            "critical_count",
            "warning_count",
            "waived_count",
        )
    )
}
"""  # noqa: S608  our own names
# Coverage is in no record: where the night wrote it, it stays.
SCORES: Final = f"""
{WAS}, standing AS (
    SELECT c.*, m.tenant_id FROM history_complianceday c JOIN members m ON m.id = c.target_id
    WHERE c.day = %(day)s
), open_findings AS (
    SELECT * FROM was_open WHERE severity <> 'info'
), {BY_RULE}
{INSERT}
ON CONFLICT (tenant_id, day) DO UPDATE SET {
    ", ".join(f"{name} = excluded.{name}" for name in COUNTS)
}
"""  # noqa: S608  our own names


def stand_again(day: date, target_ids: Collection[int] = ()) -> bool:
    """Write how targets stood at the end of a closed day; no ids: all of them, and the scores too.

    False: nobody was visited on that day, which stays the gap it was. Targets whose lamps are not on
    record by then keep what was written. One transaction; a second run leaves the same rows.
    """
    partitions.make(partitions.COMPLIANCE, [day])
    since, until = bounds(day)
    params: dict[str, Any] = {
        "day": day,
        "at": until - INSTANT,
        "is_all": not target_ids,
        "target_ids": list(target_ids),
    }
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [STANDING])
        cursor.execute("SELECT EXISTS (SELECT FROM history_visitday WHERE at = %s)", [since])
        if not cursor.fetchone()[0]:
            return False
        cursor.execute(TARGETS, params)
        if not target_ids:
            cursor.execute(SCORES, params)
    return True


def figure_again(day: date) -> int:
    """Write the fleet's figures of a closed day's hours from its raw visits; returns how many hours.

    Without raw visits they stay as written. One transaction a day.
    """
    if not has_visits(day):
        return 0
    since, until = bounds(day)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [STANDING])
        FleetHour.objects.filter(at__gte=since, at__lt=until).delete()
        for at in _hours(since, until):
            cursor.execute(FIGURES, {"at": at, "until": at + HOUR, "end": at + HOUR - INSTANT})
    return FleetHour.objects.filter(at__gte=since, at__lt=until).values("at").distinct().count()


def _hours(since: datetime, until: datetime) -> list[datetime]:
    return [since + n * HOUR for n in range((until - since) // timedelta(hours=1))]

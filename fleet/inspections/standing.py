"""How the fleet stands, into history: scores through the day, each target at its end, each hour's figures."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.db import connection, transaction
from django.db.models import Max

from fleet.findings.past import OPEN_AT
from fleet.history import partitions
from fleet.history.models import FleetHour, ScoreDay
from fleet.inspections.scores import BY_RULE, COUNTED, COUNTS, COVERAGE, INSERT

# What was not written this soon after midnight is a gap: lamps of noon say nothing of yesterday.
WITHIN: Final = timedelta(hours=6)
HOUR: Final = timedelta(hours=1)
INSTANT: Final = timedelta(microseconds=1)  # the last one of an hour is before the next one's first
# Hours that a stopped portal missed are written afterwards, as long as raw visits are there.
CATCH_UP: Final = timedelta(days=3)
STANDING: Final = 7_305_104  # an advisory lock key

# Without its waivers a pair is as bad as its worst open requirement; PairState counts with them.
RAW: Final = f"""
WITH standing AS (
    SELECT s.*, t.tenant_id,
        (SELECT sum(one) FROM unnest(s.conclusive_counts) AS one) AS conclusive_count,
        (SELECT sum(one) FROM unnest(s.applicable_counts) AS one) AS applicable_count,
        CASE WHEN s.waived_count = 0 OR f.worst IS NULL THEN s.compliance
             WHEN f.worst = 2 THEN 'non_compliant'
             WHEN s.compliance = 'non_compliant' THEN s.compliance
             ELSE 'at_risk' END AS raw_compliance
    FROM inspections_pairstate s
    JOIN registry_target t ON t.id = s.target_id AND t.{COUNTED}
    LEFT JOIN (
        SELECT target_id, max(CASE severity WHEN 'critical' THEN 2 ELSE 1 END) AS worst
        FROM findings_finding
        WHERE state = 'open' AND kind = 'requirement' AND severity <> 'info'
        GROUP BY target_id
    ) f ON f.target_id = s.target_id
)
"""  # noqa: S608  our own words
SCORES: Final = f"""
{RAW}, members AS (
    SELECT id, tenant_id FROM registry_target WHERE {COUNTED}
), open_findings AS (
    SELECT target_id, rule_id, severity, waiver_id IS NOT NULL AS is_waived
    FROM findings_finding WHERE state = 'open' AND severity <> 'info'
), {BY_RULE}
{INSERT}
ON CONFLICT (tenant_id, day) DO UPDATE SET {
    ", ".join(f"{name} = excluded.{name}" for name in (*COUNTS, *COVERAGE))
}
"""  # noqa: S608  our own names
# Whose last pair has left since the last run has no score of this day.
GONE: Final = f"""
DELETE FROM history_scoreday d WHERE d.day = %(day)s AND NOT EXISTS (
    SELECT FROM registry_target t
    WHERE t.{COUNTED} AND (d.tenant_id IS NULL OR t.tenant_id = d.tenant_id)
)
"""  # noqa: S608  our own words
TARGETS: Final = f"""
{RAW}
INSERT INTO history_complianceday
SELECT target_id, %(day)s, compliance, raw_compliance, health, critical_count, warning_count,
    waived_count, coalesce(conclusive_count, 0), coalesce(applicable_count, 0)
FROM standing ORDER BY target_id
ON CONFLICT DO NOTHING
"""  # noqa: S608  our own names
FIGURES: Final = f"""
INSERT INTO history_fleethour (at, zone_id, engine, pairs_count, visits_count, silent_count,
    rtt_median_us, rtt_p95_us, rtt_max_us, used_ratio_median, used_ratio_p95, last_save_age_p95_s,
    open_findings)
SELECT %(at)s, t.zone_id, s.engine, count(DISTINCT v.target_id),
    count(*) FILTER (WHERE v.outcome = 0), count(*) FILTER (WHERE v.outcome = 1),
    percentile_disc(0.5) WITHIN GROUP (ORDER BY v.rtt_median_us),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY v.rtt_median_us),
    max(v.rtt_max_us),
    percentile_disc(0.5) WITHIN GROUP (ORDER BY used.ratio),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY used.ratio),
    percentile_disc(0.95) WITHIN GROUP (ORDER BY v.last_save_age_s),
    coalesce(found.open_findings, '{{}}')
FROM history_visit v
JOIN registry_target t ON t.id = v.target_id
JOIN inspections_pairstate s ON s.target_id = v.target_id
CROSS JOIN LATERAL (
    SELECT v.used_memory_bytes / nullif(v.maxmemory_bytes, 0)::float8 AS ratio
) used
LEFT JOIN (
    SELECT zone_id, engine, jsonb_object_agg(subject, jsonb_build_array(critical, warning))
        AS open_findings
    FROM (
        SELECT t.zone_id, s.engine, split_part(f.rule_id, '.', 1) AS subject,
            count(*) FILTER (WHERE f.severity = 'critical') AS critical,
            count(*) FILTER (WHERE f.severity = 'warning') AS warning
        FROM ({OPEN_AT.replace("%(at)s", "%(end)s")}) f
        JOIN registry_target t ON t.id = f.target_id AND t.state = 'active'
        JOIN inspections_pairstate s ON s.target_id = f.target_id
        WHERE NOT f.is_waived
        GROUP BY 1, 2, 3
    ) by_subject
    GROUP BY 1, 2
) found ON found.zone_id = t.zone_id AND found.engine = s.engine
WHERE v.at >= %(at)s AND v.at < %(until)s
GROUP BY t.zone_id, s.engine, found.open_findings
ON CONFLICT DO NOTHING
"""  # noqa: S608  our own query


def keep_standing(now: datetime) -> None:
    """Write today's scores so far, yesterday's standing of each target, and the closed hours' figures.

    Any number of runs may come at once or again: the first of them does it, and a day or an hour
    is written once.
    """
    today = now.astimezone(UTC).date()
    partitions.make(partitions.COMPLIANCE, [today - timedelta(days=1), today])
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [STANDING])
        if not cursor.fetchone()[0]:
            return
        cursor.execute(GONE, {"day": today})
        cursor.execute(SCORES, {"day": today})
        yesterday = today - timedelta(days=1)
        if _is_just_over(yesterday, now) and not _is_written(yesterday):
            cursor.execute(TARGETS, {"day": yesterday})
        for at in _hours(now):
            cursor.execute(FIGURES, {"at": at, "until": at + HOUR, "end": at + HOUR - INSTANT})


def _is_just_over(day: date, now: datetime) -> bool:
    """Say whether the lamps of now still tell how the day ended, and a portal watched on that day."""
    begin = datetime(now.year, now.month, now.day, tzinfo=UTC)
    return now - begin <= WITHIN and ScoreDay.objects.filter(day=day).exists()


def _is_written(day: date) -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT EXISTS (SELECT FROM history_complianceday WHERE day = %s)", [day])
        return bool(cursor.fetchone()[0])


def _hours(now: datetime) -> list[datetime]:
    """Give the closed hours whose figures are not written, oldest first."""
    last = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0) - HOUR
    # Those of a clock that ran ahead are no reason to wait for it.
    newest = FleetHour.objects.filter(at__lte=last).aggregate(newest=Max("at"))["newest"]
    since = max(newest + HOUR, last - CATCH_UP) if newest else last
    return [since + n * HOUR for n in range(int((last - since) / HOUR) + 1)]

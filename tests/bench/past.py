"""What happened to the bench's fleet before: findings that came and went, attestations, history.

History is invented by column: `SHAPES` says what a column of a visit holds, and the columns of the
rollups hold what the ones that they are made of do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection

from checks.catalog import RULES
from checks.remedy import title
from fleet.backups.growth import keep_growth as growth_of_copies
from fleet.history import ordering, partitions, rollup
from fleet.history.growth import keep_growth
from fleet.history.models import RolledDay, Visit
from fleet.history.partitions import HOURS
from fleet.history.rollup import COLUMNS, LEAST, MEANS, MOST

DAYS, RAW_DAYS = 90, 3
EPISODES = 20  # resolved findings per pair: 200,000 of the fleet, 2,200 a day
# Raw visits: one pair in 500 at the full rate, the others twice an hour. All of them at the full
# rate are 43 million rows; a page reads one pair's, and what it costs depends on that alone.
FULL_EVERY, FULL_S, SPARSE_S = 500, 60, 1800
PATTERNS = 40
HOURLY_EVERY = 10  # hours of one pair in ten: of all of them 21.6 million rows; days are of all

# p.id is the pair, v.at the instant; noise is 0 to 1.
NOISE = "(abs(hashint8(p.id * 1000003 + extract(epoch FROM v.at)::bigint / 60)) %% 1000 / 1000.0)"
WAVE = "sin(extract(epoch FROM v.at) / 13750.0 + p.id)"
GROWTH = "(1 - extract(epoch FROM %(now)s - v.at) / 86400 / 400)"
SHAPES = {
    "used_memory_bytes": f"(30e6 + p.id %% 100 * 1e5) * {GROWTH} + 1e6 * {WAVE}",
    "used_memory_rss_bytes": f"(36e6 + p.id %% 100 * 1e5) * {GROWTH} + 1e6 * {WAVE}",
    "maxmemory_bytes": "67108864",
    "total_commands_processed": "extract(epoch FROM v.at) - 1.7e9",
    "rdb_changes_since_last_save": f"100 * {NOISE}",
    "keys_count": f"20000 + p.id %% 1000 + 500 * {WAVE}",
    "rtt_min_us": f"200 + 100 * {NOISE}",
    "rtt_median_us": f"320 + 200 * {NOISE} + 60 * {WAVE}",
    "rtt_p95_us": f"600 + 500 * {NOISE}",
    "rtt_max_us": f"900 + 2000 * {NOISE}",
    "network_us": f"150 + 50 * {NOISE}",
    "probe_lag_us": f"30 * {NOISE}",
    "emailengine_rtt_us": f"380 + 150 * {NOISE}",
    "api_response_us": f"9000 + 8000 * {NOISE}",
    "uptime_s": "extract(epoch FROM v.at) - 1.76e9",
    "last_save_age_s": "extract(epoch FROM v.at)::bigint %% 900",
    "connected_clients": f"40 + 20 * {NOISE}",
    "blocked_clients": "7",
    "submit_waiting_count": f"greatest(0, 60 * {WAVE} + 30 * {NOISE})",
    "notify_waiting_count": f"10 * {NOISE}",
    "submit_delayed_count": f"3 * {NOISE}",
    "accounts_count": "50 + p.id %% 3000",
    "accounts_in_error_count": f"3 * {NOISE}",
    "fails_count": "p.id %% 3",
    "unknowns_count": "2",
    "fragmentation_ratio": f"1.1 + 0.2 * {NOISE}",
    "processed_per_minute": f"200 * {NOISE}",
    "bounce_ratio": f"0.01 * {NOISE}",
}


def make(now: datetime) -> None:
    """Invent what ended before now."""
    _resolved_findings(now)
    _attestations(now)
    _visits(now)
    _rollups(now)


def tell(now: datetime) -> None:
    """Write down what follows from findings and states, once all are there; let the planner know it all."""
    _transitions()
    _scores(now)
    _copies(now)
    _run(
        "UPDATE registry_historicaltarget SET history_date = history_date - interval '90 days'"
        " WHERE history_type = '+'"
    )
    keep_growth()
    growth_of_copies(now)
    _run("ANALYZE")


def _run(statement: str, **values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


def _resolved_findings(now: datetime) -> None:
    """Let rules fail here and there for some hours, on every pair about once in five days."""
    rules = [
        [rule.id, rule.kind.value, title(rule), "critical" if n % 4 == 0 else "warning"]
        for n, rule in enumerate(RULES)
    ]
    _run(
        "WITH rules AS ("
        "  SELECT ordinality AS n, one->>0 AS id, one->>1 AS kind, one->>2 AS title, one->>3 AS severity"
        "  FROM jsonb_array_elements(%(rules)s::jsonb) WITH ORDINALITY AS r(one)"
        "), episodes AS ("
        "  SELECT t.id AS target_id, e AS episode, 1 + (t.id * 7 + e * 3) %% %(count)s AS n,"
        "   %(now)s - (e - random()) * %(step)s * interval '1 s' AS at FROM registry_target t,"
        "   generate_series(1, %(episodes)s) e"
        ")"
        " INSERT INTO findings_finding (target_id, rule_id, kind, state, severity, message, short,"
        "  cause, observed, required, evidence, vantage, worst, episode, results, results_count,"
        "  first_seen_at, opened_at, resolved_at)"
        " SELECT e.target_id, r.id, r.kind, 'resolved', r.severity, 'Not so: ' || r.title,"
        "  left(r.title, 30), '', '83%%', '80%%', '{\"used_ratio\": 0.83}', 'zone local', '', e.episode,"
        "  0, 0, e.at, e.at, least(%(now)s, e.at + random() * interval '9 hours')"
        " FROM episodes e JOIN rules r USING (n) ORDER BY e.at",
        rules=json.dumps(rules),
        count=len(rules),
        now=now,
        step=DAYS * 86400 / EPISODES,
        episodes=EPISODES,
    )


def _transitions() -> None:
    """Write down when findings opened and were resolved; all of it has been told to people already."""
    _run("DELETE FROM findings_transition")
    for cause, before, after, column in (
        ("opened", "pending", "open", "opened_at"),
        ("resolved", "open", "resolved", "resolved_at"),
    ):
        _run(
            "INSERT INTO findings_transition (finding_id, at, cause, from_state, to_state,"
            "  from_severity, to_severity, note, routed_at)"
            f" SELECT id, {column}, '{cause}', '{before}', '{after}', severity, severity, '', {column}"
            f" FROM findings_finding WHERE {column} IS NOT NULL ORDER BY {column}"
        )


def _attestations(now: datetime) -> None:
    """Attest something of every third pair and of every tenant."""
    columns = "key, value, said_by, evidence, expires_at, made_at"
    said = "'\"NVMe\"', 'Platform team', 'Ticket 4711'"
    _run(
        f"INSERT INTO registry_attestation (tenant_id, target_id, {columns})"
        f" SELECT tenant_id, id, 'storage_medium', {said},"
        "  %(now)s + (id %% 400 - 20) * interval '1 day', %(now)s - interval '30 days'"
        " FROM registry_target WHERE id %% 3 = 0",
        now=now,
    )
    _run(
        f"INSERT INTO registry_attestation (tenant_id, target_id, {columns})"
        " SELECT id, NULL, 'secret_kept', 'true', 'Platform team', 'Ticket 4711',"
        "  %(now)s + interval '1 year', %(now)s FROM registry_tenant WHERE id %% 2 = 0",
        now=now,
    )


def _visits(now: datetime) -> None:
    """Write the raw visits of the last days: each pair's are those of one of a few patterns."""
    partitions.make(partitions.VISITS, (day.date() for day in _days(now, RAW_DAYS)))
    columns = [field.column for field in Visit._meta.concrete_fields][2:]
    _pattern({one: SHAPES.get(one, "0") for one in columns}, now, RAW_DAYS, FULL_S)
    _run(
        f"INSERT INTO history_visit (target_id, at, {', '.join(columns)})"
        f" SELECT t.id, v.at, {', '.join(columns)} FROM bench_pattern v"
        "  JOIN registry_target t ON t.id %% %(patterns)s = v.pattern"
        " WHERE t.id %% %(full)s = 0 OR v.number %% %(seldom)s = t.id %% %(seldom)s ORDER BY v.at",
        patterns=PATTERNS,
        full=FULL_EVERY,
        seldom=SPARSE_S // FULL_S,
    )


def _rollups(now: datetime) -> None:
    """Write hours and days as the nightly work does: day after day, each in the order of pairs.

    Months that are over are put in order, as it does too.
    """
    columns = list(COLUMNS[2:])
    sources = {**MEANS, **LEAST, **MOST}
    values = {one: SHAPES.get(sources.get(one, one), "0") for one in columns} | {
        "visits_count": "60",
        "evicted_keys": "0",
    }
    names = ", ".join(columns)
    for table, step_s, every in ((HOURS, 3600, HOURLY_EVERY), (partitions.DAYS, 86400, 1)):
        _pattern(values, now, DAYS, step_s)
        for day in _days(now, DAYS)[1:]:
            partitions.make(table, [day.date()])
            _run(
                f"INSERT INTO {table.name} (target_id, at, {names})"
                f" SELECT t.id, v.at, {names} FROM registry_target t"
                "  JOIN bench_pattern v ON v.pattern = t.id %% %(patterns)s"
                " WHERE t.id %% %(every)s = 0 AND v.at >= %(day)s AND v.at < %(day)s + interval '1 day'"
                " ORDER BY 1, 2",
                patterns=PATTERNS,
                every=every,
                day=day,
            )
    RolledDay.objects.bulk_create(
        RolledDay(day=day.date(), rolled_at=now, visits_count=0) for day in _days(now, DAYS)[1:]
    )
    while ordering.order_closed(rollup.first_open(now)):
        pass


def _pattern(values: Mapping[str, str], now: datetime, days: int, step_s: int) -> None:
    """Work out some pairs' figures, at full hours or days where the step is one, for others to copy."""
    wanted = ", ".join(f"({value}) AS {name}" for name, value in values.items())
    _run("DROP TABLE IF EXISTS bench_pattern")
    _run(
        f"CREATE TEMP TABLE bench_pattern AS SELECT p.id AS pattern, v.number, v.at, {wanted}"
        f" FROM generate_series(0, {PATTERNS - 1}) AS p(id), ROWS FROM (generate_series("
        "  %(since)s, %(now)s - interval '1 minute', %(step_s)s * interval '1 s'"
        " )) WITH ORDINALITY AS v(at, number)",
        now=now,
        since=_days(now, days)[-1],
        step_s=step_s,
    )


def _days(now: datetime, count: int) -> list[datetime]:
    """Give the beginnings of today and the days before, newest first."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return [today - timedelta(days=back) for back in range(count + 1)]


def _copies(now: datetime) -> None:
    """Tell of a copy a night of every pair, as a backup job does: nothing is looked at or pulled."""
    _run(
        "INSERT INTO backups_backupsource (target_id, kind, label, is_enabled, interval_s, grace_s,"
        "  folder, name_pattern, endpoint, region, bucket, prefix, access_key, secret_key, pull_user,"
        "  pull_password, destination, keep_hourly, keep_daily, keep_weekly, keep_monthly,"
        "  last_reason, last_text, next_due_at, created_at)"
        " SELECT id, 'heartbeat', 'nightly', true, 86400, 10800, '', '', '', '', '', '', '', '', '',"
        "  '', 'directory', 0, 7, 4, 6, '', '', %(now)s + interval '7 days',"
        "  %(now)s - interval '90 days' FROM registry_target",
        now=now,
    )
    _run(
        "INSERT INTO backups_artefact (source_id, key, version, state, reason, text, seen_at,"
        "  content_at, stored_at, stored_bytes, sha256, wrapping, magic, server_version, keys)"
        " SELECT s.id, 'night-' || n, '', 'reported', '', '', v.at, v.at, v.at,"
        "  (40e6 + s.target_id %% 100 * 1e5 - n * (s.target_id %% 7) * 2e4 + random() * 1e5)::bigint,"
        "  '', '', '', '', '{}'"
        " FROM backups_backupsource s, generate_series(0, 29) n, LATERAL ("
        "  SELECT %(now)s - n * interval '1 day' - interval '2 hours' AS at) v",
        now=now,
    )


def _scores(now: datetime) -> None:
    """Write how each pair and tenant stood on each day, and the fleet's hours, once pairs have a state."""
    for day in _days(now, DAYS)[1:]:
        partitions.make(partitions.COMPLIANCE, [day.date()])
    _run(
        "INSERT INTO history_complianceday (target_id, day, compliance, raw_compliance, health,"
        "  critical_count, warning_count, waived_count, conclusive_count, applicable_count)"
        " SELECT target_id, day::date, x.compliance, x.compliance, health, critical_count,"
        "  warning_count, 0, 40, 44 FROM inspections_pairstate,"
        "  generate_series(%(since)s, %(until)s, interval '1 day') AS d(day), LATERAL (SELECT CASE"
        "   WHEN random() < 0.05 THEN 'at_risk' ELSE compliance END AS compliance) x ORDER BY 2, 1",
        since=_days(now, DAYS)[-1],
        until=_days(now, 1)[-1],
    )
    counts = ", ".join(
        f"count(*) FILTER (WHERE c.compliance = '{name}')"
        for name in ("compliant", "at_risk", "non_compliant", "unverified")
    )
    for whose in ("t.tenant_id", "NULL::bigint"):
        _run(
            "INSERT INTO history_scoreday (day, tenant_id, pairs_count, compliant_count,"
            "  at_risk_count, non_compliant_count, unverified_count, raw_compliant_count,"
            "  conclusive_count, applicable_count, open_findings)"
            f" SELECT c.day, {whose}, count(*), {counts},"
            "  count(*) FILTER (WHERE c.compliance = 'compliant'), sum(40), sum(44), %(found)s::jsonb"
            " FROM history_complianceday c JOIN registry_target t ON t.id = c.target_id GROUP BY 1, 2",
            found=json.dumps({rule.id: [n, 2 * n, 1] for n, rule in enumerate(RULES)}),
        )
    _run(
        "INSERT INTO history_fleethour (at, zone_id, engine, pairs_count, visits_count, silent_count,"
        "  rtt_median_us, rtt_p95_us, rtt_max_us, used_ratio_median, used_ratio_p95,"
        "  last_save_age_p95_s, open_findings)"
        " SELECT at, z.id, engine, 1500, 90000, 12, 320 + 40 * random(), 700, 2400, 0.5, 0.7, 850,"
        "  '{\"redis\": [120, 60]}' FROM registry_zone z,"
        "  generate_series(%(since)s, %(now)s - interval '1 hour', interval '1 hour') AS h(at),"
        "  unnest(array['redis', 'valkey']) AS e(engine)",
        since=_days(now, DAYS)[-1],
        now=now,
    )

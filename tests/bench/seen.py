"""What is seen of a running portal from outside: memory, CPU, queues, and what PostgreSQL counts itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import redis
from django.conf import settings

from fleet.inspections.due import PHASE_STEP_MS
from run.portal import QUEUES
from tests.bench.meters import pss_mb
from tests.bench.stage import children, cpu_s

# The supervisor's children by a word of their command line.
PROCESSES = {"web": "gunicorn", "worker": "run.worker", "postgres": "postgres", "valkey": "valkey"}
PORTAL = ("web", "worker")  # the worker's timetable (beat) is its child

SCHEDULE = """
SELECT count(*) FILTER (WHERE due), coalesce(max(late_s) FILTER (WHERE due), 0)::float8
FROM (
    SELECT late_s > 0 AS due, late_s FROM inspections_pairschedule s
    JOIN inspections_pairstate p USING (target_id),
    LATERAL (SELECT extract(epoch FROM clock_timestamp() - CASE WHEN p.recorded_claim = s.claim
        THEN s.next_due_at ELSE coalesce(s.lease_until, s.next_due_at) END) AS late_s) l
) pairs
"""
TABLES = """
SELECT sum(pg_total_relation_size(relid)) FILTER (WHERE relname NOT LIKE 'history\\_%')::int8,
    sum(pg_total_relation_size(relid)) FILTER (WHERE relname LIKE 'history\\_%')::int8,
    sum(n_dead_tup) FILTER (WHERE relname NOT LIKE 'history\\_%')::int8,
    sum(n_tup_upd)::int8, sum(n_tup_hot_upd)::int8, sum(autovacuum_count)::int8
FROM pg_stat_user_tables
"""
LARGEST = """
SELECT relname, pg_total_relation_size(relid), n_live_tup, n_dead_tup, n_tup_upd, n_tup_hot_upd,
    autovacuum_count
FROM pg_stat_user_tables WHERE relname NOT LIKE 'history\\_%' ORDER BY 2 DESC LIMIT 8
"""
# A pair is due at the first instant of its own that is half an interval after the visit before
# (fleet/inspections/due.py), or up to 5 s sooner where a message has room: such a one is not late.
# A second look at what has just failed comes sooner still, and is left out.
VISITS = f"""
WITH visits AS (
    SELECT target_id, at, outcome, lag(at) OVER (PARTITION BY target_id ORDER BY at) AS before
    FROM history_visit WHERE at >= %(since)s::timestamptz - interval '5 min' AND at < %(until)s
), late AS (
    SELECT outcome, extract(epoch FROM at - before) - 30 - mod(mod(
        target_id * {PHASE_STEP_MS} - (extract(epoch FROM before) * 1000)::int8 - 30000, 60000)
        + 60000, 60000) / 1000.0 AS late_s
    FROM visits WHERE at >= %(since)s
)
SELECT count(*), count(*) FILTER (WHERE outcome <> 0), p[1]::float8, p[2]::float8, max(late_s)::float8
FROM late, (SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (ORDER BY greatest(late_s, 0))
    FROM late WHERE late_s > -6) AS percentiles(p)
GROUP BY p
"""


@dataclass(frozen=True)
class Visits:
    """What history says of the visits in some minutes, and by how much each came after it was due."""

    count: int
    silent_count: int
    lag_p50_s: float
    lag_p99_s: float
    lag_max_s: float


def visits(database: psycopg.Connection[Any], since: datetime, until: datetime) -> Visits:
    """Read them from history; every pair is on an interval of a minute."""
    return Visits(*database.execute(VISITS, {"since": since, "until": until}).fetchone())


def look(supervisor: int, database: psycopg.Connection[Any]) -> dict[str, Any]:
    """Read all meters once."""
    names = by_name(supervisor)
    unclaimed, overdue_s = database.execute(SCHEDULE).fetchone()
    state, history, dead, updates, hot, vacuums = database.execute(TABLES).fetchone()
    now, wal, checkpoints = database.execute(
        "SELECT clock_timestamp(), (pg_current_wal_lsn() - '0/0')::int8,"
        " (SELECT num_timed + num_requested FROM pg_stat_checkpointer)"
    ).fetchone()
    return {
        "now": now,
        "waiting": waiting(),
        "unclaimed": unclaimed,
        "overdue_s": overdue_s,
        "pss_mb": sum(pss_mb(names[name]) for name in PORTAL),
        "pss_mb_by_process": {name: pss_mb(names[name]) for name in names},
        "database_pss_mb": pss_mb(names["postgres"]),
        "cpu_s": {name: cpu_s(pid, with_children=True) for name, pid in names.items()},
        "state_bytes": state,
        "history_bytes": history,
        "dead_rows": dead,
        "updates": updates,
        "hot_updates": hot,
        "autovacuums": vacuums,
        "wal_bytes": wal,
        "checkpoints": checkpoints,
        "largest": database.execute(LARGEST).fetchall(),
    }


def line(seen: dict[str, Any]) -> str:
    """Write one look for the terminal."""
    return (
        f"{seen['at_s'] / 60:5.1f} min  overdue {seen['overdue_s']:5.1f} s  waiting {seen['waiting']:3}"
        f"  PSS {seen['pss_mb']:6.1f} MB  state {seen['state_bytes'] / 1e6:7.1f} MB"
        f"  history {seen['history_bytes'] / 1e6:7.1f} MB  dead {seen['dead_rows']:6}"
        f"  {seen['page']} {seen['page_ms']:.0f} ms"
    )


def waiting() -> int:
    """Count the messages in the broker."""
    found = re.fullmatch(r"redis\+socket://(.+)", settings.BROKER_URL)
    queues = [*(f"zone.local.{name}" for name in QUEUES), "control"]
    with redis.Redis(unix_socket_path=found[1]) as broker:
        return sum(broker.llen(queue) for queue in queues)


def by_name(supervisor: int) -> dict[str, int]:
    """Find the supervisor's children."""
    commands = {pid: command(pid) for pid in children(supervisor)}
    return {
        name: next(pid for pid, words in commands.items() if word in words)
        for name, word in PROCESSES.items()
    }


def command(pid: int) -> str:
    """Read a process' command line."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()

"""What the pair page shows of the last visits: facts, verdicts and replies, written when they are news."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final

from checks.codec import facts_to_json, verdict_to_json
from checks.facts import EmailEngineFacts, Missing, RedisFacts, RoundTrips
from checks.policy import Policy
from checks.rule import JSON, Cadence
from fleet.inspections.judge import Seen
from fleet.inspections.unnest import rows_of, run
from fleet.inspections.waiting import waiting_keys

REWRITTEN_AFTER: Final = timedelta(minutes=15)
RAW_AFTER: Final = timedelta(days=1)

# Who the facts are of: kept beside each cadence's own, so that each can be read alone.
IDENTITY: Final = (
    "host", "port", "database", "is_tls", "path", "engine", "ping",
    "version", "compatibility_version", "edition", "config_file",
)  # fmt: skip
PERSISTENCE: Final = (
    "save", "appendfsync", "tcp_keepalive_s", "timeout_s", "proto_max_bulk_len_bytes",
    "client_output_buffer_limit", "replica_read_only", "snapshot_cron", "account", "is_open",
    "allows_undeclared_keys", "sentinels", "bull_clients",
)  # fmt: skip
LATENCY: Final = ("round_trips",)
QUEUES: Final = ("queues", "deliveries")
OWN: Final = {
    Cadence.PERSISTENCE: PERSISTENCE,
    Cadence.LATENCY: LATENCY,
    Cadence.STATS: QUEUES,
}
EMAILENGINE_IDENTITY: Final = ("url", "key_prefix", "health_status", "health_s", "version")
EMAILENGINE_HEALTH: Final = (*EMAILENGINE_IDENTITY, "network_us")
# Where each reply belongs, by how its command begins; the rest is the persistence cadence's.
RAW_OF: Final = {
    Cadence.HEALTH: (
        "INFO", "PING", "CONFIG GET stop-writes", "CONFIG GET min-replicas", "/health", "GET /health",
    ),
    Cadence.STATS: ("/v1/stats", "/metrics", "GET /v1/stats", "GET /metrics"),
}  # fmt: skip

# What makes a reading new: settings and states, not counters, clocks and loads.
_STABLE_HEALTH: Final = attrgetter(
    "engine", "ping", "version", "edition", "mode", "os", "config_file", "run_id", "maxclients",
    "maxmemory_bytes", "maxmemory_policy", "system_memory_bytes", "is_loading",
    "rdb_last_bgsave_status", "aof_enabled", "aof_last_write_status", "aof_last_bgrewrite_status",
    "role", "master_link_status", "min_replicas_good", "cluster_enabled", "cluster_state",
    "stop_writes_on_bgsave_error", "min_replicas_to_write",
)  # fmt: skip
_STABLE_PERSISTENCE: Final = attrgetter(*PERSISTENCE[:-1])
_STABLE_STATS: Final = attrgetter(
    "version", "license_days_remaining", "redis_version", "redis_warnings", "unresponsive_workers"
)

READ: Final = """
SELECT target_id, cadence, digest, read_at, raw_at
FROM inspections_latestfacts WHERE target_id = ANY(%s)
"""
WRITE: Final = """
INSERT INTO inspections_latestfacts
    (target_id, cadence, facts, verdicts, unattested, digest, read_at, raw, raw_at, worker)
SELECT target_id, cadence, facts::jsonb, verdicts::jsonb, unattested::text[], digest, read_at,
    coalesce(raw, '[]')::jsonb, raw_at, worker
FROM unnest(%b::int8[], %b::text[], %b::text[], %b::text[], %b::text[], %b::int8[],
    %b::timestamptz[], %b::text[], %b::timestamptz[], %b::text[])
    AS v(target_id, cadence, facts, verdicts, unattested, digest, read_at, raw, raw_at, worker)
ON CONFLICT (target_id, cadence) DO UPDATE SET
    facts = excluded.facts, verdicts = excluded.verdicts, unattested = excluded.unattested,
    digest = excluded.digest, read_at = excluded.read_at, worker = excluded.worker,
    raw = CASE WHEN excluded.raw_at IS NULL THEN inspections_latestfacts.raw ELSE excluded.raw END,
    raw_at = coalesce(excluded.raw_at, inspections_latestfacts.raw_at)
"""
Kept = dict[tuple[int, str], tuple[int, datetime, datetime | None]]


def keep_evidence(visits: Sequence[Seen]) -> None:
    """Write what changed beyond counters, what is 15 min old, and what somebody asked for.

    The replies, which are larger, are written with a change, when asked, and once a day.
    """
    kept: Kept = {
        (target_id, cadence): (digest, read_at, raw_at)
        for target_id, cadence, digest, read_at, raw_at in rows_of(
            READ, [[seen.due.target_id for seen in visits]]
        )
    }
    rows = [row for seen in visits for row in _rows(seen, kept)]
    if rows:
        run(WRITE, list(map(list, zip(*rows, strict=True))))


def _rows(seen: Seen, kept: Kept) -> Iterable[tuple[Any, ...]]:
    policy = seen.policy
    facts: dict[str, JSON] | None = None
    for cadence in seen.cadences:
        if not _rules(cadence, policy):
            continue
        last = kept.get((seen.due.target_id, cadence.value))
        digest = _digest(seen, cadence, policy)
        is_new = last is None or digest != last[0] or seen.due.is_asked
        if not is_new and last is not None and seen.at - last[1] < REWRITTEN_AFTER:
            continue
        facts = facts or facts_to_json(seen.facts)
        is_raw_due = is_new or last is None or last[2] is None or seen.at - last[2] > RAW_AFTER
        yield (
            seen.due.target_id,
            cadence.value,
            json.dumps(_part(facts, cadence)),
            json.dumps(_verdicts(seen, cadence, policy)),
            "{" + ",".join(_waiting(seen, cadence, policy)) + "}",
            digest,
            seen.at,
            json.dumps(_raw(seen, cadence)) if is_raw_due else None,
            seen.at if is_raw_due else None,
            seen.due.vantage.worker,
        )


def _digest(seen: Seen, cadence: Cadence, policy: Policy) -> int:
    """Give a number that changes with the content, whatever the counters do."""
    content = (
        _stable(seen, cadence),
        [_said(seen, rule_id) for rule_id in _rules(cadence, policy)],
    )
    return int.from_bytes(blake2b(repr(content).encode(), digest_size=8).digest(), signed=True)


def _said(seen: Seen, rule_id: str) -> tuple[Any, ...] | None:
    verdict = seen.verdicts.get(rule_id)
    if verdict is None:
        return None
    return verdict.outcome.value, verdict.severity, verdict.cause, verdict.reason


def _rules(cadence: Cadence, policy: Policy) -> list[str]:
    return [settings.rule.id for settings in policy.due(frozenset({cadence}))]


def _stable(seen: Seen, cadence: Cadence) -> list[Any]:
    redis, emailengine = seen.facts.redis, seen.facts.emailengine
    found: list[Any] = []
    if isinstance(redis, Missing):
        found.append(redis.reason)
    elif cadence is Cadence.HEALTH:
        found.extend(_STABLE_HEALTH(redis))
    elif cadence is Cadence.LATENCY:
        trips = redis.round_trips
        found.append(trips.clock if isinstance(trips, RoundTrips) else trips)
    elif cadence is Cadence.PERSISTENCE:
        found.extend((*_STABLE_PERSISTENCE(redis), _workers(redis)))
    found.extend(_stable_emailengine(emailengine, cadence))
    return [value.reason if isinstance(value, Missing) else value for value in found]


def _stable_emailengine(emailengine: EmailEngineFacts | Missing, cadence: Cadence) -> list[Any]:
    if isinstance(emailengine, Missing):
        return [emailengine] if cadence in (Cadence.HEALTH, Cadence.STATS) else []
    if cadence is Cadence.HEALTH:
        return [emailengine.health_status]
    return list(_STABLE_STATS(emailengine)) if cadence is Cadence.STATS else []


def _workers(redis: RedisFacts) -> list[tuple[str, int]] | Missing:
    clients = redis.bull_clients
    if isinstance(clients, Missing):
        return clients
    return sorted({(client.name, client.database) for client in clients})


def _part(facts: dict[str, JSON], cadence: Cadence) -> dict[str, JSON]:
    """Give the facts of one cadence, with who they are of."""
    part = dict(facts)
    if "missing" not in (redis := facts["redis"]):
        part["redis"] = {name: value for name, value in redis.items() if _is_redis(name, cadence)}
    if "missing" not in (emailengine := facts["emailengine"]):
        part["emailengine"] = {
            name: value for name, value in emailengine.items() if _is_emailengine(name, cadence)
        }
    return part


def _is_redis(name: str, cadence: Cadence) -> bool:
    if name in IDENTITY:
        return True
    if cadence is Cadence.HEALTH:
        return not any(name in names for names in OWN.values())
    return name in OWN.get(cadence, ())


def _is_emailengine(name: str, cadence: Cadence) -> bool:
    if name in EMAILENGINE_IDENTITY or cadence is Cadence.STATS:
        return True
    return cadence is Cadence.HEALTH and name in EMAILENGINE_HEALTH


def _verdicts(seen: Seen, cadence: Cadence, policy: Policy) -> dict[str, JSON]:
    return {
        rule_id: verdict_to_json(seen.verdicts[rule_id])
        for rule_id in _rules(cadence, policy)
        if rule_id in seen.verdicts
    }


def _waiting(seen: Seen, cadence: Cadence, policy: Policy) -> list[str]:
    return waiting_keys(
        {
            rule_id: seen.verdicts[rule_id]
            for rule_id in _rules(cadence, policy)
            if rule_id in seen.verdicts
        },
        seen.facts.attested,
    )


def _raw(seen: Seen, cadence: Cadence) -> list[list[str]]:
    """Give the replies of one cadence; jsonb takes no NUL."""
    return [
        [command, text.replace("\0", "\N{REPLACEMENT CHARACTER}")]
        for command, text in seen.raw
        if _cadence_of(command) is cadence
    ]


def _cadence_of(command: str) -> Cadence:
    for cadence, beginnings in RAW_OF.items():
        if command.startswith(beginnings):
            return cadence
    return Cadence.PERSISTENCE

"""What the pair page shows of the last visits: facts, verdicts and replies, written when they are news."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import blake2b
from operator import attrgetter
from typing import Any, Final, NamedTuple

from django.db import transaction

from checks.codec import facts_to_json, verdict_to_json
from checks.facts import EmailEngineFacts, Missing, RedisFacts, RoundTrips
from checks.policy import Settings
from checks.rule import JSON, Cadence, Verdict
from fleet.inspections.cadences import PLACE, VISITED
from fleet.inspections.due import PHASE_STEP_MS
from fleet.inspections.judge import Seen
from fleet.inspections.waiting import waiting_keys
from fleet.registry.arrays import rows_of, run

# Figures that merely drift: history and the state row have them of every visit. Four times an hour
# was a third of the log and a fifth of the CPU of a visit.
REWRITTEN_EVERY: Final = timedelta(hours=1)
RAW_AFTER: Final = timedelta(days=1)
# Each connection keeps a buffer as large as its largest message ever: 300 kB, and not the 6 MB that
# a shard's first visits come to.
WRITTEN_AT_ONCE: Final = 20

# Who the facts are of: kept beside each cadence's own, so that each can be read alone.
IDENTITY: Final = (
    "host", "port", "database", "is_tls", "path", "engine", "ping",
    "version", "compatibility_version", "edition", "config_file",
)  # fmt: skip
PERSISTENCE: Final = (
    "save", "appendfsync", "tcp_keepalive_s", "timeout_s", "proto_max_bulk_len_bytes",
    "client_output_buffer_limit", "replica_read_only", "snapshot_cron", "account", "is_open",
    "allows_undeclared_keys", "sentinels", "config_maxclients", "bull_clients",
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


class News(NamedTuple):
    """What one visit says for one cadence, where it may differ from what is kept."""

    seen: Seen
    cadence: Cadence
    content: tuple[Any, ...]


# What this process knows to be kept of a pair as long as nobody else visits it: the claim of its last
# visit; then by cadence the hash of the content, and until when it need not be written again (Unix s).
# Plain numbers: as objects they were 10 MB for 10,000 pairs.
_NOTHING_KNOWN: Final = array("q", [0] * (1 + 2 * len(VISITED)))
_PLACE: Final = {cadence: 1 + 2 * place for cadence, place in PLACE.items()}
ALONE: Final = {cadence: frozenset({cadence}) for cadence in Cadence}
MOST_REMEMBERED: Final = 50_000
_memories: Final[dict[int, array[int]]] = {}


def keep_evidence(visits: Sequence[Seen]) -> None:
    """Write what changed beyond counters, what is about an hour old, and what somebody asked for.

    The replies, which are larger, are written with a change, when asked, and once a day.
    """
    remembered = {seen.due.target_id: _remembered(seen) for seen in visits}
    news = [one for seen in visits for one in _news(seen, remembered[seen.due.target_id])]
    if news:
        kept = _kept([one.seen.due.target_id for one in news])
        _write(news, kept)
        for one in news:
            target_id, place = one.seen.due.target_id, _PLACE[one.cadence]
            fresh_until = rewritten_at(target_id, _written_at(one, kept))
            remembered[target_id][place] = hash(one.content)
            remembered[target_id][place + 1] = int(fresh_until.timestamp())
    transaction.on_commit(partial(_remember, remembered))


def _remembered(seen: Seen) -> array[int]:
    """Give a copy of what this process remembers: nothing where another one has visited in between."""
    last = _memories.get(seen.due.target_id)
    known = last[:] if last and last[0] == seen.due.claim - 1 else _NOTHING_KNOWN[:]
    known[0] = seen.due.claim
    return known


def _remember(remembered: dict[int, array[int]]) -> None:
    if len(_memories) > MOST_REMEMBERED:
        _memories.clear()
    _memories.update(remembered)


def _news(seen: Seen, known: array[int]) -> Iterator[News]:
    at_s = seen.at.timestamp()
    for cadence in seen.cadences:
        rules = seen.policy.due(ALONE[cadence])
        if not rules:
            continue
        content = (*_stable(seen, cadence), *_said(seen, rules))
        place = _PLACE[cadence]
        is_known = known[place] == hash(content) and at_s < known[place + 1]
        if not is_known or seen.due.is_asked:
            yield News(seen, cadence, content)


def _kept(target_ids: Sequence[int]) -> Kept:
    return {
        (target_id, cadence): (digest, read_at, raw_at)
        for target_id, cadence, digest, read_at, raw_at in rows_of(READ, [list(target_ids)])
    }


def _write(news: Sequence[News], kept: Kept) -> None:
    due = [one for one in news if _written_at(one, kept) == one.seen.at]
    for first in range(0, len(due), WRITTEN_AT_ONCE):
        rows = [_row(one, kept) for one in due[first : first + WRITTEN_AT_ONCE]]
        run(WRITE, list(map(list, zip(*rows, strict=True))))


def _written_at(news: News, kept: Kept) -> datetime:
    """Give when the kept row is from: the visit's own time where it is to be written."""
    seen = news.seen
    last = kept.get((seen.due.target_id, news.cadence.value))
    if last is None or seen.due.is_asked or _digest(news) != last[0]:
        return seen.at
    return seen.at if seen.at >= rewritten_at(seen.due.target_id, last[1]) else last[1]


def rewritten_at(target_id: int, written_at: datetime) -> datetime:
    """Say when what was written then is written again: half an interval later at least.

    At an instant of the pair's own: thousands first read together would be written together for good.
    """
    every_s = REWRITTEN_EVERY.total_seconds()
    least_s = written_at.timestamp() + every_s / 2
    to_go_s = (target_id * PHASE_STEP_MS / 1000 - least_s) % every_s
    return datetime.fromtimestamp(least_s + to_go_s, UTC)


def _row(news: News, kept: Kept) -> tuple[Any, ...]:
    seen, cadence = news.seen, news.cadence
    last = kept.get((seen.due.target_id, cadence.value))
    digest = _digest(news)
    is_same = last is not None and last[0] == digest and not seen.due.is_asked
    raw_at = last[2] if last else None
    is_raw_due = not is_same or raw_at is None or seen.at - raw_at > RAW_AFTER
    verdicts = _verdicts(seen, cadence)
    waiting = waiting_keys(verdicts, seen.facts.attested)
    return (
        seen.due.target_id,
        cadence.value,
        json.dumps(_part(facts_to_json(seen.facts), cadence)),
        json.dumps({rule_id: verdict_to_json(one) for rule_id, one in verdicts.items()}),
        "{" + ",".join(waiting) + "}",
        digest,
        seen.at,
        json.dumps(_raw(seen, cadence)) if is_raw_due else None,
        seen.at if is_raw_due else None,
        seen.due.vantage.worker,
    )


def _digest(news: News) -> int:
    """Give a number that changes with the content, the same in every process."""
    digest = blake2b(repr(news.content).encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _said(seen: Seen, rules: Sequence[Settings]) -> list[tuple[Any, ...]]:
    verdicts = seen.verdicts
    return [_outcome(verdicts[rule_id]) for one in rules if (rule_id := one.rule.id) in verdicts]


_outcome: Final = attrgetter("outcome", "severity", "cause", "reason")


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


def _workers(redis: RedisFacts) -> tuple[tuple[str, int], ...] | Missing:
    clients = redis.bull_clients
    if isinstance(clients, Missing):
        return clients
    return tuple(sorted({(client.name, client.database) for client in clients}))


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


def _verdicts(seen: Seen, cadence: Cadence) -> dict[str, Verdict]:
    rules = (one.rule.id for one in seen.policy.due(ALONE[cadence]))
    return {rule_id: seen.verdicts[rule_id] for rule_id in rules if rule_id in seen.verdicts}


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

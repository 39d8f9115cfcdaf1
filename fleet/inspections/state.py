"""The pair's current state after a visit: its one row, worked out from the last one. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from operator import itemgetter
from typing import Any, Final, Protocol

from checks.evaluate import could_apply, lamps, rank
from checks.facts import NOT_READ, Missing, RedisFacts
from checks.rule import Cadence, Kind, Outcome, Severity
from checks.rules.latency import rtt_sample, stall_sample
from fleet.findings.record import Live
from fleet.inspections.cadences import PLACE, VISITED
from fleet.inspections.judge import Seen
from fleet.registry.arrays import array_text

RECENT: Final = 4  # with the visit under way, the five that a median is taken of
CONCLUSIVE: Final = (Outcome.PASS, Outcome.FAIL)
MOST_INT4: Final = 2**31 - 1
MOST_UNIX_S: Final = 253_402_300_799  # the year 9999: what a timestamp can hold
VERSION_LENGTH: Final = 40

# The columns an update sets, and how each travels: one array per column, arrays and JSON as text.
# Most visits leave these as they were.
STEADY: Final = {
    "compliance": "text",
    "health": "text",
    "compliance_since": "timestamptz",
    "health_since": "timestamptz",
    "rank": "int2",
    "critical_count": "int2",
    "warning_count": "int2",
    "waived_count": "int2",
    "pending_count": "int2",
    "worst_short": "text",
    "worst_rule_id": "text",
    "oldest_opened_at": "timestamptz",
    "core_unknown": "text",
    "conclusive_counts": "text",
    "applicable_counts": "text",
    "engine": "text",
    "version": "text",
    "emailengine_version": "text",
    "is_redis_only": "bool",
    "rtt_vantage": "text",
    "ceiling_bytes": "int8",
    "last_save_at": "timestamptz",
    "last_backup_at": "timestamptz",
    "persistence_at": "timestamptz",
    "stats_at": "timestamptz",
    "backup_at": "timestamptz",
    "run_id": "text",
}
# These every visit sets.
MOVING: Final = {
    "recorded_claim": "int8",
    "blocked_clients": "int4",
    "recent_rtt_us": "text",
    "recent_stall_us": "text",
    "rtt_us": "int4",
    "used_ratio": "float8",
    "health_at": "timestamptz",
    "latency_at": "timestamptz",
    "checked_at": "timestamptz",
    "answered_at": "timestamptz",
}
COLUMNS: Final = STEADY | MOVING
CASTS: Final = {
    "core_unknown": "jsonb",
    "conclusive_counts": "int2[]",
    "applicable_counts": "int2[]",
}
AS_TEXT: Final[Mapping[str, Callable[[Any], str]]] = {
    "core_unknown": json.dumps,
    "conclusive_counts": array_text,
    "applicable_counts": array_text,
}
AT: Final = {cadence: f"{cadence.value}_at" for cadence in VISITED}
Row = dict[str, Any]


def after(seen: Seen, live: Live) -> Row:
    """Give every column of COLUMNS as this visit leaves it; what it did not read stays as it was."""
    row: Row = {}
    unknown = _coverage(row, seen)
    kinds = [seen.policy.settings[rule_id].rule.kind for rule_id in unknown]
    light(row, seen.due.before, live, kinds, seen.at)
    _who(row, seen)
    _figures(row, seen)
    _times(row, seen)
    return row


def is_news(row: Row, seen: Seen, row_version: str) -> bool:
    """Say whether a visit leaves anything but MOVING other than it is stored.

    row_version tells whether the row is still the one that the visit compared with.
    """
    due = seen.due
    return row_version != due.row_version or _steady(row) != due.before[: len(STEADY)]


_steady: Final = itemgetter(*STEADY)


def _coverage(row: Row, seen: Seen) -> Mapping[str, str]:
    """Count conclusive and applicable rules anew for the cadences of this visit.

    Returns the core rules that are unknown: those this visit could not tell, and those that
    other cadences left.
    """
    before, settings = seen.due.before, seen.policy.settings
    conclusive = _counts(before.conclusive_counts, seen.cadences)
    applicable = _counts(before.applicable_counts, seen.cadences)
    unknown: dict[str, str] = {}
    for rule_id, verdict in seen.verdicts.items():
        outcome, rule = verdict.outcome, settings[rule_id].rule
        place = PLACE[rule.cadence]
        if outcome is Outcome.PASS or outcome is Outcome.FAIL:
            conclusive[place] += 1
            applicable[place] += 1
            continue
        applicable[place] += could_apply(verdict)
        if outcome is Outcome.UNKNOWN and rule.is_core:
            unknown[rule_id] = verdict.reason or "undetermined"
    if before.core_unknown:
        unknown |= {
            rule_id: reason
            for rule_id, reason in before.core_unknown.items()
            if rule_id not in seen.verdicts and rule_id in settings
        }
    row["conclusive_counts"], row["applicable_counts"] = conclusive, applicable
    row["core_unknown"] = unknown
    return unknown


def _counts(before: list[int], cadences: frozenset[Cadence]) -> list[int]:
    counts = list(before) if len(before) == len(VISITED) else [0] * len(VISITED)
    for cadence in cadences:
        counts[PLACE[cadence]] = 0
    return counts


class Lit(Protocol):
    """The lamps as they were, and since when."""

    @property
    def compliance(self) -> str: ...
    @property
    def health(self) -> str: ...
    @property
    def compliance_since(self) -> datetime | None: ...
    @property
    def health_since(self) -> datetime | None: ...


def light(row: Row, before: Lit, live: Live, unknown: list[Kind], at: datetime) -> None:
    """Light the lamps from what is wrong and from the kinds of the core rules that are unknown."""
    compliance, health, order = _lit(tuple(live.fails), tuple(unknown))
    row["compliance"], row["health"], row["rank"] = compliance, health, order
    is_same = before.compliance == compliance and before.compliance_since is not None
    row["compliance_since"] = before.compliance_since if is_same else at
    is_same = before.health == health and before.health_since is not None
    row["health_since"] = before.health_since if is_same else at
    row["critical_count"] = live.critical_count
    row["warning_count"] = live.warning_count
    row["waived_count"] = live.waived_count
    row["pending_count"] = len(live.pending_rules)
    row["worst_short"], row["worst_rule_id"] = live.worst_short, live.worst_rule_id
    row["oldest_opened_at"] = live.oldest_opened_at


@lru_cache(maxsize=4096)
def _lit(
    fails: tuple[tuple[Kind, Severity], ...], unknown: tuple[Kind, ...]
) -> tuple[str, str, int]:
    """Give both lamps and the rank in lists: a fleet has few mixtures of fails."""
    compliance, health = lamps(fails, unknown)
    return compliance.value, health.value, rank(compliance, health)


def _who(row: Row, seen: Seen) -> None:
    before, redis, emailengine = seen.due.before, seen.facts.redis, seen.facts.emailengine
    row["is_redis_only"] = seen.due.is_redis_only
    row["emailengine_version"] = before.emailengine_version
    if seen.due.is_redis_only:
        row["emailengine_version"] = ""
    elif not isinstance(emailengine, Missing) and not isinstance(emailengine.version, Missing):
        row["emailengine_version"] = emailengine.version[:VERSION_LENGTH]
    row["engine"], row["version"], row["run_id"] = before.engine, before.version, before.run_id
    row["blocked_clients"], row["last_save_at"] = before.blocked_clients, before.last_save_at
    if not isinstance(redis, Missing):
        row["engine"] = redis.engine.value
        _take(row, "version", redis.version, _short)
        _take(row, "run_id", redis.run_id, _short)
        _take(row, "blocked_clients", redis.blocked_clients, _int4)
        _take(row, "last_save_at", redis.rdb_last_save_time_s, _instant)


def _take(row: Row, name: str, value: Any, fit: Callable[[Any], Any]) -> None:
    if not isinstance(value, Missing):
        row[name] = fit(value)


def _figures(row: Row, seen: Seen) -> None:
    """RTT and memory as the rules judged them, and the samples that the next visit starts from."""
    before = seen.due.before
    row["recent_rtt_us"] = _recent_rtt(seen)
    row["recent_stall_us"] = before.recent_stall_us
    row["rtt_us"], row["rtt_vantage"] = before.rtt_us, before.rtt_vantage
    row["used_ratio"], row["ceiling_bytes"] = before.used_ratio, before.ceiling_bytes
    row["last_backup_at"] = _last_backup(seen)
    if Cadence.LATENCY in seen.cadences:
        row["rtt_us"], row["rtt_vantage"] = _rtt(seen)
        stall_us = stall_sample(seen.facts)
        if not isinstance(stall_us, Missing):
            row["recent_stall_us"] = _recent(before.recent_stall_us, stall_us)
    headroom = seen.verdicts.get("redis.memory-headroom")
    if headroom is not None:
        used, ceiling = headroom.evidence.get("used_ratio"), headroom.evidence.get("ceiling_bytes")
        row["used_ratio"] = used
        row["ceiling_bytes"] = None if ceiling is None else min(int(ceiling), 2**63 - 1)


def _last_backup(seen: Seen) -> datetime | None:
    """Give of when the content of the newest good copy is; None where there is none."""
    backup = seen.facts.backup
    if isinstance(backup, Missing):
        return seen.due.before.last_backup_at
    ages_s = [one.good.age_s for one in backup.sources if not isinstance(one.good, Missing)]
    if not ages_s:
        return None
    return (seen.at - timedelta(seconds=min(ages_s))).replace(microsecond=0)


def _rtt(seen: Seen) -> tuple[int | None, str]:
    """Give what a list shows: the judged figure and its vantage; else ours, not judged."""
    verdict = seen.verdicts.get("pair.rtt")
    if verdict is not None and verdict.outcome in CONCLUSIVE:
        return _int4(verdict.evidence["rtt_us"]), str(verdict.evidence["vantage"])
    redis = seen.facts.redis
    if isinstance(redis, RedisFacts) and not isinstance(redis.round_trips, Missing):
        return _int4(redis.round_trips.median_us), ""
    return None, ""


def _recent_rtt(seen: Seen) -> str:
    before, sample = seen.due.before, rtt_sample(seen.facts)
    if isinstance(sample, Missing):
        return before.recent_rtt_us if sample == NOT_READ else ""
    kept = before.recent_rtt_us if before.rtt_vantage == sample.vantage else ""
    return _recent(kept, sample.rtt_us)


def _recent(kept: str, value: float) -> str:
    return " ".join([*kept.split(), str(_int4(value))][-RECENT:])


def _times(row: Row, seen: Seen) -> None:
    before, at, redis = seen.due.before, seen.at, seen.facts.redis
    for cadence, name in AT.items():
        row[name] = at if cadence in seen.cadences else getattr(before, name)
    row["recorded_claim"] = seen.due.claim
    row["checked_at"] = at
    row["answered_at"] = at if answered(redis) else before.answered_at


def answered(redis: RedisFacts | Missing) -> bool:
    """Say whether Redis answered well: a PING refused for a reason of its data is an answer too."""
    if isinstance(redis, Missing):
        return False
    return not isinstance(redis.ping, Missing) or redis.ping.reason == "misconf"


def _int4(value: float) -> int:
    return max(0, min(int(value), MOST_INT4))


def _short(value: str) -> str:
    return value[:VERSION_LENGTH]


def _instant(unix_s: float) -> datetime | None:
    return datetime.fromtimestamp(unix_s, UTC) if 0 < unix_s <= MOST_UNIX_S else None

"""Visits without a network: what a probe would have read is given, all behind it is real."""

from __future__ import annotations

from datetime import UTC, datetime

from checks.facts import Missing
from checks.probes.pair import PairReading, implied
from fleet.history.partitions import ensure_day
from fleet.inspections.cadences import ALL_BITS, VISITED, from_bits
from fleet.inspections.judge import Seen, judge
from fleet.inspections.load import Due, load
from fleet.inspections.record import record
from fleet.inspections.schedule import claim_due, ensure_schedule
from fleet.inspections.terms import terms
from fleet.registry.models import Pair, Worker
from tests.checks.pairs import EMAILENGINE, facts_with
from tests.fleet.backups.sources import make_proven
from tests.fleet.factories import make_pair, make_worker

NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
EVERYTHING = frozenset(VISITED)
UNREACHED = Missing("refused", "10.0.0.1:6379 was not reached: connection refused")


def make_pairs(count: int, **fields) -> list[Pair]:
    """Register pairs in a zone with a worker, backed up and restored, and give them their schedule."""
    pairs = [make_pair(**fields) for _ in range(count)]
    for pair in pairs:
        make_proven(pair, NOW)
    ensure_schedule(NOW)
    seen(NOW)
    return pairs


def seen(now: datetime, zone: str = "eu-1") -> None:
    """Let a worker of the zone report itself."""
    workers = Worker.objects.filter(zone__slug=zone)
    if not workers.update(last_seen_at=now):
        make_worker(zone, now=now)


def claimed(now: datetime, limit: int = 1000, bits: int | None = None) -> list[Due]:
    """Claim what is due and load it; bits replaces the cadences that were due."""
    seen(now)
    tokens = [(one.target_id, one.claim, bits or one.bits) for one in claim_due(now, limit)]
    return load(tokens, now)


def reading(cadences=EVERYTHING, redis=None, emailengine=None, duration_s=0.02, **redis_fields):
    """Give what a visit to a healthy pair reads, but for what is named."""
    facts = facts_with(redis=redis, **redis_fields)
    return PairReading(
        facts.redis,
        EMAILENGINE if emailengine is None else emailengine,
        (("INFO", "# Server\nredis_version:7.2.6"), ("CONFIG GET save", "save 900 1 300 10")),
        duration_s,
        implied(cadences),
    )


def judged(due: Due, at: datetime, cadences=None, policies=None, **what) -> Seen:
    """Judge a visit that read a healthy pair, but for what is named."""
    policy = (policies or terms().policies).of(*due.home)
    return judge(due, at, reading(cadences or due.cadences, **what), policy)


def visit(now: datetime, *, bits: int = ALL_BITS, **what) -> int:
    """Claim what is due, read it, record it; returns how many visits counted."""
    ensure_day(now.date())
    dues = claimed(now, bits=bits)
    return record([judged(due, now, from_bits(bits), **what) for due in dues])

"""From a reading to verdicts: what a visit saw and what the rules say of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from checks.deltas import Memory, compare
from checks.evaluate import evaluate
from checks.facts import Missing, PairFacts
from checks.past import look_back
from checks.policy import Policy
from checks.probes.pair import PairReading
from checks.probes.redis import Raw
from checks.quick import quickly_made
from checks.rule import Cadence, Verdict
from fleet.inspections.blind import BLIND
from fleet.inspections.load import Due, unseen


@quickly_made
@dataclass(frozen=True, slots=True)
class Seen:
    """One visit, judged: what is recorded."""

    due: Due
    at: datetime
    duration_s: float
    cadences: frozenset[Cadence]
    facts: PairFacts
    verdicts: dict[str, Verdict]
    raw: Raw
    policy: Policy
    memory: Memory


def judge(due: Due, at: datetime, reading: PairReading, policy: Policy) -> Seen:
    """Judge one reading by the rules of the cadences it read."""
    redis = reading.redis
    run_id = redis if isinstance(redis, Missing) else redis.run_id
    emailengine = due.reach.emailengine or reading.emailengine
    since, memory = compare(
        due.since(at, run_id),
        due.kept.memory,
        redis,
        emailengine,
        at.timestamp(),
        due.kept.acknowledged_at_s,
    )
    trend, past = look_back(memory.past, memory.began_s, redis, at.timestamp(), due.growth)
    facts = PairFacts(
        redis=redis,
        emailengine=emailengine,
        vantage=due.vantage,
        since=since,
        attested=due.attested,
        backup=due.backup,
        trend=trend,
        fleet=due.fleet,
    )
    verdicts = evaluate(facts, reading.cadences, policy)
    return Seen(
        due,
        at,
        reading.duration_s,
        reading.cadences,
        facts,
        verdicts,
        reading.raw,
        policy,
        memory if past is memory.past else replace(memory, past=past),
    )


def blinded(seen: Seen) -> Seen:
    """Judge a visit anew that a blind probe made: what it saw says nothing of the pair."""
    due = replace(seen.due, reach=unseen(seen.due.is_redis_only))
    reading = PairReading(BLIND, BLIND, (), seen.duration_s, seen.cadences)
    return judge(due, seen.at, reading, seen.policy)

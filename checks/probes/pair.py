"""One visit to one pair: Redis first, then its EmailEngine."""

import asyncio
import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Final

from checks.facts import NOT_CONFIGURED, EmailEngineFacts, Missing, RedisFacts
from checks.probes.emailengine import EmailEngineTarget, probe_emailengine
from checks.probes.http import Clients as Clients  # whoever probes makes one per event loop
from checks.probes.redis import Raw, RedisReading, RedisTarget, probe_redis
from checks.quick import quickly_made
from checks.rule import Cadence

VISIT_S: Final = 15.0
LEAST_S: Final = 0.5  # with less time left, EmailEngine is not asked
# Redis was not reached at all: EmailEngine may reach it from where it stands.
NOT_REACHED: Final = frozenset({"dns", "refused", "timeout", "tls"})
# Redis is well and refuses our account: does EmailEngine live on the connections it has?
REFUSED: Final = "auth"
# Redis answers PING so while it serves nobody: EmailEngine would hang.
STALLED: Final = frozenset({"loading", "busy"})
NOT_REGISTERED: Final[tuple[EmailEngineFacts | Missing, Raw]] = (NOT_CONFIGURED, ())


@dataclass(frozen=True, slots=True)
class PairTarget:
    """What is visited: a Redis, and its EmailEngine where one is registered."""

    redis: RedisTarget
    emailengine: EmailEngineTarget | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class PairReading:
    """What a visit brought. cadences are those really read: the implied and the widened too."""

    redis: RedisFacts | Missing
    emailengine: EmailEngineFacts | Missing
    raw: Raw
    duration_s: float
    cadences: frozenset[Cadence]


async def probe_pair(
    target: PairTarget, cadences: AbstractSet[Cadence], clients: Clients
) -> PairReading:
    """Visit a pair within 15 s; whatever it does is a fact, and nothing is raised for it.

    Health is read in each visit, persistence brings stats with it. EmailEngine is asked only
    after Redis answered, for a hung Redis blocks all its URLs; where Redis was not even
    connected to, or refuses our account, /health is asked once. Errors of our own code do come through.
    """
    started = time.perf_counter()
    asked = implied(cadences)
    redis = await probe_redis(target.redis, asked)
    if redis.widened:
        asked = implied(asked | {Cadence.PERSISTENCE})
    left_s = VISIT_S - (time.perf_counter() - started)
    facts, raw = NOT_REGISTERED
    if target.emailengine is not None:
        facts, raw = await _emailengine(target.emailengine, redis, asked, clients, left_s)
    return PairReading(
        redis=redis.facts,
        emailengine=facts,
        raw=redis.raw + raw,
        duration_s=time.perf_counter() - started,
        cadences=asked,
    )


def implied(cadences: AbstractSet[Cadence]) -> frozenset[Cadence]:
    """Add what is read along: health always, stats with persistence."""
    along = {Cadence.HEALTH}
    if Cadence.PERSISTENCE in cadences:
        along.add(Cadence.STATS)
    return frozenset(cadences | along)


async def _emailengine(
    target: EmailEngineTarget,
    redis: RedisReading,
    cadences: frozenset[Cadence],
    clients: Clients,
    left_s: float,
) -> tuple[EmailEngineFacts | Missing, Raw]:
    if why := _unasked(redis):
        text = f"EmailEngine is not asked while Redis does not answer: {why}"
        return Missing("depends_on", text, "redis.reachable"), ()
    if left_s < LEAST_S:
        return Missing("timeout", f"the visit's {VISIT_S:g} s went by with Redis"), ()
    reading = await probe_emailengine(
        target,
        clients,
        with_stats=isinstance(redis.facts, RedisFacts) and Cadence.STATS in cadences,
        redis=redis.facts,
        deadline_s=min(left_s, target.deadline_s),
    )
    return reading.facts, reading.raw


def _unasked(redis: RedisReading) -> str:
    """Say why EmailEngine is left alone: Redis answers nobody, or not us. "" where it is asked."""
    facts = redis.facts
    if isinstance(facts, Missing):
        is_out_of_reach = facts.reason in NOT_REACHED and not redis.is_connected
        return "" if is_out_of_reach or facts.reason == REFUSED else facts.text
    ping = facts.ping
    return ping.text if isinstance(ping, Missing) and ping.reason in STALLED else ""


def probe_now(target: PairTarget, cadences: AbstractSet[Cadence]) -> PairReading:
    """Visit one pair from code that has no event loop, such as a command line."""

    async def visit() -> PairReading:
        async with Clients() as clients:
            return await probe_pair(target, cadences, clients)

    return asyncio.run(visit())

"""Run a connection test in a worker of the pair's zone: rung by rung, as far as it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import fields
from datetime import datetime
from typing import Any, Final

from django.db import connection

from checks.address import AddressError, RedisAddress, parse_redis_url
from checks.dial import Dialed, DialError, addresses_of, dial, dial_unix
from checks.facts import EmailEngineFacts, Missing, RedisFacts
from checks.probes.pair import Clients, PairReading, PairTarget, probe_pair
from checks.rule import Cadence
from fleet.inspections.ladder import STEPS, WITHIN, Draft, Rung, Step, to_json
from fleet.inspections.models import ConnectionTest
from fleet.inspections.targets import Columns, emailengine_target, redis_target
from fleet.registry.egress import egress_rules
from fleet.registry.sealed import SecretError

EVERYTHING: Final = frozenset({Cadence.HEALTH, Cadence.LATENCY, Cadence.PERSISTENCE})
CLIMB_S: Final = WITHIN.total_seconds() - 3
# How many texts of what is refused are told; the rest is counted.
TOLD: Final = 2
OK: Final = 200

HAS_UNSENT: Final = """EXISTS (
    SELECT FROM inspections_connectiontest WHERE started_at IS NULL AND expires_at > %(now)s
)"""
CLAIM: Final = """
UPDATE inspections_connectiontest c SET started_at = %s
FROM registry_zone z
WHERE z.id = c.zone_id AND c.started_at IS NULL AND c.expires_at > %s
RETURNING c.id, z.slug
"""


def claim_tests(now: datetime) -> list[tuple[int, str]]:
    """Take the tests nobody has sent yet: (id, zone), each given once."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, [now, now])
        return [(test_id, zone) for test_id, zone in cursor.fetchall()]


def run_test(test_id: int) -> None:
    """Try a draft and store its ladder; a test that is gone or has one is left alone."""
    test = ConnectionTest.objects.filter(pk=test_id, result__isnull=True).first()
    if test is None:
        return
    rungs = asyncio.run(climb(Draft(**test.draft)))
    ConnectionTest.objects.filter(pk=test_id).update(result=to_json(rungs))


async def climb(draft: Draft) -> tuple[Rung, ...]:
    """Try a draft from this process: name, connection, TLS, sign-in, rights, EmailEngine.

    Ends within 17 s. Sends what a visit of all cadences sends, and opens one connection more.
    """
    columns = Columns(**{one.name: getattr(draft, one.name) for one in fields(Columns)})
    rungs: list[Rung] = []
    try:
        async with asyncio.timeout(CLIMB_S):
            await _climb(columns, rungs)
    except TimeoutError:
        text = f"not finished within {CLIMB_S:g} s"
        rungs.append(Rung(STEPS[len(rungs)], "failed", text, "timeout"))
    tried = {rung.step for rung in rungs}
    return (*rungs, *(Rung(step, "not_tried") for step in STEPS if step not in tried))


async def _climb(columns: Columns, rungs: list[Rung]) -> None:
    """Add rung after rung; the first failure ends it."""
    try:
        address = parse_redis_url(columns.redis_url)
    except AddressError as error:
        rungs.append(Rung("name", "failed", str(error), "undetermined"))
        return
    if not await _reach(address, rungs):
        return
    try:
        target = PairTarget(
            redis_target(columns),
            emailengine_target(columns) if columns.emailengine_url else None,
        )
    except (SecretError, AddressError) as error:
        rungs += [_tls(address, columns), Rung("sign_in", "failed", str(error), "undetermined")]
        return
    async with Clients() as clients:
        reading = await probe_pair(target, EVERYTHING, clients)
    rungs += _redis(address, columns, reading)
    if rungs[-1].state != "failed":
        rungs.append(_emailengine(columns, reading))


async def _reach(address: RedisAddress, rungs: list[Rung]) -> bool:
    """Resolve the name and connect once, to tell the two apart and to time them."""
    step: Step = "name"
    clock = asyncio.get_running_loop()
    try:
        if not address.path:
            started = clock.time()
            found = ", ".join(await addresses_of(address.host))
            learnt = found if found != address.host else "an address, no name"
            rungs.append(Rung("name", "ok", learnt, ms=_ms(clock.time() - started)))
        else:
            rungs.append(Rung("name", "skipped", "a unix socket"))
        step = "connection"
        dialed = await _dial(address)
    except DialError as error:
        rungs.append(Rung(step, "failed", str(error), error.reason))
        return False
    dialed.sock.close()
    rungs.append(Rung("connection", "ok", dialed.address, ms=dialed.connect_us / 1000))
    return True


async def _dial(address: RedisAddress) -> Dialed:
    if address.path:
        return await dial_unix(address.path, egress_rules())
    return await dial(address.host, address.port, egress_rules())


def _redis(address: RedisAddress, columns: Columns, reading: PairReading) -> list[Rung]:
    """Give the rungs TLS, sign-in and rights, up to the first that failed."""
    redis = reading.redis
    if isinstance(redis, Missing):
        if redis.reason == "tls":
            return [Rung("tls", "failed", redis.text, "tls")]
        return [_tls(address, columns), Rung("sign_in", "failed", redis.text, redis.reason)]
    if isinstance(redis.ping, Missing) and redis.ping.reason == "auth":
        # Refused, yet read: a server whose default account needs no password still answers.
        return [_tls(address, columns), Rung("sign_in", "failed", redis.ping.text, "auth")]
    name = f"{redis.engine.label} {_text(redis.version)}".strip()
    as_whom = f"{name}, as {address.user}" if address.user else name
    signed_in = Rung("sign_in", "ok", as_whom, ms=_median_ms(redis))
    return [_tls(address, columns), signed_in, _rights(redis)]


def _tls(address: RedisAddress, columns: Columns) -> Rung:
    if not address.is_tls:
        return Rung("tls", "skipped", "not used: the URL is not rediss://")
    if not columns.redis_tls_verify:
        return Rung("tls", "warned", "the certificate was not verified, as asked")
    return Rung("tls", "ok", "the certificate is trusted")


def _rights(redis: RedisFacts) -> Rung:
    """Say what our account may not read; each text tells what to grant."""
    refused = _refusals(getattr(redis, one.name) for one in fields(redis))
    if not refused:
        return Rung("rights", "ok", "everything that is judged can be read")
    told = "; ".join(refused[:TOLD])
    more = f"; and {len(refused) - TOLD} more" if len(refused) > TOLD else ""
    return Rung("rights", "warned", told + more, "no_permission")


def _refusals(values: Iterable[Any]) -> list[str]:
    found = (value for value in values if isinstance(value, Missing))
    return list(dict.fromkeys(value.text for value in found if value.reason == "no_permission"))


def _emailengine(columns: Columns, reading: PairReading) -> Rung:
    """Say whether EmailEngine answers, and whether its tokens are good."""
    facts = reading.emailengine
    if not columns.emailengine_url:
        return Rung("emailengine", "skipped", "not registered")
    if isinstance(facts, Missing):
        return Rung("emailengine", "failed", facts.text, facts.reason)
    status, ms = facts.health_status, _health_ms(facts)
    if isinstance(status, Missing):
        return Rung("emailengine", "failed", status.text, status.reason, ms)
    if status != OK:
        text = f"/health answers {status}"
        return Rung("emailengine", "failed", text, "http_status", ms)
    for token, fact in (
        (columns.api_token, facts.queues),
        (columns.metrics_token, facts.started_at),
    ):
        if token and isinstance(fact, Missing):
            return Rung("emailengine", "warned", fact.text, fact.reason, ms)
    return Rung("emailengine", "ok", f"EmailEngine {_text(facts.version)}".strip(), ms=ms)


def _text(value: str | Missing) -> str:
    return "" if isinstance(value, Missing) else value


def _median_ms(redis: RedisFacts) -> float | None:
    trips = redis.round_trips
    return None if isinstance(trips, Missing) else trips.median_us / 1000


def _health_ms(facts: EmailEngineFacts) -> float | None:
    return None if isinstance(facts.health_s, Missing) else _ms(facts.health_s)


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)

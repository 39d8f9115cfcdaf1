"""A visit to a pair: who is asked when, and what is never raised."""

import asyncio
import time

import pytest

from checks.address import EmailEngineAddress, RedisAddress
from checks.egress import EgressRules
from checks.facts import NOT_CONFIGURED, Missing
from checks.probes.emailengine import EmailEngineTarget
from checks.probes.pair import Clients, PairTarget, implied, probe_now, probe_pair
from checks.probes.redis import LastSeen, RedisTarget
from checks.rule import Cadence
from tests.loopback import saying, serving, shut_port
from tests.replaying import Page, captured, emailengine, recorded

RULES = EgressRules(allow_loopback=True)
HEALTH = frozenset({Cadence.HEALTH})
PAGES = {
    "/health": Page(),
    "/v1/stats": recorded("/v1/stats", "stats-ok.json"),
    "/metrics": recorded("/metrics", "metrics-ok.txt"),
}


def pair(redis_port, engine_port=None, **options):
    redis = RedisTarget(RedisAddress("127.0.0.1", redis_port), rules=RULES, pings=2, **options)
    if engine_port is None:
        return PairTarget(redis)
    address = EmailEngineAddress("http", "127.0.0.1", engine_port)
    return PairTarget(redis, EmailEngineTarget(address, "", "mmm", "aaa", RULES))


@pytest.mark.parametrize(
    ("due", "read"),
    [
        ({Cadence.LATENCY}, {Cadence.HEALTH, Cadence.LATENCY}),
        ({Cadence.STATS}, {Cadence.HEALTH, Cadence.STATS}),
        ({Cadence.PERSISTENCE}, {Cadence.HEALTH, Cadence.PERSISTENCE, Cadence.STATS}),
        ({Cadence.BACKUP}, {Cadence.HEALTH, Cadence.BACKUP}),
    ],
)
def test_what_is_read_along(due, read):
    assert implied(frozenset(due)) == read


def test_both_halves():
    with serving(captured("redis-7.0.15/compliant")) as port, emailengine(PAGES) as engine:
        reading = probe_now(pair(port, engine.port), {Cadence.PERSISTENCE, Cadence.LATENCY})

    assert reading.redis.save == ((900, 1), (300, 10))
    assert reading.redis.round_trips.count == 2
    assert reading.emailengine.version == "2.79.2"
    assert reading.cadences == {
        Cadence.HEALTH, Cadence.PERSISTENCE, Cadence.LATENCY, Cadence.STATS,
    }  # fmt: skip
    assert [name for name, _ in reading.raw][-3:] == [
        "GET /health",
        "GET /v1/stats",
        "GET /metrics",
    ]
    assert 0 < reading.duration_s < 5


def test_redis_only():
    with serving(captured("redis-7.0.15/compliant")) as port:
        reading = probe_now(pair(port), HEALTH)

    assert reading.emailengine == NOT_CONFIGURED


def test_a_widened_visit_reads_stats_too():
    with serving(captured("redis-7.0.15/compliant")) as port, emailengine(PAGES) as engine:
        reading = probe_now(pair(port, engine.port, last=LastSeen("gone", 0)), HEALTH)

    assert reading.cadences == {Cadence.HEALTH, Cadence.PERSISTENCE, Cadence.STATS}
    assert len(engine.asked) == 3


def test_health_alone_while_redis_is_out_of_reach():
    with shut_port() as port, emailengine(PAGES) as engine:
        reading = probe_now(pair(port, engine.port), frozenset(Cadence))

    assert (reading.redis.reason, reading.emailengine.health_status) == ("refused", 200)
    assert engine.paths == ["/health"]


@pytest.mark.parametrize(
    ("talk", "reason", "within_s"),
    [
        (captured("redis-7.0.15/busy-script"), "busy", 5),
        (captured("redis-7.0.15/maxclients-reached"), "max_clients", 5),
        (captured("redis-7.0.15/protected-mode-denied"), "protected_mode", 5),
        (saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "protocol", 5),
        (lambda connection: connection.recv(1) and time.sleep(2), "timeout", 0.2),
    ],
)
def test_emailengine_is_left_alone_while_redis_does_not_answer(talk, reason, within_s):
    with serving(talk) as port, emailengine(PAGES) as engine:
        reading = probe_now(pair(port, engine.port, timeout_s=within_s), frozenset(Cadence))

    assert (reading.redis.reason, engine.asked) == (reason, [])
    assert reading.emailengine == Missing(
        "depends_on",
        f"EmailEngine is not asked while Redis does not answer: {reading.redis.text}",
        "redis.reachable",
    )


def test_health_alone_while_redis_refuses_our_account():
    refusing = captured("redis-7.0.15/requirepass-not-authenticated")
    with serving(refusing) as port, emailengine(PAGES) as engine:
        reading = probe_now(pair(port, engine.port), frozenset(Cadence))

    assert (reading.redis.reason, reading.emailengine.health_status) == ("auth", 200)
    assert engine.paths == ["/health"]


def test_emailengine_is_left_alone_while_redis_loads():
    with serving(captured("redis-7.0.15/loading-dataset")) as port, emailengine(PAGES) as engine:
        reading = probe_now(pair(port, engine.port), HEALTH)

    assert (reading.redis.ping.reason, engine.asked) == ("loading", [])
    assert reading.emailengine.rule == "redis.reachable"


def test_emailengine_is_asked_where_redis_refuses_writes():
    refused = {"/health": Page(500, b"<html>"), "/v1/stats": Page(401, b"{}")}
    with serving(captured("redis-7.0.15/bgsave-failing")) as port, emailengine(refused) as engine:
        reading = probe_now(pair(port, engine.port), frozenset(Cadence))

    assert (reading.redis.ping.reason, reading.emailengine.health_status) == ("misconf", 500)
    assert reading.emailengine.redis_warnings.rule == "redis.accepts-writes"


def test_many_pairs_at_once():
    async def visits(port, engine):
        async with Clients() as clients:
            targets = [pair(port, engine.port)] * 20
            return await asyncio.gather(*(probe_pair(one, HEALTH, clients) for one in targets))

    with serving(captured("redis-7.0.15/compliant")) as port, emailengine(PAGES) as engine:
        readings = asyncio.run(visits(port, engine))

    assert {reading.emailengine.health_status for reading in readings} == {200}
    assert engine.most_at_once == 1

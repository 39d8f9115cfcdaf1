"""EmailEngine's queues straight from a real server, with and without the right to read them."""

import asyncio

import pytest
import redis as client

from checks.address import parse_redis_url
from checks.egress import EgressRules
from checks.facts import Engine, Queue
from checks.probes.acl import acl_rules
from checks.probes.redis import RedisTarget, probe_redis
from checks.probes.redis_queues import RIGHTS
from checks.rule import Cadence
from tests import servers

pytestmark = pytest.mark.live

RULES = EgressRules(allow_loopback=True)
STATS = frozenset({Cadence.HEALTH, Cadence.STATS})
DATABASE = 8
EVERY = [servers.redis, servers.system_redis, servers.valkey]


def read(server, url=None, prefix=""):
    target = RedisTarget(parse_redis_url(url or at(server)), rules=RULES, queue_prefix=prefix)
    return asyncio.run(probe_redis(target, STATS)).facts


def at(server):
    return server.url.rstrip("/").removesuffix("/0") + f"/{DATABASE}"


def fill(connection, prefix=""):
    """Lay out keys as BullMQ 6 does: 3 jobs wait, 2 were sent, one queue is paused; gives the time."""
    now_ms = time_ms(connection)
    submit = f"{prefix}bull:submit"
    for number in range(3):
        connection.lpush(f"{submit}:wait", f"job{number}")
        added = now_ms - 60_000 + number * 1000
        connection.hset(f"{submit}:job{number}", mapping={"timestamp": added, "opts": "{}"})
    connection.zadd(f"{submit}:delayed", {"later": 1})
    connection.hset(f"{prefix}bull:notify:meta", "paused", 1)
    for ago, event, job in (
        (9000, "waiting", "s1"),
        (8000, "active", "s1"),
        (7000, "completed", "s1"),
    ):
        connection.xadd(f"{submit}:events", {"event": event, "jobId": job}, id=f"{now_ms - ago}-0")
    return now_ms


def time_ms(connection):
    """Ask the server for its time."""
    seconds, micros = connection.time()
    return seconds * 1000 + micros // 1000


@pytest.mark.parametrize("start", EVERY)
@pytest.mark.parametrize("prefix", ["", "p:"])
def test_queues_are_read_from_their_own_database(start, prefix):
    with start() as server, client.Redis.from_url(at(server)) as connection:
        filled_ms = fill(connection, prefix)
        facts = read(server, prefix=prefix.rstrip(":"))
        most_s = 60 + (time_ms(connection) - filled_ms) / 1000

    notify, submit, documents = facts.queues
    assert (submit.waiting_count, submit.active_count, submit.delayed_count) == (3, 0, 1)
    assert 60 <= submit.oldest_waiting_s <= most_s
    assert (notify.is_paused, submit.is_paused) == (True, False)
    assert documents == Queue("documents", 0, 0, 0, is_paused=False, oldest_waiting_s=0.0)
    assert facts.deliveries.finished_s == (2.0,)


@pytest.mark.parametrize("start", EVERY)
def test_without_the_right_one_command_is_refused_and_the_right_is_named(start):
    with start() as server, client.Redis.from_url(at(server)) as connection:
        rules = acl_rules(Engine.KEYDB).split()
        connection.execute_command("ACL", "SETUSER", "probe", "on", ">secret", *rules)
        url = at(server).replace("redis://", "redis://probe:secret@")
        facts = read(server, url)
        refused = connection.info("errorstats")["errorstat_NOPERM"]["count"]

    assert facts.queues.reason == facts.deliveries.reason == "no_permission"
    assert "+llen" in facts.queues.text
    assert "%R~bull:*" in facts.queues.text
    assert refused <= 2


def test_the_rights_named_are_enough():
    with servers.system_redis() as server:
        with client.Redis.from_url(at(server)) as connection:
            fill(connection)
            rules = [*acl_rules(Engine.REDIS).split(), *(f"+{one}" for one in RIGHTS), "%R~bull:*"]
            connection.execute_command("ACL", "SETUSER", "probe", "on", ">secret", *rules)
        facts = read(server, at(server).replace("redis://", "redis://probe:secret@"))

    assert [queue.waiting_count for queue in facts.queues] == [0, 3, 0]
    assert facts.deliveries.finished_s == (2.0,)


def test_queues_nobody_registered_are_left_alone():
    with servers.redis() as server:
        facts = read(server, prefix=None)

    assert facts.queues.text == "not read in this visit"

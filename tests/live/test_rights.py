"""An account that lacks a right: exactly the rules that need it are unknown, and name it."""

import asyncio
from contextlib import ExitStack
from dataclasses import replace

import pytest
import redis as client

from checks.address import parse_redis_url
from checks.evaluate import evaluate
from checks.facts import Engine
from checks.probes.acl import acl_line, queues_line
from checks.probes.redis import RedisTarget, probe_redis
from checks.probes.redis_commands import RIGHTS
from checks.probes.redis_queues import RIGHTS as QUEUE_RIGHTS
from checks.rule import Cadence, Outcome
from tests import servers
from tests.checks.pairs import HEALTHY
from tests.live.patients import READ, RULES

pytestmark = pytest.mark.live

PASSWORD = "correct-horse"
DATABASE = 8
WORKERS = ("bull:bm90aWZ5", "bull:c3VibWl0")
CONFIG_GET = {
    "redis.command-size-limit",
    "redis.durability",
    "redis.idle-timeout",
    "redis.pubsub-buffers",
    "redis.rdb-fresh",
    "redis.rdb-schedule",
    "redis.tcp-keepalive",
}
INFO = {
    "pair.data-intact",
    "pair.same-redis",
    "redis.accepts-writes",
    "redis.aof-disk",
    "redis.aof-last-status",
    "redis.clients-headroom",
    "redis.credentials-drift",
    "redis.endpoint-role",
    "redis.evicted-keys",
    "redis.eviction-policy",
    "redis.fragmentation",
    "redis.maxmemory-set",
    "redis.memory-forecast",
    "redis.memory-headroom",
    "redis.memory-provisioning",
    "redis.rdb-fresh",
    "redis.rdb-last-status",
    "redis.rdb-schedule",
    "redis.replication",
    "redis.shared-instance",
    "redis.snapshot-headroom",
    "redis.standalone",
    "redis.version",
}
# What each right of the shipped line is for, on these servers.
NEEDED_BY = {
    "acl|getuser": {"redis.probe-privilege"},
    "client|list": {"emailengine.queue-workers", "pair.single-instance"},
    "client|setname": set(),  # only names our connection
    "cluster|info": set(),  # only asked in cluster mode
    "config|get": CONFIG_GET,
    "hello": set(),  # only asked where INFO is refused
    "info": INFO,
    "ping": set(),  # a refused PING is answered, and takes as long
    "time": set(),  # only asked where INFO tells no clock, on 6.0
}


@pytest.mark.parametrize("start", [servers.redis, servers.system_redis, servers.valkey])
def test_exactly_the_rules_that_need_a_right_are_unknown_and_name_it(start):
    with start("maxmemory", "100mb") as server, workers_of(server):
        grant(server, acl_line(Engine.REDIS))
        complete = unknowns(server)
        found = {}
        for right in NEEDED_BY:
            grant(server, acl_line(Engine.REDIS).replace(f" +{right}", ""))
            lacking = unknowns(server)
            found[right] = set(lacking) - set(complete)
            for rule_id in found[right]:
                assert f"grant +{right}" in lacking[rule_id].message
                assert lacking[rule_id].reason == "no_permission"

    assert found == NEEDED_BY


@pytest.mark.parametrize("start", [servers.redis, servers.system_redis, servers.valkey])
def test_the_queues_want_each_right_of_their_line_and_no_other(start):
    line = queues_line()
    with start("maxmemory", "100mb") as server, workers_of(server):
        grant(server, acl_line(Engine.REDIS))
        add(server, line)
        let_a_job_wait(server)
        complete = unknowns(server)
        found = {}
        for right in (*QUEUE_RIGHTS, "~bull:*"):
            grant(server, acl_line(Engine.REDIS))
            add(server, line.replace(f" {right}" if right[0] == "~" else f" +{right}", ""))
            lacking = unknowns(server)
            found[right] = set(lacking) - set(complete)
            for rule_id in found[right]:
                assert right in lacking[rule_id].message
                assert lacking[rule_id].reason == "no_permission"

    assert "emailengine.delivery-time" not in complete
    assert all(rules == {"emailengine.delivery-time"} for rules in found.values()), found


def let_a_job_wait(server):
    """Put one job into the submit queue, as EmailEngine does: its age is asked for too."""
    with client.Redis.from_url(server.url, db=DATABASE) as writer:
        writer.hset("bull:submit:1", mapping={"timestamp": writer.time()[0] * 1000, "delay": 0})
        writer.lpush("bull:submit:wait", "1")


def add(server, line):
    """Widen our account."""
    with client.Redis.from_url(server.url) as admin:
        admin.execute_command(*line.split())


def test_the_table_names_every_right_of_the_shipped_line():
    assert set(NEEDED_BY) == set(RIGHTS)


def workers_of(server):
    """Connect as EmailEngine's queue workers do."""
    connected = ExitStack()
    for name in WORKERS:
        worker = connected.enter_context(
            client.Redis.from_url(server.url, db=DATABASE, client_name=name)
        )
        worker.ping()
    return connected


def grant(server, line):
    """Make our account anew, with the rights of this line alone."""
    with client.Redis.from_url(server.url) as admin:
        admin.execute_command("ACL", "DELUSER", "pairkeeper")
        admin.execute_command(*line.replace("CHOOSE-A-PASSWORD", PASSWORD).split())


def unknowns(server):
    """Visit with our account; return the verdicts that are unknown, beside a healthy EmailEngine."""
    url = server.url.replace("redis://", "redis://pairkeeper@").removesuffix("/0")
    address = parse_redis_url(f"{url}/{DATABASE}")
    target = RedisTarget(address, PASSWORD, rules=RULES, queue_prefix="")
    facts = asyncio.run(probe_redis(target, READ)).facts
    if isinstance(facts.uptime_s, int):
        facts = replace(facts, uptime_s=3_600)  # its first minute would not be judged
    verdicts = evaluate(replace(HEALTHY, redis=facts), frozenset(Cadence))
    return {
        rule_id: verdict
        for rule_id, verdict in verdicts.items()
        if verdict.outcome is Outcome.UNKNOWN
    }

"""What every rule must say of every captured situation, and why; nothing goes unsaid.

Judged as a shell does: one look, from where EmailEngine is taken to stand, nothing attested, no
registry, no history. `?` is unknown, `-` not applicable, else `pass` or the severity of a fail.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache

import pytest

from checks.catalog import RULES
from checks.evaluate import evaluate
from checks.facts import NOT_CONFIGURED, PairFacts, RedisFacts, RoundTrips, Vantage
from checks.rule import Cadence, Outcome
from tests.checks.pairs import TRIPS
from tests.checks.probes.test_captures import NAMES, read

SHELL = Vantage("here", zone_location="here", emailengine_location="here")

# A server set up as the vendor wants it. What one look at a Redis cannot tell is unknown.
COMPLIANT: Mapping[str, str] = {
    "redis.reachable": "pass",
    "redis.accepts-writes": "pass",
    "redis.standalone": "pass",
    "redis.version": "pass",
    "redis.engine-support": "pass",
    "redis.dragonfly-lua-flags": "-",  # other makes have no such flag
    "redis.command-size-limit": "pass",  # 512 MB, the default, whatever the largest message
    "redis.upstash-plan": "-",
    "redis.eviction-policy": "pass",
    "redis.evicted-keys": "pass",
    "redis.memory-headroom": "pass",  # 2 GB maxmemory, next to nothing used
    "redis.maxmemory-set": "pass",
    "redis.memory-provisioning": "-",  # the number of mailboxes is not registered
    "redis.memory-forecast": "?",  # only history tells
    "redis.snapshot-headroom": "?",  # the RAM is not attested
    "redis.fragmentation": "pass",  # too little is used to judge
    "redis.durability": "pass",
    "redis.rdb-schedule": "pass",
    "redis.rdb-fresh": "pass",
    "redis.rdb-last-status": "pass",
    "redis.aof-disk": "pass",  # no AOF
    "redis.aof-last-status": "pass",
    "redis.storage-medium": "?",  # nobody attests it
    "redis.tcp-keepalive": "pass",
    "redis.endpoint-role": "pass",
    "redis.clients-headroom": "?",  # rejections are counted from the second visit on
    "redis.pubsub-buffers": "pass",
    "redis.idle-timeout": "pass",
    "redis.private-endpoint": "pass",  # loopback
    "redis.access-control": "warning",  # they ran without a password, on loopback
    "redis.probe-privilege": "?",  # ACL was not captured
    "redis.replication": "?",  # how many replicas it used to have only history tells
    "redis.same-zone": "?",
    "redis.shared-instance": "-",
    "pair.rtt": "pass",
    "redis.stall": "pass",
    "emailengine.reachable": "-",  # no EmailEngine is given
    "emailengine.api-response": "-",
    "emailengine.queue-workers": "-",
    "emailengine.queue-size": "-",
    "pair.same-redis": "-",
    "pair.single-instance": "-",
    "pair.data-intact": "?",  # nothing to compare with at first sight
    "redis.credentials-drift": "?",
    "emailengine.version": "-",
    "emailengine.license": "-",
    "emailengine.workers": "-",
    "emailengine.accounts": "-",
    "emailengine.redis-warnings": "-",
    "emailengine.queue-paused": "-",
    "emailengine.processing-rate": "-",
    "emailengine.delivery-time": "-",
    "emailengine.bounce-rate": "-",
    "emailengine.webhooks": "-",
    "backup.configured": "-",  # from a shell there is no registry
    "backup.age": "-",
    "backup.secret-kept": "-",
    "backup.intact": "-",
    "backup.size": "-",
    "backup.restore-proven": "-",
}
# What is another way because of the make or its version, wherever the server answers INFO.
FIRST_COUNT = {"redis.pubsub-buffers": "?"}  # these count disconnections: a rise takes two visits
MAKES: Mapping[str, Mapping[str, str]] = {
    "redis-6.0.20": {"redis.version": "warning"},
    "redis-7.4.1": FIRST_COUNT,
    "redis-7.9.224-8.0-pre": FIRST_COUNT,
    "keydb-6.3.4": {"redis.engine-support": "warning"},  # experimental to the vendor
    # Outside the vendor's table.
    "valkey-8.0.1": {**FIRST_COUNT, "redis.engine-support": "info"},
}
NO_LIMIT = {
    "redis.maxmemory-set": "info",
    "redis.memory-headroom": "?",  # INFO tells the host's RAM, which may not be Redis' own
}
STOCK = {**NO_LIMIT, "redis.rdb-schedule": "warning"}  # 3600/1 300/100 60/10000 is too weak
NO_SAVES = {
    "redis.durability": "critical",
    "redis.rdb-schedule": "warning",
    "redis.rdb-fresh": "-",
    "redis.snapshot-headroom": "-",  # nothing forks
}
AOF = {
    "redis.aof-disk": "?",  # the disk's IOPS are not attested
    "redis.rdb-schedule": "-",  # the AOF bounds the loss
}
AOF_ONLY = {**AOF, "redis.durability": "warning", "redis.rdb-fresh": "-"}
REPLICA = {
    "redis.accepts-writes": "critical",
    "redis.endpoint-role": "critical",
    "redis.replication": "-",  # judged at the primary
}
FULL = {"redis.memory-headroom": "critical"}
NO_CONFIG = dict.fromkeys(
    (
        "redis.command-size-limit",
        "redis.durability",
        "redis.idle-timeout",
        "redis.pubsub-buffers",
        "redis.rdb-fresh",
        "redis.rdb-schedule",
        "redis.tcp-keepalive",
    ),
    "?",
)
# Everything that Redis itself must tell.
TOLD = [
    rule_id
    for rule_id, word in COMPLIANT.items()
    if rule_id.startswith(("redis.", "pair.")) and word != "-"
]
# A PING that is answered, over a path that is measured, and its make, which HELLO tells too.
CONNECTION = ("redis.reachable", "redis.private-endpoint", "pair.rtt", "redis.stall")
UNREACHED = {
    **dict.fromkeys((*TOLD, "redis.dragonfly-lua-flags", "redis.upstash-plan"), "?"),
    **dict.fromkeys(("redis.memory-provisioning", "redis.shared-instance"), "?"),
    **dict.fromkeys(("pair.same-redis", "pair.single-instance"), "?"),
}
BLIND = {
    **dict.fromkeys(set(TOLD) - {*CONNECTION, "redis.engine-support"}, "?"),
    "redis.access-control": "warning",
    "redis.memory-provisioning": "?",
    "redis.shared-instance": "?",
}
# It tells of itself; of the server that holds the data it tells nothing.
SENTINEL = {
    **{rule_id: word for rule_id, word in BLIND.items() if rule_id != "redis.version"},
    "redis.endpoint-role": "critical",
}
SITUATIONS: Mapping[str, Mapping[str, str]] = {
    "acl-user-no-admin-no-dangerous": BLIND,
    "acl-user-ping-get-only": BLIND,
    "aof-rewrite-in-progress": AOF,
    # AOF "always" is advised against, whoever attests what.
    "bad-allkeys-nokeepalive-aof-always": {
        **AOF_ONLY,
        **FULL,
        "redis.aof-disk": "warning",
        "redis.evicted-keys": "critical",
        "redis.eviction-policy": "critical",
        "redis.tcp-keepalive": "critical",
    },
    "bgsave-failing": {
        **NO_LIMIT,
        "redis.accepts-writes": "critical",
        "redis.rdb-last-status": "critical",
    },
    "bgsave-in-progress": {},
    "busy-script": {**UNREACHED, "redis.reachable": "warning"},  # less than 5 min, as far as known
    # Half of its slots is served, and it takes writes all the same: full coverage is off.
    "cluster-enabled-half-slots": {**STOCK, "redis.standalone": "critical"},
    "cluster-enabled-no-slots": {
        **STOCK,
        "redis.standalone": "critical",
        "redis.accepts-writes": "critical",
    },
    "cluster-enabled-one-node-all-slots": {**STOCK, "redis.standalone": "critical"},
    "compliant": {},
    "default": STOCK,
    "disk-full-aof": {
        **AOF,
        "redis.accepts-writes": "critical",
        "redis.aof-last-status": "critical",
    },
    "disk-full-bgsave": {"redis.accepts-writes": "critical", "redis.rdb-last-status": "critical"},
    # It is seconds old: a warning, and what hangs on the dataset waits.
    "loading-dataset": {
        **STOCK,
        "redis.reachable": "warning",
        "redis.accepts-writes": "?",
        "redis.rdb-fresh": "?",
        "pair.rtt": "?",
        "redis.stall": "?",
    },
    "maxclients-reached": {**UNREACHED, "redis.reachable": "critical"},
    "oom-noeviction": {
        **FULL,
        "redis.accepts-writes": "critical",
        "redis.rdb-schedule": "warning",
    },
    "primary-with-replica": {"redis.replication": "pass"},
    "protected-mode-denied": {**UNREACHED, "redis.reachable": "critical"},
    # CONFIG was not captured there.
    "protected-mode-open-because-bind-given": {**NO_CONFIG, **NO_LIMIT},
    "rename-command-config": NO_CONFIG,
    "replica-link-down": REPLICA,
    "replica-link-down-no-stale": REPLICA,
    "replica-link-up": REPLICA,
    "replica-syncing": REPLICA,
    "requirepass-not-authenticated": {**UNREACHED, "redis.reachable": "critical"},
    "sentinel-after-failover": SENTINEL,
    "sentinel-healthy": SENTINEL,
    "sentinel-monitored-primary": {"redis.replication": "pass"},
    "sentinel-primary-down": SENTINEL,
    "sentinel-promoted-replica": {},
    "tls-only-self-signed": {},
    # Whether it still finds anything to evict cannot be told: so neither can whether it takes writes.
    "volatile-lru-evicting": {
        **FULL,
        "redis.accepts-writes": "?",
        "redis.evicted-keys": "warning",
        "redis.eviction-policy": "warning",
        "redis.rdb-schedule": "warning",
    },
}
# Captures that were set up otherwise than their kin: these servers ran with save off.
OFF = dict.fromkeys((
    "redis-6.0.20/cluster-enabled-half-slots",
    "redis-6.0.20/cluster-enabled-no-slots",
    "redis-6.0.20/cluster-enabled-one-node-all-slots",
    "redis-6.0.20/default",
    "redis-6.0.20/oom-noeviction",
    "redis-6.0.20/volatile-lru-evicting",
    "redis-6.2.14/bgsave-in-progress",
), NO_SAVES)  # fmt: skip
EXCEPTIONS: Mapping[str, Mapping[str, str]] = {
    **OFF,
    "redis-6.2.14/aof-rewrite-in-progress": AOF_ONLY,
    # Save is off there, so that the failed save blocks no writes.
    "redis-6.2.14/bgsave-failing": {**NO_SAVES, "redis.accepts-writes": "pass"},
    # It refuses a bare HELLO as well as INFO: nothing tells its make.
    "redis-6.0.20/acl-user-no-admin-no-dangerous": {"redis.engine-support": "?"},
    "redis-6.0.20/acl-user-ping-get-only": {"redis.engine-support": "?"},
}


def expected(name):
    """Lay the situation over the make, and both over what a compliant server gets."""
    server, situation = name.split("/")
    here = SITUATIONS[situation]
    make = {rule: word for rule, word in MAKES.get(server, {}).items() if here.get(rule) != "?"}
    return {**COMPLIANT, **make, **here, **EXCEPTIONS.get(name, {})}


@cache
def said(name):
    """Judge a captured server by every rule."""
    redis = read(name).facts
    if isinstance(redis, RedisFacts) and isinstance(redis.round_trips, RoundTrips):
        # A busy machine must not decide: how long the replaying took says nothing of the capture.
        redis = replace(redis, round_trips=TRIPS)
    facts = PairFacts(redis=redis, emailengine=NOT_CONFIGURED, vantage=SHELL, backup=NOT_CONFIGURED)
    verdicts = evaluate(facts, frozenset(Cadence))
    return {rule_id: _word(verdict) for rule_id, verdict in verdicts.items()}


def _word(verdict):
    if verdict.outcome is Outcome.FAIL:
        return verdict.severity.value
    return {Outcome.UNKNOWN: "?", Outcome.NOT_APPLICABLE: "-"}.get(verdict.outcome, "pass")


@pytest.mark.parametrize("name", NAMES)
def test_every_rule_says_of_a_capture_what_it_must(name):
    wanted, found = expected(name), said(name)

    wrong = {
        rule_id: f"says {found[rule_id]}, must say {wanted.get(rule_id, 'something: add it above')}"
        for rule_id in found
        if found[rule_id] != wanted.get(rule_id)
    }
    assert wrong == {}


def test_the_table_names_rules_that_there_are():
    assert set(COMPLIANT) == {rule.id for rule in RULES}

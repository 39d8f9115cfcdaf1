"""What the probe makes of every captured situation of every server."""

import asyncio

import pytest

from checks.address import RedisAddress
from checks.egress import EgressRules
from checks.facts import Engine, Missing
from checks.probes.redis import RedisTarget, probe_redis
from checks.rule import Cadence
from tests.loopback import serving
from tests.replaying import CAPTURES, captured

RULES = EgressRules(allow_loopback=True)
ALL = frozenset({Cadence.HEALTH, Cadence.LATENCY, Cadence.PERSISTENCE})
# Folder: engine, its own version, the version to compare with the vendor's demands.
SERVERS = {
    "redis-6.0.20": (Engine.REDIS, "6.0.20", "6.0.20"),
    "redis-6.2.14": (Engine.REDIS, "6.2.14", "6.2.14"),
    "redis-7.0.15": (Engine.REDIS, "7.0.15", "7.0.15"),
    "redis-7.2.6": (Engine.REDIS, "7.2.6", "7.2.6"),
    "redis-7.4.1": (Engine.REDIS, "7.4.1", "7.4.1"),
    "redis-7.9.224-8.0-pre": (Engine.REDIS, "7.9.224", "7.9.224"),
    "valkey-8.0.1": (Engine.VALKEY, "8.0.1", "7.2.4"),
    "keydb-6.3.4": (Engine.KEYDB, "6.3.4", "6.3.4"),
}
# Situation: mode, role, PING's answer or the reason it was refused for.
PRIMARY = ("standalone", "master", "PONG")
REPLICA = ("standalone", "slave", "PONG")
CLUSTER = ("cluster", "master", "PONG")
SENTINEL = ("sentinel", "undetermined", "PONG")
MISCONF = ("standalone", "master", "misconf")
BLIND = ("no_permission", "no_permission", "PONG")
SITUATIONS = {
    "acl-user-no-admin-no-dangerous": BLIND,
    "acl-user-ping-get-only": BLIND,
    "aof-rewrite-in-progress": PRIMARY,
    "bad-allkeys-nokeepalive-aof-always": PRIMARY,
    "bgsave-failing": MISCONF,
    "bgsave-in-progress": PRIMARY,
    "busy-script": "busy",
    "cluster-enabled-half-slots": CLUSTER,
    "cluster-enabled-no-slots": CLUSTER,
    "cluster-enabled-one-node-all-slots": CLUSTER,
    "compliant": PRIMARY,
    "default": PRIMARY,
    "disk-full-aof": MISCONF,
    "disk-full-bgsave": MISCONF,
    "loading-dataset": ("standalone", "master", "loading"),
    "maxclients-reached": "max_clients",
    "oom-noeviction": PRIMARY,
    "primary-with-replica": PRIMARY,
    "protected-mode-denied": "protected_mode",
    "protected-mode-open-because-bind-given": PRIMARY,
    "rename-command-config": PRIMARY,
    "replica-link-down": REPLICA,
    "replica-link-down-no-stale": ("standalone", "slave", "misconf"),  # PING says MASTERDOWN
    "replica-link-up": REPLICA,
    "replica-syncing": REPLICA,
    "requirepass-not-authenticated": "auth",
    "sentinel-after-failover": SENTINEL,
    "sentinel-healthy": SENTINEL,
    "sentinel-monitored-primary": PRIMARY,
    "sentinel-primary-down": SENTINEL,
    "sentinel-promoted-replica": PRIMARY,
    "tls-only-self-signed": PRIMARY,
    "volatile-lru-evicting": PRIMARY,
}
# Servers that differ: until 6.2 a replica answers PING without its primary; and the failing
# save of 6.2 was captured with save off, which does not stop writes.
EXCEPTIONS = {
    "redis-6.2.14/bgsave-failing": PRIMARY,
    "redis-6.0.20/replica-link-down-no-stale": REPLICA,
    "redis-6.2.14/replica-link-down-no-stale": REPLICA,
    "keydb-6.3.4/replica-link-down-no-stale": REPLICA,
}
NAMES = sorted(
    f"{path.parent.name}/{path.name}" for path in CAPTURES.glob("*-*/*") if path.is_dir()
)


def read(name, cadences=ALL):
    """Visit a server that answers as the captured one did."""
    with serving(captured(name)) as port:
        target = RedisTarget(RedisAddress("127.0.0.1", port), rules=RULES, pings=3)
        return asyncio.run(probe_redis(target, cadences))


def shown(fact):
    return fact.reason if isinstance(fact, Missing) else fact


@pytest.mark.parametrize("name", NAMES)
def test_situations(name):
    server, situation = name.split("/")
    expected = EXCEPTIONS.get(name, SITUATIONS[situation])
    facts = read(name).facts
    if isinstance(facts, Missing):
        assert facts.reason == expected
        return
    assert (shown(facts.mode), shown(facts.role), shown(facts.ping)) == expected
    if expected is not BLIND:
        assert (facts.engine, facts.version, facts.compatibility_version) == SERVERS[server]


def test_there_are_captures():
    assert len(NAMES) == 193
    assert {name.split("/")[0] for name in NAMES} == set(SERVERS)


@pytest.mark.parametrize(
    ("server", "engine"),
    [
        ("redis-6.0.20", Engine.UNKNOWN),  # refuses a bare HELLO
        ("redis-7.4.1", Engine.REDIS),
        ("valkey-8.0.1", Engine.VALKEY),
        ("keydb-6.3.4", Engine.KEYDB),
    ],
)
def test_hello_names_the_engine_where_info_is_refused(server, engine):
    facts = read(f"{server}/acl-user-ping-get-only").facts

    assert facts.engine is engine
    assert facts.used_memory_bytes.text.startswith("INFO is refused: NOPERM")
    assert facts.used_memory_bytes.text.endswith("; grant +info")
    assert facts.save.text.endswith("; grant +config|get")
    assert facts.bull_clients.text.endswith("; grant +client|list")


@pytest.mark.parametrize("server", sorted(SERVERS))
def test_a_compliant_server_leaves_no_setting_unread(server):
    facts = read(f"{server}/compliant").facts

    assert facts.save == ((900, 1), (300, 10))
    assert (facts.maxmemory_bytes, facts.maxmemory_policy) == (2 * 1024**3, "noeviction")
    assert (facts.tcp_keepalive_s, facts.timeout_s, facts.appendfsync) == (300, 0, "everysec")
    assert (facts.stop_writes_on_bgsave_error, facts.min_replicas_to_write) == (True, 0)
    assert (facts.aof_enabled, facts.rdb_last_bgsave_status) == (False, "ok")
    assert (facts.replica_read_only, facts.bull_clients) == (True, ())
    assert facts.keys_by_database["0"] > 0
    assert facts.server_time_s > 1_795_000_000  # by TIME on 6.0, whose INFO has no clock
    assert facts.cluster_enabled is False


def test_loading_tells_since_when_and_how_long():
    facts = read("redis-7.0.15/loading-dataset").facts

    assert facts.is_loading is True
    assert facts.loading_since_s > 1_795_000_000
    assert facts.loading_eta_s >= 0
    assert shown(facts.round_trips) == "loading"


def test_replicas_and_their_primary():
    primary = read("redis-7.0.15/primary-with-replica").facts
    up, down = (read(f"redis-7.0.15/replica-link-{state}").facts for state in ("up", "down"))

    assert [(replica.state, replica.lag_s) for replica in primary.replicas] == [("online", 0)]
    assert (up.master_link_status, down.master_link_status) == ("up", "down")
    assert shown(primary.master_link_status) == "not_applicable"
    assert down.replica_read_only is True


def test_a_health_visit_learns_of_a_replica_that_it_is_read_only():
    facts = read("redis-7.0.15/replica-link-up", frozenset({Cadence.HEALTH})).facts

    assert facts.replica_read_only is True
    assert shown(facts.round_trips) == "undetermined"


@pytest.mark.parametrize("slots", ["no-slots", "half-slots", "one-node-all-slots"])
def test_a_cluster_tells_its_state(slots):
    facts = read(f"redis-7.4.1/cluster-enabled-{slots}", frozenset({Cadence.HEALTH})).facts

    assert facts.cluster_enabled is True
    assert facts.cluster_state == ("fail" if slots == "no-slots" else "ok")


def test_closed_config_is_not_taken_for_a_default():
    facts = read("redis-7.0.15/rename-command-config").facts

    assert shown(facts.save) == shown(facts.tcp_keepalive_s) == "command_unavailable"
    assert shown(facts.stop_writes_on_bgsave_error) == "command_unavailable"


def test_evictions_and_a_full_server():
    evicting, full = (read(f"redis-7.0.15/{name}").facts
                      for name in ("volatile-lru-evicting", "oom-noeviction"))  # fmt: skip

    assert (evicting.maxmemory_policy, evicting.evicted_keys > 0) == ("volatile-lru", True)
    assert full.used_memory_bytes - full.not_counted_for_evict_bytes >= full.maxmemory_bytes
    assert full.errors["OOM"] > 0

"""INFO's text to facts: the odd cases; whole texts are in test_captures."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from checks.facts import Engine, Missing, Replica
from checks.probes.redis_info import ALL_FIELDS, read_info, without_info


def info(**fields):
    """Write an INFO of these fields, of a Redis 7.0 where none says otherwise."""
    lines = {"redis_version": "7.0.15", **fields}
    return b"".join(f"{name}:{value}\r\n".encode() for name, value in lines.items())


def field(name, text, host="db1"):
    return read_info(text, host)[1][name]


@pytest.mark.parametrize(
    ("host", "fields", "engine"),
    [
        ("db1", {}, Engine.REDIS),
        ("db1", {"dragonfly_version": "df-v1.30.0", "upstash_version": "1"}, Engine.DRAGONFLY),
        ("db1", {"upstash_version": "1.0"}, Engine.UPSTASH),
        ("db1", {"memurai_version": "4.0.1"}, Engine.MEMURAI),
        ("db1", {"memurai_edition": "Developer"}, Engine.MEMURAI),
        ("db1", {"os": "Amazon MemoryDB", "server_name": "valkey"}, Engine.MEMORYDB),
        ("c.x.memorydb.eu-west-1.amazonaws.com", {}, Engine.MEMORYDB),
        ("db1", {"os": "Amazon ElastiCache"}, Engine.ELASTICACHE),
        ("x.0001.euw1.cache.amazonaws.com", {"server_name": "valkey"}, Engine.ELASTICACHE),
        ("X.CACHE.AMAZONAWS.COM.CN", {}, Engine.ELASTICACHE),
        ("cache.amazonaws.com.evil.example", {}, Engine.REDIS),
        ("eu1.upstash.io", {}, Engine.UPSTASH),
        ("db1", {"mvcc_depth": "0"}, Engine.KEYDB),
        ("db1", {"executable": "/usr/bin/keydb-server"}, Engine.KEYDB),
        ("db1", {"server_name": "valkey"}, Engine.VALKEY),
        ("db1", {"valkey_version": "9.0.0"}, Engine.VALKEY),
        ("db1", {"garnet_version": "1.0"}, Engine.GARNET),
        ("db1", {"kvrocks_version": "2.9.0"}, Engine.KVROCKS),
        ("db1", {"redict_version": "7.3.0"}, Engine.REDICT),
        ("db1", {"rlec_version": "7.4.2"}, Engine.REDIS_ENTERPRISE),
        ("redis-1.c1.eu-west-1-1.ec2.redis-cloud.com", {}, Engine.REDIS_CLOUD),
        ("x.redislabs.com", {}, Engine.REDIS_CLOUD),
        ("x.redis.cache.windows.net", {}, Engine.AZURE),
        ("x.aivencloud.com", {"server_name": "valkey"}, Engine.AIVEN),
    ],
)
def test_the_first_sign_names_the_engine(host, fields, engine):
    assert read_info(info(**fields), host)[0] is engine


def test_what_says_nothing_is_unknown():
    assert read_info(b"hello:world\r\n", "db1")[0] is Engine.UNKNOWN


@pytest.mark.parametrize(
    ("fields", "version", "compatibility"),
    [
        ({"server_name": "valkey", "valkey_version": "9.0.1", "redis_version": "7.2.4"}, "9.0.1",
         "7.2.4"),
        ({"dragonfly_version": "df-v1.30.0", "redis_version": "7.4.0"}, "1.30.0", "7.4.0"),
        ({"memurai_version": "4.1.2", "redis_version": "7.2.5"}, "4.1.2", "7.2.5"),
        ({"memurai_edition": "Developer", "redis_version": "7.2.5"}, "7.2.5", "7.2.5"),
        ({"mvcc_depth": "0", "redis_version": "6.3.4"}, "6.3.4", "6.3.4"),
    ],
)  # fmt: skip
def test_versions(fields, version, compatibility):
    found = read_info(info(**fields), "db1")[1]

    assert (found["version"], found["compatibility_version"]) == (version, compatibility)


def test_editions():
    assert field("edition", info(memurai_edition="Developer")) == "Developer"
    assert field("edition", info(), "x.serverless.euw1.cache.amazonaws.com") == "serverless"
    assert field("edition", info()) == ""


@pytest.mark.parametrize(
    ("fields", "mode", "is_cluster"),
    [
        ({"redis_mode": "standalone", "cluster_enabled": "0"}, "standalone", False),
        ({"server_mode": "standalone"}, "standalone", False),  # Valkey 8
        ({"redis_mode": "standalone", "cluster_enabled": "1"}, "cluster", True),
        ({"server_mode": "cluster"}, "cluster", True),
        ({"cluster_enabled": "0"}, "standalone", False),
        ({"redis_mode": "sentinel"}, "sentinel", False),
    ],
)
def test_modes(fields, mode, is_cluster):
    found = read_info(info(**fields), "db1")[1]

    assert (found["mode"], found["cluster_enabled"]) == (mode, is_cluster)


def test_a_mode_that_nothing_tells_is_missing():
    found = read_info(info(), "db1")[1]

    assert found["mode"] == Missing("undetermined", "INFO has no server_mode")
    assert found["cluster_enabled"] == Missing("undetermined", "INFO has no cluster_enabled")


@pytest.mark.parametrize(("said", "role"), [("master", "master"), ("primary", "master"),
                                            ("slave", "slave"), ("replica", "slave")])  # fmt: skip
def test_roles_have_one_name_each(said, role):
    assert field("role", info(role=said)) == role


@pytest.mark.parametrize(
    ("value", "fact"),
    [
        ("0", 0),
        ("-1", -1),
        ("9223372036854775807", 9223372036854775807),
        ("-2", None),
        ("9223372036854775808", None),
        ("12.5", None),
        ("", None),
        ("lots", None),
        ("1" * 5000, None),
    ],
)
def test_numbers_that_no_database_could_hold_are_missing(value, fact):
    odd = Missing("undetermined", "INFO gives used_memory a value that cannot be right")

    assert field("used_memory_bytes", info(used_memory=value)) == (odd if fact is None else fact)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "x", ""])
def test_ratios_that_json_could_not_hold_are_missing(value):
    found = field("fragmentation_ratio", info(mem_fragmentation_ratio=value))

    assert found == Missing(
        "undetermined", "INFO gives mem_fragmentation_ratio a value that cannot be right"
    )


def test_texts_are_one_printable_line():
    assert field("os", b"os:Li\0nux\x1b[31m\xff" + b"x" * 500) == "Li?nux?[31m\ufffd" + "x" * 288


def test_replicas():
    text = info(
        connected_slaves="3",
        slave0="ip=10.0.0.5,port=6379,state=online,offset=498,lag=1",
        slave1="ip=::1,port=6380,state=wait_bgsave,offset=0,lag=x,type=rdb-channel",
    )

    assert field("replicas", text) == (
        Replica("10.0.0.5", 6379, "online", 1),
        Replica("::1", 6380, "wait_bgsave",
                Missing("undetermined", "INFO gives lag a value that cannot be right")),
    )  # fmt: skip


def test_databases_and_errors():
    text = (
        info()
        + b"# Errorstats\r\nerrorstat_ERR:count=2\r\nerrorstat_NOAUTH:count=x\r\n\r\n"
        + b"# Keyspace\r\ndb0:keys=5,expires=0,avg_ttl=0\r\ndb8:keys=1200,expires=1\r\ndbx:keys=1\r\n"
    )

    assert field("errors", text) == {"ERR": 2}
    assert field("keys_by_database", text) == {"0": 5, "8": 1200}
    assert field("errors", info()) == Missing("undetermined", "INFO has no # Errorstats")
    assert field("keys_by_database", info()) == Missing("undetermined", "INFO has no # Keyspace")
    assert field("keys_by_database", info() + b"# Keyspace\r\n") == {}


def test_dragonfly_speaks_of_the_same_things():
    text = info(
        dragonfly_version="df-v1.30.0",
        last_success_save="1790000000",
        last_failed_save="0",
        rdb_changes_since_last_success_save="2",
        saving="1",
        last_success_save_duration_sec="3",
        current_save_duration_sec="4",
        max_clients="64000",
        maxmemory_policy="eviction",
    )
    found = read_info(text, "db1")[1]

    assert found["rdb_last_save_time_s"] == 1790000000
    assert found["rdb_changes_since_last_save"] == 2
    assert found["rdb_bgsave_in_progress"] is True
    assert (found["rdb_last_bgsave_time_s"], found["rdb_current_bgsave_time_s"]) == (3, 4)
    assert (found["maxclients"], found["maxmemory_policy"]) == (64000, "eviction")
    assert (found["aof_enabled"], found["rdb_last_bgsave_status"]) == (False, "ok")


def test_dragonfly_s_last_save_may_have_failed():
    text = info(dragonfly_version="1", last_success_save="1", last_failed_save="2")

    assert field("rdb_last_bgsave_status", text) == "err"


def test_states_that_are_not_there():
    found = read_info(info(role="master"), "db1")[1]

    assert found["loading_eta_s"] == Missing("not_applicable", "Redis is not loading")
    assert found["master_link_status"].reason == "not_applicable"
    assert found["min_replicas_good"].reason == "not_applicable"
    assert found["rdb_saves"] == Missing("undetermined", "INFO has no rdb_saves")  # before 7.0


def test_a_closed_info_says_so_of_every_field():
    why = Missing("no_permission", "INFO is refused")

    assert set(without_info(why)) == set(ALL_FIELDS)
    assert set(ALL_FIELDS) | {"edition", "replica_read_only"} >= set(read_info(info(), "x")[1])
    assert set(without_info(why).values()) == {why}


LINES = st.lists(
    st.tuples(
        st.sampled_from([b"redis_version", b"used_memory", b"role", b"connected_slaves", b"slave0",
                         b"db0", b"# Keyspace", b"# Errorstats", b"errorstat_OOM", b"os",
                         b"mem_fragmentation_ratio", b"server_time_usec", b"dragonfly_version",
                         b"last_failed_save", b"last_success_save", b"cluster_enabled"]),
        st.binary(max_size=40),
    ).map(b":".join)
)  # fmt: skip


@given(st.one_of(st.binary(max_size=400), LINES.map(b"\r\n".join)))
@example(b"last_failed_save:" + "²".encode() + b"\r\nlast_success_save:1\r\ndragonfly_version:1")
def test_any_bytes_are_read(text):
    engine, found = read_info(text, "db1")

    assert isinstance(engine, Engine)
    assert all(
        name == "edition" or name in ALL_FIELDS or name == "replica_read_only" for name in found
    )
    for value in found.values():
        if isinstance(value, str):
            assert value.isprintable()

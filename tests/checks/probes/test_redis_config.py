"""CONFIG GET, CLIENT LIST, CLUSTER INFO and TIME to facts."""

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.facts import BullClient, Missing
from checks.probes.redis_commands import (
    CLIENT_LIST,
    CLUSTER_INFO,
    HEALTH_CONFIG,
    MAXCLIENTS,
    PERSISTENCE_CONFIG,
    SNAPSHOT_CRON,
    TIME,
)
from checks.probes.redis_config import (
    CONFIG_FIELDS,
    Setting,
    bull_text,
    read_clients,
    read_cluster,
    read_config,
    read_time,
)
from tests.replaying import CAPTURES

CONFIG = {
    command.parameter: command
    for command in (*HEALTH_CONFIG, *PERSISTENCE_CONFIG, MAXCLIENTS, SNAPSHOT_CRON)
}


def fact(parameter, value):
    """Read CONFIG GET parameter answered with this value."""
    return read_config(CONFIG[parameter], [parameter.encode(), value]).value


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        (b"", ()),
        (b"900 1", ((900, 1),)),
        (b"900 1 300 10", ((900, 1), (300, 10))),
        (b"3600 1 300 100 60 10000", ((3600, 1), (300, 100), (60, 10000))),
        (b"900 1 300", None),
        (b"900 one", None),
        (b"-900 1", None),
        ("900 ²".encode(), None),
        (b"1 " * 202, None),
    ],
)
def test_save_points(text, pairs):
    found = fact("save", text)

    if pairs is None:
        assert found.reason == "undetermined"
        assert found.text.startswith("CONFIG GET save answers '")
    else:
        assert found == pairs


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        ("stop-writes-on-bgsave-error", b"yes", True),
        ("stop-writes-on-bgsave-error", b"no", False),
        ("stop-writes-on-bgsave-error", b"maybe", Missing("undetermined",
         "CONFIG GET stop-writes-on-bgsave-error answers 'maybe': neither yes nor no")),
        ("min-replicas-to-write", b"2", 2),
        ("tcp-keepalive", b"300", 300),
        ("tcp-keepalive", b"often", Missing("undetermined",
         "CONFIG GET tcp-keepalive answers 'often': no number")),
        ("timeout", b"0", 0),
        ("proto-max-bulk-len", b"536870912", 536870912),
        ("proto-max-bulk-len", b"9223372036854775808", Missing("undetermined",
         "CONFIG GET proto-max-bulk-len answers '9223372036854775808': no number")),
        ("appendfsync", b"everysec", "everysec"),
        ("client-output-buffer-limit", b"normal 0 0 0", "normal 0 0 0"),
        ("replica-read-only", b"no", False),
        ("snapshot_cron", b"*/15 * * * *", "*/15 * * * *"),
        ("snapshot_cron", b"", ""),
    ],
)  # fmt: skip
def test_parameters(parameter, value, expected):
    assert fact(parameter, value) == expected


def test_every_parameter_has_its_fact():
    assert set(CONFIG) == set(CONFIG_FIELDS)


def test_an_endless_value_is_not_read():
    assert fact("save", b"1 " * 50_000) == Missing(
        "too_large", "CONFIG GET save answers 100000 characters"
    )


def test_dragonfly_may_spell_the_name_otherwise():
    assert read_config(CONFIG["tcp-keepalive"], [b"tcp_keepalive", b"300"]) == Setting(
        "tcp_keepalive_s", 300, ("CONFIG GET tcp-keepalive", "tcp-keepalive 300")
    )


@pytest.mark.parametrize(
    ("reply", "reason", "text"),
    [
        ([], "command_unavailable",
         "CONFIG GET save has no answer: the server has no such parameter"),
        (None, "command_unavailable",
         "CONFIG GET save has no answer: the server has no such parameter"),
        (hiredis.ReplyError("NOPERM this user has no permissions"), "no_permission",
         "CONFIG GET save is refused: NOPERM this user has no permissions; grant +config|get"),
        (hiredis.ReplyError("ERR unknown command 'CONFIG', with args beginning with: 'GET' "),
         "command_unavailable",
         "CONFIG GET save is not available on this server: ERR unknown command 'CONFIG'"),
        (hiredis.ReplyError("LOADING Redis is loading"), "loading",
         "CONFIG GET save is refused: LOADING Redis is loading"),
        (hiredis.ReplyError("ERR no idea"), "undetermined",
         "CONFIG GET save is refused: ERR no idea"),
    ],
)  # fmt: skip
def test_refusals_name_the_right(reply, reason, text):
    assert read_config(CONFIG["save"], reply) == Setting("save", Missing(reason, text), None)


def test_the_connections_of_emailengine():
    text = (CAPTURES / "emailengine-2.79.2" / "client-list.txt").read_bytes()
    found = read_clients(CLIENT_LIST, text)["bull_clients"]

    assert {client.name for client in found} == {
        "bull:bm90aWZ5", "bull:bm90aWZ5:qe", "bull:c3VibWl0", "bull:c3VibWl0:qe",
        "bull:ZG9jdW1lbnRz:qe", "bull:ZXhwb3J0", "bull:ZXhwb3J0:qe",
    }  # fmt: skip
    assert {(client.host, client.database, client.user) for client in found} == {
        ("127.0.0.1", 8, "default")
    }
    assert len(bull_text(text).splitlines()) == len(found)


def test_a_prefix_an_old_server_and_ipv6():
    line = b"id=3 addr=[2001:db8::1]:4711 fd=8 name=p:bull:bm90aWZ5 age=1 db=2 cmd=brpoplpush\n"

    assert read_clients(CLIENT_LIST, line)["bull_clients"] == (
        BullClient("p:bull:bm90aWZ5", "2001:db8::1", 2, ""),
    )


def test_hostile_client_lists_are_bounded():
    flood = b"id=1 addr=1:1 name=bull:x db=0\n" * 2000 + b"name=bull:y db=99999999999\nbull:\n"
    found = read_clients(CLIENT_LIST, flood)["bull_clients"]

    assert len(found) == 500
    assert read_clients(CLIENT_LIST, [])["bull_clients"].reason == "protocol"


@given(st.binary(max_size=300), st.sampled_from([b"", b"name=bull:", b" db=1 "]))
def test_any_client_list_is_read(text, marker):
    assert isinstance(read_clients(CLIENT_LIST, marker + text + marker)["bull_clients"], tuple)
    assert "\0" not in bull_text(marker + text)


def test_the_state_of_a_cluster():
    assert read_cluster(CLUSTER_INFO, b"cluster_enabled:1\r\ncluster_state:fail\r\n") == {
        "cluster_state": "fail"
    }
    assert read_cluster(CLUSTER_INFO, b"")["cluster_state"].reason == "undetermined"
    denied = read_cluster(CLUSTER_INFO, hiredis.ReplyError("NOPERM no"))["cluster_state"]
    assert denied.text == "CLUSTER INFO is refused: NOPERM no; grant +cluster|info"


def test_the_server_s_clock():
    assert read_time(TIME, [b"1795295265", b"415622"]) == {"server_time_s": 1795295265.415622}
    for odd in ([b"1"], [b"x", b"y"], b"", None, [b"-5", b"0"], [b"1", b"1000000"]):
        assert read_time(TIME, odd)["server_time_s"].reason == "protocol"
    assert (
        read_time(TIME, hiredis.ReplyError("NOPERM no"))["server_time_s"].reason == "no_permission"
    )

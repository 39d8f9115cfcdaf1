"""The Redis probe against real servers, well and ill."""

import asyncio
import os
import queue
import signal
import socket
import threading
import time
from contextlib import contextmanager, suppress
from dataclasses import fields, replace

import pytest
import redis as client

from checks.address import parse_redis_url
from checks.egress import EgressRules
from checks.facts import BullClient, Engine, Missing
from checks.probes.acl import acl_line
from checks.probes.redis import LastSeen, RedisTarget, probe_redis
from checks.probes.tls import Tls
from checks.rule import Cadence
from run.children import Child, Running
from tests import servers

pytestmark = pytest.mark.live

RULES = EgressRules(allow_loopback=True, allow_unix=True)
HEALTH = frozenset({Cadence.HEALTH})
ALL = HEALTH | {Cadence.LATENCY, Cadence.PERSISTENCE}
PASSWORD = "correct-horse"


def read(server, cadences=ALL, **options):
    """Visit a server; options are the target's."""
    return visit(server.url, cadences, **options).facts


def visit(url, cadences=ALL, **options):
    target = RedisTarget(parse_redis_url(url), rules=RULES, **options)
    return asyncio.run(probe_redis(target, cadences))


@contextmanager
def talking(server, **options):
    """Talk to a server as another client would."""
    with client.Redis.from_url(server.url, **options) as connection:
        yield connection


def until(wanted, within_s=60.0):
    """Look again and again until it is as wanted."""
    ends_at = time.monotonic() + within_s
    while not (found := wanted()) and time.monotonic() < ends_at:
        time.sleep(0.05)
    return found


@pytest.mark.usefixtures("kernel_stamps")
@pytest.mark.parametrize(
    ("start", "engine", "version", "compatibility"),
    [
        (servers.redis, Engine.REDIS, "6.2.", "6.2."),
        (servers.system_redis, Engine.REDIS, "7.", "7."),
        (servers.valkey, Engine.VALKEY, "9.", "7.2.4"),
    ],
)
def test_a_well_server_leaves_nothing_unread(start, engine, version, compatibility):
    with start("tcp-keepalive", "300", "maxmemory", "100mb") as server, talking(server) as admin:
        admin.config_set("save", "900 1 300 10")  # 6.2 takes one pair at most from its arguments
        facts = read(server)
    missing = {name: fact.reason for name, fact in missing_facts(facts).items()}

    assert facts.engine is engine
    assert facts.version.startswith(version)
    assert facts.compatibility_version.startswith(compatibility)
    assert facts.save == ((900, 1), (300, 10))
    assert (facts.mode, facts.role, facts.path) == ("standalone", "master", "loopback")
    assert abs(facts.server_time_s - time.time()) < 10
    assert facts.round_trips.clock == "kernel"
    assert facts.round_trips.count == 10
    # What is left is of other states and makes, was not granted, or is newer than the server.
    assert set(missing) - NEWER == {
        "aof_delayed_fsync", "cluster_state", "loading_eta_s", "loading_since_s",
        "master_link_status", "min_replicas_good", "snapshot_cron", "allows_undeclared_keys", "sentinels",
        "queues", "deliveries", "config_maxclients",
    }  # fmt: skip


NEWER = {"rdb_saves", "current_cow_peak_bytes", "output_buffer_disconnections"}


def missing_facts(facts):
    values = {field.name: getattr(facts, field.name) for field in fields(facts)}
    return {name: value for name, value in values.items() if isinstance(value, Missing)}


def test_a_unix_socket():
    with servers.valkey(unix=True) as server:
        facts = read(server)

    assert (facts.path, facts.round_trips.retransmits.reason) == ("unix", "not_applicable")
    assert facts.round_trips.median_us > 0


OTHER_COMMANDS = [
    "GET x", "SET x 1", "DEL x", "KEYS *", "SCAN 0", "HGETALL x", "CONFIG SET maxmemory 1",
    "CONFIG RESETSTAT", "CONFIG REWRITE", "CLIENT KILL ID 1", "CLIENT PAUSE 1", "ACL LIST",
    "EVAL return(1) 0", "FLUSHALL", "SHUTDOWN NOSAVE", "MONITOR", "SAVE", "REPLICAOF NO ONE",
    "SUBSCRIBE x", "PUBLISH x 1", "SLOWLOG GET", "MODULE LIST",
]  # fmt: skip


@pytest.mark.parametrize("start", [servers.redis, servers.system_redis, servers.valkey])
def test_the_shipped_acl_line_is_enough_and_no_more(start):
    with start() as server, talking(server) as admin:
        line = acl_line(Engine.REDIS).replace("CHOOSE-A-PASSWORD", PASSWORD)
        assert admin.execute_command(*line.split()) in ("OK", b"OK", True)
        everything = read(server)
        admin.execute_command("ACL", "LOG", "RESET")
        url = server.url.replace("redis://", "redis://pairkeeper@")
        ours = visit(url, password=PASSWORD).facts

        assert admin.execute_command("ACL", "LOG") == []
        assert set(missing_facts(ours)) == set(missing_facts(everything))
        with talking(server, username="pairkeeper", password=PASSWORD) as limited:
            for command in OTHER_COMMANDS:
                with pytest.raises(client.exceptions.NoPermissionError):
                    limited.execute_command(*command.split())


def test_the_account_names_its_connection():
    with servers.system_redis() as server, talking(server) as admin:
        with socket.create_server(("127.0.0.1", 0)) as proxy:
            names = seen_names(proxy, server.port, admin)
            visit(f"redis://127.0.0.1:{proxy.getsockname()[1]}", HEALTH)

        assert names.get(timeout=60) == "pairkeeper"


def seen_names(proxy, port, admin):
    """Pass one visit on to the server, and look at its client list when it was answered."""
    names = queue.Queue()

    def carry():
        near, _ = proxy.accept()
        with near, socket.create_connection(("127.0.0.1", port)) as far:
            far.sendall(near.recv(65_536))
            answer = far.recv(65_536)
            found = [one["name"] for one in admin.client_list() if one["name"]]
            names.put(found[0] if found else "")
            near.sendall(answer)
            with suppress(OSError):
                while data := far.recv(65_536):
                    near.sendall(data)

    threading.Thread(target=carry, daemon=True).start()
    return names


@pytest.mark.parametrize("start", [servers.redis, servers.system_redis, servers.valkey])
def test_passwords(start):
    with start("requirepass", PASSWORD) as server:
        right, wrong, none = (read(server, password=word) for word in (PASSWORD, "guess", ""))

    assert right.ping == "PONG"
    assert (wrong.reason, wrong.text.split()[0]) == ("auth", "WRONGPASS")
    assert none == Missing("auth", "NOAUTH Authentication required.")


def test_a_password_where_none_is_wanted():
    with servers.valkey() as server:
        facts = read(server, password=PASSWORD)

    assert facts.ping.reason == "auth"
    assert facts.used_memory_bytes > 0


@pytest.mark.usefixtures("kernel_stamps")
def test_tls():
    with servers.tls_redis() as server:
        ca = server.certificates.ca.read_text()
        verified = read(server, tls=Tls(ca_pem=ca))
        unverified = read(server, tls=Tls(verify=False))
        untrusted = read(server)
        misnamed = read(server, tls=Tls(ca_pem=ca, server_name="other.example"))
        plain = visit(server.url.replace("rediss", "redis"))

    assert (verified.ping, verified.is_tls, unverified.ping) == ("PONG", True, "PONG")
    assert verified.round_trips.clock == "kernel"
    assert (untrusted.reason, misnamed.reason, plain.facts.reason) == ("tls", "tls", "tls")


def test_a_full_house():
    with servers.system_redis("maxclients", "1") as server:
        with talking(server) as guest:
            until(lambda: is_in(guest))
            refused = read(server)
        assert until(lambda: is_accepted(read(server)))

    assert refused == Missing("max_clients", "ERR max number of clients reached")


def is_accepted(facts):
    """Tell whether a visit found the place free again, after one that did not."""
    return not isinstance(facts, Missing) and facts.rejected_connections >= 1


def is_in(guest):
    """Tell whether the only place is ours; the test's own look at the port may have it still."""
    with suppress(client.ConnectionError):
        return guest.ping()


def test_a_script_that_never_ends():
    with servers.system_redis("busy-reply-threshold", "20") as server:
        looping = threading.Thread(target=run_forever, args=(server,))
        looping.start()
        busy = until(lambda: is_missing(read(server, timeout_s=1), "busy"))
        with talking(server) as admin:
            admin.execute_command("SCRIPT", "KILL")
        looping.join()
        well = read(server)

    assert busy
    assert well.ping == "PONG"


def run_forever(server):
    with talking(server) as guest, suppress(client.ResponseError):
        guest.eval("while true do end", 0)


def is_missing(facts, reason):
    return isinstance(facts, Missing) and facts.reason == reason


def test_a_server_that_loads_its_data():
    with servers.system_redis("save", "") as server:
        with talking(server) as guest:
            guest.mset({f"key:{number}": "x" * 100 for number in range(20_000)})
            guest.save()
        slowly = ["--key-load-delay", "200", "--loading-process-events-interval-bytes", "1024"]
        server.stop()
        server.child = replace(server.child, argv=[*server.child.argv, *slowly])
        server.start()
        facts = until(lambda: is_loading(read(server)))

    assert facts.is_loading is True
    assert facts.loading_since_s <= facts.server_time_s
    assert facts.round_trips.reason == "loading"
    assert facts.save == ()


@pytest.mark.parametrize("start", [servers.redis, servers.system_redis, servers.valkey])
def test_a_server_that_answers_every_800_ms_while_it_loads(start):
    """Our second batch is answered too late: what the first one said counts all the same."""
    with start("save", "", "rdbcompression", "no") as server:
        with talking(server) as guest:
            guest.mset({f"key:{number}": "x" * 10_000 for number in range(1_500)})
            guest.save()
        server.stop()
        # It looks up every 2 MB, of 200 keys.
        argv = [*server.child.argv, "--key-load-delay", "4000"]
        server.child = replace(server.child, argv=argv)
        server.start()
        facts = until(lambda: was_cut_short(read(server, timeout_s=1.3)))

    assert (facts.ping.reason, facts.is_loading) == ("loading", True)
    assert "no further answer came within 1.3 s" in facts.save.text


def was_cut_short(facts):
    return facts if not isinstance(facts, Missing) and isinstance(facts.save, Missing) else None


def is_loading(facts):
    found = not isinstance(facts, Missing) and facts.ping != "PONG"
    return facts if found and facts.ping.reason == "loading" else None


def test_a_primary_and_its_replica():
    with (
        servers.valkey() as primary,
        servers.valkey("replicaof", f"127.0.0.1 {primary.port}") as replica,
    ):
        linked = until(lambda: is_linked(read(replica)))
        attached = until(lambda: read(primary).replicas)
        primary.stop()
        alone = until(lambda: is_linked(read(replica), "down"))

    assert (linked.role, linked.replica_read_only) == ("slave", True)
    assert [(one.host, one.port) for one in attached] == [("127.0.0.1", replica.port)]
    assert alone.role == "slave"


def is_linked(facts, status="up"):
    return facts if facts.master_link_status == status else None


def test_a_cluster_node():
    options = ("cluster-enabled", "yes", "cluster-port", str(servers.free_port()))
    with servers.system_redis(*options) as server:
        facts = read(server)

    assert (facts.mode, facts.cluster_enabled, facts.cluster_state) == ("cluster", True, "fail")


def test_a_sentinel_is_no_data_endpoint(tmp_path):
    port = servers.free_port()
    config = tmp_path / "sentinel.conf"
    config.write_text(f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n")
    child = Child("sentinel", [str(servers.system_program()), str(config), "--sentinel"],
                  is_ready=lambda: listens(port))  # fmt: skip
    running = Running(child, tmp_path / "log")
    try:
        running.wait_until_ready()
        facts = visit(f"redis://127.0.0.1:{port}").facts
    finally:
        running.stop()

    assert (facts.engine, facts.mode, facts.ping) == (Engine.REDIS, "sentinel", "PONG")
    assert facts.save.reason == "command_unavailable"


def listens(port):
    with socket.socket() as wire:
        return wire.connect_ex(("127.0.0.1", port)) == 0


def test_a_server_whose_snapshots_fail_refuses_ping_and_tells_the_rest():
    with servers.system_redis("save", "900 1") as server, talking(server) as admin:
        admin.set("x", 1)
        folder = server.folder / "dump.rdb"
        folder.mkdir()  # a folder of that name: the snapshot cannot replace it
        admin.bgsave()
        facts = until(lambda: is_refusing(read(server)))
        folder.rmdir()

    assert facts.ping.text.startswith("MISCONF")
    assert (facts.rdb_last_bgsave_status, facts.stop_writes_on_bgsave_error) == ("err", True)


def is_refusing(facts):
    return facts if isinstance(facts.ping, Missing) and facts.ping.reason == "misconf" else None


def test_the_connections_of_the_queue_library():
    with servers.valkey() as server, talking(server, db=8) as worker:
        worker.client_setname("bull:c3VibWl0")
        facts = read(server)

    assert facts.bull_clients == (BullClient("bull:c3VibWl0", "127.0.0.1", 8, "default"),)


def test_a_restart_widens_the_next_visit():
    with servers.redis() as server:
        before = read(server, HEALTH)
        last = LastSeen(before.run_id, before.blocked_clients)
        same = visit(server.url, HEALTH, last=last)
        server.stop()
        server.start()
        restarted = visit(server.url, HEALTH, last=last)

    assert (same.widened, restarted.widened) == (False, True)
    assert restarted.facts.tcp_keepalive_s == 300


def test_a_frozen_server_is_connected_and_silent():
    with servers.valkey() as server:
        os.kill(server.process_id, signal.SIGSTOP)
        reading = visit(server.url, timeout_s=0.5)
        os.kill(server.process_id, signal.SIGCONT)

    assert reading.facts == Missing("timeout", "connected, but no full answer within 0.5 s")
    assert reading.is_connected


def test_the_probe_writes_nothing():
    with servers.valkey("save", "") as server, talking(server) as admin:
        admin.config_resetstat()
        changes = admin.info("persistence")["rdb_changes_since_last_save"]
        read(server)
        sent = set(admin.info("commandstats"))

        assert admin.info("persistence")["rdb_changes_since_last_save"] == changes
    assert {name.removeprefix("cmdstat_") for name in sent} == {
        "ping", "info", "config|get", "client|list", "client|setname", "acl|getuser",
        "config|resetstat",  # this test's own
    }  # fmt: skip

"""What goes wrong with real servers, each with the remediation that must mend it."""

import os
import re
import signal
import socket
import threading
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import redis as client

from checks.facts import Attested, Engine, FleetFacts, Trend
from checks.probes.acl import acl_line
from checks.rule import Outcome
from tests.checks.pairs import SINCE
from tests.live.patients import Fault, Patient, until

PASSWORD = "correct-horse"


def fill(patient: Patient) -> None:
    """Write until the server refuses, or has evicted."""
    admin, block = patient.admin(), "x" * 100_000
    for number in range(1_000):
        try:
            admin.set(f"block:{number}", block)
        except client.OutOfMemoryError:
            return
        if admin.info("stats")["evicted_keys"]:
            return
    raise AssertionError("the server took everything")


def half_fill(patient: Patient) -> None:
    """Use about 85 % of 20 MB."""
    admin = patient.admin()
    number = 0
    while admin.info("memory")["used_memory"] < 17_500_000:
        admin.set(f"block:{number}", "x" * 100_000)
        number += 1


# --- Saving


def block_saving(patient: Patient) -> None:
    """Put a folder where the snapshot goes: this stops even root's server from saving."""
    dump(patient).mkdir()
    admin = patient.admin()
    admin.set("a", "1")
    admin.bgsave()
    until(lambda: admin.info("persistence")["rdb_last_bgsave_status"] == "err")


def unblock_saving(patient: Patient) -> None:
    dump(patient).rmdir()


def dump(patient: Patient) -> Path:
    return patient.server.folder / "dump.rdb"


def fall_behind(patient: Patient) -> None:
    """Let changes lie for longer than the save point, while no save succeeds."""
    patient.admin().config_set("save", "3 1")
    block_saving(patient)
    until(lambda: patient.judge()[1].outcome is Outcome.FAIL)


def hang_saving(patient: Patient) -> None:
    """Let a save begin, and its process stand still."""
    admin = patient.admin()
    admin.config_set("rdb-key-save-delay", "500000")
    admin.mset({f"key:{number}": "x" for number in range(100)})
    admin.bgsave()
    child = until(lambda: working_child(patient))
    os.kill(child, signal.SIGSTOP)
    admin.config_set("rdb-key-save-delay", "0")
    until(lambda: admin.info("persistence")["rdb_current_bgsave_time_sec"] > 2)


def end_saving(patient: Patient) -> None:
    os.kill(working_child(patient), signal.SIGKILL)
    admin = patient.admin()
    until(lambda: not admin.info("persistence")["rdb_bgsave_in_progress"])


def working_child(patient: Patient) -> int:
    """Find the server's child that saves or rewrites; 0 where there is none."""
    server = patient.server.process_id
    found = [int(one) for one in children(server)]
    deeper = [int(two) for one in found for two in children(one)]
    working = [one for one in (*deeper, *found) if re.search(rb"bgsave|aof-rewrite", title(one))]
    return working[0] if working else 0


def children(process_id: int) -> list[str]:
    return Path(f"/proc/{process_id}/task/{process_id}/children").read_text().split()


def title(process_id: int) -> bytes:
    return Path(f"/proc/{process_id}/cmdline").read_bytes()


def await_rewrite(patient: Patient) -> None:
    admin = patient.admin()
    until(lambda: not admin.info("persistence")["aof_rewrite_in_progress"])


def fill_disk_of_aof(patient: Patient) -> None:
    """Let the AOF lie on a full device: every write to it fails as on a full disk."""
    patient.server.stop()
    folder = patient.server.folder
    parts = [*folder.glob("appendonlydir/*.incr.aof"), *folder.glob("appendonly.aof")]
    parts[0].unlink()
    parts[0].symlink_to("/dev/full")
    patient.server.start()
    admin = patient.admin()
    until(lambda: admin.set("a", "1"))
    until(lambda: admin.info("persistence")["aof_last_write_status"] == "err")


# --- Reach


def stop_server(patient: Patient) -> None:
    patient.server.stop()


def start_server(patient: Patient) -> None:
    patient.server.start()


def block_by_script(patient: Patient) -> None:
    """Let a script run for ever."""
    looping = patient.with_it.enter_context(client.Redis.from_url(patient.url))

    def run() -> None:
        try:
            looping.eval("while true do end", 0)
        except client.RedisError:
            return  # killed, or its server has ended

    thread = threading.Thread(target=run)
    thread.start()
    patient.with_it.callback(thread.join)
    patient.with_it.callback(end_script, patient)
    until(lambda: patient.judge()[1].evidence.get("reason") == "busy")


def end_script(patient: Patient) -> None:
    """Leave no script behind where the remedy failed."""
    try:
        patient.admin().script_kill()
    except client.ResponseError:
        return  # none runs


def load_slowly(patient: Patient) -> None:
    """Restart it with 30 MB that take a few seconds to load; it looks up every 2 MB."""
    admin = patient.admin()
    admin.config_set("rdbcompression", "no")
    admin.mset({f"key:{number}": "x" * 10_000 for number in range(3_000)})
    admin.save()
    child = patient.server.child
    patient.server.stop()
    patient.server.child = replace(child, argv=[*child.argv, "--key-load-delay", "1000"])
    patient.server.start()


def take_all_connections(patient: Patient) -> None:
    """Leave no connection for us."""
    admin = patient.admin()
    until(lambda: admin.info("clients")["connected_clients"] == 1)
    leak = ExitStack()
    for _ in range(10):
        leak.enter_context(socket.create_connection(("127.0.0.1", patient.server.port)))
    patient.with_it.push(leak)
    patient.end_trouble = leak.close


def end_trouble(patient: Patient) -> None:
    patient.end_trouble()


def want_password(patient: Patient) -> None:
    patient.admin().config_set("requirepass", PASSWORD)


def store_password(patient: Patient) -> None:
    patient.password = PASSWORD


# --- Replication and cluster


def follow_another(patient: Patient) -> None:
    """Make it a replica of a server of its own kind."""
    primary = patient.with_it.enter_context(patient.start())
    patient.admin().replicaof("127.0.0.1", primary.port)
    until(lambda: patient.admin().info("replication")["master_link_status"] == "up")


def register_primary(patient: Patient) -> None:
    """Take master_host and master_port from what the command answered."""
    found = dict(re.findall(r"^(master_host|master_port):(\S+)", patient.said, re.MULTILINE))
    patient.url = f"redis://{found['master_host']}:{found['master_port']}"


def want_replicas(patient: Patient) -> None:
    patient.admin().config_set("min-replicas-to-write", 1)


def move_to_standalone(patient: Patient) -> None:
    """Set up another server as the remediation says, and copy the keys."""
    old = patient.admin()
    server = patient.with_it.enter_context(patient.start("cluster-enabled", "no"))
    patient.url = server.url
    new = patient.admin()
    for key in old.scan_iter():
        new.restore(key, 0, old.dump(key))
    assert new.dbsize() == old.dbsize() > 0


def serve_one_slot(patient: Patient) -> None:
    """Give a cluster a few slots and a key."""
    admin = patient.admin()
    admin.execute_command("CLUSTER", "ADDSLOTS", *range(16_384))
    until(lambda: admin.cluster("INFO")["cluster_state"] == "ok")
    admin.set("a", "1")


# --- Accounts, clients and the AOF


def own_account(patient: Patient) -> None:
    """Run the line that the pair's form shows, and register its account."""
    line = acl_line(Engine.REDIS).replace("CHOOSE-A-PASSWORD", PASSWORD)
    patient.paste(line)
    patient.account, patient.secret = "pairkeeper", PASSWORD


def crowd(patient: Patient) -> None:
    """Hold 18 of 20 connections."""
    for _ in range(17):
        patient.with_it.enter_context(client.Redis.from_url(patient.url)).ping()
    assert patient.admin().ping()


def narrow_buffer(patient: Patient) -> None:
    patient.admin().config_set("client-output-buffer-limit", "pubsub 1048576 524288 10")


def break_rewriting(patient: Patient) -> None:
    """Let a rewrite be killed, as the system does when memory is short."""
    admin = patient.admin()
    admin.config_set("rdb-key-save-delay", "500000")
    admin.mset({f"key:{number}": "x" for number in range(100)})
    admin.bgrewriteaof()
    os.kill(until(lambda: working_child(patient)), signal.SIGKILL)
    until(lambda: admin.info("persistence")["aof_last_bgrewrite_status"] == "err")
    admin.config_set("rdb-key-save-delay", "0")


def store_admin_password(patient: Patient) -> None:
    patient.password = "CHOOSE-ANOTHER-PASSWORD"


# --- Stalls


def hog(patient: Patient) -> None:
    """Let another client keep the server busy with scripts of 0.2 s."""
    other = patient.with_it.enter_context(client.Redis.from_url(patient.url))
    ends, count = threading.Event(), turns(other, wanted_s=0.2)

    def run() -> None:
        while not ends.is_set():
            other.eval(SPIN, 0, count)

    thread = threading.Thread(target=run)
    thread.start()
    patient.with_it.callback(thread.join)
    patient.with_it.callback(ends.set)
    patient.end_trouble = ends.set
    until(lambda: patient.judge()[1].outcome is Outcome.FAIL)


SPIN = "for i = 1, ARGV[1] do end"
TRIAL_TURNS = 1_000_000


def turns(other: client.Redis, wanted_s: float) -> int:
    """Find out how many turns of an empty loop take this machine that long."""
    begun = time.perf_counter()
    other.eval(SPIN, 0, TRIAL_TURNS)
    return int(TRIAL_TURNS * wanted_s / (time.perf_counter() - begun))


ONLY_WHEN_ASKED = ("appendonly", "yes", "auto-aof-rewrite-percentage", "0")
FULL = ("maxmemory", "20mb", "save", "")
FAULTS = (
    Fault(
        "redis.reachable",
        "connection",
        spoil=stop_server,
        person={"see that Redis runs and listens": start_server},
    ),
    Fault(
        "redis.reachable",
        "auth",
        spoil=want_password,
        person={"Type the account's name and password again": store_password},
    ),
    Fault(
        "redis.reachable",
        "max-clients",
        options=("maxclients", "10"),
        spoil=take_all_connections,
        person={"Stop clients that leak connections": end_trouble},
    ),
    Fault(
        "redis.reachable",
        "loading",
        spoil=load_slowly,
    ),
    Fault("redis.reachable", "busy", options=("lua-time-limit", "100"), spoil=block_by_script),
    Fault("redis.accepts-writes", "oom", options=FULL, spoil=fill),
    Fault(
        "redis.accepts-writes",
        "misconf-rdb",
        spoil=block_saving,
        person={"Mend that, then save": unblock_saving},
    ),
    Fault(
        "redis.accepts-writes",
        "misconf-aof",
        options=ONLY_WHEN_ASKED,
        spoil=fill_disk_of_aof,
        person={"Once it has ended": await_rewrite},
    ),
    Fault("redis.accepts-writes", "noreplicas", spoil=want_replicas),
    Fault(
        "redis.accepts-writes",
        "readonly",
        spoil=follow_another,
        person={"Set master_host and master_port": register_primary},
    ),
    Fault(
        "redis.endpoint-role",
        "replica",
        spoil=follow_another,
        person={"Set master_host and master_port": register_primary},
    ),
    Fault(
        "redis.standalone",
        options=("cluster-enabled", "yes"),
        spoil=serve_one_slot,
        person={"copy the keys": move_to_standalone},
    ),
    Fault("redis.eviction-policy", "policy", options=("maxmemory-policy", "allkeys-lru")),
    Fault(
        "redis.eviction-policy",
        "full",
        options=("maxmemory", "20mb", "maxmemory-policy", "allkeys-lru", "save", ""),
        spoil=fill,
    ),
    Fault("redis.memory-headroom", "maxmemory", options=FULL, spoil=half_fill),
    Fault("redis.durability", "off", options=("save", "", "appendonly", "no")),
    Fault("redis.durability", "aof-only", options=("save", "", "appendonly", "yes")),
    Fault("redis.rdb-schedule"),  # the default schedule is too weak
    Fault(
        "redis.rdb-fresh",
        spoil=fall_behind,
        person={"Mend that, then save": unblock_saving},
        limits={"grace_s": 0},
    ),
    Fault(
        "redis.rdb-last-status",
        "failed",
        spoil=block_saving,
        person={"Mend that, then save": unblock_saving},
    ),
    Fault(
        "redis.rdb-last-status",
        "hung",
        spoil=hang_saving,
        person={"end that process alone": end_saving},
        limits={"warn_running_s": 1},
    ),
    Fault("redis.tcp-keepalive", options=("tcp-keepalive", "0")),
    Fault("redis.maxmemory-set", "unset"),
    Fault(
        "redis.memory-provisioning",
        options=("maxmemory", "100mb"),
        known={
            "fleet": FleetFacts(expected_mailboxes_count=100),
            "trend": Trend(highest_used_bytes=80_000_000),
        },
    ),
    Fault(
        "redis.aof-disk",
        "always",
        options=("appendonly", "yes", "appendfsync", "always"),
        known={"attested": Attested(disk_iops=20_000)},
    ),
    Fault(
        "redis.aof-last-status",
        "write",
        options=ONLY_WHEN_ASKED,
        spoil=fill_disk_of_aof,
        person={"Once it has ended": await_rewrite},
    ),
    Fault(
        "redis.aof-last-status",
        "rewrite",
        options=ONLY_WHEN_ASKED,
        spoil=break_rewriting,
    ),
    Fault(
        "redis.clients-headroom",
        "crowded",
        options=("maxclients", "20"),
        spoil=crowd,
        known={"since": SINCE},
    ),
    Fault("redis.pubsub-buffers", "limit", spoil=narrow_buffer, known={"since": SINCE}),
    Fault("redis.idle-timeout", options=("timeout", "300")),
    Fault(
        "redis.access-control",
        "open",
        person={
            "Give this portal its own account": own_account,
            "sign in with that password yourself": store_admin_password,
        },
        answers="NOAUTH",
    ),
    Fault("redis.probe-privilege", person={"Run it on": own_account}),
    Fault(
        "redis.stall",
        spoil=hog,
        person={"move other users of this Redis elsewhere": end_trouble},
    ),
)

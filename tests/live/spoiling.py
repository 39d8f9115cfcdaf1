"""What goes wrong with real servers, and what a person does about it beside pasting commands."""

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

from checks.facts import Engine
from checks.probes.acl import acl_line
from checks.rule import Outcome
from tests.live.patients import Patient, until
from tests.loopback import saying, serving

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
    assert until(lambda: _has_failed_to_save(patient))


def _has_failed_to_save(patient: Patient) -> bool:
    """Have it try, unless it has: a connection lost on the way is opened anew."""
    admin = patient.admin()
    found = admin.info("persistence")
    if found["rdb_last_bgsave_status"] == "ok" and not found["rdb_bgsave_in_progress"]:
        admin.set("a", "1")
        admin.bgsave()
    return bool(found["rdb_last_bgsave_status"] == "err")


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
    """Hold 45 of 50 connections."""
    hold(patient)


def hold(patient: Patient) -> client.Redis:
    """Hold 45 connections; give one of them to ask with.

    Five are left: a look takes two, and a server may not yet have let go of those of the look before.
    """
    for _ in range(44):
        patient.with_it.enter_context(client.Redis.from_url(patient.url)).ping()
    admin = patient.admin()
    assert admin.ping()
    return admin


def turn_away(patient: Patient) -> None:
    """Look once, then let connections beyond the fifty be rejected; 45 stay."""
    patient.read()
    admin = hold(patient)
    with ExitStack() as more:
        for _ in range(8):
            more.enter_context(socket.create_connection(("127.0.0.1", patient.server.port)))
        assert until(lambda: admin.info("stats")["rejected_connections"])
    assert until(lambda: admin.info("clients")["connected_clients"] == 45)


def cut_off(patient: Patient) -> None:
    """Look once, then let a subscriber that does not read fall behind by more than its buffer."""
    patient.read()
    slow = patient.with_it.enter_context(client.Redis.from_url(patient.url)).pubsub()
    slow.subscribe("news")
    assert until(slow.get_message)
    assert until(lambda: publish(patient, count=500)[-1] == 0)
    patient.end_trouble = slow.close


def publish(patient: Patient, count: int) -> list[int]:
    """Send so many messages of 10 kB (larger ones Valkey 9 passes on uncopied); say who got each."""
    with patient.admin().pipeline(transaction=False) as sending:
        for _ in range(count):
            sending.publish("news", "x" * 10_000)
        return list(sending.execute())


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
    """Let other clients keep the server busy with scripts of 30 ms, one always waiting its turn."""
    ends, count = threading.Event(), turns(patient.admin(), wanted_s=0.03)

    def run() -> None:
        with client.Redis.from_url(patient.server.url) as other:
            while not ends.is_set():
                other.eval(SPIN, 0, count)

    for _ in range(3):
        thread = threading.Thread(target=run)
        thread.start()
        patient.with_it.callback(thread.join)
    patient.with_it.callback(ends.set)
    patient.end_trouble = ends.set


SPIN = "for i = 1, ARGV[1] do end"
TRIALS, TRIAL_TURNS = 5, 1_000_000


def turns(other: client.Redis, wanted_s: float) -> int:
    """Find out how many turns of an empty loop take this machine that long; the quickest trial counts."""

    def trial_s() -> float:
        begun = time.perf_counter()
        other.eval(SPIN, 0, TRIAL_TURNS)
        return time.perf_counter() - begun

    return int(TRIAL_TURNS * wanted_s / min(trial_s() for _ in range(TRIALS)))


# --- Registered otherwise


def want_tls(patient: Patient) -> None:
    patient.url = patient.server.url.replace("redis://", "rediss://")


def register_server(patient: Patient) -> None:
    patient.url = patient.server.url


def register_another(patient: Patient) -> None:
    """Register the port of something that is no Redis."""
    port = patient.with_it.enter_context(serving(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
    patient.url = f"redis://127.0.0.1:{port}"


def go_to_replica(patient: Patient) -> None:
    """Paste what follows on the replica's host."""
    patient.at = patient.with_it.enter_context(patient.start()).url

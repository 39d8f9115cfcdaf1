"""What goes wrong with the data and who uses it, and what a person does about that."""

import os
import shutil
import signal

import redis as client

from tests.live.patients import Patient, until
from tests.live.spoiling import dump
from tests.servers import Server

KEYS = 1_200


def share(patient: Patient) -> None:
    """Let another program keep keys of its own in another database."""
    for database in (0, 1):
        beside(patient, database).set(f"kept in {database}", "1")


def beside(patient: Patient, database: int) -> client.Redis:
    return patient.with_it.enter_context(client.Redis.from_url(patient.url, db=database))


def move_database(patient: Patient) -> None:
    """Give the other program a server of its own, with its keys."""
    old = beside(patient, 1)
    server = patient.with_it.enter_context(patient.start())
    new = patient.with_it.enter_context(client.Redis.from_url(server.url))
    for key in old.scan_iter():
        new.restore(key, 0, old.dump(key))
    assert new.dbsize() == old.dbsize() > 0
    old.flushdb()


def lose_data(patient: Patient) -> None:
    """Save, keep the snapshot elsewhere as a backup does, then empty the server."""
    admin = patient.admin()
    admin.mset({f"account:{number}": "1" for number in range(KEYS)})
    admin.save()
    shutil.copy(dump(patient), backup(patient))
    admin.flushall()


def backup(patient: Patient) -> str:
    return f"{patient.server.folder}/kept-elsewhere"


def restore(patient: Patient) -> None:
    """Put the backup in place while the server is down."""
    patient.server.stop()
    shutil.copy(backup(patient), dump(patient))
    patient.server.start()
    assert until(lambda: patient.admin().dbsize() == KEYS)


def serve_half(patient: Patient) -> None:
    """Leave half of a cluster's slots to a node that is not there."""
    patient.admin().execute_command("CLUSTER", "ADDSLOTS", *range(8_192))


def start_other_node(patient: Patient) -> None:
    """Have the other half served as well."""
    admin = patient.admin()
    admin.execute_command("CLUSTER", "ADDSLOTS", *range(8_192, 16_384))
    assert until(lambda: admin.cluster("INFO")["cluster_state"] == "ok")


def start_two_instances(patient: Patient) -> None:
    """Connect as the event readers of two EmailEngines do."""
    readers = [
        patient.with_it.enter_context(client.Redis.from_url(patient.url, client_name=name))
        for name in ("bull:bm90aWZ5:qe", "bull:bm90aWZ5:qe")
    ]
    for reader in readers:
        assert reader.ping()
    patient.end_trouble = readers[1].close


def follow(patient: Patient) -> Server:
    """Attach a replica, at once: by default the first copy waits 5 s for others."""
    patient.admin().config_set("repl-diskless-sync-delay", 0)
    replica = patient.with_it.enter_context(patient.start())
    follower = patient.with_it.enter_context(client.Redis.from_url(replica.url))
    follower.execute_command("REPLICAOF", "127.0.0.1", patient.server.port)
    assert until(lambda: follower.info("replication")["master_link_status"] == "up")
    return replica


def freeze_replica(patient: Patient) -> None:
    """Stop a replica's process: it falls behind."""
    replica = follow(patient)
    os.kill(replica.process_id, signal.SIGSTOP)
    patient.end_trouble = lambda: os.kill(replica.process_id, signal.SIGCONT)
    patient.with_it.callback(patient.end_trouble)
    primary = patient.admin()
    assert until(lambda: primary.info("replication")["slave0"]["lag"] > 1)

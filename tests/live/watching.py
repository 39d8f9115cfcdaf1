"""Sentinels that watch a server under test, and what a person does with them."""

from dataclasses import dataclass

from checks.probes.wire import Endpoint
from checks.rule import Outcome
from run.children import Child, Running
from tests import servers
from tests.live.losing import follow
from tests.live.patients import MASTER, Patient, until

COUNT, QUORUM = 3, 2


@dataclass
class Sentinel:
    """One Sentinel: stop() and start() make an outage; what it knows stays in its file."""

    child: Child
    port: int
    running: Running

    def stop(self) -> None:
        self.running.stop()

    def start(self) -> None:
        self.running = Running(self.child, self.running.log_path)


def watch(patient: Patient, quorum: int) -> Sentinel:
    """Let one Sentinel watch the server."""
    port, folder = servers.free_port(), patient.server.folder
    lines = (
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor {MASTER} 127.0.0.1 {patient.server.port} {quorum}",
    )
    config = folder / f"sentinel-{port}.conf"
    config.write_text("\n".join(lines) + "\n")
    child = Child("sentinel", [patient.server.child.argv[0], str(config), "--sentinel"])
    sentinel = Sentinel(child, port, Running(child, config.with_suffix(".log")))
    patient.with_it.callback(sentinel.stop)
    return sentinel


def register_sentinel(patient: Patient) -> None:
    """Let a Sentinel watch the server, and register the Sentinel."""
    sentinel = watch(patient, 1)
    patient.url = f"redis://127.0.0.1:{sentinel.port}"
    until(lambda: patient.admin().ping())


def register_watched(patient: Patient) -> None:
    """Take ip and port from what SENTINEL MASTERS answered: names and values, line by line."""
    found = patient.said.splitlines()
    where = {name: found[found.index(name) + 1] for name in ("ip", "port")}
    patient.url = f"redis://{where['ip']}:{where['port']}"


def lose_quorum(patient: Patient) -> None:
    """Let three Sentinels watch the server and its replica, then stop two of them."""
    follow(patient)
    watching = [watch(patient, QUORUM) for _ in range(COUNT)]
    patient.sentinels = tuple(Endpoint("127.0.0.1", one.port) for one in watching)
    assert until(lambda: patient.read().redis.sentinels.with_quorum_count == COUNT)
    assert until(lambda: patient.judge()[1].outcome is Outcome.PASS)
    for one in watching[1:]:
        one.stop()
    patient.end_trouble = lambda: [one.start() for one in watching[1:]]


def go_to_sentinel(patient: Patient) -> None:
    """Paste what follows to the first Sentinel."""
    patient.at = f"redis://127.0.0.1:{patient.sentinels[0].port}"

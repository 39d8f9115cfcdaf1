"""What a measurement stands on: database, broker, monitored servers, and a worker, all on this machine."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from run import keys, postgres, valkey
from run.children import Running
from tests import servers
from tests.bench.used import use

TICK = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).resolve().parent.parent.parent


@dataclass
class Stage:
    """Everything that runs, by whose CPU it is."""

    folder: Path
    database_url: str
    broker_url: str
    postmaster: int
    broker: int
    farm: list[servers.Server] = field(default_factory=list)

    def backends(self) -> float:
        """CPU seconds of PostgreSQL, ended backends included."""
        return cpu_s(self.postmaster, with_children=True)

    def monitored(self) -> float:
        """CPU seconds of the monitored servers."""
        return sum(cpu_s(server.process_id) for server in self.farm)

    def wal(self) -> int:
        """Bytes of write-ahead log so far."""
        with psycopg.connect(self.database_url) as reader:
            return int(reader.execute("SELECT pg_current_wal_lsn() - '0/0'").fetchone()[0])


@contextmanager
def stage(servers_count: int = 8, data: Path | None = None) -> Iterator[Stage]:
    """Start it all: PostgreSQL as make run does, a broker, and half Redis 6.2, half Valkey 9.

    data is a folder whose database is kept afterwards.
    """
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="pk-", dir="/tmp")))
        folder.chmod(0o711)
        home = (data or folder) / "pg"
        url = running.enter_context(postgres.start(home, folder / "s"))
        socket = folder / "broker"
        broker = Running(valkey.child(folder / "valkey", socket), folder / "valkey.log")
        running.callback(broker.stop)
        broker.wait_until_ready()
        made = Stage(folder, url, valkey.url(socket), postmaster_id(home), broker.process.pid)
        for number in range(servers_count):
            kind = servers.redis if number % 2 else servers.valkey
            server = running.enter_context(kind("save", "900 1 300 10"))
            use(server.url)
            made.farm.append(server)
        environment(made)
        yield made


def environment(made: Stage) -> None:
    """Name this process's and its children's settings."""
    os.environ |= {
        "SECRET_KEY": keys.new_secret_key(),
        "FLEET_KEYS": keys.new_fleet_key(),
        "PROFILE": "embedded",
        "DATABASE_URL": made.database_url,
        "BROKER_URL": made.broker_url,
        "DJANGO_SETTINGS_MODULE": "fleet.settings",
        "LOG_LEVEL": "WARNING",
        "PULL_FOLDER": str(made.folder / "pulls"),
    }


def postmaster_id(folder: Path) -> int:
    """Read the server's process number."""
    return int((folder / "data" / "postmaster.pid").read_text().split("\n", 1)[0])


@contextmanager
def worker(made: Stage, *words: str) -> Iterator[int]:
    """Run one worker process as make run does, without its timetable; give its process number."""
    queues = ",".join(
        [*(f"zone.local.{kind}" for kind in ("now", "main", "slow", "bulk")), "control"]
    )
    argv = [
        sys.executable,
        "-m",
        "run.worker",
        "-A",
        "fleet.celery",
        "worker",
        "-P",
        "threads",
        "-c",
        "8",
    ]
    quiet = ("--without-gossip", "--without-mingle", "--without-heartbeat")
    argv += ["-Q", queues, "-l", "WARNING", *quiet, *words]
    with (made.folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(argv, cwd=ROOT, stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)
        trouble = (made.folder / "worker.log").read_text()
        if trouble.strip():
            print(trouble[-2000:], file=sys.stderr)


def cpu_s(pid: int, *, with_children: bool = False) -> float:
    """CPU seconds of a process, user and system; with_children adds those that live and that ended."""
    own = _ticks(pid, with_ended=with_children)
    if with_children:
        own += sum(_ticks(child, with_ended=True) for child in children(pid))
    return own / TICK


def children(pid: int) -> list[int]:
    """Give the numbers of a process' living children."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(number) for task in tasks for number in task.read_text().split()]


def _ticks(pid: int, *, with_ended: bool) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return sum(map(int, fields[11 : 15 if with_ended else 13]))


def wait_for(is_done, within_s: float, what: str) -> None:
    """Poll ten times a second."""
    deadline = time.monotonic() + within_s
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not done within {within_s:g} s")
        time.sleep(0.1)

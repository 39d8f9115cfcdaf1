"""A whole installation for tests under fire: database, broker, workers, to be killed and restarted."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg

from run import keys, portal, postgres, valkey
from run.children import Running

ROOT = Path(__file__).resolve().parent.parent.parent
INTERVAL_S = 6
ESTABLISHED = "01"  # /proc/net/tcp; Source: include/net/tcp_states.h
LATENESS_S = 4  # a tick of the timetable is 2 s, and the machine may be busy

REGISTER = """
import json, sys
from fleet.registry.models import FleetSettings, Pair, Target, Tenant, Zone
settings = FleetSettings.objects.get()
settings.intervals = json.loads(sys.argv[2])
settings.save()
tenant, _ = Tenant.objects.get_or_create(name="Live")
ids = []
for zone, url in json.loads(sys.argv[1]):
    zone, _ = Zone.objects.get_or_create(slug=zone)
    name = f"pair-{Target.objects.count():04}"
    target = Target.objects.create(tenant=tenant, zone=zone, name=name)
    Pair.objects.create(target=target, redis_url=url)
    ids.append(target.pk)
print(json.dumps(ids))
"""


@dataclass
class Installation:
    """What runs; everything is asked of the database itself."""

    folder: Path
    env: dict[str, str]
    url: str
    broker: Running
    postgres_started: ExitStack = field(default_factory=ExitStack)
    workers: list[Running] = field(default_factory=list)

    def manage(self, *words: str) -> str:
        """Run a management command."""
        argv = [sys.executable, str(ROOT / "manage.py"), *words]
        env = {**os.environ, **self.env}
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=True)
        return done.stdout

    def register(self, urls: Sequence[str], zone: str = "local") -> list[int]:
        """Archive what there was and register pairs, visited every six seconds; their ids in order."""
        self.sql("UPDATE registry_target SET state = 'archived'")
        every = {"default": dict.fromkeys(("health", "latency"), INTERVAL_S)}
        given = [json.dumps([(zone, url) for url in urls]), json.dumps(every)]
        script = f"import sys; sys.argv = ['', *{given!r}]\n{REGISTER}"
        return json.loads(self.manage("shell", "-v", "0", "-c", script).strip().splitlines()[-1])

    def sql(self, query: str, *params: Any) -> list[tuple[Any, ...]]:
        """Run one statement on the database, as an onlooker."""
        with psycopg.connect(self.url, autocommit=True) as reader:
            cursor = reader.execute(query, params)
            return cursor.fetchall() if cursor.description else []

    def start_postgres(self) -> None:
        """Start the database where it stopped."""
        self.postgres_started.enter_context(postgres.start(self.folder / "pg", self.folder / "s"))

    def stop_postgres(self) -> None:
        """Stop it as an operator would."""
        self.postgres_started.close()

    def restart_broker(self) -> None:
        """Kill the broker and start an empty one in its place."""
        self.broker.process.kill()
        self.broker.stop()
        for kept in (self.folder / "valkey").glob("*.rdb"):
            kept.unlink()
        self.broker = Running(self.broker.child, self.folder / "valkey.log")
        self.broker.wait_until_ready()

    def start_worker(self, name: str = "w", zone: str = "local") -> Running:
        """Start a worker with a timetable of its own, and wait until it was seen."""
        env = {**self.env, "ZONE": zone, "WORKER_NAME": name}
        before = os.environ.get("ZONE")
        os.environ["ZONE"] = zone
        child = portal.worker(self.folder / f"beat-{name}", env)
        if before is None:
            del os.environ["ZONE"]
        else:
            os.environ["ZONE"] = before
        (self.folder / f"beat-{name}").mkdir(exist_ok=True)
        started = time.time()
        running = Running(child, self.folder / f"{name}.log")
        self.workers.append(running)
        seen = "SELECT 1 FROM registry_worker WHERE name = %s AND last_seen_at > to_timestamp(%s)"
        wait_for(lambda: self.sql(seen, name, started), 30, f"worker {name}")
        return running

    def stop_workers(self) -> None:
        """Stop all workers as the supervisor does."""
        while self.workers:
            self.workers.pop().stop()

    def log(self, name: str = "w") -> str:
        """Give what a worker wrote."""
        return (self.folder / f"{name}.log").read_text()

    def visits(self, ids: Sequence[int]) -> dict[int, list[float]]:
        """Give the Unix times of the recorded visits by pair, oldest first."""
        rows = self.sql(
            "SELECT target_id, extract(epoch FROM at)::float FROM history_visit"
            " WHERE target_id = ANY(%s) ORDER BY at",
            list(ids),
        )
        found: dict[int, list[float]] = {pk: [] for pk in ids}
        for pk, at in rows:
            found[pk].append(at)
        return found

    def is_visited(self, ids: Sequence[int], times: int = 1) -> bool:
        """Say whether each of these pairs was visited so often."""
        return all(len(at) >= times for at in self.visits(ids).values())


@contextmanager
def installation() -> Iterator[Installation]:
    """Start database and broker, migrate, and stop everything however the block ends."""
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="pk-", dir="/tmp")))
        folder.chmod(0o711)
        broker = Running(valkey.child(folder / "valkey", folder / "broker"), folder / "valkey.log")
        env = {
            "SECRET_KEY": keys.new_secret_key(),
            "FLEET_KEYS": keys.new_fleet_key(),
            "PROFILE": "embedded",
            "DATABASE_URL": postgres.url(folder / "s"),
            "BROKER_URL": valkey.url(folder / "broker"),
            "DJANGO_SETTINGS_MODULE": "fleet.settings",
            "STATICFILES_STORAGE": "django.contrib.staticfiles.storage.StaticFilesStorage",
            "PYTHONUNBUFFERED": "1",
        }
        made = Installation(folder, env, postgres.url(folder / "s"), broker)
        running.callback(lambda: made.broker.stop())  # noqa: PLW0108  it may be another by then
        running.callback(made.stop_postgres)
        made.start_postgres()
        broker.wait_until_ready()
        made.manage("migrate", "-v", "0")
        running.callback(made.stop_workers)
        yield made


def wait_for(is_done: Callable[[], Any], within_s: float, what: str) -> float:
    """Poll five times a second; returns the seconds it took."""
    started = time.monotonic()
    while not is_done():
        assert time.monotonic() - started < within_s, f"{what}: not within {within_s:g} s"
        time.sleep(0.2)
    return time.monotonic() - started


@contextmanager
def blackholes(count: int) -> Iterator[list[str]]:
    """Give URLs of ports that never accept: a listening socket whose queue is full drops what comes."""
    with ExitStack() as open_sockets:
        urls = []
        for _ in range(count):
            server = open_sockets.enter_context(socket.socket())
            server.bind(("127.0.0.1", 0))
            server.listen(0)
            for _attempt in range(3):
                filler = open_sockets.enter_context(socket.socket())
                filler.setblocking(False)  # noqa: FBT003  the socket's own word
                filler.connect_ex(server.getsockname())
            urls.append(f"redis://127.0.0.1:{server.getsockname()[1]}")
        time.sleep(0.1)
        yield urls


@contextmanager
def mutes(count: int) -> Iterator[list[str]]:
    """Give URLs of ports that accept and never say a word."""
    with ExitStack() as open_sockets:
        urls = []
        for _ in range(count):
            server = open_sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
            urls.append(f"redis://127.0.0.1:{server.getsockname()[1]}")
        yield urls


def are_called(urls: list[str]) -> bool:
    """Tell whether somebody is connected to each of these ports of this machine."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    called = {int(line[1].partition(":")[2], 16) for line in lines if line[3] == ESTABLISHED}
    return called >= {int(url.rpartition(":")[2]) for url in urls}


def kill_outright(worker: Running) -> None:
    """End a worker and its timetable with SIGKILL, as the kernel would when memory runs out."""
    os.killpg(worker.process.pid, signal.SIGKILL)
    worker.process.wait(10)


def databases(url: str, count: int) -> list[str]:
    """Give as many URLs on one server, over its databases."""
    return [f"{url}/{n % 16}" for n in range(count)]


def assert_sound(here: Installation, ids: list[int]) -> None:
    """No visit without a claim of its own, no live finding twice, no claim recorded that was not given."""
    rows = here.sql(
        "SELECT s.target_id, s.claim, p.recorded_claim, (SELECT count(*) FROM history_visit v"
        " WHERE v.target_id = s.target_id) FROM inspections_pairschedule s"
        " JOIN inspections_pairstate p USING (target_id) WHERE s.target_id = ANY(%s)",
        ids,
    )
    assert len(rows) == len(ids)
    for _pk, claim, recorded, visits in rows:
        assert visits <= recorded <= claim


def assert_on_time(here: Installation, ids: list[int]) -> None:
    """Each pair was visited at most an interval and a half after the last time, and once an interval."""
    visits = here.visits(ids).values()
    gaps = sorted(later - sooner for times in visits for sooner, later in pairwise(times))
    assert gaps[-1] <= 1.5 * INTERVAL_S + LATENESS_S, gaps[-5:]
    for times in visits:
        assert len(times) <= 2 + (times[-1] - times[0] + LATENESS_S) / INTERVAL_S, times

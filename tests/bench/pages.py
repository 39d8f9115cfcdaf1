"""The pages at 10,000 pairs, one request at a time through the web server while a worker inspects them.

And what else 90 days of history tell: memory of what runs, trends, rollup, retention. A process of
its own, `python -m tests.bench.pages`, because the settings name one database. It prints a line of
JSON for each figure.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

import django
from django.core.management import call_command

from run import portal
from run.children import Child, Running
from tests.bench import faces
from tests.bench.figure import Figure
from tests.bench.meters import pss_mb
from tests.bench.stage import ROOT, cpu_s, stage
from tests.servers import free_port

ROUNDS, WARM_UP_S = (
    20,
    75,
)  # a minute for every pair to be visited, and for EmailEngine to have begun
KEPT = ROOT / "var" / "bench"
MADE_BY = ("fleet/**/migrations/*.py", "checks/rules/*.py", *(
    f"tests/bench/{name}.py" for name in ("faces", "fleet", "past")
))  # fmt: skip
PERSON = "bench"


@dataclass(frozen=True)
class Timed:
    """One page: how long the server took to answer it in full, its CPU, and its queries with empty caches."""

    name: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    queries: int

    def figures(self) -> Iterator[Figure]:
        """Set them beside their budgets."""
        yield Figure.at_most(f"page_{self.name}_p50", self.p50_ms, "ms")
        yield Figure.at_most(f"page_{self.name}_p95", self.p95_ms, "ms", 250)
        yield Figure.at_most(f"page_{self.name}_cpu", self.cpu_ms, "ms")
        yield Figure.at_most(f"page_{self.name}_queries", self.queries, "", 12)


def measure() -> Iterator[Figure]:
    """Run the benchmark in a process of its own."""
    words = [sys.executable, "-m", "tests.bench.pages"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as child:
        for line in child.stdout:
            yield Figure(**json.loads(line))
    if child.returncode:
        raise RuntimeError(f"the page benchmark ended with {child.returncode}")


def main() -> None:
    """Measure every page while all runs, and then what only needs the database."""
    for figure in figures():
        print(json.dumps(asdict(figure)), flush=True)


def figures() -> Iterator[Figure]:
    """Give figure after figure."""
    with ExitStack() as running:
        port, web, processes = stand(running)
        time.sleep(WARM_UP_S)
        for one in timed(port, web):
            yield from one.figures()
        yield Figure.at_most("memory_pss", sum(map(pss_mb, processes)), "MB", 300)
        for process in reversed(processes):
            os.kill(process, signal.SIGTERM)
        from tests.bench import stored  # noqa: PLC0415  it needs the settings that stage() names

        yield from stored.measure()


def stand(running: ExitStack) -> tuple[int, int, list[int]]:
    """Run everything: the fleet's database, its servers, a worker with its timetable, the web server.

    Gives the web server's port and process, and the processes of the portal.
    """
    os.environ["PAIRKEEPER_SECRET_BENCH"] = faces.SECRET
    home = kept_folder(datetime.now(UTC))
    made = running.enter_context(stage(0, data=home))
    addresses = running.enter_context(faces.farm(made.folder))
    os.environ["STATIC_ROOT"] = str(made.folder / "static")
    django.setup()
    prepare(home, addresses)
    port, processes = free_port(), []
    for child in (worker(made.folder), portal.web("127.0.0.1", port, {})):
        process = Running(child, made.folder / f"{child.name}.log")
        running.callback(process.stop)
        process.wait_until_ready()
        processes.append(process.process.pid)
    return port, processes[-1], processes


def kept_folder(now: datetime) -> Path:
    """Give the folder of a fleet that this state of the code made today; older ones are removed."""
    state = f"{portal.fingerprint(*MADE_BY)} {now:%Y-%m-%d}"
    wanted = KEPT / f"fleet-{hashlib.sha256(state.encode()).hexdigest()[:12]}"
    for path in KEPT.glob("fleet-*"):
        if path != wanted or not (path / "made").exists():
            shutil.rmtree(path)
    wanted.mkdir(mode=0o711, parents=True, exist_ok=True)
    return wanted


def prepare(home: Path, addresses: dict[str, faces.Address]) -> None:
    """Make the fleet, or let the one that is there follow its servers."""
    from django.utils import timezone  # noqa: PLC0415  these need the settings that stage() names

    from fleet.people.models import User  # noqa: PLC0415
    from tests.bench import fleet  # noqa: PLC0415

    call_command("collectstatic", interactive=False, verbosity=0)
    call_command("migrate", verbosity=0)
    if (home / "made").exists():
        fleet.move(addresses)
    else:
        print("  making a fleet of 10,000 pairs …", file=sys.stderr, flush=True)
        User.objects.create_superuser(PERSON)
        fleet.make(addresses, timezone.now())
        (home / "made").touch()
    fleet.man(timezone.now())


def worker(folder: Path) -> Child:
    """Describe a worker as `make run` starts it, for all zones of the fleet."""
    from tests.bench.fleet import ZONES  # noqa: PLC0415

    child = portal.worker(folder, {})
    queues = [f"zone.{zone}.{kind}" for zone in ZONES for kind in portal.QUEUES]
    argv = [*child.argv[: child.argv.index("-Q") + 1], ",".join([*queues, "control"])]
    return Child(name="worker", argv=[*argv, *child.argv[-2:]], stop_within_s=5)


def timed(port: int, web: int) -> Iterator[Timed]:
    """Ask for page after page, round after round, so that what is kept for seconds runs out too."""
    from tests.bench import asked  # noqa: PLC0415

    pages, cookie = asked.pages(PERSON), asked.cookie(PERSON)
    queries = {name: asked.count_queries(PERSON, path) for name, path in pages.items()}
    took: dict[str, list[float]] = {name: [] for name in pages}
    spent_s = dict.fromkeys(pages, 0.0)
    for _round in range(ROUNDS):
        asked.man()
        for name, path in pages.items():
            before_s = cpu_s(web, with_children=True)
            took[name].append(fetch(port, path, cookie))
            spent_s[name] += cpu_s(web, with_children=True) - before_s
    for name, times in took.items():
        cpu_ms = spent_s[name] * 1000 / ROUNDS
        yield Timed(name, median(times), quantiles(times, n=20)[-1], cpu_ms, queries[name])


def fetch(port: int, path: str, cookie: str) -> float:
    """Ask for one page; returns the milliseconds until its last byte."""
    headers = {"Cookie": f"sessionid={cookie}"}
    if "/trend/?" in path or "/trends/data/" in path or "autocomplete" in path:
        headers["Accept"] = "application/json"
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    body = answer.read()
    took_ms = (time.perf_counter() - started) * 1000
    connection.close()
    if answer.status != http.HTTPStatus.OK or not body:
        raise RuntimeError(f"{path} answers {answer.status} with {len(body)} bytes")
    return took_ms


if __name__ == "__main__":
    main()

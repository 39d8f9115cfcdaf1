"""At equal pace: 3,000 pairs once a minute, by us, and by redis_exporter with Prometheus."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

from fleet.history.models import Visit
from fleet.inspections.models import PairSchedule
from tests.bench import exporter
from tests.bench.figure import Figure
from tests.bench.stage import Stage, cpu_s, wait_for, worker
from tests.bench.visits import PAIRS
from tests.servers import free_port

EVERY_S = 60
SETTLED_S = 75  # all were read once, and lie spread over the minute
# Ours reads rarer things every five minutes too, and a counter's first comparison is news of each
# pair: the second look comes within 450 s of the first (fleet/inspections/due.py).
TWICE_S = 480


def measure(stage: Stage) -> Iterator[Figure]:
    """CPU per target of all that each needs; ours is everything from timetable to committed row."""
    worker_ms, services_ms = ours(stage)
    ours_ms = worker_ms + services_ms
    yield Figure.at_most("paced_visit_cpu", ours_ms, "ms")
    yield Figure.at_most("paced_visit_cpu_worker", worker_ms, "ms")
    program, prometheus = exporter.program(), shutil.which("prometheus")
    if program is None or prometheus is None:
        print("  no redis_exporter with Prometheus here: not measured beside us", flush=True)
        return
    theirs_ms = theirs(stage, program, prometheus)
    yield Figure.at_most("paced_exporter_and_prometheus_cpu", theirs_ms, "ms")
    yield Figure.at_most("paced_share_of_theirs", ours_ms / theirs_ms, "", 0.2)


def ours(stage: Stage) -> tuple[float, float]:
    """CPU milliseconds per visit: of the worker with its timetable, and of database and broker.

    All is counted that a fleet at the default intervals costs: the rarer cadences, and the portal's
    own watching, mailing and dispatching.
    """
    with worker(stage, "-B", "-s", str(stage.folder / "beat")) as pid:
        wait_for(lambda: not PairSchedule.objects.filter(claim=0).exists(), 60, "first visits")
        time.sleep(TWICE_S)
        worker_s, services_s, count = cpu_s(pid), _services_s(stage), Visit.objects.count()
        time.sleep(EVERY_S)
        visits = Visit.objects.count() - count
        worker_s, services_s = cpu_s(pid) - worker_s, _services_s(stage) - services_s
    if not 0.9 * PAIRS <= visits <= 1.1 * PAIRS:
        raise RuntimeError(
            f"{visits} visits in a minute of {PAIRS} pairs: this machine is too busy"
        )
    return worker_s * 1000 / visits, services_s * 1000 / visits


def _services_s(stage: Stage) -> float:
    return stage.backends() + cpu_s(stage.broker)


def theirs(stage: Stage, program: str, prometheus: str) -> float:
    """CPU milliseconds per scrape of the exporter and of Prometheus, which keeps what it reads."""
    with exporter.running(program) as (pid, port), _scraping(stage, prometheus, port) as scraper:
        time.sleep(SETTLED_S)
        before = cpu_s(pid) + cpu_s(scraper)
        time.sleep(EVERY_S)
        return (cpu_s(pid) + cpu_s(scraper) - before) * 1000 / PAIRS


@contextmanager
def _scraping(stage: Stage, prometheus: str, exporter_port: int) -> Iterator[int]:
    """Run Prometheus on as many targets as we have pairs, every minute; give its process."""
    folder = stage.folder / "prometheus"
    folder.mkdir()
    settings = folder / "prometheus.json"  # JSON is YAML
    settings.write_text(json.dumps(_settings(stage, exporter_port)))
    words = ["--config.file", str(settings), "--storage.tsdb.path", str(folder / "data")]
    address = ["--web.listen-address", f"127.0.0.1:{free_port()}", "--log.level", "error"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen([prometheus, *words, *address], stdout=log, stderr=log)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)
        print((folder / "log").read_text()[-1000:], end="")


def _settings(stage: Stage, exporter_port: int) -> dict[str, object]:
    farm = [server.url for server in stage.farm]
    targets = [
        {"targets": [f"{farm[n % len(farm)]}/{n % 16}"], "labels": {"pair": str(n)}}
        for n in range(PAIRS)
    ]
    relabelled = [
        {"source_labels": ["__address__"], "target_label": "__param_target"},
        {"target_label": "__address__", "replacement": f"127.0.0.1:{exporter_port}"},
    ]
    job = {
        "job_name": "redis",
        "scrape_interval": f"{EVERY_S}s",
        "scrape_timeout": "30s",
        "metrics_path": "/scrape",
        "static_configs": targets,
        "relabel_configs": relabelled,
    }
    return {"scrape_configs": [job]}

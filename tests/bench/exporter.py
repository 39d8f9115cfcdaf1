"""redis_exporter beside us, where it is installed: the same servers, as fast as it goes."""

import http.client
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from tests.bench.stage import Stage, cpu_s
from tests.servers import free_port

NAMES = ("redis_exporter", "prometheus-redis-exporter")
SCRAPES, AT_ONCE = 2_000, 8


def program() -> str | None:
    """Find it on PATH."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def measure(stage: Stage, path: str) -> tuple[float, float]:
    """CPU milliseconds per scrape of one target: the exporter's own, and the monitored servers'."""
    with running(path) as (pid, port):
        _scrape_all(stage, port, 200)
        before = cpu_s(pid), stage.monitored()
        _scrape_all(stage, port, SCRAPES)
        after = cpu_s(pid), stage.monitored()
    exporter, monitored = ((b - a) * 1000 / SCRAPES for a, b in zip(before, after, strict=True))
    return exporter, monitored


@contextmanager
def running(path: str) -> Iterator[tuple[int, int]]:
    """Run it; give its process and port."""
    port = free_port()
    words = [path, "-web.listen-address", f"127.0.0.1:{port}", "-redis.addr", ""]
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        yield process.pid, port
    finally:
        process.terminate()
        process.wait(10)


def _scrape_all(stage: Stage, port: int, count: int) -> None:
    targets = [stage.farm[n % len(stage.farm)].url for n in range(count)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda target: _scrape(port, target), targets))


def _scrape(port: int, target: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/scrape?target={target}")
    body = connection.getresponse().read()
    connection.close()
    assert b"redis_up 1" in body, body[:200]

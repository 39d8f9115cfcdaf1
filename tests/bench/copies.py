"""A pull of 1 GB from a server under write load, and the drill of it: time, memory, what the server felt."""

import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Self

import django
from redis import Redis

from tests import servers
from tests.bench.figure import Figure
from tests.bench.stage import stage

KEYS = int(os.environ.get("BENCH_COPY_KEYS", "1000000"))
VALUE_BYTES = 1_000
BATCH = 10_000
WRITES_PER_S = 2_000
SAMPLE_S = 0.05


@dataclass
class Load:
    """Writes that go on while something else is measured."""

    url: str
    written: int = 0
    longest_s: float = 0.0

    @contextmanager
    def going_on(self) -> Iterator[None]:
        over = threading.Event()
        thread = threading.Thread(target=self._write, args=(over,))
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def _write(self, over: threading.Event) -> None:
        with Redis.from_url(self.url) as client:
            while not over.is_set():
                began = time.monotonic()
                client.set(f"k:{random.randrange(KEYS)}", random.randbytes(VALUE_BYTES))
                self.longest_s = max(self.longest_s, time.monotonic() - began)
                self.written += 1
                time.sleep(max(0.0, 1 / WRITES_PER_S - (time.monotonic() - began)))


class Memory:
    """The most memory that this process holds while the block runs, above what it held before, in bytes."""

    def __enter__(self) -> Self:
        self._idle = self._most = rss_bytes()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._over.set()
        self._thread.join()

    @property
    def above_idle_bytes(self) -> int:
        return self._most - self._idle

    def _watch(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self._most = max(self._most, rss_bytes())


def rss_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure() -> Iterator[Figure]:
    """Pull once, and drill it once."""
    # Its modules need the settings, whose environment the stage has just given.
    from tests.bench import copying  # noqa: PLC0415

    with servers.valkey("save", "", "repl-diskless-sync-delay", "0") as server:
        filling = get_context("spawn").Process(target=fill, args=(server.url,))  # of its own memory
        filling.start()
        filling.join()
        work = copying.Work(server.url)
        load = Load(server.url)
        with Memory() as memory, load.going_on():
            began = time.monotonic()
            copy = work.pull(datetime.now().astimezone())
            pull_s = time.monotonic() - began
        yield Figure.at_most("pull_size", copy.size_bytes / 1e6, "MB")
        yield Figure.at_most("pull_time", pull_s, "s")
        yield Figure.at_most("pull_rate", copy.size_bytes / 1e6 / pull_s, "MB/s")
        yield Figure.at_most("pull_memory_above_idle", memory.above_idle_bytes / 1e6, "MB", 100)
        yield Figure.at_most("pull_ping_idle", copy.pull_ping_idle_us / 1000, "ms")
        yield Figure.at_most("pull_ping_median", copy.pull_ping_median_us / 1000, "ms")
        yield Figure.at_most("pull_ping_most", copy.pull_ping_max_us / 1000, "ms")
        yield Figure.at_most("pull_writes_meanwhile", load.written / pull_s, "1/s")
        yield Figure.at_most("pull_write_longest", load.longest_s * 1000, "ms")
        with Memory() as memory:
            drill = work.drill(datetime.now().astimezone())
        assert drill.outcome == "passed", drill.text
        assert drill.keys == {"0": KEYS}, drill.keys
        yield Figure.at_most("drill_load", drill.load_ms / 1000, "s")
        yield Figure.at_most("drill_memory_above_idle", memory.above_idle_bytes / 1e6, "MB", 100)


def fill(url: str) -> None:
    """Write keys whose values nothing can compress."""
    with Redis.from_url(url) as client:
        for start in range(0, KEYS, BATCH):
            keys = range(start, min(start + BATCH, KEYS))
            client.mset({f"k:{number}": random.randbytes(VALUE_BYTES) for number in keys})


def main() -> int:
    """Measure this alone."""
    figures = []
    with stage(servers_count=0):
        django.setup()
        from django.core.management import call_command  # noqa: PLC0415  after the setup

        call_command("migrate", verbosity=0)
        for figure in measure():
            figures.append(figure)
            print(figure.line(), flush=True)
    return 0 if all(figure.ok for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())

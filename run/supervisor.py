"""Starts children in order, watches them, and stops them in reverse."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType

from run.children import Child, Running

MAX_LOG_BYTES = 10_000_000
WATCH_S = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """Somebody asked us to stop: Ctrl-C, SIGTERM, or the terminal closed.

    A request, not an error: no `except Exception` may catch it.
    """


def heed_signals() -> None:
    """Turn the first stop signal into StopRequested, wherever we are; later ones are ignored."""

    def request_stop(_number: int, _frame: FrameType | None) -> None:
        ignore_signals()
        raise StopRequested

    for number in STOP_SIGNALS:
        signal.signal(number, request_stop)


def ignore_signals() -> None:
    """Stop only once: from here on nothing may interrupt the orderly end."""
    for number in STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def say(line: str) -> None:
    """Tell the person at the terminal; a terminal that is gone is no reason to fail."""
    try:
        print(line, flush=True)
    except OSError:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (kept open for the rest of the run)


class Supervisor:
    """The children that run now."""

    def __init__(self, logs: Path) -> None:
        """Write each child's log to logs/NAME.log."""
        self._logs = logs
        self._running: list[Running] = []

    def start(self, children: Sequence[Child]) -> None:
        """Start the children side by side and return when all are ready."""
        began = time.monotonic()
        started = []
        for child in children:
            log = self._logs / f"{child.name}.log"
            bound(log)
            running = Running(child, log)
            self._running.append(running)
            started.append(running)
        for running in started:
            running.wait_until_ready(watch=self.check)
            say(f"  {running.child.name}: ready after {time.monotonic() - began:.1f} s")

    def check(self) -> None:
        """Raise ChildEndedError when a child has ended."""
        for running in self._running:
            running.check_alive()

    def watch(self) -> None:
        """Wait for a stop signal or a dead child; meanwhile keep the logs bounded."""
        while True:
            time.sleep(WATCH_S)
            self.check()
            for running in self._running:
                bound(running.log_path)

    def stop(self) -> None:
        """Stop all children, the last one first."""
        if self._running:
            say("Stopping …")
        while self._running:
            self._running.pop().stop()


def bound(log: Path) -> None:
    """Keep one older copy of a log that has grown too long.

    Copied and cut rather than renamed: the child appends to the open file and notices nothing.
    """
    if log.exists() and log.stat().st_size > MAX_LOG_BYTES:
        shutil.copyfile(log, log.with_suffix(".log.1"))
        os.truncate(log, 0)


def timed(name: str, step: Callable[[], None]) -> None:
    """Do a step of the start and tell how long it took."""
    began = time.monotonic()
    say(f"  {name} …")
    step()
    say(f"  {name}: done after {time.monotonic() - began:.1f} s")

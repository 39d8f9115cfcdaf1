"""Run a server that stops and starts every few minutes: `python -m run.demo.flapping PROGRAM …`."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

from run.launch import ending_with_us

UP_S, DOWN_S = 240.0, 100.0
WATCH_S = 0.5


def main(argv: Sequence[str]) -> int:
    """Start and stop the program by turns until SIGTERM."""
    signal.signal(signal.SIGTERM, _leave)
    while True:
        server = subprocess.Popen(ending_with_us(argv))
        try:
            _sleep_while_alive(server, UP_S)
        finally:
            server.terminate()
            server.wait()
        time.sleep(DOWN_S)


def _sleep_while_alive(server: subprocess.Popen[bytes], seconds: float) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(WATCH_S)
        if server.poll() is not None:
            sys.exit(server.returncode or 1)


def _leave(_number: int, _frame: FrameType | None) -> None:
    sys.exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

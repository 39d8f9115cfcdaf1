"""One child process: what to start, how to know that it is ready, how to stop it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from run.launch import ending_with_us

POLL_S = 0.05
TAIL_LINES = 15


class RunError(Exception):
    """Something the person who typed the command must know: one sentence, no traceback."""


class ChildEndedError(RunError):
    """A child ended that should have lived."""


def ready_at_once() -> bool:
    """Answer for a child that need not be waited for."""
    return True


@dataclass(frozen=True)
class Child:
    """A program to run beside the others.

    argv[0] is a path. env is laid over the supervisor's own environment. is_ready is asked every
    50 ms after the start, for ready_within_s at most. stop_signal is sent first and SIGKILL after
    stop_within_s. death_signal is what it gets when the supervisor itself is killed. account is
    the (user id, group id) to run under when the supervisor is root.
    """

    name: str
    argv: Sequence[str]
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    is_ready: Callable[[], bool] = ready_at_once
    ready_within_s: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    stop_within_s: float = 10.0
    death_signal: signal.Signals = signal.SIGKILL
    account: tuple[int, int] | None = None


class Running:
    """A started child and its log."""

    def __init__(self, child: Child, log_path: Path) -> None:
        """Start it in a session of its own, so that the terminal's Ctrl-C reaches only the supervisor."""
        self.child = child
        self.log_path = log_path
        with log_path.open("ab") as log:
            self.log_start_bytes = log.tell()
            self.process = subprocess.Popen(
                ending_with_us(child.argv, child.death_signal, child.account),
                env={**os.environ, **child.env},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_until_ready(self, watch: Callable[[], None] = lambda: None) -> None:
        """Return when the child is ready; raise ChildEndedError when it ended or took too long.

        watch is called at every poll and may raise, for instance because another child ended.
        """
        deadline = time.monotonic() + self.child.ready_within_s
        while not self.child.is_ready():
            self.check_alive()
            watch()
            if time.monotonic() > deadline:
                sentence = f"{self.child.name} was not ready within {self.child.ready_within_s:g} s"
                raise ChildEndedError(self._with_log(sentence))
            time.sleep(POLL_S)
        self.check_alive()

    def check_alive(self) -> None:
        """Raise ChildEndedError, with the end of its log, when the child has ended."""
        code = self.process.poll()
        if code is not None:
            raise ChildEndedError(self._with_log(f"{self.child.name} {ending(code)}"))

    def stop(self) -> None:
        """Ask it to end, wait, and kill what is left of its session."""
        if self.process.poll() is None:
            self.process.send_signal(self.child.stop_signal)
        try:
            self.process.wait(self.child.stop_within_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        kill_session(self.process.pid)

    def _with_log(self, sentence: str) -> str:
        return with_log(sentence, self.log_path, self.log_start_bytes)


def with_log(sentence: str, log_path: Path, start_bytes: int) -> str:
    """Add the end of what a log has gained since start_bytes."""
    with log_path.open("rb") as log:
        log.seek(start_bytes)
        lines = log.read().decode(errors="replace").splitlines()[-TAIL_LINES:]
    return "\n".join([f"{sentence}; the end of {log_path}:", *(f"    {line}" for line in lines)])


def ending(code: int) -> str:
    """Tell how a process ended, from subprocess' return code."""
    if code < 0:
        return f"was ended by {signal.Signals(-code).name}"
    return f"ended with code {code}"


def kill_session(leader_id: int) -> None:
    """Kill what a dead child left behind in its process group."""
    try:
        os.killpg(leader_id, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return

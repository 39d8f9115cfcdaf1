"""A server that lives for one restore: no port, no disk, little memory, and it dies with us.

The dump reaches it through a pipe, which it takes for a file: of the data nothing touches a disk.
"""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any, Final

import redis

from fleet.backups.caged import caged
from fleet.backups.readers import Reader

FOLDER_PREFIX: Final = "pkd-"
PIPE_BYTES: Final = 1024 * 1024
YOUNG_S: Final = 60.0
POLL_S: Final = 0.05
ANSWER_S: Final = 20.0
# As many as any server we know of is set up with; each costs it a few hundred bytes.
DATABASES: Final = 1024
# What a server maps beside its data: code, stacks, the allocator's spare. Measured: Valkey 9, 200 MB.
OVERHEAD_BYTES: Final = 512 * 1024 * 1024
MAKES_THAT_SANITIZE: Final = ("valkey", "redis")
SANITIZING_SINCE: Final = (6, 2)
LOG_TAIL_BYTES: Final = 64 * 1024


class ScratchEnded(Exception):
    """The server did not take the dump; `log` is the end of what it wrote."""

    def __init__(self, text: str, log: str) -> None:
        super().__init__(text)
        self.log = log


class ScratchTooSlow(Exception):
    """The dump was not loaded in time."""


class Scratch:
    """A scratch server: feed it, then ask it."""

    def __init__(self, reader: Reader, folder: Path, memory_bytes: int, within_s: float) -> None:
        self.folder = folder
        self._ends_at = time.monotonic() + within_s
        self._within_s = within_s
        read_end, self._write_end = os.pipe()
        with suppress(PermissionError):  # the user's pipes hold too much already: slower
            fcntl.fcntl(self._write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        os.set_blocking(self._write_end, False)
        words = [reader.path, *_options(reader, folder, read_end, memory_bytes)]
        with (folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                caged(words, memory_bytes + OVERHEAD_BYTES, int(within_s)),
                env={},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=(read_end,),
                start_new_session=True,
            )
        os.close(read_end)

    @property
    def process_id(self) -> int:
        return self._process.pid

    def load(self, pieces: Iterable[bytes], tick: Callable[[], None]) -> None:
        """Feed a dump to its last byte and wait until it is served; as `fed` and `wait`."""
        for _piece in self.fed(pieces, tick):
            pass
        self.wait(tick)

    def fed(self, pieces: Iterable[bytes], tick: Callable[[], None]) -> Iterator[bytes]:
        """Feed a dump piece by piece and pass it on, to its end also where the server has ended.

        `tick` is called every second at least. Raises ScratchTooSlow, and what both raise.
        """
        is_taken = True
        for piece in pieces:
            if is_taken:
                is_taken = self._is_taken(piece, tick)
            yield piece

    def _is_taken(self, piece: bytes, tick: Callable[[], None]) -> bool:
        try:
            self._feed(piece, tick)
        except (BrokenPipeError, ScratchEnded):  # it has seen enough: wait() says why
            return False
        return True

    def wait(self, tick: Callable[[], None]) -> None:
        """Wait until what was fed is served. Raises ScratchEnded, ScratchTooSlow and what `tick` raises."""
        self._close_pipe()
        while not self._is_serving():
            self._check()
            tick()
            time.sleep(POLL_S)

    def _feed(self, piece: bytes, tick: Callable[[], None]) -> None:
        left = memoryview(piece)
        while left:
            self._check()
            tick()
            if select.select([], [self._write_end], [], 1.0)[1]:
                left = left[os.write(self._write_end, left) :]

    def _check(self) -> None:
        code = self._process.poll()
        if code is not None:
            raise ScratchEnded(_ending(code), self._log())
        if time.monotonic() > self._ends_at:
            raise ScratchTooSlow(f"it was not loaded within {self._within_s:g} s")

    def _is_serving(self) -> bool:
        try:
            return bool(self.client().ping())
        except redis.exceptions.RedisError:  # not listening yet, or loading
            return False

    def client(self, database: int = 0) -> Any:
        """Give a client of one of its databases."""
        return redis.Redis(
            unix_socket_path=str(self.folder / "s"),
            db=database,
            socket_timeout=ANSWER_S,
            single_connection_client=False,
        )

    def keys_by_database(self) -> dict[str, int]:
        """Count the keys it holds, by database."""
        found: dict[str, Any] = self.client().info("keyspace")
        return {name.removeprefix("db"): int(told["keys"]) for name, told in found.items()}

    def end(self) -> None:
        """Kill it, and what it may have started; safe to call again."""
        self._close_pipe()
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def _close_pipe(self) -> None:
        if self._write_end >= 0:
            os.close(self._write_end)
            self._write_end = -1

    def _log(self) -> str:
        with (self.folder / "log").open("rb") as log:
            log.seek(max(0, (self.folder / "log").stat().st_size - LOG_TAIL_BYTES))
            return log.read().decode(errors="replace")


@contextmanager
def scratch(reader: Reader, memory_bytes: int, within_s: float) -> Iterator[Scratch]:
    """Start a scratch server in a private folder; with the block both are gone, whatever happens."""
    folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=_runtime()))
    with _holding(folder):
        try:
            server = Scratch(reader, folder, memory_bytes, within_s)
            try:
                yield server
            finally:
                server.end()
        finally:
            shutil.rmtree(folder)


def sweep() -> int:
    """Remove the folders of workers that were killed; the kernel has ended their servers already."""
    gone = 0
    for folder in _runtime().glob(f"{FOLDER_PREFIX}*"):
        try:
            if time.time() - folder.stat().st_mtime < YOUNG_S:
                continue  # it may not be locked yet
            with _holding(folder):
                shutil.rmtree(folder)
                gone += 1
        except (BlockingIOError, FileNotFoundError, PermissionError, NotADirectoryError):
            continue  # in use, gone already, or somebody else's
    return gone


@contextmanager
def _holding(folder: Path) -> Iterator[IO[bytes]]:
    """Hold a folder's lock, which the kernel drops when we die; BlockingIOError where another does."""
    with (folder / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock


def _runtime() -> Path:
    """Give a folder whose path leaves room for a socket's: the kernel allows 107 bytes."""
    return Path("/tmp")  # ours below it are private: mkdtemp makes them


def _options(reader: Reader, folder: Path, dump: int, memory_bytes: int) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(folder / "s"),
        "unixsocketperm": "700",
        "dir": "/proc/self/fd",
        "dbfilename": str(dump),
        "databases": str(DATABASES),
        "save": "",
        "appendonly": "no",
        "maxmemory": str(memory_bytes),
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    if reader.make in MAKES_THAT_SANITIZE and reader.release >= SANITIZING_SINCE:
        options["sanitize-dump-payload"] = "yes"  # a hostile dump must not get hold of the server
    return [word for name, value in options.items() for word in (f"--{name}", value)]


SIGNALS: Final = MappingProxyType(
    {
        signal.SIGXCPU: "it took too much CPU time",
        signal.SIGKILL: "it was killed, most often for want of memory",
    }
)


def _ending(code: int) -> str:
    if code >= 0:
        return f"the server ended with status {code}"
    return SIGNALS.get(signal.Signals(-code), f"it was ended by {signal.Signals(-code).name}")

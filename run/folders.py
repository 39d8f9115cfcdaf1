"""Where things lie: the data folder, the short private folder for sockets, and who holds them."""

import fcntl
import hashlib
import os
import shutil
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from run.children import RunError

CHECKOUT = Path(__file__).resolve().parent.parent
# The kernel allows 107 bytes in a unix socket's path; PostgreSQL adds ".s.PGSQL.5432".
MAX_SOCKET_PATH_BYTES = 100
LONGEST_SOCKET_NAME = "postgres/.s.PGSQL.5432"


@dataclass(frozen=True)
class Folders:
    """The places of one installation."""

    home: Path
    runtime: Path

    @property
    def logs(self) -> Path:
        """Where every child writes its log."""
        return self.home / "log"


def find_folders() -> Folders:
    """Read PAIRKEEPER_HOME (default: var/ in the checkout) and make both folders.

    The runtime folder's name follows from the home's path, so a second command finds the same one.
    """
    said = os.environ.get("PAIRKEEPER_HOME")
    home = Path(os.path.expanduser(said) if said else CHECKOUT / "var").resolve()  # noqa: PTH111  pathlib's raises
    make_home(home)
    return Folders(home=home, runtime=make_runtime(home))


def make_home(home: Path) -> None:
    """Make the data folder, closed to others, and see that it can be written."""
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "log").mkdir(mode=0o700, exist_ok=True)
        probe = home / "log" / ".writable"
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        raise RunError(
            f"The data folder {home} cannot be written ({error.strerror}): "
            "set PAIRKEEPER_HOME to a folder of your own."
        ) from error


def make_runtime(home: Path) -> Path:
    """Make the private folder for sockets; raise RunError when somebody else made it first."""
    digest = hashlib.sha256(str(home).encode()).hexdigest()[:8]
    runtime = runtime_base() / f"pairkeeper-{os.geteuid()}-{digest}"
    runtime.mkdir(mode=0o700, exist_ok=True)
    found = runtime.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        raise RunError(
            f"{runtime} belongs to somebody else: set XDG_RUNTIME_DIR to a folder of your own."
        )
    runtime.chmod(0o700)
    return runtime


def runtime_base() -> Path:
    """Choose XDG_RUNTIME_DIR when it is ours and short enough, else /tmp."""
    chosen = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")
    longest = chosen / f"pairkeeper-{os.geteuid()}-00000000" / LONGEST_SOCKET_NAME
    if len(os.fsencode(longest)) > MAX_SOCKET_PATH_BYTES or not is_ours(chosen):
        return Path("/tmp")
    return chosen


def is_ours(folder: Path) -> bool:
    """Say whether this user owns the folder and may write to it."""
    return folder.is_dir() and folder.stat().st_uid == os.geteuid() and os.access(folder, os.W_OK)


def hold(home: Path) -> IO[str] | None:
    """Take the home's lock, which the kernel drops when we die; None when another run holds it."""
    lock = (home / "run.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    lock.truncate(0)
    lock.write(str(os.getpid()))
    lock.flush()
    return lock


def holder(home: Path) -> str:
    """Give the process number of the run that holds the home."""
    return (home / "run.lock").read_text().strip()


def empty(folder: Path) -> None:
    """Remove what a killed run left in the runtime folder; the caller holds the lock."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()

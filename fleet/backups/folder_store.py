"""Pulled copies in a folder of the portal's own for each pair; no tenant names anything in it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from django.conf import settings

from fleet.backups.copies import Kept, Writing, attempt_of
from fleet.backups.jobs import Lease
from fleet.backups.models import BackupSource
from fleet.backups.places import Moving, Seen, Trouble, newest, when_stored

PIECE_BYTES: Final = 1024 * 1024
FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
UNFINISHED: Final = ".part"


class FolderStore:
    """A folder of the portal's own for each pair, below PULL_FOLDER; no tenant names anything in it."""

    def __init__(self, source: BackupSource) -> None:
        if not settings.PULL_FOLDER:
            raise Trouble(
                "not_configured", "PULL_FOLDER is not set: there is no folder to keep it in"
            )
        self._folder = Path(settings.PULL_FOLDER) / str(source.target_id) / str(source.pk)
        if not self._folder.is_dir() and _has_copies_in_a_folder(source):
            # Else what lies on another host would count as gone, or a mount's empty point be filled.
            raise Trouble(
                "not_configured",
                f"the copies of this source do not lie in {self._folder}, seen from here: web and all "
                "workers of its zone must share one PULL_FOLDER; if it was emptied on purpose, make "
                "that folder again",
            )

    def attempt(self, key: str) -> Lease | None:
        return attempt_of(key)

    def listing(self) -> list[Seen]:
        with _told(self._folder):
            found = [entry for entry in self._entries() if attempt_of(entry.name)]
            return newest([_seen(entry) for entry in found], str(self._folder))

    def _entries(self) -> list[os.DirEntry[str]]:
        if not self._folder.is_dir():
            return []
        with os.scandir(self._folder) as entries:
            return [entry for entry in entries if entry.is_file(follow_symlinks=False)]

    def holds(self, key: str, version: str) -> bool:
        del key, version  # its folder is named by numbers, and all of it was listed
        return False

    @contextmanager
    def pieces(self, key: str, version: str) -> Iterator[Iterator[bytes]]:
        del version  # names are never used twice
        if attempt_of(key) is None:
            raise Trouble("blocked_address", f"{key!r} is no name of a pulled copy")
        try:
            file = (self._folder / key).open("rb", buffering=0)
        except FileNotFoundError:
            raise Moving(f"{key} is not in the portal's folder, seen from here") from None
        except OSError as error:
            raise _trouble(error, self._folder) from None
        with file:
            yield iter(lambda: file.read(PIECE_BYTES), b"")

    def free_bytes(self) -> int | None:
        with _told(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            found = os.statvfs(self._folder)
        return found.f_bavail * found.f_frsize

    def begin(self, name: str) -> Writing:
        with _told(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return _FileWriting(self._folder, name)

    def remove(self, key: str, version: str) -> None:
        del version
        if attempt_of(key) is None:
            raise Trouble("blocked_address", f"{key!r} is no name of a pulled copy")
        with _told(self._folder):
            (self._folder / key).unlink(missing_ok=True)

    def sweep(self, is_live: Callable[[Lease], bool]) -> int:
        with _told(self._folder):
            left = [entry.name for entry in self._entries() if entry.name.endswith(UNFINISHED)]
            attempts = {name: attempt_of(name.removesuffix(UNFINISHED)) for name in left}
            gone = [name for name, attempt in attempts.items() if attempt and not is_live(attempt)]
            for name in gone:
                (self._folder / name).unlink(missing_ok=True)
        return len(gone)


def forget(target_id: int) -> None:
    """Remove every copy that was pulled of a pair into this machine's folder; none is no fault."""
    folder = Path(settings.PULL_FOLDER) / str(target_id)
    if settings.PULL_FOLDER and folder.exists():
        with _told(folder):
            shutil.rmtree(folder)


class _FileWriting:
    """A file under a name that counts for nothing, until it is whole and on the disk."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        self._part = folder / f"{name}{UNFINISHED}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        self._file = os.fdopen(os.open(self._part, flags, 0o600), "wb", buffering=0)

    def write(self, data: bytes) -> None:
        with _told(self._folder):
            left = memoryview(data)
            while left:
                left = left[self._file.write(left) :]

    def keep(self) -> Kept:
        with _told(self._folder):
            os.fsync(self._file.fileno())
            self._file.close()
            self._part.rename(self._folder / self._name)
            _sync_folder(self._folder)
        return Kept(self._name, "")

    def drop(self) -> None:
        with _told(self._folder):
            self._file.close()
            self._part.unlink(missing_ok=True)


def _has_copies_in_a_folder(source: BackupSource) -> bool:
    """Tell whether copies of this source count as there; those in a bucket have a / in their names."""
    return source.artefacts.filter(gone_at=None).exclude(key__contains="/").exists()


def _seen(entry: os.DirEntry[str]) -> Seen:
    found = entry.stat(follow_symlinks=False)
    return Seen(entry.name, "", when_stored(found.st_mtime), found.st_size)


def _sync_folder(folder: Path) -> None:
    """Put the new name on the disk too."""
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def _told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _trouble(error, folder) from None


def _trouble(error: OSError, folder: Path) -> Trouble:
    if isinstance(error, PermissionError):
        return Trouble("no_permission", f"{folder} may not be used by the worker")
    text = os.strerror(error.errno or 0).lower()
    if error.errno in FULL:
        return Trouble("too_large", f"the copy does not fit in {folder}: {text}")
    return Trouble("undetermined", f"{folder} could not be used: {text}")

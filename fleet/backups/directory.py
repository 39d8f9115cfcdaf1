"""Copies in a directory that the worker can see: nothing outside the configured roots is ever opened.

Every step below a root is opened by its own name in the folder before it, and no symbolic link is
followed: what was checked is what is read, whatever is renamed meanwhile.
"""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import PurePosixPath
from typing import Final

from django.conf import settings

from fleet.backups.models import BackupSource
from fleet.backups.places import (
    MOST_LISTED,
    Moving,
    Seen,
    Trouble,
    fill,
    fill_pattern,
    newest,
    when_stored,
)
from fleet.registry.models import Target

PIECE_BYTES: Final = 1024 * 1024
# A file that changed so lately may still be written: it is looked at next time.
SETTLED: Final = timedelta(seconds=20)
MOST_ENTRIES: Final = 10 * MOST_LISTED
# What Redis itself writes to while it saves, and renames when it is whole. Source: rdb.c, rdbSave.
UNFINISHED: Final = re.compile(r"temp-.*\.rdb")
FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: a named pipe must not hold us.
FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def roots_of(target: Target, *, is_shared_too: bool = True) -> tuple[str, ...]:
    """Give the folders in which a pair's sources may lie: its tenant's own, and those of all."""
    own = [fill(root, target) for root in settings.BACKUP_ROOTS if "{tenant}" in root]
    shared = [root for root in settings.BACKUP_ROOTS if "{tenant}" not in root]
    return tuple(os.path.normpath(root) for root in own + (shared if is_shared_too else []))


def trusted_part(root: str, target: Target) -> tuple[str, tuple[str, ...]]:
    """Split a root behind the tenant's name: what lies below it, the tenant may make a link of."""
    for configured in settings.BACKUP_ROOTS:
        parts = PurePosixPath(os.path.normpath(configured)).parts
        named = [number for number, part in enumerate(parts) if "{tenant}" in part]
        if named and os.path.normpath(fill(configured, target)) == root:
            filled = PurePosixPath(root).parts
            return str(PurePosixPath(*filled[: named[0] + 1])), filled[named[0] + 1 :]
    return root, ()


def place_within(folder: str, roots: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """Split a folder into its root and the steps below it; Trouble where it is in none of them."""
    path = PurePosixPath(folder)
    if not path.is_absolute() or ".." in path.parts or "\0" in folder:
        raise Trouble("blocked_address", f"{folder!r} is no absolute path without ..")
    for root in sorted(roots, key=len, reverse=True):
        if path.is_relative_to(root):
            return root, path.relative_to(root).parts
    allowed = " or ".join(roots) or "nowhere: BACKUP_ROOTS is not set"
    raise Trouble("blocked_address", f"{folder} is not allowed: it must lie below {allowed}")


def pattern_of(source: BackupSource) -> str:
    """Give the file name to look for, its names filled in; Trouble where it is none."""
    _plain_pattern(source.name_pattern)
    return fill_pattern(source.name_pattern, source.target)


def _plain_pattern(pattern: str) -> None:
    if not pattern or "/" in pattern or "\0" in pattern:
        raise Trouble("blocked_address", f"{pattern!r} is no file name: it may hold * but no /")


class Directory:
    """One folder below a root, and the file names in it that are copies of a pair."""

    def __init__(self, source: BackupSource, now: datetime) -> None:
        self._now = now
        self._folder = fill(source.folder, source.target)
        root, steps = place_within(self._folder, roots_of(source.target))
        self._root, first = trusted_part(root, source.target)
        self._steps = (*first, *steps)
        self._pattern = pattern_of(source)

    def listing(self) -> list[Seen]:
        """List regular files that match and have settled; Trouble says why there can be none."""
        with self._opened() as folder:
            found = list(self._matching(folder))
        return newest(found, self._folder)

    def _matching(self, folder: int) -> Iterator[Seen]:
        passed_over = ""
        count = 0
        with os.scandir(folder) as entries:
            for tried, entry in enumerate(entries):
                if tried >= MOST_ENTRIES:
                    raise Trouble("too_large", f"over {MOST_ENTRIES:,} entries in {self._folder}")
                if not fnmatch.fnmatchcase(entry.name, self._pattern):
                    continue
                if UNFINISHED.fullmatch(entry.name):
                    continue
                seen, why = self._seen(folder, entry.name)
                passed_over = passed_over or why
                if seen:
                    count += 1
                    yield seen
        if passed_over and not count:
            raise Trouble("protocol", passed_over)

    def _seen(self, folder: int, name: str) -> tuple[Seen | None, str]:
        """Look at one entry: a copy, or why it is none ("" where it only has to settle)."""
        try:
            name.encode()
            found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except UnicodeEncodeError:
            return None, f"{name!a} is named in no UTF-8: rename it"
        except FileNotFoundError:  # gone since the listing
            return None, ""
        if why := _no_copy(name, found.st_mode):
            return None, why
        stored_at = when_stored(found.st_mtime)
        if timedelta(0) <= self._now - stored_at < SETTLED:
            return None, ""
        return Seen(name, _version(found), stored_at, found.st_size), ""

    @contextmanager
    def pieces(self, key: str, version: str) -> Iterator[Iterator[bytes]]:
        """Open one file; Moving where it is not, or does not stay, the one that was listed."""
        _plain_pattern(key)
        with self._opened() as folder:
            opened = self._open(key, folder)
            try:
                _same(os.fstat(opened), version, key)
                yield _read(opened)
                _same(os.fstat(opened), version, key)
                _same(_stat(key, folder), version, key)
            finally:
                os.close(opened)

    def _open(self, key: str, folder: int) -> int:
        try:
            return os.open(key, FILE, dir_fd=folder)
        except FileNotFoundError:
            raise Moving(f"{key} is gone") from None
        except OSError as error:
            raise _trouble(error, f"{self._folder}/{key}") from None

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Open the folder step by step from its root."""
        where = self._root
        opened: list[int] = []
        try:
            opened.append(os.open(self._root, FOLDER))
            for step in self._steps:
                where = f"{where}/{step}"
                opened.append(os.open(step, FOLDER | os.O_NOFOLLOW, dir_fd=opened[-1]))
        except OSError as error:
            _close(opened)
            raise _trouble(error, where) from None
        try:
            yield opened[-1]
        finally:
            _close(opened)


def _no_copy(name: str, mode: int) -> str:
    """Say why what lies under this name can be no copy; "" for a regular file."""
    if stat.S_ISDIR(mode):
        return f"{name} is a folder: an append-only folder is no dump"
    if stat.S_ISLNK(mode):
        return f"{name} is a symbolic link, and none is followed"
    return "" if stat.S_ISREG(mode) else f"{name} is no regular file"


def _close(opened: Sequence[int]) -> None:
    for one in opened:
        os.close(one)


def _stat(key: str, folder: int) -> os.stat_result:
    try:
        return os.stat(key, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        raise Moving(f"{key} is gone") from None


def _version(found: os.stat_result) -> str:
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


def _same(found: os.stat_result, version: str, key: str) -> None:
    if not stat.S_ISREG(found.st_mode) or _version(found) != version:
        raise Moving(f"{key} was written or replaced meanwhile")


def _read(opened: int) -> Iterator[bytes]:
    try:
        while piece := os.read(opened, PIECE_BYTES):
            yield piece
    except OSError as error:
        raise _trouble(error, "the file") from None


def _trouble(error: OSError, where: str) -> Trouble:
    """Say what stood in the way. ELOOP and ENOTDIR are what a symbolic link answers here."""
    match error:
        case PermissionError():
            return Trouble("no_permission", f"{where} may not be read by the worker")
        case FileNotFoundError():
            return Trouble("undetermined", f"{where} is not there, seen from this worker")
        case NotADirectoryError():
            return Trouble("blocked_address", f"{where} is no folder, or a symbolic link to one")
    text = os.strerror(error.errno or 0).lower()
    return Trouble("undetermined", f"{where} could not be read: {text}")

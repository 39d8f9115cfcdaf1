"""A pulled copy is there whole, or not at all: what a place for them can do, and how they are named."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Final, NamedTuple, Protocol

from fleet.backups.jobs import Lease
from fleet.backups.places import Seen

SUFFIX: Final = ".rdb.zst.sealed"
NAME: Final = re.compile(rf"\d{{8}}T\d{{6}}Z-(\d+)-(\d+){re.escape(SUFFIX)}")


class Kept(NamedTuple):
    """A copy that is there now."""

    key: str
    version: str


class Writing(Protocol):
    """A copy being written. It is there once `keep` has returned, and never before."""

    def write(self, data: bytes) -> None:
        """Take the next bytes."""

    def keep(self) -> Kept:
        """Make it durable and give it its name."""

    def drop(self) -> None:
        """Leave nothing of it; safe to call again, and after keep()."""


class Store(Protocol):
    """A place that copies are pulled to. All raise Trouble where it cannot be used."""

    def attempt(self, key: str) -> Lease | None:
        """Say which attempt a copy is of; None for what is none of ours."""

    def listing(self) -> list[Seen]:
        """List the whole copies, newest first."""

    def holds(self, key: str, version: str) -> bool:
        """Tell whether a copy is there that the listing does not show."""

    def pieces(self, key: str, version: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open one copy, sealed as it lies there; Moving where it is gone."""

    def free_bytes(self) -> int | None:
        """Say how much fits in; None where there is no end."""

    def begin(self, name: str) -> Writing:
        """Begin to write a copy."""

    def remove(self, key: str, version: str) -> None:
        """Remove a copy; one that is gone already is no trouble."""

    def sweep(self, is_live: Callable[[Lease], bool]) -> int:
        """Remove what attempts left unfinished that are no longer under way; returns how many."""


def name_of(lease: Lease, now: datetime) -> str:
    """Name the copy that an attempt writes: it tells the attempt, so that what is left can be swept."""
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{lease.job_id}-{lease.claim}{SUFFIX}"


def attempt_of(name: str) -> Lease | None:
    """Say which attempt a copy is of; None for what is none of ours."""
    found = NAME.fullmatch(name)
    return Lease(int(found[1]), int(found[2])) if found else None

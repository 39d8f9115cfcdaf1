"""Where copies lie: what a listing gives, how one is opened, and what stands in the way."""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from checks.missing import Reason
from fleet.registry.models import Target

# Years before and behind these are no time at which anything was stored, and not every zone has them.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC)
# Names looked at per source, and how many of the newest are kept in mind.
MOST_LISTED: Final = 10_000
MOST_KEPT: Final = 200
PLACEHOLDERS: Final = re.compile(r"\{tenant\}|\{pair\}")


class Trouble(Exception):
    """A place or a copy could not be read: a reason code and a sentence without secrets."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class Moving(Exception):
    """The copy changed while it was read, or is being written: no verdict, look again later."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One copy as a listing shows it; `version` tells it from others under the same key."""

    key: str
    version: str
    stored_at: datetime
    stored_bytes: int


class Place(Protocol):
    """A directory or a bucket. Both raise Trouble where it cannot be read."""

    def listing(self) -> list[Seen]:
        """List the copies there, newest first, at most MOST_LISTED."""

    def pieces(self, key: str, version: str) -> AbstractContextManager[Iterator[bytes]]:
        """Open one copy; reading and closing raise Moving where it is no longer the one named."""


def fill(text: str, target: Target) -> str:
    """Put the tenant's and the pair's names into a folder or a prefix, or raise Trouble.

    Only what stands in the text is replaced, never what a name brings in. A name that would be more
    than one step of a path is refused where it is used.
    """
    return PLACEHOLDERS.sub(lambda found: _name(found[0], target), text)


def fill_pattern(pattern: str, target: Target) -> str:
    """As fill, into the pattern of a file's name: there a name stands for itself, also with a * in it."""
    return PLACEHOLDERS.sub(lambda found: glob.escape(_name(found[0], target)), pattern)


def _name(placeholder: str, target: Target) -> str:
    name = target.tenant.name if placeholder == "{tenant}" else target.name
    if "/" in name or "\0" in name or name in (".", ".."):
        raise Trouble("blocked_address", f"{placeholder} is {name!r}, which is no file name")
    return name


def when_stored(seconds: float) -> datetime:
    """Give a store's Unix time as one that can be written down, however odd it is."""
    within = min(max(seconds, EARLIEST.timestamp()), LATEST.timestamp())
    return datetime.fromtimestamp(within, UTC)


def newest(found: list[Seen], where: str) -> list[Seen]:
    """Sort a listing, newest first; Trouble where it is over MOST_LISTED."""
    if len(found) > MOST_LISTED:
        text = f"over {MOST_LISTED:,} copies match in {where}: name fewer"
        raise Trouble("too_large", text)
    return sorted(found, key=lambda one: (one.stored_at, one.key), reverse=True)

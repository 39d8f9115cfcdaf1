"""What is known of a pair's copies: frozen dataclasses that the registry's side fills and rules read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from checks.missing import NOT_READ, Missing

CopyState = Literal[
    "seen", "intact", "unchecked", "truncated", "corrupt", "empty", "unreadable", "reported"
]


@dataclass(frozen=True, slots=True)
class Copy:
    """One copy, and what reading it proved. `age_s` is of its content, `size_bytes` unpacked.

    A reported copy was seen by the job alone that told of it. `why` is what kept an unreadable one
    from being judged.
    """

    name: str
    state: CopyState
    text: str
    age_s: float
    size_bytes: int | Missing = NOT_READ
    why: Missing = NOT_READ


@dataclass(frozen=True, slots=True)
class CopySource:
    """One source that is switched on: its rhythm, its newest copies, and what troubles it.

    `newest` is the newest copy that was looked at; `good` the newest that is whole, or was
    reported. `earlier_bytes` are the sizes of good copies before that one, newest last.
    """

    label: str
    kind: str
    interval_s: int
    grace_s: int
    newest: Copy | Missing
    good: Copy | Missing
    earlier_bytes: tuple[int, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Restore:
    """The last restore drill that came to an end: it proved a copy, or failed. Times in seconds."""

    is_passed: bool
    age_s: float
    text: str
    load_s: float | Missing = NOT_READ
    lost_s: float | Missing = NOT_READ


@dataclass(frozen=True, slots=True)
class BackupFacts:
    """What proves that a pair could come back; `registered_s` is how long it has been registered."""

    registered_s: float
    sources: tuple[CopySource, ...]
    restore: Restore | Missing
    restore_trouble: str = ""  # why the last drill could not be done

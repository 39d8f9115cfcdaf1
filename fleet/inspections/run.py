"""One shard, from claims to the committed record: the story of an inspection."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache
from threading import Lock

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from fleet.inspections.blind import is_alone_blind
from fleet.inspections.judge import Seen
from fleet.inspections.load import Due, Token, load
from fleet.inspections.record import record
from fleet.inspections.room import Room
from fleet.inspections.schedule import release
from fleet.inspections.terms import terms

logger = logging.getLogger(__name__)


def inspect(tokens: Sequence[Token], *, is_slow: bool = False) -> int:
    """Visit, judge and record a shard of claimed pairs; returns how many counted.

    Safe to run twice: the second run finds its claims spent. A shard of slow pairs is not waited
    for: what it saw is recorded as it comes. A worker that sees nothing leaves it to others.
    """
    if is_alone_blind():
        release((target_id, claim) for target_id, claim, _bits in tokens)
        return 0

    def due() -> Sequence[Due]:
        return load(tokens, timezone.now())

    with room().visited(len(tokens), due, terms().policies, is_slow=is_slow) as seen:
        if seen is None:
            logger.warning("too many slow visits in hand: count=%s given back", len(tokens))
            release((target_id, claim) for target_id, claim, _bits in tokens)
            return 0
        return record_visits(seen)


def record_visits(visits: Sequence[Seen]) -> int:
    """Record in one transaction; one at a time in this process, for two would fight for Python's lock.

    The visits took seconds: a connection that died meanwhile is made anew before it is used.
    """
    close_old_connections()
    with _recording:
        return record(visits)


def record_late(visits: Sequence[Seen]) -> None:
    """Record what came after its shard; without a database the leases run out and others visit again."""
    try:
        record_visits(visits)
    except (DatabaseError, InterfaceError) as error:
        logger.error("late visits not recorded count=%s: %s", len(visits), _line(error))  # noqa: TRY400


def room() -> Room:
    """Give this process's engine room, made on first use and anew after a fork."""
    with _making:
        return _room()


@cache
def _room() -> Room:
    return Room(record_late)


_recording = Lock()
_making = Lock()  # Celery's threads ask at the same time
os.register_at_fork(after_in_child=_room.cache_clear)


def stop_room() -> None:
    """End the engine room with its process, if there is one."""
    if _room.cache_info().currsize:
        _room().stop()
        _room.cache_clear()


def _line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]

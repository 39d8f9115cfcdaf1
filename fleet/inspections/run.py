"""One shard, from claims to the committed record: the story of an inspection."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from functools import cache
from threading import Lock

from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from fleet.inspections.judge import judge
from fleet.inspections.load import Token, load
from fleet.inspections.record import record
from fleet.inspections.room import PATIENCE_S, Arrival, Room
from fleet.inspections.terms import terms

logger = logging.getLogger(__name__)


def inspect(tokens: Sequence[Token], *, is_slow: bool = False) -> int:
    """Visit, judge and record a shard of claimed pairs; returns how many counted.

    Safe to run twice: the second run finds its claims spent. A shard of slow pairs is not waited
    for: its readings are recorded as they come.
    """
    dues = load(tokens, timezone.now())
    if is_slow and not room().has_space(len(dues)):
        logger.warning("too many slow visits in hand: count=%s left to their leases", len(dues))
        return 0
    return record_all(room().visit(dues, patience_s=0.0 if is_slow else PATIENCE_S))


def record_all(arrivals: Sequence[Arrival]) -> int:
    """Judge and record readings in one transaction."""
    now = terms()
    judged = [
        judge(one.due, one.at, one.reading, now.policies.of(*one.due.home)) for one in arrivals
    ]
    return record(judged, now)


def record_late(arrivals: Sequence[Arrival]) -> None:
    """Record what came after its shard; without a database the leases run out and others visit again."""
    close_old_connections()
    try:
        record_all(arrivals)
    except (DatabaseError, InterfaceError) as error:
        logger.error("late visits not recorded count=%s: %s", len(arrivals), _line(error))  # noqa: TRY400


def room() -> Room:
    """Give this process's engine room, made on first use and anew after a fork."""
    with _making:
        return _room()


@cache
def _room() -> Room:
    return Room(record_late)


_making = Lock()  # Celery's threads ask at the same time
os.register_at_fork(after_in_child=_room.cache_clear)


def stop_room() -> None:
    """End the engine room with its process, if there is one."""
    if _room.cache_info().currsize:
        _room().stop()
        _room.cache_clear()


def _line(error: Exception) -> str:
    return str(error).strip().split("\n", 1)[0]

"""Rollups written again from what they are made of: of a day, of all targets or of some."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import Any, Final

from django.db import connection, transaction

from fleet.history import partitions
from fleet.history.growth import keep_growth
from fleet.history.models import MemoryGrowth, RolledDay
from fleet.history.rollup import (
    COLUMNS,
    DAYS_OF_HOURS,
    HOURS_OF_RAW,
    INSERT,
    ROLLING,
    WITHIN,
    bounds,
    is_there,
    visits_count,
)

ONLY: Final = "AND target_id = ANY(%(target_ids)s)"


def roll_again(day: date, now: datetime, target_ids: Collection[int] = ()) -> str:
    """Write a closed day's hours and its row again; no ids: of all targets. Returns from what.

    "raw": hours and day from the raw visits. "hours": the raw visits are gone, the day from its
    hours. "": neither is there, and what is written stays. One transaction, so that a run may be
    killed anywhere; it waits for a night's run, and a second one leaves the same rows.
    """
    has_raw = has_visits(day)
    partitions.make(partitions.HOURS, [day])
    partitions.make(partitions.DAYS, [day])
    with transaction.atomic():
        _lock()
        if has_raw:
            _write("history_visithour", HOURS_OF_RAW, day, target_ids)
        elif not _is_there("history_visithour", day):
            return ""
        _write("history_visitday", DAYS_OF_HOURS, day, target_ids)
        if has_raw and not target_ids:
            values = {"rolled_at": now, "visits_count": visits_count(day)}
            RolledDay.objects.update_or_create(day=day, defaults=values)
    return "raw" if has_raw else "hours"


def has_visits(day: date) -> bool:
    """Say whether raw visits of a day are there; a partition that was made anew is empty."""
    return is_there(day) and _is_there("history_visit", day)


def draw_again() -> int:
    """Draw every target's line of memory anew; returns how many."""
    with transaction.atomic():
        MemoryGrowth.objects.all().delete()
        return keep_growth()


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [ROLLING])


def _is_there(table: str, day: date) -> bool:
    since, until = bounds(day)
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT EXISTS (SELECT FROM {table} WHERE {WITHIN})",  # noqa: S608  our own names
            {"since": since, "until": until},
        )
        return bool(cursor.fetchone()[0])


def _write(table: str, query: str, day: date, target_ids: Collection[int]) -> None:
    since, until = bounds(day)
    params: dict[str, Any] = {"since": since, "until": until, "target_ids": list(target_ids)}
    where = f"{WITHIN} {ONLY}" if target_ids else WITHIN
    chosen = query.replace(WITHIN, where)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {where}", params)  # noqa: S608  our own names
        cursor.execute(INSERT.format(table, ", ".join(COLUMNS), chosen), params)

"""What visits saw, into the database: one transaction for a shard, and nothing for a spent claim."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from django.db import DataError, transaction

from checks.rule import Cadence, Outcome
from fleet.findings.record import Judged, Live, move_findings
from fleet.history import record as history
from fleet.history.partitions import ensure_day
from fleet.inspections import state
from fleet.inspections.cadences import VISITED
from fleet.inspections.due import REPROBE, next_due
from fleet.inspections.evidence import keep_evidence
from fleet.inspections.judge import Seen
from fleet.inspections.schedule import LEASE
from fleet.inspections.terms import Terms
from fleet.registry.arrays import rows_of, run

logger = logging.getLogger(__name__)

SLOW_S: Final = 1.0
REACHABLE: Final = "redis.reachable"

# Locks in id order, so that two recordings can never wait for each other. Whoever asked for a
# check after this claim was taken waits for another visit: the due times they set stay.
LOCK: Final = """
SELECT s.target_id, coalesce(s.asked_at > s.lease_until - %b::interval, false)
FROM inspections_pairschedule s
JOIN unnest(%b::int8[], %b::int8[]) AS v(target_id, claim)
    ON s.target_id = v.target_id AND s.claim = v.claim
ORDER BY s.target_id
FOR UPDATE OF s
"""
_DUE: Final = tuple(f"{cadence.value}_due_at" for cadence in VISITED)
_NEXT: Final = tuple(f"coalesce(v.{name}, s.{name})" for name in _DUE)
UPDATE_SCHEDULE: Final = f"""
UPDATE inspections_pairschedule s SET
    {", ".join(f"{name} = {value}" for name, value in zip(_DUE, _NEXT, strict=True))},
    next_due_at = least({", ".join(_NEXT)}),
    lease_until = NULL, is_slow = v.is_slow,
    asked_at = CASE WHEN v.is_asked_again THEN s.asked_at END
FROM unnest(%b::int8[], %b::bool[], %b::bool[]{", %b::timestamptz[]" * len(_DUE)})
    AS v(target_id, is_slow, is_asked_again, {", ".join(_DUE)})
WHERE s.target_id = v.target_id
"""  # noqa: S608  our own column names
_SETTINGS: Final = ", ".join(
    f"{name} = v.{name}::{state.CASTS[name]}" if name in state.CASTS else f"{name} = v.{name}"
    for name in state.COLUMNS
)
UPDATE_STATE: Final = f"""
UPDATE inspections_pairstate s SET {_SETTINGS}
FROM unnest(%b::int8[], {", ".join(f"%b::{kind}[]" for kind in state.COLUMNS.values())})
    AS v(target_id, {", ".join(state.COLUMNS)})
WHERE s.target_id = v.target_id
"""  # noqa: S608  our own column names


def record(visits: Sequence[Seen], terms: Terms) -> int:
    """Record visits in one transaction; returns how many counted.

    A visit whose claim is no longer current leaves nothing: no history, no count, no transition.
    Should one visit hold what the database refuses, the others are recorded without it.
    """
    if not visits:
        return 0
    for day in {seen.at.astimezone(UTC).date() for seen in visits}:
        ensure_day(day)
    try:
        with transaction.atomic():
            return _record(sorted(visits, key=lambda seen: seen.due.target_id), terms)
    except DataError:
        if len(visits) == 1:
            logger.exception("visit not recorded pair=%s", visits[0].due.target_id)
            return 0
        middle = len(visits) // 2
        return record(visits[:middle], terms) + record(visits[middle:], terms)


def _record(visits: Sequence[Seen], terms: Terms) -> int:
    held = _lock(visits)
    current = [seen for seen in visits if seen.due.target_id in held]
    if len(current) < len(visits):
        logger.info("dropped spent claims count=%s", len(visits) - len(current))
    if not current:
        return 0
    judged = [_judged(seen) for seen in current]
    live = move_findings(judged, terms.policy)
    history.write(_visit_row(seen) for seen in current)
    _update_states(current, live, terms)
    keep_evidence(current, terms.policy)
    _update_schedules(current, live, held, terms)
    return len(current)


def _lock(visits: Sequence[Seen]) -> dict[int, bool]:
    """Hold the schedule rows whose claim is still ours: target id -> was asked for again meanwhile."""
    ids, claims = [seen.due.target_id for seen in visits], [seen.due.claim for seen in visits]
    return dict(rows_of(LOCK, [LEASE, ids, claims]))


def _judged(seen: Seen) -> Judged:
    vantage = f"zone {seen.due.vantage.zone}"
    return Judged(seen.due.target_id, seen.at, vantage, seen.verdicts)


def _visit_row(seen: Seen) -> history.Row:
    outcomes = [verdict.outcome for verdict in seen.verdicts.values()]
    return history.row(
        seen.due.target_id,
        seen.at,
        seen.facts,
        outcomes.count(Outcome.FAIL),
        outcomes.count(Outcome.UNKNOWN),
    )


def _update_states(visits: Sequence[Seen], live: dict[int, Live], terms: Terms) -> None:
    rows = [state.after(seen, live[seen.due.target_id], terms.policy) for seen in visits]
    ids = [seen.due.target_id for seen in visits]
    run(UPDATE_STATE, [ids, *([row[name] for row in rows] for name in state.COLUMNS)])


def _update_schedules(
    visits: Sequence[Seen], live: dict[int, Live], held: dict[int, bool], terms: Terms
) -> None:
    due = [
        [None] * len(VISITED) if held[seen.due.target_id] else _next(seen, live, terms)
        for seen in visits
    ]
    ids = [seen.due.target_id for seen in visits]
    slow = [seen.duration_s > SLOW_S for seen in visits]
    run(UPDATE_SCHEDULE, [ids, slow, [held[pk] for pk in ids], *map(list, zip(*due, strict=True))])


def _next(seen: Seen, live: dict[int, Live], terms: Terms) -> list[datetime | None]:
    """Give the next due time of each cadence that was read; None = as it was.

    While a fault of reachability is pending Redis is asked again in 10 s, so that it is known soon.
    """
    target_id, engine = seen.due.target_id, seen.due.before.engine
    found: list[datetime | None] = [
        next_due(target_id, seen.at, terms.interval_s(cadence, engine))
        if cadence in seen.cadences
        else None
        for cadence in VISITED
    ]
    if REACHABLE in live[target_id].pending_rules:
        found[VISITED.index(Cadence.HEALTH)] = (
            seen.at + timedelta(seconds=seen.duration_s) + REPROBE
        )
    return found

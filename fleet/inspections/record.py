"""What visits saw, into the database: one transaction for a shard, and nothing for a spent claim."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from django.db import DataError, transaction

from checks.evaluate import REACHABLE
from checks.facts import Missing
from checks.rule import Outcome
from fleet.findings.record import Judged, Live, move_findings
from fleet.history import record as history
from fleet.history.partitions import ensure_day
from fleet.inspections import memory, state
from fleet.inspections.blind import doubts
from fleet.inspections.due import REPROBE, SETTLES
from fleet.inspections.evidence import keep_evidence
from fleet.inspections.judge import Seen, blinded
from fleet.registry.arrays import rows_of, run

logger = logging.getLogger(__name__)

SLOW_S: Final = 1.0
HELD: Final = frozenset({REACHABLE})  # while its zone is suspected

# Locks in id order, so that two recordings can never wait for each other. Of two that record the
# same claim the second finds it recorded once it has the lock.
LOCK: Final = """
SELECT p.target_id, p.xmin::text
FROM unnest(%b::int8[], %b::int8[]) AS v(target_id, claim)
JOIN inspections_pairschedule s ON s.target_id = v.target_id AND s.claim = v.claim
JOIN inspections_pairstate p ON p.target_id = v.target_id AND p.recorded_claim < v.claim
ORDER BY p.target_id
FOR UPDATE OF p
"""
# Only where a visit says something about the next one; the claim has moved the due times on.
UPDATE_SCHEDULE: Final = """
WITH held AS (
    SELECT s.target_id FROM inspections_pairschedule s
    WHERE s.target_id = ANY(%b::int8[]) ORDER BY s.target_id FOR UPDATE
)
UPDATE inspections_pairschedule s SET
    is_slow = v.is_slow,
    asked_at = CASE WHEN v.is_asked THEN NULL ELSE s.asked_at END,
    health_due_at = coalesce(v.health_due_at, s.health_due_at),
    persistence_due_at = least(s.persistence_due_at, v.persistence_due_at),
    next_due_at = least(s.next_due_at, v.health_due_at, v.persistence_due_at)
FROM held, unnest(%b::int8[], %b::bool[], %b::bool[], %b::timestamptz[], %b::timestamptz[])
    AS v(target_id, is_slow, is_asked, health_due_at, persistence_due_at)
WHERE s.target_id = held.target_id AND v.target_id = held.target_id
"""


def _update(columns: Mapping[str, str]) -> str:
    settings = ", ".join(
        f"{name} = v.{name}::{state.CASTS[name]}" if name in state.CASTS else f"{name} = v.{name}"
        for name in columns
    )
    return f"""
UPDATE inspections_pairstate s SET {settings}
FROM unnest(%b::int8[], {", ".join(f"%b::{kind}[]" for kind in columns.values())})
    AS v(target_id, {", ".join(columns)})
WHERE s.target_id = v.target_id
"""  # noqa: S608  our own column names


# All columns cost three times what the moving ones do: 50 µs more for each visit.
UPDATE_ALL: Final = _update(state.COLUMNS)
UPDATE_MOVING: Final = _update(state.MOVING)


def record(visits: Sequence[Seen]) -> int:
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
            return _record(sorted(visits, key=lambda seen: seen.due.target_id))
    except DataError:
        if len(visits) == 1:
            logger.exception("visit not recorded pair=%s", visits[0].due.target_id)
            return 0
        middle = len(visits) // 2
        return record(visits[:middle]) + record(visits[middle:])


def _record(visits: Sequence[Seen]) -> int:
    ids, claims = [seen.due.target_id for seen in visits], [seen.due.claim for seen in visits]
    held: dict[int, str] = dict(rows_of(LOCK, [ids, claims]))
    current = [seen for seen in visits if seen.due.target_id in held]
    if len(current) < len(visits):
        logger.info("dropped spent claims count=%s", len(visits) - len(current))
    if not current:
        return 0
    current, suspected = _doubted(current)
    live = move_findings([_judged(seen, suspected) for seen in current])
    # The latest first: the index of instants notes each row that is later than all before it.
    latest_first = sorted(current, key=lambda seen: seen.at, reverse=True)
    history.write(_visit_row(seen) for seen in latest_first)
    _update_states(current, live, held)
    memory.keep((seen.due.target_id, seen.due.kept, seen.memory) for seen in current)
    keep_evidence(current)
    _update_schedules(current, live)
    return len(current)


def _doubted(visits: list[Seen]) -> tuple[list[Seen], Collection[str]]:
    """Void what a blind zone saw since it was loaded; give the zones that are only suspected too.

    Where every Redis answered there is nothing to doubt: the usual shard asks nothing here.
    """
    silent = {seen.due.vantage.zone for seen in visits if _is_silent(seen)}
    doubted = doubts(silent, max(seen.at for seen in visits)) if silent else {}
    if not doubted:
        return visits, ()
    blind = {zone for zone, is_blind in doubted.items() if is_blind}
    return (
        [blinded(seen) if seen.due.vantage.zone in blind else seen for seen in visits],
        doubted.keys() - blind,
    )


def _is_silent(seen: Seen) -> bool:
    verdict = seen.verdicts.get(REACHABLE)
    return verdict is not None and verdict.outcome is Outcome.FAIL


def _judged(seen: Seen, suspected: Collection[str]) -> Judged:
    before, redis = seen.due.before, seen.facts.redis
    engine, version = before.engine, before.version
    if not isinstance(redis, Missing):
        engine = redis.engine.value
        version = version if isinstance(redis.version, Missing) else redis.version
    return Judged(
        seen.due.target_id,
        seen.at,
        f"zone {seen.due.vantage.zone}",
        seen.verdicts,
        seen.policy,
        engine,
        version[: state.VERSION_LENGTH],
        before.judged_at,
        HELD if seen.due.vantage.zone in suspected else (),
    )


def _visit_row(seen: Seen) -> history.Row:
    outcomes = [verdict.outcome for verdict in seen.verdicts.values()]
    return history.row(
        seen.due.target_id,
        seen.at,
        seen.facts,
        outcomes.count(Outcome.FAIL),
        outcomes.count(Outcome.UNKNOWN),
    )


def _update_states(
    visits: Sequence[Seen], live: Mapping[int, Live], row_versions: Mapping[int, str]
) -> None:
    news: list[state.Row] = []
    others: list[state.Row] = []
    for seen in visits:
        target_id = seen.due.target_id
        row = state.after(seen, live[target_id])
        row["target_id"] = target_id
        (news if state.is_news(row, seen, row_versions[target_id]) else others).append(row)
    if news:
        run(UPDATE_ALL, _columns(news, state.COLUMNS))
    if others:
        run(UPDATE_MOVING, _columns(others, state.MOVING))


def _columns(rows: Sequence[state.Row], names: Iterable[str]) -> list[list[Any]]:
    """Give one list per column, target ids first."""
    columns = {name: [row[name] for row in rows] for name in ("target_id", *names)}
    for name in state.AS_TEXT.keys() & columns.keys():
        columns[name] = list(map(state.AS_TEXT[name], columns[name]))
    return list(columns.values())


def _update_schedules(visits: Sequence[Seen], live: dict[int, Live]) -> None:
    rows = [row for seen in visits if (row := _schedule_row(seen, live[seen.due.target_id]))]
    if rows:
        columns = list(map(list, zip(*rows, strict=True)))
        run(UPDATE_SCHEDULE, [columns[0], *columns])


ScheduleRow = tuple[int, bool, bool, datetime | None, datetime | None]


def _schedule_row(seen: Seen, live: Live) -> ScheduleRow | None:
    """Give what the next visit must know; None = nothing new.

    While a fault of reachability is pending Redis is asked again in 10 s, so that it is known soon.
    What could not be judged because EmailEngine had just started is read again in a minute.
    """
    due, is_slow = seen.due, _is_slow(seen)
    ended_at = seen.at + timedelta(seconds=seen.duration_s)
    again_at = ended_at + REPROBE if REACHABLE in live.pending_rules else None
    settled_at = ended_at + SETTLES if _just_started(seen) else None
    if is_slow == due.is_slow and not due.is_asked and again_at is None and settled_at is None:
        return None
    return due.target_id, is_slow, due.is_asked, again_at, settled_at


def _just_started(seen: Seen) -> bool:
    return not seen.due.is_redis_only and any(
        verdict.reason == "starting" for verdict in seen.verdicts.values()
    )


def _is_slow(seen: Seen) -> bool:
    """Say whether the target takes long. A busy worker lengthens a visit too: stamped round trips tell."""
    redis = seen.facts.redis
    if seen.duration_s <= SLOW_S:
        return False
    if isinstance(redis, Missing) or not seen.due.is_redis_only:
        return True
    trips = redis.round_trips
    return isinstance(trips, Missing) or trips.count * trips.p95_us > SLOW_S * 1e6 / 2

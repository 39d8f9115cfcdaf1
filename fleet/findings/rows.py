"""Findings as a step needs them: read by one query, written where something changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from checks.lifecycle import EPISODE_GAP, Cause, Move, Standing, State, Step
from checks.rule import Severity
from fleet.findings.models import Finding, Transition
from fleet.registry.arrays import rows_of

Key = tuple[int, str]  # target id, rule id

# By value, for an enumeration's own look-up costs half a microsecond.
SEVERITIES: Final = {severity.value: severity for severity in Severity}
STATES: Final = {state.value: state for state in State}


class Row(NamedTuple):
    """A finding as far as a step needs it; the rest of its columns stay in the database."""

    id: int
    target_id: int
    rule_id: str
    kind: str
    state: str
    severity: str
    short: str
    cause: str
    results: int
    results_count: int
    opened_at: datetime | None
    resolved_at: datetime | None
    last_event_at: datetime | None
    worst_measure: float | None
    openings_count: int
    conclusive_at: datetime | None
    stale_since: datetime | None
    recent_moves: Sequence[datetime]
    flapping_since: datetime | None
    acknowledged_until: datetime | None
    waiver_id: int | None
    ceiling: float | None = None  # the waiver's


_CEILING: Final = "(SELECT w.ceiling FROM findings_waiver w WHERE w.id = f.waiver_id) AS ceiling"
_COLUMNS: Final = ", ".join([*(f"f.{name}" for name in Row._fields[:-1]), _CEILING])
ALIVE: Final = f"""
SELECT {_COLUMNS} FROM findings_finding f
WHERE target_id = ANY(%b) AND state IN ('pending', 'open')
ORDER BY opened_at, id
"""  # noqa: S608  our own column names
ENDED: Final = f"""
SELECT DISTINCT ON (target_id, rule_id) {_COLUMNS}
FROM findings_finding f
JOIN unnest(%b::int8[], %b::text[]) AS v(target_id, rule_id) USING (target_id, rule_id)
WHERE f.state = 'resolved' AND f.resolved_at >= %b
ORDER BY target_id, rule_id, f.resolved_at DESC, f.id DESC
"""  # noqa: S608  our own column names
BY_ID: Final = f"SELECT {_COLUMNS} FROM findings_finding f WHERE id = ANY(%b::int8[]) ORDER BY id"  # noqa: S608  our own column names


def alive(target_ids: list[int]) -> defaultdict[int, dict[str, Row]]:
    """Read the live findings by target and rule, the oldest opened first."""
    found: defaultdict[int, dict[str, Row]] = defaultdict(dict)
    for values in rows_of(ALIVE, [target_ids]):
        row = Row._make(values)
        found[row.target_id][row.rule_id] = row
    return found


def ended(keys: Collection[Key], at: datetime) -> dict[Key, Row]:
    """Read the findings that ended so lately that a fail at this instant continues their episode."""
    if not keys:
        return {}
    targets, rules = (
        [target_id for target_id, _rule in keys],
        [rule_id for _target, rule_id in keys],
    )
    rows = map(Row._make, rows_of(ENDED, [targets, rules, at - EPISODE_GAP]))
    return {(row.target_id, row.rule_id): row for row in rows}


def by_id(finding_ids: Iterable[int]) -> list[Row]:
    """Read findings whatever their state."""
    return [Row._make(values) for values in rows_of(BY_ID, [list(finding_ids)])]


def standing(row: Row) -> Standing:
    """Give where a row's finding stands."""
    return Standing(
        STATES[row.state],
        SEVERITIES[row.severity],
        row.results,
        row.results_count,
        row.last_event_at,
        row.conclusive_at,
        row.stale_since,
        tuple(row.recent_moves),
        row.flapping_since,
        row.acknowledged_until,
    )


def columns(after: Standing) -> dict[str, Any]:
    """Give the columns of a standing."""
    return {
        "state": after.state.value,
        "severity": after.severity.value,
        "results": after.results,
        "results_count": after.results_count,
        "last_event_at": after.last_event_at,
        "conclusive_at": after.conclusive_at,
        "stale_since": after.stale_since,
        "recent_moves": list(after.moves),
        "flapping_since": after.flapping_since,
        "acknowledged_until": after.acknowledged_until,
    }


def stood(row: Row | None, found: Step, at: datetime) -> dict[str, Any]:
    """Give the columns after a step; row is the finding's own before it, None = there is none."""
    after, move, _notice = found
    if after is None:
        return {}
    changes = columns(after)
    if after.acknowledged_until is None:
        changes["acknowledged_by_id"] = None
    if move and move.cause is Cause.OPENED:
        changes["opened_at"], changes["resolved_at"] = at, None
        changes["openings_count"] = (row.openings_count if row else 0) + 1
        changes["waiver_id"] = None  # what covered an earlier opening is judged anew
    elif move and move.to_state is State.RESOLVED:
        changes["resolved_at"] = at
    return changes


def moves_of(found: Step) -> list[Move]:
    """List what leaves a transition."""
    return [move for move in (found.move, found.notice) if move]


def apply(
    row: Row, found: Step, at: datetime, *, by_id: int | None, note: str, until: datetime | None
) -> None:
    """Write what a person did to one finding, in the caller's transaction, with who and why."""
    changes = stood(row, found, at)
    if until:
        changes["acknowledged_by_id"] = by_id
    Finding.objects.filter(pk=row.id).update(**changes)
    for move in moves_of(found):
        transition(row.id, move, at, by_id=by_id, note=note, until=until).save()


def transition(
    finding_id: int,
    move: Move,
    at: datetime,
    *,
    by_id: int | None = None,
    note: str = "",
    until: datetime | None = None,
) -> Transition:
    """Make the row that a move leaves, not yet saved."""
    return Transition(
        finding_id=finding_id,
        at=at,
        cause=move.cause.value,
        from_state=move.from_state.value if move.from_state else "",
        to_state=move.to_state.value,
        from_severity=move.from_severity.value if move.from_severity else "",
        to_severity=move.to_severity.value,
        is_quiet=move.is_quiet,
        actor_id=by_id,
        note=note,
        until=until,
    )

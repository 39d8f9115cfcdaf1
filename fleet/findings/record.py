"""Verdicts in, findings moved, their transitions left: within the transaction that records the visits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.db.models import Max

from checks import lifecycle, remedy
from checks.lifecycle import Move, Standing, State
from checks.policy import Policy, Settings
from checks.rule import Kind, Outcome, Severity, Verdict
from fleet.findings.models import Finding, Transition
from fleet.findings.worst import measure
from fleet.registry.arrays import rows_of

SHORT: Final = 120
FIGURES: Final = re.compile(r"[\d.,]+")
GROWTH: Final = 1.01  # a worst value is written when it grew by a hundredth: not with every byte


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts of one visit, by rule id, where they were read from, and the policy they obey."""

    target_id: int
    at: datetime
    vantage: str
    verdicts: Mapping[str, Verdict]
    policy: Policy


# By value, for an enumeration's own look-up costs half a microsecond.
SEVERITIES: Final = {severity.value: severity for severity in Severity}
KINDS: Final = {kind.value: kind for kind in Kind}
STATES: Final = {state.value: state for state in State}
PENDING: Final = State.PENDING.value


@dataclass(slots=True)
class Live:
    """What is wrong with one target now: the confirmed fails by kind, and the worst of them."""

    fails: list[tuple[Kind, Severity]] = field(default_factory=list)
    critical_count: int = 0
    warning_count: int = 0
    pending_rules: set[str] = field(default_factory=set)
    worst_rule_id: str = ""
    worst_short: str = ""
    oldest_opened_at: datetime | None = None


NOTHING: Final = Live()


class Row(NamedTuple):
    """A live finding as far as a step needs it; the rest of its columns stay in the database."""

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
    last_event_at: datetime | None
    worst_measure: float | None


def move_findings(visits: Sequence[Judged]) -> dict[int, Live]:
    """Move the findings of these targets by their verdicts; returns what is wrong with each now.

    The caller holds the targets' schedule rows: nobody else records them meanwhile. Targets with
    neither a fail nor a live finding cost one row of a query and nothing more.
    """
    alive = _alive([visit.target_id for visit in visits])
    moves = Moves()
    for visit in visits:
        mine = alive.get(visit.target_id)
        for rule_id, verdict in visit.verdicts.items():
            if verdict.outcome is Outcome.FAIL or (mine and rule_id in mine):
                moves.step(visit, rule_id, alive[visit.target_id])
    moves.write()
    return {visit.target_id: _live(alive.get(visit.target_id)) for visit in visits}


ALIVE: Final = f"""
SELECT {", ".join(Row._fields)} FROM findings_finding
WHERE target_id = ANY(%b) AND state IN ('pending', 'open')
ORDER BY opened_at, id
"""  # noqa: S608  our own column names


def _alive(target_ids: list[int]) -> defaultdict[int, dict[str, Row]]:
    """Read the live findings by target and rule, the oldest opened first."""
    alive: defaultdict[int, dict[str, Row]] = defaultdict(dict)
    for values in rows_of(ALIVE, [target_ids]):
        row = Row._make(values)
        alive[row.target_id][row.rule_id] = row
    return alive


class Moves:
    """What the steps of a shard write, gathered so that it is written at once."""

    def __init__(self) -> None:
        self._new: list[tuple[Finding, Move | None]] = []
        self._changed: list[tuple[int, dict[str, Any]]] = []
        self._gone: list[int] = []
        self._transitions: list[Transition] = []

    def step(self, visit: Judged, rule_id: str, mine: dict[str, Row]) -> None:
        """Take one step with one finding; `mine` are the target's live ones, kept up to date."""
        settings, verdict = visit.policy.settings[rule_id], visit.verdicts[rule_id]
        row = mine.get(rule_id)
        before = _standing(row) if row else None
        after, move = lifecycle.step(before, verdict, settings, visit.at)
        if after is None:
            if row:
                self._gone.append(row.id)
                del mine[rule_id]
            return
        changes = _stood(after, move, visit.at) if after != before else {}
        if verdict.outcome is Outcome.FAIL:
            changes |= _told(row, visit, settings, move)
        if row is None:
            mine[rule_id] = self._bear(visit, settings, changes, move)
        elif changes:
            mine[rule_id] = self._change(row, changes, move, visit.at)
        if after.state is State.RESOLVED:
            del mine[rule_id]

    def _bear(
        self, visit: Judged, settings: Settings, changes: dict[str, Any], move: Move | None
    ) -> Row:
        born = Finding(
            target_id=visit.target_id,
            rule_id=settings.rule.id,
            kind=settings.rule.kind.value,
            first_seen_at=visit.at,
            **changes,
        )
        self._new.append((born, move))
        return Row._make(getattr(born, name) for name in Row._fields)

    def _change(self, row: Row, changes: dict[str, Any], move: Move | None, at: datetime) -> Row:
        self._changed.append((row.id, changes))
        if move:
            self._transitions.append(_transition(row.id, move, at))
        return row._replace(**{name: changes[name] for name in Row._fields if name in changes})

    def write(self) -> None:
        """Write rows and transitions: nothing at all where nothing moved."""
        if self._gone:
            Finding.objects.filter(pk__in=self._gone).delete()
        if self._new:
            self._write_new()
        for finding_id, changes in self._changed:
            Finding.objects.filter(pk=finding_id).update(**changes)
        if self._transitions:
            Transition.objects.bulk_create(self._transitions)

    def _write_new(self) -> None:
        _number([finding for finding, _move in self._new])
        Finding.objects.bulk_create(finding for finding, _move in self._new)
        self._transitions += [
            _transition(finding.pk, move, finding.first_seen_at)
            for finding, move in self._new
            if move
        ]


def _standing(row: Row) -> Standing:
    return Standing(
        STATES[row.state],
        SEVERITIES[row.severity],
        row.results,
        row.results_count,
        row.last_event_at,
    )


def _stood(after: Standing, move: Move | None, at: datetime) -> dict[str, Any]:
    """Give the columns of a new standing."""
    changes: dict[str, Any] = {
        "state": after.state.value,
        "severity": after.severity.value,
        "results": after.results,
        "results_count": after.results_count,
        "last_event_at": after.last_event_at,
    }
    if move and move.to_state is State.RESOLVED:
        changes["resolved_at"] = at
    elif move and move.from_state is not State.OPEN:
        changes["opened_at"] = at
    return changes


def _told(row: Row | None, visit: Judged, settings: Settings, move: Move | None) -> dict[str, Any]:
    """Give what a fail says in columns, where it says something new.

    New is: a first sight, a move, another cause, other words (but for their figures) where no
    worst value can be told, or a worse value than any before.
    """
    rule, verdict = settings.rule, visit.verdicts[settings.rule.id]
    value = measure(settings.limits, verdict)
    is_worse = row is None or _rises(move) or _outgrew(value, row.worst_measure)
    if not (is_worse or row is None or move or _says_other(row, verdict, value)):
        return {}
    observed = remedy.observed(rule, verdict, settings.limits)
    worst = {"worst": observed, "worst_measure": value} if is_worse else {}
    return worst | {
        "message": verdict.message,
        "short": verdict.short[:SHORT],
        "cause": verdict.cause,
        "vantage": visit.vantage,
        "observed": observed,
        "required": remedy.required(rule, verdict.evidence, settings.limits),
        "evidence": dict(verdict.evidence),
    }


def _says_other(row: Row, verdict: Verdict, value: float | None) -> bool:
    if verdict.cause != row.cause:
        return True
    return value is None and FIGURES.sub("", verdict.short[:SHORT]) != FIGURES.sub("", row.short)


def _outgrew(value: float | None, worst: float | None) -> bool:
    if value is None or worst is None:
        return False
    return value > worst + abs(worst) * (GROWTH - 1)


def _rises(move: Move | None) -> bool:
    if move is None or move.from_severity is None:
        return False
    return move.to_severity.rank > move.from_severity.rank


def _number(new: Collection[Finding]) -> None:
    """Count the episodes: one more than this target and rule had before."""
    rows = Finding.objects.filter(
        target_id__in={one.target_id for one in new}, rule_id__in={one.rule_id for one in new}
    )
    last = rows.values("target_id", "rule_id").annotate(last=Max("episode"))
    before = {(one["target_id"], one["rule_id"]): one["last"] for one in last}
    for one in new:
        one.episode = before.get((one.target_id, one.rule_id), 0) + 1


def _transition(finding_id: int, move: Move, at: datetime) -> Transition:
    return Transition(
        finding_id=finding_id,
        at=at,
        cause=move.cause.value,
        from_state=move.from_state.value if move.from_state else "",
        to_state=move.to_state.value,
        from_severity=move.from_severity.value if move.from_severity else "",
        to_severity=move.to_severity.value,
    )


def _live(mine: Mapping[str, Row] | None) -> Live:
    """Sum up a target's live findings; pending ones light no lamp."""
    if not mine:
        return NOTHING
    live = Live()
    worst = -1
    for rule_id, row in mine.items():
        if row.state == PENDING:
            live.pending_rules.add(rule_id)
            continue
        severity = SEVERITIES[row.severity]
        live.fails.append((KINDS[row.kind], severity))
        live.critical_count += severity is Severity.CRITICAL
        live.warning_count += severity is Severity.WARNING
        if severity is Severity.INFO:
            continue  # a note is neither the worst of a list nor a reason to come first
        opened_at = row.opened_at
        if opened_at and (live.oldest_opened_at is None or opened_at < live.oldest_opened_at):
            live.oldest_opened_at = opened_at
        if severity.rank > worst:
            worst, live.worst_rule_id, live.worst_short = severity.rank, rule_id, row.short
    return live

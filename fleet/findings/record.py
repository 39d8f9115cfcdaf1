"""Verdicts in, findings moved, their transitions left: within the transaction that records the visits."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db.models import Max

from checks import lifecycle, remedy
from checks.lifecycle import Cause, Move, State
from checks.policy import Policy, Settings
from checks.rule import Cadence, Kind, Outcome, Severity, Verdict
from fleet.findings import rows
from fleet.findings.cover import settle
from fleet.findings.models import Finding, Transition
from fleet.findings.rows import SEVERITIES, Key, Row
from fleet.findings.worst import measure

SHORT: Final = 120
FIGURES: Final = re.compile(r"[\d.,]+")
GROWTH: Final = 1.01  # a worst value is written when it grew by a hundredth: not with every byte
KINDS: Final = {kind.value: kind for kind in Kind}
PENDING: Final = State.PENDING.value


def _never(_cadence: Cadence) -> datetime | None:
    return None


@dataclass(frozen=True, slots=True)
class Judged:
    """The verdicts of one visit, by rule id, where they were read from, and the policy they obey.

    engine and version are the make last detected, judged_at tells when a cadence was judged
    before, and rules that are held open nothing.
    """

    target_id: int
    at: datetime
    vantage: str
    verdicts: Mapping[str, Verdict]
    policy: Policy
    engine: str = ""
    version: str = ""
    judged_at: Callable[[Cadence], datetime | None] = _never
    held: Collection[str] = ()


@dataclass(slots=True)
class Live:
    """What is wrong with one target now and not waived: the confirmed fails by kind, the worst."""

    fails: list[tuple[Kind, Severity]] = field(default_factory=list)
    critical_count: int = 0
    warning_count: int = 0
    pending_rules: set[str] = field(default_factory=set)
    worst_rule_id: str = ""
    worst_short: str = ""
    oldest_opened_at: datetime | None = None
    waived_count: int = 0


NOTHING: Final = Live()


def move_findings(visits: Sequence[Judged]) -> dict[int, Live]:
    """Move the findings of these targets by their verdicts; returns what is wrong with each now.

    The caller holds the targets' state rows: nobody else records them meanwhile. Targets with
    neither a fail nor a live finding cost one row of a query and nothing more.
    """
    alive = rows.alive([visit.target_id for visit in visits])
    steps: list[tuple[Judged, str]] = []
    unconfirmed: set[Key] = set()
    for visit in visits:
        mine = alive.get(visit.target_id)
        for rule_id, verdict in visit.verdicts.items():
            row = mine.get(rule_id) if mine else None
            if verdict.outcome is Outcome.FAIL and (row is None or row.state == PENDING):
                unconfirmed.add((visit.target_id, rule_id))
            elif row is None:
                continue
            steps.append((visit, rule_id))
    if steps:
        moves = Moves(rows.ended(unconfirmed, min(visit.at for visit in visits)))
        for visit, rule_id in steps:
            moves.step(visit, rule_id, alive[visit.target_id])
        moves.write()
        _cover(alive, moves.uncovered, max(visit.at for visit in visits))
    return {visit.target_id: _live(alive.get(visit.target_id)) for visit in visits}


def standing(target_ids: list[int]) -> dict[int, Live]:
    """Give what is wrong with each of these targets now, as it is stored. One query."""
    alive = rows.alive(target_ids)
    return {target_id: _live(alive.get(target_id)) for target_id in target_ids}


def _cover(
    alive: dict[int, dict[str, Row]], uncovered: Sequence[Finding | Row], now: datetime
) -> None:
    """Let the waivers in force cover what opened or grew worse; `alive` is kept up to date."""
    for moved in settle([one.id for one in uncovered], now):
        mine = alive[moved.target_id]
        mine[moved.rule_id] = mine[moved.rule_id]._replace(waiver_id=moved.after)


class Moves:
    """What the steps of a shard write, gathered so that it is written at once.

    `ended` are the findings whose episodes an opening would continue.
    """

    def __init__(self, ended: Mapping[Key, Row]) -> None:
        self._ended = ended
        self._new: list[tuple[Finding, list[Move]]] = []
        self._changed: list[tuple[int, dict[str, Any]]] = []
        self._gone: list[int] = []
        self._transitions: list[Transition] = []
        self.uncovered: list[Finding | Row] = []  # what waivers have to be asked about

    def step(self, visit: Judged, rule_id: str, mine: dict[str, Row]) -> None:
        """Take one step with one finding; `mine` are the target's live ones, kept up to date."""
        settings, verdict = visit.policy.settings[rule_id], visit.verdicts[rule_id]
        row, last = mine.get(rule_id), self._last(visit, settings)
        before = rows.standing(row) if row else None
        found = lifecycle.step(
            before,
            verdict,
            settings,
            visit.at,
            judged_at=visit.judged_at(settings.rule.cadence),
            ended=rows.standing(last) if last else None,
            is_held=rule_id in visit.held,
        )
        opens_again = last and found.move and found.move.cause is Cause.OPENED
        if row and (found.standing is None or opens_again):
            self._gone.append(mine.pop(rule_id).id)
        if found.standing is None:
            return
        if opens_again:
            row, before = last, None
        changes = rows.stood(row, found, visit.at) if found.standing != before else {}
        if verdict.outcome is Outcome.FAIL:
            changes |= _told(row, visit, settings, found.move)
        moves = rows.moves_of(found)
        if row is None:
            mine[rule_id] = self._bear(visit, settings, changes, moves)
        elif changes:
            mine[rule_id] = self._change(row, changes, moves, visit.at)
        if found.standing.state is State.RESOLVED:
            del mine[rule_id]

    def _last(self, visit: Judged, settings: Settings) -> Row | None:
        """Find the finding whose episode an opening now would continue."""
        last = self._ended.get((visit.target_id, settings.rule.id))
        if last is None or last.resolved_at is None or not lifecycle.may_continue(settings):
            return None
        return last if visit.at - last.resolved_at <= lifecycle.EPISODE_GAP else None

    def _bear(
        self, visit: Judged, settings: Settings, changes: dict[str, Any], moves: list[Move]
    ) -> Row:
        born = Finding(
            target_id=visit.target_id,
            rule_id=settings.rule.id,
            kind=settings.rule.kind.value,
            first_seen_at=visit.at,
            **changes,
        )
        self._new.append((born, moves))
        if moves:
            self.uncovered.append(born)
        return Row._make(getattr(born, name, None) for name in Row._fields)

    def _change(self, row: Row, changes: dict[str, Any], moves: list[Move], at: datetime) -> Row:
        self._changed.append((row.id, changes))
        self._transitions += [rows.transition(row.id, move, at) for move in moves]
        is_open = changes.get("state", row.state) == State.OPEN
        if is_open and (moves or (row.waiver_id and "worst_measure" in changes)):
            self.uncovered.append(row)
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
        _number([finding for finding, _moves in self._new])
        Finding.objects.bulk_create(finding for finding, _moves in self._new)
        self._transitions += [
            rows.transition(finding.pk, move, finding.first_seen_at)
            for finding, moves in self._new
            for move in moves
        ]


def _told(row: Row | None, visit: Judged, settings: Settings, move: Move | None) -> dict[str, Any]:
    """Give what a fail says in columns, where it says something new.

    New is: a first sight, a move, another cause, other words (but for their figures) where no
    worst value can be told, or a worse value than any before.
    """
    rule, verdict = settings.rule, visit.verdicts[settings.rule.id]
    value = measure(settings.limits, verdict)
    is_worse = row is None or _rises(move) or _outgrew(value, row)
    if not (is_worse or row is None or move or _says_other(row, verdict, value)):
        return {}
    observed = remedy.observed(rule, verdict, settings.limits)
    worst = {"worst": observed, "worst_measure": value} if is_worse else {}
    return worst | {
        "message": verdict.message,
        "short": verdict.short[:SHORT],
        "cause": verdict.cause,
        "vantage": visit.vantage,
        "engine": visit.engine,
        "engine_version": visit.version,
        "observed": observed,
        "required": remedy.required(rule, verdict.evidence, settings.limits),
        "evidence": dict(verdict.evidence),
    }


def _says_other(row: Row, verdict: Verdict, value: float | None) -> bool:
    if verdict.cause != row.cause:
        return True
    return value is None and FIGURES.sub("", verdict.short[:SHORT]) != FIGURES.sub("", row.short)


def _outgrew(value: float | None, row: Row) -> bool:
    """Tell whether the value is worse than any before: by a hundredth, or beyond its ceiling."""
    worst, ceiling = row.worst_measure, row.ceiling
    if value is None or worst is None:
        return False
    if ceiling is not None and worst <= ceiling < value:
        return True
    return value > worst + abs(worst) * (GROWTH - 1)


def _rises(move: Move | None) -> bool:
    if move is None or move.from_severity is None:
        return False
    return move.to_severity.rank > move.from_severity.rank


def _number(new: Collection[Finding]) -> None:
    """Count the episodes: one more than this target and rule had before."""
    earlier = Finding.objects.filter(
        target_id__in={one.target_id for one in new}, rule_id__in={one.rule_id for one in new}
    )
    last = earlier.values("target_id", "rule_id").annotate(last=Max("episode"))
    before = {(one["target_id"], one["rule_id"]): one["last"] for one in last}
    for one in new:
        one.episode = before.get((one.target_id, one.rule_id), 0) + 1


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
        if row.waiver_id is not None:
            live.waived_count += 1
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

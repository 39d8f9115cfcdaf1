"""Verdicts in, findings moved, their transitions left: within the transaction that records the visits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.db import connection
from django.db.models import Max

from checks import lifecycle, remedy
from checks.lifecycle import Move, Standing, State
from checks.policy import Policy, Settings
from checks.rule import Kind, Outcome, Severity, Verdict
from fleet.findings.models import Finding, Transition
from fleet.findings.worst import measure

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


def move_findings(visits: Sequence[Judged]) -> dict[int, Live]:
    """Move the findings of these targets by their verdicts; returns what is wrong with each now.

    The caller holds the targets' schedule rows: nobody else records them meanwhile. Targets with
    neither a fail nor a live finding cost one row of a query and nothing more.
    """
    alive: dict[int, dict[str, Finding]] = defaultdict(dict)
    for finding in Finding.objects.filter(
        target_id__in=[visit.target_id for visit in visits],
        state__in=(Finding.State.PENDING, Finding.State.OPEN),
    ).order_by("opened_at", "id"):
        alive[finding.target_id][finding.rule_id] = finding
    moves = Moves()
    for visit in visits:
        _step_all(visit, alive, moves)
    moves.write()
    return {visit.target_id: _live(alive.get(visit.target_id, {})) for visit in visits}


def _step_all(visit: Judged, alive: dict[int, dict[str, Finding]], moves: Moves) -> None:
    mine = alive.get(visit.target_id)
    for rule_id, verdict in visit.verdicts.items():
        if verdict.outcome is Outcome.FAIL or (mine and rule_id in mine):
            moves.step(visit, rule_id, alive[visit.target_id])


class Moves:
    """What the steps of a shard write, gathered so that it is written at once."""

    def __init__(self) -> None:
        self._new: list[Finding] = []
        self._changed: list[Finding] = []
        self._gone: list[int] = []
        self._moved: list[tuple[Finding, Move, datetime]] = []

    def step(self, visit: Judged, rule_id: str, mine: dict[str, Finding]) -> None:
        """Take one step with one finding; `mine` are the target's live ones, kept up to date."""
        settings, verdict = visit.policy[rule_id], visit.verdicts[rule_id]
        finding = mine.get(rule_id)
        before = _standing(finding) if finding else None
        after, move = lifecycle.step(before, verdict, settings, visit.at)
        if after is None:
            if finding:
                self._gone.append(finding.pk)
                del mine[rule_id]
            return
        if finding is None:
            finding = mine[rule_id] = _born(visit, settings)
            self._new.append(finding)
        is_told = verdict.outcome is Outcome.FAIL and _tell(finding, visit, settings, move)
        if after != before:
            _stand(finding, after, move, visit.at)
        if finding.pk and (after != before or is_told):
            self._changed.append(finding)
        if move:
            self._moved.append((finding, move, visit.at))
        if after.state is State.RESOLVED:
            del mine[rule_id]

    def write(self) -> None:
        """Write rows and transitions: nothing at all where nothing moved."""
        if self._gone:
            Finding.objects.filter(pk__in=self._gone).delete()
        if self._new:
            _number(self._new)
            Finding.objects.bulk_create(self._new)
        if self._changed:
            _update(self._changed)
        if self._moved:
            Transition.objects.bulk_create(_transition(*one) for one in self._moved)


def _standing(finding: Finding) -> Standing:
    return Standing(
        State(finding.state),
        Severity(finding.severity),
        finding.results,
        finding.results_count,
        finding.last_event_at,
    )


def _born(visit: Judged, settings: Settings) -> Finding:
    return Finding(
        target_id=visit.target_id,
        rule_id=settings.rule.id,
        kind=settings.rule.kind.value,
        state=Finding.State.PENDING,
        severity=Finding.Severity.INFO,
        first_seen_at=visit.at,
    )


def _stand(finding: Finding, after: Standing, move: Move | None, at: datetime) -> None:
    """Take the new standing over into the row."""
    finding.state = after.state.value
    finding.severity = after.severity.value
    finding.results, finding.results_count = after.results, after.results_count
    finding.last_event_at = after.last_event_at
    if move and move.to_state is State.RESOLVED:
        finding.resolved_at = at
    elif move and move.from_state is not State.OPEN:
        finding.opened_at = at


def _tell(finding: Finding, visit: Judged, settings: Settings, move: Move | None) -> bool:
    """Take over what the fail says where it says something new; returns whether it did.

    New is: a first sight, a move, another cause, other words (but for their figures) where no
    worst value can be told, or a worse value than any before.
    """
    rule, verdict = settings.rule, visit.verdicts[settings.rule.id]
    value = measure(settings.limits, verdict)
    is_worse = value is not None and (
        finding.worst_measure is None or _outgrew(value, finding.worst_measure)
    )
    is_first = finding.first_seen_at == visit.at
    is_new = is_first or move is not None or verdict.cause != finding.cause
    if value is None and not is_new:
        is_new = FIGURES.sub("", verdict.short) != FIGURES.sub("", finding.short)
    if not (is_new or is_worse):
        return False
    finding.message, finding.short = verdict.message, verdict.short[:SHORT]
    finding.cause, finding.vantage = verdict.cause, visit.vantage
    finding.observed = remedy.observed(rule, verdict, settings.limits)
    finding.required = remedy.required(rule, verdict.evidence, settings.limits)
    finding.evidence = dict(verdict.evidence)
    if is_worse or not finding.worst or _rises(move):
        finding.worst, finding.worst_measure = finding.observed, value
    return True


def _outgrew(value: float, worst: float) -> bool:
    return value > worst + abs(worst) * (GROWTH - 1)


def _rises(move: Move | None) -> bool:
    if move is None or move.from_severity is None:
        return False
    return move.to_severity.rank > move.from_severity.rank


def _number(new: Iterable[Finding]) -> None:
    """Count the episodes: one more than this target and rule had before."""
    rows = Finding.objects.filter(
        target_id__in={one.target_id for one in new}, rule_id__in={one.rule_id for one in new}
    )
    last = rows.values("target_id", "rule_id").annotate(last=Max("episode"))
    before = {(one["target_id"], one["rule_id"]): one["last"] for one in last}
    for one in new:
        one.episode = before.get((one.target_id, one.rule_id), 0) + 1


CHANGING: Final = (
    "state",
    "severity",
    "message",
    "short",
    "cause",
    "observed",
    "required",
    "evidence",
    "vantage",
    "worst",
    "worst_measure",
    "results",
    "results_count",
    "opened_at",
    "resolved_at",
    "last_event_at",
)


def _update(changed: Sequence[Finding]) -> None:
    fields = [field for field in Finding._meta.concrete_fields if field.name in CHANGING]
    settings = ", ".join(f"{field.column} = %s" for field in fields)
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE findings_finding SET {settings} WHERE id = %s",  # noqa: S608  our own columns
            [
                [
                    *(
                        field.get_db_prep_save(getattr(one, field.attname), connection)
                        for field in fields
                    ),
                    one.pk,
                ]
                for one in changed
            ],
        )


def _transition(finding: Finding, move: Move, at: datetime) -> Transition:
    return Transition(
        finding_id=finding.pk,
        at=at,
        cause=move.cause.value,
        from_state=move.from_state.value if move.from_state else "",
        to_state=move.to_state.value,
        from_severity=move.from_severity.value if move.from_severity else "",
        to_severity=move.to_severity.value,
    )


def _live(mine: Mapping[str, Finding]) -> Live:
    """Sum up a target's live findings; pending ones light no lamp."""
    live = Live()
    worst = -1
    for rule_id, finding in mine.items():
        if finding.state == Finding.State.PENDING:
            live.pending_rules.add(rule_id)
            continue
        severity = Severity(finding.severity)
        live.fails.append((Kind(finding.kind), severity))
        live.critical_count += severity is Severity.CRITICAL
        live.warning_count += severity is Severity.WARNING
        opened_at = finding.opened_at
        if opened_at and (live.oldest_opened_at is None or opened_at < live.oldest_opened_at):
            live.oldest_opened_at = opened_at
        if severity.rank > worst:
            worst, live.worst_rule_id, live.worst_short = severity.rank, rule_id, finding.short
    return live

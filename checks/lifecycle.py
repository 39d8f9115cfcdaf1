"""A finding's life as a table: (standing, verdict, now) gives the next standing and the move.

A finding opens when `opens.times` of the last `opens.of` conclusive results were fails, and
resolves when `resolves.times` of the last `resolves.of` were passes: resolution needs a pass,
never absence. `unknown` moves nothing. A rule that no longer applies, or is switched off,
withdraws its finding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from checks.policy import Settings
from checks.rule import Confirm, Outcome, Severity, Verdict

# How long an event rule stays quiet before its finding resolves. Source: design §3.
EVENT_QUIET: Final = timedelta(hours=24)


class State(StrEnum):
    PENDING = "pending"
    OPEN = "open"
    RESOLVED = "resolved"


class Cause(StrEnum):
    """Why a finding moved."""

    OPENED = "opened"
    SEVERITY = "severity"
    RESOLVED = "resolved"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a finding stands.

    `results` holds the last results as bits, the newest lowest, of which `results_count` are
    filled: while pending 1 = fail, while open 1 = pass. Results that can no longer help to
    confirm anything are dropped, so that a finding that goes on failing stays equal to itself.
    """

    state: State
    severity: Severity
    results: int = 0
    results_count: int = 0
    last_event_at: datetime | None = None  # event rules only


class Move(NamedTuple):
    """A real move, which leaves a transition; `from_state` None = there was no finding."""

    cause: Cause
    from_state: State | None
    to_state: State
    from_severity: Severity | None
    to_severity: Severity


class Step(NamedTuple):
    """The next standing and the move that led there.

    A standing of None means that no finding lives: a pending row goes without a trace. A
    standing equal to the one before needs no write. RESOLVED comes only with a move.
    """

    standing: Standing | None
    move: Move | None


def step(standing: Standing | None, verdict: Verdict, settings: Settings, now: datetime) -> Step:
    """Move one finding by one verdict; standing is None, pending or open."""
    match verdict.outcome:
        case Outcome.UNKNOWN:
            return Step(standing, None)
        case Outcome.NOT_APPLICABLE | Outcome.DISABLED:
            return _withdrawn(standing)
        case Outcome.PASS | Outcome.FAIL:
            if standing is not None and standing.state is State.OPEN:
                return _from_open(standing, verdict, settings, now)
            return _from_pending(standing, verdict, settings, now)


def _from_pending(
    standing: Standing | None, verdict: Verdict, settings: Settings, now: datetime
) -> Step:
    """Count a result towards opening; a lone pass leaves nothing behind."""
    is_fail = verdict.outcome is Outcome.FAIL
    before = standing.state if standing else None
    if verdict.severity is not None and is_fail:
        severity = verdict.severity
    elif standing is not None:
        severity = standing.severity
    else:
        return Step(None, None)
    seen = _Window.of(standing).then(is_fail, settings.opens)
    is_event = is_fail and settings.rule.tells_of_event(verdict.cause)
    if is_event or (is_fail and seen.is_confirmed(settings.opens)):
        event_at = now if is_event else None
        opened = Standing(State.OPEN, severity, last_event_at=event_at)
        return Step(opened, Move(Cause.OPENED, before, State.OPEN, None, severity))
    if seen.filled == 0:
        return Step(None, None)
    return Step(Standing(State.PENDING, severity, seen.bits, seen.filled), None)


def _from_open(standing: Standing, verdict: Verdict, settings: Settings, now: datetime) -> Step:
    """Keep, change or resolve an open finding.

    A rise in severity counts at once: the finding is confirmed already. A fall waits until the
    value has left the band of the old severity (`keeps`).
    """
    severity = _severity(standing, verdict)
    if standing.last_event_at or settings.rule.tells_of_event(verdict.cause):
        return _from_event(standing, verdict, settings, severity, now)
    seen = _Window.of(standing).then(severity is None, settings.resolves)
    if severity is None:
        if seen.is_confirmed(settings.resolves):
            return _closed(standing, Cause.RESOLVED)
        severity = standing.severity
    return _kept(
        standing,
        replace(standing, severity=severity, results=seen.bits, results_count=seen.filled),
    )


def _from_event(
    standing: Standing,
    verdict: Verdict,
    settings: Settings,
    severity: Severity | None,
    now: datetime,
) -> Step:
    """Resolve by a pass once the last event is old enough; each fail of its cause is a new one.

    What only a person may accept stays open whatever is read.
    """
    if verdict.outcome is Outcome.FAIL:
        is_event = settings.rule.tells_of_event(verdict.cause)
        last = now if is_event else standing.last_event_at
        after = replace(standing, severity=severity or standing.severity, last_event_at=last)
        return _kept(standing, after)
    if settings.rule.resolves_by_acknowledgement:
        return Step(standing, None)
    last_event_at = standing.last_event_at
    if severity is None and (last_event_at is None or now - last_event_at >= EVENT_QUIET):
        return _closed(standing, Cause.RESOLVED)
    return Step(standing, None)


def _kept(before: Standing, after: Standing) -> Step:
    if after.severity is before.severity:
        return Step(after, None)
    move = Move(Cause.SEVERITY, State.OPEN, State.OPEN, before.severity, after.severity)
    return Step(after, move)


def _closed(standing: Standing, cause: Cause) -> Step:
    closed = replace(standing, state=State.RESOLVED, results=0, results_count=0)
    severity = standing.severity
    return Step(closed, Move(cause, State.OPEN, State.RESOLVED, severity, severity))


def _withdrawn(standing: Standing | None) -> Step:
    if standing is None or standing.state is State.PENDING:
        return Step(None, None)
    return _closed(standing, Cause.WITHDRAWN)


def _severity(standing: Standing, verdict: Verdict) -> Severity | None:
    """Return the severity an open finding has by this verdict; None = the value has left it."""
    entered = verdict.severity if verdict.outcome is Outcome.FAIL else None
    kept = verdict.keeps
    if kept is not None and kept.rank > standing.severity.rank:
        kept = standing.severity  # a band keeps what is there, it does not raise it
    if entered is None or kept is None:
        return entered or kept
    return entered if entered.rank >= kept.rank else kept


class _Window(NamedTuple):
    """The last results as bits, newest lowest, as far as they can still help to confirm."""

    bits: int
    filled: int

    @classmethod
    def of(cls, standing: Standing | None) -> _Window:
        return cls(standing.results, standing.results_count) if standing else cls(0, 0)

    def then(self, is_counted: bool, confirm: Confirm) -> _Window:  # noqa: FBT001  a bit
        filled = min(self.filled + 1, confirm.of)
        bits = (self.bits << 1 | is_counted) & _mask(confirm.of)
        return _Window(bits, filled) if _helps(bits, confirm) else _Window(0, 0)

    def is_confirmed(self, confirm: Confirm) -> bool:
        return self.bits.bit_count() >= confirm.times


def _helps(bits: int, confirm: Confirm) -> bool:
    """Tell whether these results confirm now, or sooner than new ones alone would.

    After `more` further counted results the window still holds the newest `of - more` of these.
    """
    return any(
        more + (bits & _mask(confirm.of - more)).bit_count() >= confirm.times
        for more in range(confirm.times)
    )


def _mask(width: int) -> int:
    return (1 << width) - 1

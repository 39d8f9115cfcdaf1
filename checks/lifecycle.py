"""A finding's life as a table: (standing, verdict, now) gives the next standing and the move.

A finding opens when `opens.times` of the last `opens.of` conclusive results were fails, and
resolves when `resolves.times` of the last `resolves.of` were passes: resolution needs a pass,
never absence. `unknown` moves nothing. A rule that no longer applies, or is switched off,
withdraws its finding.

`step` takes a verdict, `tick` the clock alone (it makes findings stale, and calm again), and
`acknowledged` and `accepted` what a person says. A finding that fails again within 7 days of its
end continues its episode: `step` is then given the standing it ended with.
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
# Stale: this many intervals without a conclusive result. Source: design §3.
STALE_AFTER: Final = 3
# Flapping: so many confirmed moves within so long, until it is calm for so long. Source: design §3.
FLAPS: Final = 4
FLAPS_WITHIN: Final = timedelta(hours=1)
CALM_AFTER: Final = timedelta(minutes=30)
# What fails again so soon after its end is the same episode. Source: issue 4.
EPISODE_GAP: Final = timedelta(days=7)


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
    ACKNOWLEDGED = "acknowledged"  # a person knows of it, or accepts what happened and closes it
    STALE = "stale"
    FRESH = "fresh"
    FLAPPING = "flapping"
    CALM = "calm"


# The confirmed moves, those that flapping counts: what the readings said, not people or the clock.
CONFIRMED: Final = frozenset({Cause.OPENED, Cause.SEVERITY, Cause.RESOLVED, Cause.WITHDRAWN})


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a finding stands.

    `results` holds the last results as bits, the newest lowest, of which `results_count` are
    filled: while pending 1 = fail, while open 1 = pass. Results that can no longer help to
    confirm anything are dropped, so that a finding that goes on failing stays equal to itself.
    `conclusive_at` is set while an open finding's results are unknown: when the last conclusive
    one was. `moves` are the times of the last confirmed moves, oldest first, at most FLAPS.
    """

    state: State
    severity: Severity
    results: int = 0
    results_count: int = 0
    last_event_at: datetime | None = None  # event rules only
    conclusive_at: datetime | None = None
    stale_since: datetime | None = None
    moves: tuple[datetime, ...] = ()
    flapping_since: datetime | None = None
    acknowledged_until: datetime | None = None


class Move(NamedTuple):
    """A real move, which leaves a transition; `from_state` None = there was no finding.

    A quiet one was made while flapping: it is kept for history, and nobody is told.
    """

    cause: Cause
    from_state: State | None
    to_state: State
    from_severity: Severity | None
    to_severity: Severity
    is_quiet: bool = False


class Step(NamedTuple):
    """The next standing, the move that led there, and the notice that follows it.

    A standing of None means that no finding lives: a pending row goes without a trace. A
    standing equal to the one before needs no write. RESOLVED comes only with a move. The notice
    is FLAPPING or CALM.
    """

    standing: Standing | None
    move: Move | None
    notice: Move | None = None


def step(
    standing: Standing | None,
    verdict: Verdict,
    settings: Settings,
    now: datetime,
    *,
    judged_at: datetime | None = None,
    ended: Standing | None = None,
    is_held: bool = False,
) -> Step:
    """Move one finding by one verdict; standing is None, pending or open.

    judged_at is when the rule was judged before (None: not known). ended is how the episode that
    an opening would continue ended. What is held does not open, however often it fails.
    """
    match verdict.outcome:
        case Outcome.UNKNOWN:
            return Step(_unsure(standing, judged_at or now), None)
        case Outcome.NOT_APPLICABLE | Outcome.DISABLED:
            found = _withdrawn(standing)
        case Outcome.PASS | Outcome.FAIL:
            if standing is not None and standing.state is State.OPEN:
                found = _from_open(standing, verdict, settings, now)
                if found.standing is not None and found.standing.conclusive_at:
                    found = _sure(found.standing, found.move)
            else:
                found = _from_pending(standing, verdict, settings, now, is_held=is_held)
    move = found.move
    if move is None:
        return found
    if move.cause is Cause.OPENED and ended is not None:
        found = Step(_continued(found.standing, ended, now), move)
    return _counted(found, now)


def tick(
    standing: Standing, conclusive_at: datetime | None, interval: timedelta, now: datetime
) -> Step:
    """Move one finding by the clock alone.

    conclusive_at is when its rule last gave a conclusive result (None: not known), interval the
    time between two of its judgements. It may be resolved: such a one can still grow calm.
    """
    after, move = standing, None
    is_late = conclusive_at is not None and now - conclusive_at >= STALE_AFTER * interval
    if is_late and standing.state is State.OPEN and standing.stale_since is None:
        after = replace(standing, conclusive_at=conclusive_at, stale_since=now)
        move = _stay(Cause.STALE, after)
    if after.flapping_since is None or now - max((after.flapping_since, *after.moves)) < CALM_AFTER:
        return Step(after, move)
    after = replace(after, flapping_since=None, moves=())
    return Step(after, move, _stay(Cause.CALM, after))


def acknowledged(standing: Standing, until: datetime) -> Step:
    """Note that a person knows of an open finding: no reminder until then, or until it grows worse."""
    after = replace(standing, acknowledged_until=until)
    return Step(after, _stay(Cause.ACKNOWLEDGED, after)._replace(is_quiet=False))


def unacknowledged(standing: Standing) -> Step:
    """Note that nobody answers for an open finding any more: reminders go on."""
    after = replace(standing, acknowledged_until=None)
    return Step(after, _stay(Cause.ACKNOWLEDGED, after)._replace(is_quiet=False))


def accepted(standing: Standing) -> Step:
    """Close an open finding because a person accepts what happened."""
    return _closed(standing, Cause.ACKNOWLEDGED)


def may_continue(settings: Settings) -> bool:
    """Say whether a fail soon after the end continues the episode: what was accepted is over."""
    return not settings.rule.resolves_by_acknowledgement


def _unsure(standing: Standing | None, conclusive_at: datetime) -> Standing | None:
    """Note when an open finding's last conclusive result was; unknown moves nothing else."""
    if standing is None or standing.state is State.PENDING or standing.conclusive_at:
        return standing
    return replace(standing, conclusive_at=conclusive_at)


def _sure(after: Standing, move: Move | None) -> Step:
    """Take a conclusive result after others: what was stale is fresh."""
    fresh = replace(after, conclusive_at=None, stale_since=None)
    if after.stale_since is None or move is not None:
        return Step(fresh, move)
    return Step(fresh, _stay(Cause.FRESH, fresh))


def _counted(found: Step, now: datetime) -> Step:
    """Count a confirmed move: the fourth in an hour says that the finding flaps, and is quiet itself."""
    standing, move = found.standing, found.move
    if standing is None or move is None or move.cause not in CONFIRMED:
        return found
    moves = (*(at for at in standing.moves if now - at <= FLAPS_WITHIN), now)[-FLAPS:]
    after = replace(standing, moves=moves)
    if after.flapping_since:
        return Step(after, move._replace(is_quiet=True))
    if len(moves) < FLAPS:
        return Step(after, move)
    notice = _stay(Cause.FLAPPING, after)
    return Step(replace(after, flapping_since=now), move._replace(is_quiet=True), notice)


def _continued(opened: Standing | None, ended: Standing, now: datetime) -> Standing | None:
    """Carry over what an episode keeps between two openings."""
    if opened is None:
        return None
    until = ended.acknowledged_until
    is_known = until is not None and until > now and opened.severity.rank <= ended.severity.rank
    return replace(
        opened,
        moves=ended.moves,
        flapping_since=ended.flapping_since,
        acknowledged_until=until if is_known else None,
    )


def _stay(cause: Cause, standing: Standing) -> Move:
    """Give a move that changes neither state nor severity."""
    state, severity = standing.state, standing.severity
    is_quiet = cause is not Cause.CALM and standing.flapping_since is not None
    return Move(cause, state, state, severity, severity, is_quiet)


def _from_pending(
    standing: Standing | None,
    verdict: Verdict,
    settings: Settings,
    now: datetime,
    *,
    is_held: bool,
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
    is_confirmed = is_event or (is_fail and seen.is_confirmed(settings.opens))
    if is_confirmed and not is_held:
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
    if severity is standing.severity and seen == (standing.results, standing.results_count):
        return Step(standing, None)  # the usual case: it goes on failing
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
    if after.severity.rank > before.severity.rank:
        after = replace(after, acknowledged_until=None)
    return Step(after, move)


def _closed(standing: Standing, cause: Cause) -> Step:
    closed = replace(
        standing,
        state=State.RESOLVED,
        results=0,
        results_count=0,
        conclusive_at=None,
        stale_since=None,
    )
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

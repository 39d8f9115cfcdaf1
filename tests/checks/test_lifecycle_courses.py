"""Any course of verdicts, waits and people's words moves a finding as the slow reference says."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from hypothesis import given
from hypothesis import settings as tried
from hypothesis import strategies as st

from checks import lifecycle
from checks.lifecycle import EPISODE_GAP, Standing, State, step, tick
from checks.policy import Settings
from checks.rule import Confirm, Limits, Outcome, Severity, Verdict, failed, passed, unknown
from tests.checks.reference import Reference
from tests.checks.sample_rules import evictions, memory

START = datetime(2026, 11, 21, 14, 18, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INTERVAL = 5 * MINUTE
CONFIRMS = st.sampled_from([Confirm(1, 1), Confirm(3, 3), Confirm(3, 5)]) | st.integers(
    1, 15
).flatmap(lambda of: st.integers(1, of).map(lambda times: Confirm(times, of)))
SEVERITIES = st.sampled_from(Severity)


def fail(severity, keeps=None):
    return failed("x", short="x", severity=severity, keeps=keeps)


class Event(NamedTuple):
    """Something that happens `wait` after the one before."""

    wait: timedelta
    what: str  # verdict, held, tick, acknowledge
    verdict: Verdict | None = None
    lasting: timedelta = MINUTE


MOMENTS = (timedelta(seconds=10), MINUTE, 5 * MINUTE, 31 * MINUTE)
LONG = (timedelta(hours=3), timedelta(hours=25), timedelta(days=7), timedelta(days=8))
WAITS = st.sampled_from([*MOMENTS, 4 * MINUTE, 16 * MINUTE, *LONG])
SHORT_WAITS = st.sampled_from(MOMENTS)
VERDICTS = st.one_of(
    st.builds(fail, SEVERITIES),
    st.builds(fail, SEVERITIES, SEVERITIES),
    st.sampled_from([passed(), passed(), passed(keeps=Severity.WARNING)]),
    st.just(unknown("timeout", "x")),
    st.sampled_from([Verdict(Outcome.NOT_APPLICABLE), Verdict(Outcome.DISABLED)]),
)


NO_VERDICT, SHORTLY = st.none(), st.just(MINUTE)


def happens(what, waits, verdicts=NO_VERDICT, lasting=SHORTLY):
    return st.builds(Event, waits, st.just(what), verdicts, lasting)


EVENTS = st.one_of(
    happens("verdict", SHORT_WAITS, VERDICTS),
    happens("verdict", SHORT_WAITS, VERDICTS),
    happens("verdict", WAITS, VERDICTS),
    happens("held", WAITS, st.builds(fail, SEVERITIES)),
    happens("tick", WAITS),
    happens("acknowledge", SHORT_WAITS, lasting=WAITS),
)
SETTINGS = st.one_of(
    st.builds(
        lambda opens, resolves: Settings(memory, memory.limits, opens, resolves), CONFIRMS, CONFIRMS
    ),
    st.just(Settings(evictions, Limits(), Confirm(), Confirm())),
)


class Recorder:
    """Keeps rows as fleet/findings does, in a list: the newest is the one that may be alive."""

    def __init__(self, settings):
        self.settings = settings
        self.pending = None
        self.rows = []  # [standing, resolved_at, log]
        self.judged_at = None

    @property
    def alive(self):
        if self.rows and self.rows[-1][0].state is State.OPEN:
            return self.rows[-1]
        return None

    def take(self, verdict, at, *, is_held=False):
        row, last = self.alive, self.rows[-1] if self.rows else None
        ended = None
        if last and row is None and at - last[1] <= EPISODE_GAP:
            ended = last[0]
        found = step(
            row[0] if row else self.pending,
            verdict,
            self.settings,
            at,
            judged_at=self.judged_at,
            ended=ended,
            is_held=is_held,
        )
        self.judged_at = at
        if row is None and (found.move is None or found.standing is None):
            self.pending = found.standing
            return
        self.pending = None
        if row is None and ended is None:
            self.rows.append([found.standing, None, []])
        self.write(self.rows[-1], found, at)

    def write(self, row, found, at):
        row[0] = found.standing
        row[2] += [
            (at, move.cause.value, move.to_severity, move.is_quiet)
            for move in (found.move, found.notice)
            if move
        ]
        if (
            found.standing.state is State.RESOLVED
            and found.move
            and found.move.to_state is State.RESOLVED
        ):
            row[1] = at

    def acknowledge(self, until, at):
        if self.alive:
            self.write(self.alive, lifecycle.acknowledged(self.alive[0], until), at)

    def tick(self, at):
        for row in self.rows:
            conclusive_at = row[0].conclusive_at or self.judged_at
            self.write(row, tick(row[0], conclusive_at, INTERVAL, at), at)

    def restart(self):
        """Forget all but what the columns hold."""
        self.rows = [[replace(standing), at, list(log)] for standing, at, log in self.rows]


# A few moves that meet often: what comes and goes, and what cannot be read.
BAD, GOOD, DARK = fail(Severity.WARNING), passed(), unknown("timeout", "x")
RESTLESS = st.one_of(
    happens("verdict", st.sampled_from([MINUTE, 5 * MINUTE]), st.sampled_from([BAD, GOOD])),
    happens("tick", st.sampled_from([MINUTE, 31 * MINUTE])),
)
UNREAD = st.one_of(
    happens("verdict", st.just(5 * MINUTE), st.sampled_from([BAD, DARK, DARK])),
    happens("tick", st.just(5 * MINUTE)),
)
SIMPLE = Settings(memory, memory.limits, Confirm(), Confirm())


@tried(max_examples=300)
@given(SETTINGS, st.lists(EVENTS, max_size=50))
def test_any_course_gives_what_the_reference_gives(settings, course):
    both(settings, course)


@tried(max_examples=200)
@given(st.lists(RESTLESS, min_size=8, max_size=30) | st.lists(UNREAD, min_size=4, max_size=20))
def test_what_comes_and_goes_or_cannot_be_read(course):
    both(SIMPLE, course)


def both(settings, course):
    """Let both live through the course, and compare them after each event."""
    reference, recorder = Reference(settings, INTERVAL), Recorder(settings)
    at = START
    for event in course:
        at += event.wait
        for one in (reference, recorder):
            if event.what == "tick":
                one.tick(at)
            elif event.what == "acknowledge":
                one.acknowledge(at + event.lasting, at)
            else:
                one.take(event.verdict, at, is_held=event.what == "held")
        recorder.restart()
        compare(recorder, reference)


def compare(recorder, reference):
    assert (recorder.pending is not None) == reference.is_pending
    assert [row[2] for row in recorder.rows] == [one.log for one in reference.episodes]
    for (standing, _resolved_at, _log), one in zip(recorder.rows, reference.episodes, strict=True):
        assert told(standing) == (
            State.OPEN if one.is_open else State.RESOLVED,
            one.severity,
            one.flapping_since,
            one.stale_since if one.is_open else None,
            one.acknowledged_until,
        )


def told(standing: Standing):
    return (
        standing.state,
        standing.severity,
        standing.flapping_since,
        standing.stale_since,
        standing.acknowledged_until,
    )

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.lifecycle import EVENT_QUIET, FLAPS, Cause, Move, Standing, State, Step, step
from checks.policy import Settings
from checks.rule import (
    Confirm,
    Limits,
    Outcome,
    Severity,
    Verdict,
    failed,
    not_applicable,
    passed,
    unknown,
)
from tests.checks.sample_rules import evictions, memory

NOW = datetime(2026, 11, 21, 14, 18, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INFO, WARNING, CRITICAL = Severity
PENDING, OPEN, RESOLVED = State
ONCE, THREE, MOST = Confirm(1, 1), Confirm(3, 3), Confirm(3, 5)
PASS, UNKNOWN, DISABLED = passed(), unknown("timeout", "x"), Verdict(Outcome.DISABLED)
OUT = not_applicable("x")


def fail(severity=WARNING, keeps=None):
    return failed("x", short="x", severity=severity, keeps=keeps)


def settings(opens=ONCE, resolves=ONCE):
    return Settings(memory, memory.limits, opens, resolves)


EVENT = Settings(evictions, Limits(), ONCE, ONCE)


def walk(verdicts, setting, standing=None, minutes=1):
    """Step through verdicts a minute apart, as the recorder does: what resolved is forgotten."""
    steps = []
    for number, verdict in enumerate(verdicts):
        found = step(standing, verdict, setting, NOW + number * timedelta(minutes=minutes))
        steps.append(found)
        lives = found.standing is not None and found.standing.state is not RESOLVED
        standing = found.standing if lives else None
    return steps


def causes(steps):
    return [one.move and one.move.cause.value for one in steps]


def test_one_of_one_opens_at_the_first_fail_and_leaves_no_pending_row():
    opened = Standing(OPEN, CRITICAL, moves=(NOW,))

    assert step(None, fail(CRITICAL), settings(), NOW) == Step(
        opened, Move(Cause.OPENED, None, OPEN, None, CRITICAL)
    )
    assert step(opened, PASS, settings(), NOW + MINUTE) == Step(
        Standing(RESOLVED, CRITICAL, moves=(NOW, NOW + MINUTE)),
        Move(Cause.RESOLVED, OPEN, RESOLVED, CRITICAL, CRITICAL),
    )


def test_three_of_three_waits_for_the_third():
    steps = walk([fail(), fail(), fail(CRITICAL)], settings(THREE))

    assert steps == [
        Step(Standing(PENDING, WARNING, 0b1, 1), None),
        Step(Standing(PENDING, WARNING, 0b11, 2), None),
        Step(
            Standing(OPEN, CRITICAL, moves=(NOW + 2 * MINUTE,)),
            Move(Cause.OPENED, PENDING, OPEN, None, CRITICAL),
        ),
    ]


def test_a_pass_ends_a_pending_three_of_three_without_a_trace():
    assert walk([fail(), fail(), PASS], settings(THREE))[-1] == Step(None, None)


def test_three_of_five_bridges_passes():
    steps = walk([fail(), PASS, fail(), PASS, fail()], settings(MOST))

    assert [one.standing for one in steps] == [
        Standing(PENDING, WARNING, 0b1, 1),
        Standing(PENDING, WARNING, 0b10, 2),
        Standing(PENDING, WARNING, 0b101, 3),
        Standing(PENDING, WARNING, 0b1010, 4),
        Standing(OPEN, WARNING, moves=(NOW + 4 * MINUTE,)),
    ]


def test_pending_goes_once_it_cannot_confirm_sooner_than_a_new_one():
    steps = walk([fail(), PASS, PASS, PASS], settings(MOST))

    assert [one.standing and one.standing.results for one in steps] == [0b1, 0b10, 0b100, None]
    assert causes(steps) == [None] * 4


@pytest.mark.parametrize("standing", [None, Standing(PENDING, WARNING, 1, 1)])
def test_unknown_moves_nothing(standing):
    assert step(standing, UNKNOWN, settings(MOST, MOST), NOW) == Step(standing, None)


def test_the_first_unknown_notes_when_the_last_conclusive_result_was():
    opened = Standing(OPEN, INFO, 1, 1)
    unsure = replace(opened, conclusive_at=NOW - MINUTE)

    assert step(opened, UNKNOWN, settings(ONCE, THREE), NOW, judged_at=NOW - MINUTE) == Step(
        unsure, None
    )
    assert step(unsure, UNKNOWN, settings(ONCE, THREE), NOW + MINUTE, judged_at=NOW) == Step(
        unsure, None
    )
    assert step(opened, UNKNOWN, settings(), NOW).standing.conclusive_at == NOW
    assert step(unsure, PASS, settings(ONCE, THREE), NOW) == Step(
        replace(opened, results=0b11, results_count=2), None
    )


@pytest.mark.parametrize("verdict", [OUT, DISABLED])
def test_what_does_not_apply_withdraws_an_open_finding_and_drops_a_pending_one(verdict):
    assert step(None, verdict, settings(), NOW) == Step(None, None)
    assert step(Standing(PENDING, WARNING, 1, 1), verdict, settings(MOST), NOW) == Step(None, None)
    assert step(Standing(OPEN, WARNING, 1, 1), verdict, settings(), NOW) == Step(
        Standing(RESOLVED, WARNING, moves=(NOW,)),
        Move(Cause.WITHDRAWN, OPEN, RESOLVED, WARNING, WARNING),
    )


def test_a_pass_without_a_finding_leaves_nothing():
    assert step(None, passed(keeps=WARNING), settings(MOST), NOW) == Step(None, None)


def test_resolution_wants_its_passes_and_a_fail_begins_anew():
    opened = Standing(OPEN, WARNING)
    steps = walk([PASS, PASS, fail(), PASS, UNKNOWN, PASS, PASS], settings(ONCE, THREE), opened)

    assert [one.standing and one.standing.results for one in steps] == [1, 3, 0, 1, 1, 3, 0]
    assert causes(steps) == [None] * 6 + ["resolved"]


def test_a_steadily_failing_finding_stays_equal_to_itself():
    opened = Standing(OPEN, WARNING)

    assert step(opened, fail(), settings(THREE, THREE), NOW) == Step(opened, None)


@pytest.mark.parametrize(
    ("severity", "verdict", "after"),
    [
        (WARNING, fail(CRITICAL), CRITICAL),  # a rise counts at once
        (CRITICAL, fail(WARNING), WARNING),  # a fall too, once the band is left
        (CRITICAL, fail(WARNING, keeps=CRITICAL), CRITICAL),
        (WARNING, fail(WARNING, keeps=CRITICAL), WARNING),  # a band raises nothing
        (INFO, fail(WARNING, keeps=INFO), WARNING),
        (CRITICAL, passed(keeps=WARNING), WARNING),
        (CRITICAL, passed(keeps=CRITICAL), CRITICAL),
        (WARNING, passed(keeps=WARNING), WARNING),
        (INFO, passed(keeps=WARNING), INFO),
    ],
)
def test_severity_of_an_open_finding(severity, verdict, after):
    moved = Move(Cause.SEVERITY, OPEN, OPEN, severity, after) if after is not severity else None

    assert step(Standing(OPEN, severity), verdict, settings(ONCE, THREE), NOW) == Step(
        Standing(OPEN, after, moves=(NOW,) if moved else ()), moved
    )


def test_a_pass_within_the_band_breaks_a_row_of_passes():
    steps = walk(
        [PASS, PASS, passed(keeps=WARNING), PASS], settings(ONCE, THREE), Standing(OPEN, WARNING)
    )

    assert [one.standing.results for one in steps] == [1, 3, 0, 1]


def test_an_event_opens_at_once_and_resolves_a_day_after_the_last():
    opened = step(None, fail(), EVENT, NOW).standing
    again = step(opened, fail(), EVENT, NOW + timedelta(hours=5))
    just_before = NOW + timedelta(hours=5) + EVENT_QUIET - timedelta(microseconds=1)
    quiet = step(again.standing, PASS, EVENT, just_before)

    assert opened == Standing(OPEN, WARNING, last_event_at=NOW, moves=(NOW,))
    assert again == Step(replace(opened, last_event_at=NOW + timedelta(hours=5)), None)
    assert quiet == Step(again.standing, None)
    at_last = just_before + timedelta(microseconds=1)
    assert step(quiet.standing, PASS, EVENT, at_last) == Step(
        replace(again.standing, state=RESOLVED, moves=(at_last,)),
        Move(Cause.RESOLVED, OPEN, RESOLVED, WARNING, WARNING),
    )


def test_an_event_needs_a_pass_to_resolve():
    opened = Standing(OPEN, WARNING, last_event_at=NOW)
    much_later = NOW + 10 * EVENT_QUIET

    assert step(opened, UNKNOWN, EVENT, much_later).move is None
    assert step(opened, passed(keeps=WARNING), EVENT, much_later) == Step(opened, None)
    assert step(opened, PASS, EVENT, much_later).move.cause is Cause.RESOLVED


PARTLY = Settings(
    replace(memory, is_event=True, events=frozenset({"rejected"})), memory.limits, THREE, ONCE
)
REJECTED = failed("x", short="x", severity=CRITICAL, cause="rejected")


def test_only_the_named_causes_are_events():
    pending = step(None, fail(), PARTLY, NOW).standing
    opened = step(pending, REJECTED, PARTLY, NOW).standing

    assert pending.state is PENDING
    assert opened == Standing(OPEN, CRITICAL, last_event_at=NOW, moves=(NOW,))
    assert step(opened, PASS, PARTLY, NOW + timedelta(hours=1)) == Step(opened, None)
    assert step(opened, PASS, PARTLY, NOW + EVENT_QUIET).move.cause is Cause.RESOLVED


def test_a_finding_of_another_cause_resolves_by_its_passes():
    assert step(Standing(OPEN, WARNING), PASS, PARTLY, NOW).move.cause is Cause.RESOLVED


def test_a_fail_of_another_cause_is_no_new_event():
    opened = Standing(OPEN, CRITICAL, last_event_at=NOW)

    assert step(opened, fail(CRITICAL), PARTLY, NOW + timedelta(hours=1)) == Step(opened, None)


def test_an_event_that_grows_worse_says_so():
    opened = Standing(OPEN, WARNING, last_event_at=NOW)
    later = NOW + timedelta(minutes=1)

    assert step(opened, fail(CRITICAL), EVENT, later) == Step(
        Standing(OPEN, CRITICAL, last_event_at=later, moves=(later,)),
        Move(Cause.SEVERITY, OPEN, OPEN, WARNING, CRITICAL),
    )


def test_a_policy_that_asks_for_less_is_met_by_what_was_seen():
    pending = Standing(PENDING, WARNING, 0b11, 2)

    assert step(pending, fail(), settings(Confirm(2, 2)), NOW).standing.state is OPEN
    assert step(pending, PASS, settings(Confirm(1, 1)), NOW) == Step(None, None)


severities = st.sampled_from(Severity)
confirms = st.integers(1, 15).flatmap(
    lambda of: st.integers(1, of).map(lambda times: Confirm(times, of))
)
verdicts = st.one_of(
    st.builds(lambda keeps: passed(keeps=keeps), st.none() | severities),
    st.just(PASS),
    st.builds(fail, severities, st.none() | severities),
    st.builds(fail, severities),
    st.sampled_from([UNKNOWN, PASS, fail(), fail()]),
    st.sampled_from([UNKNOWN, OUT, DISABLED, PASS, fail()]),
)


@given(confirms, confirms, st.lists(verdicts, max_size=40))
def test_any_course_fits_the_columns_and_hangs_together(opens, resolves, course):
    before = None
    for one in walk(course, settings(opens, resolves)):
        after, move, _notice = one
        if after is not None:
            limit = opens if after.state is PENDING else resolves
            assert after.results_count <= limit.of
            assert after.results < 1 << after.results_count or after.results == 0
            assert (after.state is PENDING) <= (after.results > 0)
        if move is not None:
            assert after is not None
            assert (after.state, after.severity) == (move.to_state, move.to_severity)
            assert len(after.moves) <= FLAPS
            assert move.from_state == (before.state if before else None)
        else:
            assert after is None or after.state is not RESOLVED
        before = after if after and after.state is not RESOLVED else None

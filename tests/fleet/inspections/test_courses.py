"""Any course of visits, lost workers, replays and people's words leaves in the database what it should."""

from datetime import timedelta
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as tried
from hypothesis import strategies as st

from checks.rule import Outcome, Severity, Verdict, failed, passed, unknown
from fleet.findings.models import Finding, Transition
from fleet.history.models import Visit
from fleet.history.partitions import ensure_day
from fleet.inspections.acknowledge import acknowledge
from fleet.inspections.cadences import ALL_BITS
from fleet.inspections.clock import advance_findings
from fleet.inspections.load import load
from fleet.inspections.record import record
from fleet.inspections.schedule import claim_pair
from fleet.inspections.terms import terms
from tests.checks.reference import Reference
from tests.fleet.visiting import NOW, judged, make_pairs

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
# Opens at once; 3 of 3; 3 of 5. And how often each is judged.
RULES = {
    "redis.eviction-policy": 5 * MINUTE,
    "redis.memory-headroom": MINUTE,
    "redis.reachable": MINUTE,
}


class Event(NamedTuple):
    """A visit with its verdicts and what befalls it; or a look at the clock; or a person's word."""

    wait: timedelta
    what: str  # visit, replay, lost, late, tick, acknowledge
    verdicts: tuple[Verdict, ...]


def fail(severity):
    return failed("It is so", short="So", severity=severity)


VERDICTS = st.sampled_from(
    [
        *[fail(Severity.WARNING)] * 2,
        fail(Severity.CRITICAL),
        *[passed()] * 2,
        unknown("timeout", "x"),
        Verdict(Outcome.NOT_APPLICABLE),
    ]
)
EVENTS = st.builds(
    Event,
    st.sampled_from([*[MINUTE] * 3, 5 * MINUTE, 31 * MINUTE, timedelta(days=6), timedelta(days=8)]),
    st.sampled_from(["visit"] * 6 + ["replay", "lost", "late", "tick", "tick", "acknowledge"]),
    st.tuples(*[VERDICTS] * len(RULES)),
)


def seen(target_id, at, verdicts):
    """Claim the pair and visit it, whoever has it: what its recording would write."""
    claim = claim_pair(target_id, at)
    (due,) = load([(target_id, claim, ALL_BITS)], at)
    found = judged(due, at)
    found.verdicts.update(zip(RULES, verdicts, strict=True))
    return found


def take(references, at, verdicts):
    for reference, verdict in zip(references.values(), verdicts, strict=True):
        reference.take(verdict, at)


def visit(target_id, references, at, event):
    assert record([seen(target_id, at, event.verdicts)]) == 1
    take(references, at, event.verdicts)


def replay(target_id, references, at, event):
    found = seen(target_id, at, event.verdicts)
    assert [record([found]), record([found])] == [1, 0]
    take(references, at, event.verdicts)


def late(target_id, references, at, event):
    """Record a visit whose pair another worker has claimed and recorded meanwhile."""
    overtaken = seen(target_id, at - timedelta(seconds=1), event.verdicts[::-1])
    visit(target_id, references, at, event)
    assert record([overtaken]) == 0


def lost(target_id, _references, at, event):
    seen(target_id, at, event.verdicts)


def tick(_target_id, references, at, _event):
    advance_findings(at)
    for reference in references.values():
        reference.tick(at)


def answer(target_id, references, at, _event):
    theirs = Finding.objects.filter(target=target_id, rule_id__in=references, state="open")
    for finding in theirs:
        until = at + timedelta(days=3)
        acknowledge(finding.pk, "we know of it", None, at, until=until)
        references[finding.rule_id].acknowledge(until, at)


STEPS = {"visit": visit, "replay": replay, "late": late, "lost": lost, "tick": tick}
STEPS["acknowledge"] = answer


@tried(
    max_examples=10,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(st.lists(EVENTS, min_size=8, max_size=18))
def test_any_course_leaves_what_the_reference_says(course):
    (pair,) = make_pairs(1)
    policy = terms().policies.of("production", pair.target.tenant_id, pair.pk)
    references = {rule: Reference(policy[rule], every) for rule, every in RULES.items()}
    at, counted = NOW, 0
    for event in course:
        at += event.wait
        ensure_day(at.date())
        STEPS[event.what](pair.pk, references, at, event)
        counted += event.what in ("visit", "replay", "late")
        compare(pair.pk, references)

    assert Visit.objects.filter(target_id=pair.pk).count() == counted
    Finding.objects.filter(target=pair.pk).delete()  # the clock is the fleet's


def compare(target_id, references):
    for rule_id, reference in references.items():
        assert stored(target_id, rule_id) == [expected(one) for one in reference.episodes]
        pending = Finding.objects.filter(target=target_id, rule_id=rule_id, state="pending")
        assert pending.exists() is reference.is_pending


def stored(target_id, rule_id):
    found = Finding.objects.filter(target=target_id, rule_id=rule_id).exclude(state="pending")
    return [told(number, one) for number, one in enumerate(found.order_by("id"), start=1)]


def told(number, finding):
    assert finding.episode == number
    moves = Transition.objects.filter(finding=finding).order_by("id")
    return (
        finding.state,
        finding.severity,
        finding.opened_at,
        finding.resolved_at,
        finding.openings_count,
        finding.flapping_since,
        finding.stale_since,
        finding.acknowledged_until,
        [(one.at, one.cause, one.to_severity, one.is_quiet) for one in moves],
    )


def expected(one):
    return (
        "open" if one.is_open else "resolved",
        one.severity,
        one.openings[-1],
        None if one.is_open else one.closed_at,
        len(one.openings),
        one.flapping_since,
        one.stale_since if one.is_open else None,
        one.acknowledged_until,
        one.log,
    )

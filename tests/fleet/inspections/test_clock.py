"""Do findings grow stale where nothing conclusive is read, and calm where nothing moves?"""

from datetime import timedelta

import pytest

from checks.missing import Missing
from checks.rule import Cadence
from fleet.findings.models import Finding, Transition
from fleet.inspections.cadences import to_bits
from fleet.inspections.clock import advance_findings
from fleet.inspections.models import PairState
from fleet.registry.models import Target
from tests.fleet.factories import make_finding, make_pair, make_state
from tests.fleet.visiting import NOW, make_pairs, visit

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
POLICY = "redis.eviction-policy"
CLOSED = Missing("no_permission", "CONFIG GET is closed to us")


def stale():
    return list(Finding.objects.order_by("id").values_list("rule_id", "stale_since"))


def causes():
    return list(Transition.objects.order_by("id").values_list("cause", flat=True))


def open_finding(**fields):
    """A pair that was just checked, with one open finding of the group persistence (300 s)."""
    pair = make_pair()
    make_state(pair, checked_at=NOW, health_at=NOW, persistence_at=NOW)
    return make_finding(pair, **fields)


def test_a_pair_that_nobody_visits_grows_stale_after_three_intervals():
    finding = open_finding()

    assert advance_findings(NOW + 15 * MINUTE - SECOND) == 0
    assert advance_findings(NOW + 15 * MINUTE) == 1
    assert advance_findings(NOW + 16 * MINUTE) == 0

    finding.refresh_from_db()
    assert (finding.stale_since, finding.conclusive_at) == (NOW + 15 * MINUTE, NOW)
    assert finding.state == "open"
    assert causes() == ["opened", "stale"]


def test_each_rule_has_the_interval_of_its_own_cadence_and_engine():
    finding = open_finding(rule_id="redis.memory-headroom")
    upstash = make_pair()
    make_state(upstash, checked_at=NOW, health_at=NOW, engine="upstash")
    make_finding(upstash, rule_id="redis.memory-headroom")

    assert advance_findings(NOW + 3 * MINUTE) == 1
    assert Finding.objects.exclude(stale_since=None).get() == finding
    assert advance_findings(NOW + 15 * MINUTE) == 1


def test_a_finding_whose_results_are_unknown_grows_stale_while_its_pair_is_visited():
    finding = open_finding(conclusive_at=NOW)
    later = NOW + 15 * MINUTE
    PairState.objects.update(checked_at=later, health_at=later, persistence_at=later)

    assert advance_findings(later) == 1
    finding.refresh_from_db()
    assert finding.stale_since == later


@pytest.mark.parametrize("state", ["paused", "archived"])
def test_what_nobody_shall_look_at_grows_stale_by_no_fault(state):
    open_finding()
    Target.objects.update(state=state)

    assert advance_findings(NOW + timedelta(days=1)) == 0


def test_pending_and_resolved_findings_do_not_grow_stale():
    open_finding(state="pending", conclusive_at=NOW)
    open_finding(state="resolved", resolved_at=NOW)

    assert advance_findings(NOW + timedelta(days=1)) == 0


@pytest.mark.parametrize("state", ["open", "resolved"])
def test_half_an_hour_without_a_move_is_calm(state):
    moves = [NOW - n * MINUTE for n in (3, 2, 1)] + [NOW]
    fields = {"resolved_at": NOW} if state == "resolved" else {}
    finding = open_finding(state=state, flapping_since=NOW, recent_moves=moves, **fields)
    PairState.objects.update(persistence_at=NOW + 20 * MINUTE)

    assert advance_findings(NOW + 30 * MINUTE - SECOND) == 0
    assert advance_findings(NOW + 30 * MINUTE) == 1
    assert advance_findings(NOW + 31 * MINUTE) == 0

    finding.refresh_from_db()
    assert (finding.flapping_since, finding.recent_moves, finding.state) == (None, [], state)
    calm = Transition.objects.get(cause="calm")
    assert (calm.from_state, calm.to_state, calm.is_quiet) == (state, state, False)


def test_from_the_visit_to_the_clock_and_back():
    """Redis closes CONFIG to us: what it said is stale after a quarter of an hour, and then fresh."""
    make_pairs(1)
    visit(NOW, maxmemory_policy="allkeys-lru")
    assert POLICY in {rule_id for rule_id, _since in stale()}
    for n in (1, 2, 3):
        at = NOW + n * 5 * MINUTE
        visit(at, maxmemory_policy=CLOSED)
        assert advance_findings(at) == (n == 3)
    again = NOW + 20 * MINUTE
    visit(again, bits=to_bits([Cadence.HEALTH]), maxmemory_policy="allkeys-lru")
    assert stale() == [(POLICY, NOW + 15 * MINUTE)]
    visit(again + 2 * MINUTE, maxmemory_policy="allkeys-lru")

    assert stale() == [(POLICY, None)]
    assert causes() == ["opened", "stale", "fresh"]

"""Several workers in a zone: each answers for itself, and what one cannot see the others do."""

from datetime import timedelta

import pytest

from checks.evaluate import REACHABLE
from fleet.findings.models import Finding
from fleet.history.partitions import ensure_day
from fleet.inspections.blind import (
    AGAIN,
    HELD,
    decide,
    doubts,
    is_alone_blind,
    suspect,
    workers_of,
)
from fleet.inspections.models import PairSchedule, PairState
from fleet.inspections.record import record
from fleet.inspections.run import inspect
from fleet.inspections.schedule import claim_due
from fleet.portal.faults import blind_workers
from fleet.registry.models import Worker, Zone
from tests.fleet.factories import make_finding, make_worker
from tests.fleet.visiting import EVERYTHING, NOW, UNREACHED, claimed, judged, make_pairs

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
WHY = "the reference is not reached"


@pytest.fixture
def two(settings):
    """A zone under suspicion with two workers; this process is the first."""
    (pair,) = make_pairs(1)
    Worker.objects.all().delete()
    settings.WORKER_NAME = "one"
    first, second = (make_worker(now=NOW + SECOND, name=name) for name in ("one", "two"))
    make_worker(now=NOW, name="away", seen=timedelta(seconds=61))
    make_finding(pair, REACHABLE, state="pending", results=1, results_count=1)
    assert suspect(NOW) == ["eu-1"]
    return first, second


def zone() -> Zone:
    return Zone.objects.get(slug="eu-1")


def pending() -> bool:
    return Finding.objects.filter(rule_id=REACHABLE, state="pending").exists()


def test_every_worker_that_was_seen_is_asked(two):
    assert workers_of(["eu-1"], NOW) == ["one", "two"]
    assert workers_of(["us-1"], NOW) == []


def test_the_suspicion_lasts_until_all_have_answered(two):
    first, second = two
    decide(first, "", NOW + SECOND)
    assert (zone().suspect_since, zone().self_checked_at) == (NOW, None)
    assert doubts(["eu-1"], NOW + 2 * SECOND) == {"eu-1": False}

    decide(second, "", NOW + 3 * SECOND)

    assert (zone().suspect_since, zone().self_checked_at) == (None, NOW + 3 * SECOND)
    assert doubts(["eu-1"], NOW + 4 * SECOND) == {}
    assert pending()


def test_one_that_never_answers_holds_nothing_for_long(two):
    """And the next suspicion is a new one, which holds again."""
    decide(two[0], "", NOW + SECOND)
    assert doubts(["eu-1"], NOW + HELD) == {}
    assert zone().suspect_since == NOW

    decide(two[0], "", NOW + HELD)

    assert (zone().suspect_since, zone().self_checked_at) == (None, NOW + HELD)


@pytest.mark.parametrize("first_answers", [True, False])
def test_one_blind_worker_is_no_blind_zone(two, first_answers):
    first, second = two
    for worker in (first, second) if first_answers else (second, first):
        decide(worker, WHY if worker == first else "", NOW + SECOND)

    assert (zone().blind_since, zone().suspect_since) == (None, None)
    assert not pending(), "the blind one may have seen it"
    assert is_alone_blind()
    assert doubts(["eu-1"], NOW + 2 * SECOND) == {"eu-1": True}, "as seen from the blind one"
    (fault,) = blind_workers(Worker.objects.select_related("zone"))
    assert fault.text == (
        "Worker one of zone eu-1 is blind since 21 Nov 2026, 14:32 UTC: the reference is not "
        "reached. The zone's other workers have its pairs."
    )


def test_the_one_that_sees_believes_itself_and_forgets_nothing(two, settings):
    first, second = two
    settings.WORKER_NAME = "two"
    decide(first, WHY, NOW + SECOND)
    decide(second, "", NOW + SECOND)
    assert (is_alone_blind(), doubts(["eu-1"], NOW + 2 * SECOND)) == (False, {})
    for n in range(3):
        visit(NOW + n * 10 * SECOND)
        assert suspect(NOW + n * AGAIN) == ([] if n == 0 else ["eu-1"]), "the blind one is asked"
        decide(first, WHY, NOW + n * AGAIN)

    assert Finding.objects.get(rule_id=REACHABLE).state == "open"


def visit(at):
    """See nothing answer, at a time of one's own."""
    ensure_day(at.date())
    PairSchedule.objects.update(next_due_at=at, health_due_at=at, lease_until=None)
    record([judged(due, at, EVERYTHING, redis=UNREACHED) for due in claimed(at)])


def test_a_blind_worker_gives_its_pairs_back(two):
    decide(two[0], WHY, NOW + SECOND)
    decide(two[1], "", NOW + SECOND)
    claims = claim_due(NOW + 10 * SECOND, 10)

    assert inspect([(one.target_id, one.claim, one.bits) for one in claims]) == 0

    assert len(claims) == len(claim_due(NOW + 12 * SECOND, 10)) == 1
    assert PairState.objects.get().checked_at is None


def test_what_it_had_under_way_is_void(two):
    ensure_day(NOW.date())
    dues = claimed(NOW + SECOND)
    decide(two[0], WHY, NOW + 2 * SECOND)
    decide(two[1], "", NOW + 2 * SECOND)

    record([judged(due, NOW + 3 * SECOND, EVERYTHING, redis=UNREACHED) for due in dues])

    assert not pending()
    assert set(PairState.objects.get().core_unknown.values()) == {"probe_blind"}


def test_a_zone_is_blind_where_all_are_and_sees_with_the_first(two):
    first, second = two
    decide(first, WHY, NOW + SECOND)
    assert zone().blind_since is None
    decide(second, WHY, NOW + 2 * SECOND)
    assert (zone().blind_since, zone().suspect_since) == (NOW + 2 * SECOND, None)
    assert not is_alone_blind(), "then its visits say that nothing was seen"

    decide(second, "", NOW + 12 * SECOND)

    assert zone().blind_since is None
    assert list(Worker.objects.exclude(blind_since=None).values_list("name", flat=True)) == ["one"]
    decide(first, "", NOW + 13 * SECOND)
    assert suspect(NOW + 30 * SECOND) == []

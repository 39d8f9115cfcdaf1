"""Does no green lamp stay lit over a pair that nobody checks?"""

from datetime import timedelta

import pytest

from fleet.inspections.models import PairState
from fleet.inspections.unverified import mark_unverified
from fleet.registry.models import Target
from tests.fleet.factories import make_finding
from tests.fleet.visiting import NOW, make_pairs, seen

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)


def checked(**fields) -> None:
    """Make every pair one that was just checked and is fine, but for what is named."""
    values = {"compliance": "compliant", "health": "healthy", "rank": 6, "checked_at": NOW}
    PairState.objects.update(**values | fields)


def lamps() -> tuple[str, str, int]:
    found = PairState.objects.get()
    return found.compliance, found.health, found.rank


def test_a_zone_without_a_worker():
    make_pairs(1, emailengine_url="http://ee.example.com")
    checked()

    assert mark_unverified(NOW + 59 * timedelta(seconds=1)) == 0
    later = NOW + 2 * MINUTE
    assert mark_unverified(later) == 1
    assert mark_unverified(later + MINUTE) == 0
    found = PairState.objects.get()
    assert lamps() == ("unverified", "unknown", 4)
    assert (found.compliance_since, found.health_since) == (later, later)
    assert set(found.core_unknown.values()) == {"no_worker"}
    assert {"redis.reachable", "emailengine.queue-workers", "pair.rtt"} <= set(found.core_unknown)


def test_a_pair_never_checked_says_why():
    make_pairs(1)
    Target.objects.update(created_at=NOW)

    mark_unverified(NOW + 2 * MINUTE)

    found = PairState.objects.get()
    assert found.core_unknown["redis.standalone"] == "no_worker"
    assert "emailengine.reachable" not in found.core_unknown  # not registered


def test_three_intervals_without_a_visit_are_stale():
    make_pairs(1)
    checked()
    seen(NOW + 3 * MINUTE)
    assert mark_unverified(NOW + 3 * MINUTE) == 0

    later = NOW + 3 * MINUTE + timedelta(seconds=1)
    assert mark_unverified(later) == 1
    assert PairState.objects.get().core_unknown["redis.standalone"] == "stale"


def test_an_engine_visited_rarely_is_stale_later():
    make_pairs(1)
    checked(engine="upstash")
    seen(NOW + 14 * MINUTE)
    assert mark_unverified(NOW + 14 * MINUTE) == 0

    seen(NOW + 16 * MINUTE)
    assert mark_unverified(NOW + 16 * MINUTE) == 1


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (("non_compliant", "failing", 0), ("non_compliant", "failing", 0)),
        (("at_risk", "healthy", 3), ("at_risk", "unknown", 3)),
        (("compliant", "degraded", 2), ("unverified", "degraded", 2)),
    ],
)
def test_what_is_wrong_stays_wrong(before, after):
    (pair,) = make_pairs(1)
    make_finding(pair)
    checked(**dict(zip(("compliance", "health", "rank"), before, strict=True)))

    mark_unverified(NOW + 2 * MINUTE)

    assert lamps() == after


@pytest.mark.parametrize(("state", "changed"), [("paused", 1), ("archived", 0)])
def test_no_green_lamp_stays_lit_over_a_paused_pair(state, changed):
    make_pairs(1)
    checked()
    Target.objects.update(state=state)

    assert mark_unverified(NOW + 10 * MINUTE) == changed
    assert mark_unverified(NOW + 11 * MINUTE) == 0


@pytest.mark.parametrize("has_worker", [True, False])
def test_a_paused_pair_says_that_it_is_paused(has_worker):
    make_pairs(1)
    checked()
    Target.objects.update(state="paused")

    for minutes, changed in ((3, 0), (4, 1)):
        if has_worker:
            seen(NOW + minutes * MINUTE)
        assert mark_unverified(NOW + minutes * MINUTE) == changed

    assert set(PairState.objects.get().core_unknown.values()) == {"paused"}


def test_a_pair_of_before_that_reads_stale_says_paused_and_resumed_stale_again():
    make_pairs(1)
    checked(compliance="unverified", health="unknown", core_unknown={"pair.rtt": "stale"})
    later = NOW + 10 * MINUTE
    seen(later)

    for state, reason in (("paused", "paused"), ("active", "stale")):
        Target.objects.update(state=state)
        assert mark_unverified(later) == 1
        assert set(PairState.objects.get().core_unknown.values()) == {reason}

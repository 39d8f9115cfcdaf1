"""Is nobody left unseen for as long as a clock was ahead, or an interval long?"""

from datetime import timedelta

import pytest

from fleet.inspections import terms
from fleet.inspections.models import PairSchedule, PairState
from fleet.inspections.schedule import check_now, claim_due, progress
from fleet.inspections.sooner import bring_sooner
from fleet.registry.models import FleetSettings
from tests.fleet.visiting import NOW, make_pairs, seen, visit

pytestmark = pytest.mark.django_db
HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)


def offsets_s() -> list[float]:
    due = PairSchedule.objects.values_list("next_due_at", flat=True)
    return sorted((at - NOW).total_seconds() for at in due)


@pytest.mark.parametrize("ahead", [HOUR, timedelta(days=30)])
def test_after_a_clock_is_set_back_all_are_visited_within_the_interval(ahead):
    make_pairs(40)
    assert visit(NOW + ahead) == 40
    assert visit(NOW + 5 * MINUTE) == 0

    assert bring_sooner(NOW) == 40

    first, *_rest, last = offsets_s()
    assert (first >= 30, last <= 90, last - first > 45) == (True, True, True)
    assert visit(NOW + 90 * SECOND) == 40
    assert set(PairState.objects.values_list("checked_at", flat=True)) == {NOW + 90 * SECOND}


def test_what_is_on_time_is_left_as_it_is():
    make_pairs(40)
    PairState.objects.filter(target__lt=20).update(engine="upstash")
    for minute in range(7):
        visit(NOW + minute * MINUTE, bits=31 if minute % 5 == 0 else 3)
        before = list(PairSchedule.objects.order_by("pk").values())
        assert bring_sooner(NOW + minute * MINUTE) == 0
        assert list(PairSchedule.objects.order_by("pk").values()) == before


def test_a_lease_of_a_clock_that_ran_ahead_ends_within_a_minute():
    make_pairs(1)
    seen(NOW + HOUR)
    (lost,) = claim_due(NOW + HOUR, 10)
    bring_sooner(NOW)
    PairSchedule.objects.update(next_due_at=NOW)

    seen(NOW + MINUTE)
    assert claim_due(NOW + 59 * SECOND, 10) == []
    (again,) = claim_due(NOW + MINUTE, 10)
    assert (again.claim, again.bits) == (lost.claim + 1, lost.bits)


def test_who_was_asked_for_by_a_clock_that_ran_ahead_is_answered():
    (pair,) = make_pairs(1)
    check_now([pair.pk], NOW + HOUR)
    bring_sooner(NOW)

    assert visit(NOW + 90 * SECOND) == 1
    assert progress([pair.pk], NOW + 90 * SECOND)[pair.pk].state == "done"


def test_a_shorter_interval_is_in_force_within_its_own_length(settings_row):
    make_pairs(1)
    settings_row({"default": {"health": 86_400, "latency": 86_400, "persistence": 86_400}})
    visit(NOW)
    settings_row({"default": {"health": 60, "latency": 60, "persistence": 300}})

    assert bring_sooner(NOW + SECOND) == 1
    (offset_s,) = offsets_s()
    assert 30 <= offset_s <= 91


@pytest.fixture
def settings_row():
    """Set the intervals of the fleet, and let them be read anew."""

    def write(intervals):
        FleetSettings.objects.update_or_create(id=1, defaults={"intervals": intervals})
        terms.forget()

    yield write
    terms.forget()

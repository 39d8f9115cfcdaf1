"""From a fault to the opened finding: by the schedule alone, with the default interval of 60 s."""

from datetime import timedelta

import pytest

from fleet.findings.models import Finding
from fleet.inspections.cadences import from_bits
from fleet.inspections.load import load
from fleet.inspections.record import record
from fleet.inspections.schedule import claim_due
from fleet.registry.models import Pair
from tests.fleet.visiting import NOW, UNREACHED, judged, make_pairs, seen, visit

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
TICK = 2 * SECOND


def tick(at, redis):
    """Dispatch once, and visit what was due; how many that were."""
    seen(at)
    claims = claim_due(at, 100)
    dues = load([(one.target_id, one.claim, one.bits) for one in claims], at)
    bits = {one.target_id: one.bits for one in claims}
    record([judged(due, at, from_bits(bits[due.target_id]), redis=redis) for due in dues])
    return len(dues)


def ticks(at, lasting, redis=None):
    """Dispatch every 2 s for so long; the times at which something was visited."""
    times = (at + n * TICK for n in range(int(lasting / TICK)))
    return [time for time in times if tick(time, redis)]


@pytest.fixture
def on_pace():
    """Give eight pairs whose visits have found their pace, and when."""
    make_pairs(8)
    visit(NOW)
    ticks(NOW + TICK, 100 * SECOND)
    return NOW + 102 * SECOND


def reachable():
    return Finding.objects.filter(rule_id="redis.reachable")


def test_a_fault_is_known_within_ninety_seconds(on_pace):
    """60 s until the next visit at the most, and two more looks 10 s apart, a tick later each."""
    ticks(on_pace, 90 * SECOND, UNREACHED)

    assert reachable().filter(state="open").count() == 8
    for finding in reachable():
        assert finding.opened_at - finding.first_seen_at <= 2 * (10 * SECOND + TICK)


def test_once_it_is_open_the_usual_pace_is_enough(on_pace):
    Pair.objects.exclude(pk=Pair.objects.first().pk).delete()
    ticks(on_pace, 90 * SECOND, UNREACHED)

    assert len(ticks(on_pace + 90 * SECOND, 120 * SECOND, UNREACHED)) == 2


def test_a_lone_fail_is_asked_again_soon_and_then_forgotten(on_pace):
    Pair.objects.exclude(pk=Pair.objects.first().pk).delete()
    at = on_pace
    while not tick(at := at + TICK, UNREACHED):
        pass
    looks = ticks(at + TICK, 44 * SECOND)

    assert [time - at for time in looks] == [n * (10 * SECOND + TICK) for n in (1, 2, 3)]
    assert not reachable().exists()

"""Is each due pair claimed once, by one, in time, and again when it was lost?"""

import threading
from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import connection

from checks.rule import Cadence
from fleet.inspections import terms
from fleet.inspections.cadences import ALL_BITS, from_bits
from fleet.inspections.models import PairSchedule, PairState
from fleet.inspections.schedule import (
    Claim,
    MostOut,
    check_now,
    claim_due,
    ensure_schedule,
    progress,
    release,
)
from fleet.registry.models import FleetSettings, Target
from tests.fleet.factories import make_pair, make_worker
from tests.fleet.visiting import NOW, claimed, make_pairs, seen, visit

pytestmark = pytest.mark.django_db
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


def done(claims: list[Claim]) -> None:
    """Pretend the visits of these claims were recorded."""
    for one in claims:
        PairState.objects.filter(target=one.target_id).update(recorded_claim=one.claim)


def test_a_new_pair_is_due_at_once_for_everything():
    pair = make_pair(emailengine_url="http://ee.example.com")
    make_worker()

    assert ensure_schedule(NOW) == 1
    assert ensure_schedule(NOW) == 0
    assert PairState.objects.get().is_redis_only is False
    assert claim_due(NOW, 10) == [
        Claim(pair.pk, 1, ALL_BITS, "eu-1", is_slow=False, is_asked=False)
    ]


def test_a_claimed_pair_is_nobody_elses_until_its_lease_ends():
    make_pairs(3)
    first = claim_due(NOW, 10)
    seen(NOW + MINUTE)

    assert [one.claim for one in first] == [1, 1, 1]
    assert claim_due(NOW + timedelta(seconds=59), 10) == []
    again = claim_due(NOW + MINUTE, 10)
    assert [(one.claim, one.bits) for one in again] == [(2, ALL_BITS)] * 3


def test_a_lost_visit_of_a_rare_cadence_is_made_up_for():
    (pair,) = make_pairs(1)
    done(claim_due(NOW, 10))
    PairSchedule.objects.update(persistence_due_at=NOW, next_due_at=NOW)
    lost = claim_due(NOW, 10)
    seen(NOW + MINUTE)

    assert from_bits(lost[0].bits) == {Cadence.HEALTH, Cadence.PERSISTENCE}
    assert Cadence.PERSISTENCE in from_bits(claim_due(NOW + MINUTE, 10)[0].bits)
    assert PairSchedule.objects.get(target=pair.pk).persistence_due_at > NOW


def test_a_visit_on_time_is_followed_by_one_an_interval_later():
    make_pairs(50)
    done(claim_due(NOW, 100))
    for _ in range(20):
        before = dict(PairSchedule.objects.values_list("pk", "next_due_at"))
        at = max(before.values())
        seen(at)
        done(claim_due(at, 100))
        gaps = [
            due - before[pk] for pk, due in PairSchedule.objects.values_list("pk", "next_due_at")
        ]
        assert min(gaps) >= MINUTE
        assert max(gaps) <= 2 * MINUTE


def test_pairs_that_were_due_together_spread_over_the_interval():
    make_pairs(300)
    done(claim_due(NOW, 1000))

    offsets = sorted(
        (due - NOW).total_seconds()
        for due in PairSchedule.objects.values_list("next_due_at", flat=True)
    )
    assert offsets[0] >= 30
    assert offsets[-1] <= 90
    by_slot = [sum(30 + 6 * n <= offset < 36 + 6 * n for offset in offsets) for n in range(10)]
    assert max(by_slot) <= 1.3 * 30


def test_cadences_whose_intervals_divide_each_other_ride_together():
    make_pairs(1)
    done(claim_due(NOW, 100))
    visits = []
    for _ in range(21):
        now = PairSchedule.objects.get().next_due_at
        seen(now)
        claims = claim_due(now, 100)
        done(claims)
        visits += [from_bits(one.bits) for one in claims]

    often, rarely = {Cadence.HEALTH, Cadence.LATENCY}, {Cadence.PERSISTENCE, Cadence.STATS}
    assert all(visit >= often for visit in visits)
    assert all(visit & rarely in (set(), rarely) for visit in visits)
    places = [n for n, visit in enumerate(visits, 1) if Cadence.PERSISTENCE in visit]
    assert 2 <= places[0] <= 8  # half an interval to one and a half after the first
    assert {later - one for one, later in pairwise(places)} == {5}


def test_an_engine_has_intervals_of_its_own():
    make_pairs(1)
    PairState.objects.update(engine="upstash")
    done(claim_due(NOW, 10))

    due = PairSchedule.objects.get().next_due_at
    assert timedelta(seconds=150) <= due - NOW <= timedelta(seconds=450)


@pytest.mark.parametrize("state", ["paused", "archived"])
def test_only_active_pairs_are_claimed(state):
    make_pairs(1)
    Target.objects.update(state=state)

    assert claim_due(NOW, 10) == []


def test_nobody_is_sent_where_no_worker_was_seen_for_a_minute():
    make_pairs(1)

    assert claim_due(NOW + MINUTE, 10) == []
    seen(NOW + MINUTE)
    assert len(claim_due(NOW + MINUTE, 10)) == 1


def test_a_claim_that_was_not_sent_is_due_at_once():
    make_pairs(2)
    claims = claim_due(NOW, 10)
    release((one.target_id, one.claim) for one in claims)

    assert [(one.claim, one.bits) for one in claim_due(NOW, 10)] == [(2, ALL_BITS)] * 2


def test_a_release_that_comes_late_takes_nothing_away():
    make_pairs(1)
    old = claim_due(NOW, 10)
    seen(NOW + MINUTE)
    claim_due(NOW + MINUTE, 10)
    release((one.target_id, one.claim) for one in old)

    assert claim_due(NOW + MINUTE, 10) == []


def test_check_now_goes_ahead_of_the_due_time_and_is_answered_once():
    (pair,) = make_pairs(1)
    visit(NOW)
    later = NOW + timedelta(seconds=10)

    assert check_now([pair.pk], later) == 1
    assert progress([pair.pk], later)[pair.pk].state == "queued"
    (claim,) = claim_due(later, 10)
    assert (claim.bits, claim.is_asked) == (ALL_BITS, True)
    assert progress([pair.pk], later)[pair.pk].state == "checking"
    release([(claim.target_id, claim.claim)])
    assert visit(later) == 1
    found = progress([pair.pk], later)[pair.pk]
    assert (found.state, found.asked_at, found.checked_at) == ("done", None, later)


def test_check_now_during_a_visit_waits_for_a_visit_of_its_own():
    (pair,) = make_pairs(1)
    dues = claimed(NOW, bits=3)
    check_now([pair.pk], NOW + timedelta(seconds=1))

    assert progress([pair.pk], NOW + timedelta(seconds=1))[pair.pk].state == "queued"
    done([Claim(dues[0].target_id, dues[0].claim, 3, "", is_slow=False, is_asked=False)])
    (claim,) = claim_due(NOW + timedelta(seconds=2), 10)
    assert (claim.bits, claim.is_asked) == (ALL_BITS, True)


def test_check_now_twice_is_one_check():
    (pair,) = make_pairs(1)
    check_now([pair.pk], NOW)
    check_now([pair.pk], NOW + timedelta(seconds=5))

    assert PairSchedule.objects.get().asked_at == NOW


def test_check_now_says_when_nobody_is_there():
    (pair,) = make_pairs(1)
    later = NOW + 11 * MINUTE
    check_now([pair.pk], later)

    found = progress([pair.pk], later)[pair.pk]
    assert (found.state, found.worker_seen_at, found.zone) == (
        "no_worker",
        NOW - 5 * SECOND,
        "eu-1",
    )


def test_check_now_leaves_paused_pairs_alone():
    (pair,) = make_pairs(1)
    Target.objects.update(state="paused")

    assert check_now([pair.pk], NOW) == 0


@pytest.mark.django_db(transaction=True)
def test_many_dispatchers_at_once_claim_each_pair_once():
    FleetSettings.objects.get_or_create(id=1)
    make_pairs(200)
    claims: list[Claim] = []
    barrier = threading.Barrier(4)

    def dispatch() -> None:
        barrier.wait()
        try:
            while mine := claim_due(NOW, 17):
                claims.extend(mine)
        finally:
            connection.close()

    threads = [threading.Thread(target=dispatch) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(claims) == 200
    assert len({one.target_id for one in claims}) == 200


FEW = MostOut(quick=3, slow=2)


def due_since(pair, at, **fields) -> None:
    """Let a pair that was visited long ago be due since then."""
    PairSchedule.objects.filter(target=pair.pk).update(next_due_at=at, **fields)


def test_after_an_outage_the_longest_due_go_first_and_no_more_than_can_be_taken_up():
    pairs = make_pairs(7)
    for minutes, pair in enumerate(pairs):
        due_since(pair, NOW - minutes * MINUTE)

    first = claim_due(NOW, 100, FEW)
    assert {one.target_id for one in first} == {pair.pk for pair in pairs[4:]}
    assert claim_due(NOW + SECOND, 100, FEW) == []
    done(first[:2])
    second = claim_due(NOW + 2 * SECOND, 100, FEW)
    assert {one.target_id for one in second} == {pairs[3].pk, pairs[2].pk}


def test_two_workers_get_twice_as_many():
    make_pairs(7)
    make_worker(now=NOW)

    assert len(claim_due(NOW, 100, FEW)) == 6


def test_a_claim_whose_lease_is_over_holds_up_nobody():
    make_pairs(4)
    claim_due(NOW, 100, FEW)
    seen(NOW + MINUTE)

    assert len(claim_due(NOW + MINUTE, 100, FEW)) == 3


def test_slow_pairs_that_do_not_come_back_hold_up_no_quick_ones():
    slow = make_pairs(4)
    PairSchedule.objects.update(is_slow=True)
    assert len(claim_due(NOW, 100, FEW)) == 2
    quick = make_pairs(2)

    found = claim_due(NOW + SECOND, 100, FEW)

    assert {one.target_id for one in found} == {pair.pk for pair in quick}
    assert not {one.target_id for one in found} & {pair.pk for pair in slow}


def test_a_zone_that_is_behind_holds_up_no_other():
    make_pairs(6)
    claim_due(NOW, 100, FEW)
    make_worker("ap-1", now=NOW)
    elsewhere = make_pair(zone="ap-1")
    ensure_schedule(NOW)

    assert [one.target_id for one in claim_due(NOW, 100, FEW)] == [elsewhere.pk]


def test_a_small_tenant_waits_no_longer_than_a_large_one():
    large, small = make_pairs(8, tenant="Large"), make_pairs(2, tenant="Small")
    for place, pair in enumerate([*large[:4], small[0], *large[4:], small[1]]):
        due_since(pair, NOW - (20 - place) * SECOND)

    order = []
    for turn in range(4):
        claims = claim_due(NOW + turn * SECOND, 100, FEW)
        done(claims)
        order.append({one.target_id for one in claims})

    assert [small[0].pk in turn for turn in order] == [False, True, False, False]
    assert [small[1].pk in turn for turn in order] == [False, False, False, True]


def test_who_was_asked_for_is_not_held_back():
    pairs = make_pairs(5)
    claim_due(NOW, 100, FEW)
    waiting = PairSchedule.objects.filter(lease_until=None).values_list("pk", flat=True)
    check_now([waiting[0]], NOW + SECOND)

    found = claim_due(NOW + SECOND, 100, FEW)

    assert len(pairs) == 5
    assert [one.is_asked for one in found] == [True]


def ids(claims: list[Claim]) -> list[int]:
    return sorted(one.target_id for one in claims)


def test_a_message_with_room_takes_along_what_is_due_within_five_seconds():
    due, soon, later = make_pairs(3)
    done(claim_due(NOW, 10))
    due_since(due, NOW + MINUTE)
    due_since(soon, NOW + MINUTE + 5 * SECOND)
    due_since(later, NOW + MINUTE + 5.001 * SECOND)
    seen(NOW + MINUTE)

    assert claim_due(NOW + MINUTE - SECOND, 10, fill=10) == []
    claims = claim_due(NOW + MINUTE, 10, fill=10)
    assert ids(claims) == [due.pk, soon.pk]
    done(claims)
    assert claim_due(NOW + MINUTE + 5 * SECOND, 10, fill=10) == []


@pytest.fixture
def every_ten_seconds():
    intervals = {"default": {"health": 10, "latency": 10}}
    FleetSettings.objects.update_or_create(id=1, defaults={"intervals": intervals})
    terms.forget()
    yield
    terms.forget()


@pytest.mark.usefixtures("every_ten_seconds")
def test_nobody_comes_earlier_than_a_tenth_of_the_shortest_interval():
    due, soon, later = make_pairs(3)
    done(claim_due(NOW, 10))
    due_since(due, NOW + MINUTE)
    due_since(soon, NOW + MINUTE + SECOND)
    due_since(later, NOW + MINUTE + 1.001 * SECOND)
    seen(NOW + MINUTE)

    assert ids(claim_due(NOW + MINUTE, 10, fill=10)) == [due.pk, soon.pk]


@pytest.mark.parametrize(("fill", "count"), [(1, 3), (2, 4), (3, 3), (4, 4), (5, 5), (7, 6)])
def test_only_the_last_message_is_filled_up(fill, count):
    pairs = make_pairs(6)
    done(claim_due(NOW, 10))
    for place, pair in enumerate(pairs):
        due_since(pair, NOW + MINUTE + (place - 2) * SECOND)
    seen(NOW + MINUTE)

    assert ids(claim_due(NOW + MINUTE, 10, fill=fill)) == [pair.pk for pair in pairs[:count]]


def test_who_comes_early_is_due_again_at_its_own_next_instant():
    due, soon = make_pairs(2)
    done(claim_due(NOW, 10))
    instant = PairSchedule.objects.get(pk=soon.pk).next_due_at
    due_since(due, instant - 4 * SECOND)
    seen(instant)

    assert ids(claim_due(instant - 4 * SECOND, 10, fill=10)) == [due.pk, soon.pk]
    assert PairSchedule.objects.get(pk=soon.pk).next_due_at == instant + MINUTE


def test_who_is_asked_again_to_confirm_a_fault_is_not_asked_early():
    due, doubted = make_pairs(2)
    done(claim_due(NOW, 10))
    PairState.objects.filter(pk=doubted.pk).update(pending_count=1)
    due_since(due, NOW + MINUTE)
    due_since(doubted, NOW + MINUTE + SECOND)
    seen(NOW + MINUTE)

    assert ids(claim_due(NOW + MINUTE, 10, fill=10)) == [due.pk]
    assert ids(claim_due(NOW + MINUTE + SECOND, 10, fill=10)) == [doubted.pk]


def test_what_was_lost_comes_before_what_is_not_due_yet():
    lost, due, soon = make_pairs(3)
    done([one for one in claim_due(NOW, 10) if one.target_id != lost.pk])
    due_since(due, NOW + MINUTE)
    due_since(soon, NOW + MINUTE + SECOND)
    due_since(lost, NOW + 2 * MINUTE)
    seen(NOW + MINUTE)

    assert ids(claim_due(NOW + MINUTE, 10, fill=2)) == [lost.pk, due.pk]

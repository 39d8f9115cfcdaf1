"""Does a zone that sees nothing say so, instead of calling its pairs dead?"""

import asyncio
from contextlib import ExitStack
from datetime import timedelta

import pytest

from fleet.findings.models import Finding, Transition
from fleet.history.models import Visit
from fleet.history.partitions import ensure_day
from fleet.inspections.blind import AGAIN, HELD, TRUSTED, check_oneself, decide, doubts, suspect
from fleet.inspections.models import PairSchedule, PairState
from fleet.inspections.record import record
from fleet.inspections.room import judged, read
from fleet.inspections.terms import terms
from fleet.registry.models import FleetSettings, Pair, Target, Worker, Zone
from tests.fleet.factories import make_finding, make_pair
from tests.fleet.visiting import NOW, UNREACHED, claimed, make_pairs, reading, visit
from tests.loopback import ponging, serving, shut_port

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
REACHABLE = "redis.reachable"
WHY = "the reference is not reached, and no target is: 10.0.0.9:53 did not accept a connection"


def zone() -> Zone:
    return Zone.objects.get(slug="eu-1")


def worker() -> Worker:
    """The zone's only worker."""
    return Worker.objects.get(zone__slug="eu-1")


def silent(*pairs: Pair) -> None:
    """Let these pairs have stopped answering, not confirmed yet."""
    for pair in pairs:
        make_finding(pair, REACHABLE, state="pending", results=1, results_count=1)


def due_again() -> None:
    """Let every pair be due now, whatever its schedule says."""
    PairSchedule.objects.update(next_due_at=NOW, health_due_at=NOW, lease_until=None)


def visits(at, redis=UNREACHED) -> int:
    """Visit all pairs as a worker does: what is loaded says whether anything is read at all."""
    ensure_day(at.date())
    due_again()
    seen = []
    for due in claimed(at):
        found = asyncio.run(read(due, None)) if is_unseen(due) else reading(due.cadences, redis)
        seen.append(judged(due, at, found, terms().policies))
    return record(seen)


def is_unseen(due) -> bool:
    return getattr(due.reach.target, "reason", "") == "probe_blind"


def reach_findings():
    found = Finding.objects.filter(rule_id=REACHABLE)
    return list(found.order_by("id").values_list("state", flat=True))


# --- suspicion


@pytest.mark.parametrize(
    ("count", "silent_count", "is_suspected"),
    [(10, 2, False), (10, 3, True), (5, 1, False), (4, 1, True), (1, 1, True), (3, 0, False)],
)
def test_over_a_fifth_of_a_zone_is_suspicious(count, silent_count, is_suspected):
    pairs = make_pairs(count)
    silent(*pairs[:silent_count])

    assert suspect(NOW) == (["eu-1"] if is_suspected else [])
    assert (zone().suspect_since == NOW) is is_suspected


def test_other_findings_paused_pairs_and_other_zones_do_not_count():
    pairs = make_pairs(10)
    silent(*pairs[:2], make_pair(zone="us-1", state="paused"))
    make_finding(pairs[3], "redis.memory-headroom", state="pending")
    make_finding(pairs[4], REACHABLE)

    assert suspect(NOW) == []
    Target.objects.filter(pk__in=[pair.pk for pair in pairs[5:]]).update(state="paused")
    assert suspect(NOW) == ["eu-1"]


def test_a_zone_is_asked_again_until_it_answers():
    silent(*make_pairs(1))

    assert suspect(NOW) == ["eu-1"]
    assert suspect(NOW + AGAIN - SECOND) == []
    Finding.objects.all().delete()
    assert suspect(NOW + AGAIN) == ["eu-1"]
    assert zone().suspect_since == NOW


def test_a_zone_that_sees_is_believed_for_a_while():
    silent(*make_pairs(1))
    suspect(NOW)
    decide(worker(), "", NOW + SECOND)

    assert (zone().suspect_since, zone().blind_since) == (None, None)
    assert suspect(NOW + TRUSTED) == []
    assert suspect(NOW + SECOND + TRUSTED) == ["eu-1"]


# --- what is held


def test_a_suspected_zone_opens_no_finding_until_it_is_known_to_see():
    make_pairs(1)
    visits(NOW)
    suspect(NOW)
    for n in range(1, 6):
        visits(NOW + n * 10 * SECOND)
    assert reach_findings() == ["pending"]

    decide(worker(), "", NOW + 51 * SECOND)
    visits(NOW + 55 * SECOND)

    assert reach_findings() == ["open"]
    assert Transition.objects.get().at == NOW + 55 * SECOND


def test_a_suspicion_that_nobody_answers_holds_nothing_for_long():
    make_pairs(1)
    visits(NOW)
    suspect(NOW)
    visits(NOW + 10 * SECOND)
    visits(NOW + HELD - SECOND)
    assert reach_findings() == ["pending"]
    assert doubts(["eu-1"], NOW + HELD - SECOND) == {"eu-1": False}

    visits(NOW + HELD)

    assert reach_findings() == ["open"]


# --- a blind zone


def go_blind(at=NOW):
    suspect(at)
    decide(worker(), WHY, at)


def test_what_a_zone_saw_while_it_fell_silent_is_void():
    make_pairs(2)
    visits(NOW)
    go_blind(NOW + SECOND)

    assert (zone().blind_since, zone().self_check_failure) == (NOW + SECOND, WHY)
    assert (Finding.objects.count(), Transition.objects.count()) == (0, 0)


def test_a_blind_zone_reads_nothing_and_says_so():
    make_pairs(1)
    visit(NOW)
    assert PairState.objects.get().compliance == "compliant"
    visits(NOW + MINUTE)
    go_blind(NOW + MINUTE)
    for n in range(2, 8):
        assert visits(NOW + n * MINUTE, redis=None) == 1

    state = PairState.objects.get()
    assert (state.compliance, state.health) == ("unverified", "unknown")
    assert set(state.core_unknown.values()) == {"probe_blind"}
    assert "emailengine.reachable" not in state.core_unknown  # not registered
    of_visits, of_copies = state.conclusive_counts[:-1], state.conclusive_counts[-1]
    assert (sum(of_visits), of_copies) == (0, 4)  # copies are judged from tables, not from the zone
    assert Transition.objects.count() == 0
    rows = Visit.objects.order_by("at").values_list("outcome", "used_memory_bytes")
    assert [outcome for outcome, _used in rows] == [0, 1, 2, 2, 2, 2, 2, 2]
    assert {used for outcome, used in rows if outcome} == {None}


def test_open_findings_stand_as_they_were():
    make_pairs(1)
    visit(NOW, maxmemory_policy="allkeys-lru")
    go_blind()
    Zone.objects.filter(slug="eu-1").update(blind_since=NOW)
    for n in range(1, 4):
        visits(NOW + n * MINUTE)

    finding = Finding.objects.get()
    assert (finding.state, finding.conclusive_at) == ("open", NOW)
    assert PairState.objects.get().compliance == "non_compliant"
    assert list(Transition.objects.values_list("cause", flat=True)) == ["opened"]


def test_a_visit_that_was_under_way_when_the_zone_went_blind_is_void():
    make_pairs(1, emailengine_url="http://ee.example.com")
    ensure_day(NOW.date())
    (due,) = claimed(NOW)
    seen = judged(due, NOW, reading(due.cadences, UNREACHED), terms().policies)
    Zone.objects.filter(slug="eu-1").update(blind_since=NOW)

    assert record([seen]) == 1
    assert Finding.objects.count() == 0
    assert Visit.objects.get().outcome == 2
    assert PairState.objects.get().core_unknown["emailengine.reachable"] == "probe_blind"


def test_a_zone_that_sees_again_reads_everything_at_once():
    make_pairs(1)
    visit(NOW)
    Zone.objects.filter(slug="eu-1").update(blind_since=NOW)
    visits(NOW + MINUTE)
    assert suspect(NOW + MINUTE) == ["eu-1"]
    assert zone().suspect_since is None

    decide(worker(), "", NOW + 70 * SECOND)
    assert (zone().blind_since, zone().self_check_failure) == (None, "")
    visits(NOW + 2 * MINUTE, redis=None)

    state = PairState.objects.get()
    assert (state.compliance, state.health) == ("compliant", "healthy")
    assert state.core_unknown == {}
    assert state.persistence_at == NOW + 2 * MINUTE


def test_a_self_check_that_nobody_waits_for_decides_nothing():
    make_pairs(1)
    decide(worker(), WHY, NOW)

    assert zone().blind_since is None


# --- the self-check itself, against real sockets


@pytest.fixture
def ends():
    """Give five ports: three that are listened on, two that nobody does."""
    with ExitStack() as stack:
        listened = [stack.enter_context(serving(ponging)) for _ in range(3)]
        yield listened, [stack.enter_context(shut_port()) for _ in range(2)]


def at_ports(*ports):
    for pair, port in zip(Pair.objects.order_by("pk"), ports, strict=True):
        Pair.objects.filter(pk=pair.pk).update(redis_url=f"redis://127.0.0.1:{port}/0")


def refer_to(port):
    FleetSettings.objects.update_or_create(
        id=1, defaults={"reference_address": f"127.0.0.1:{port}"}
    )


def test_one_dead_pair_of_three_is_no_blind_zone(ends):
    """Not even where the reference is down too: the others accept."""
    (first, second, _third), (dead, reference) = ends
    pairs = make_pairs(3)
    at_ports(dead, first, second)
    refer_to(reference)
    silent(pairs[0])

    assert suspect(NOW) == ["eu-1"]
    check_oneself(worker().name, NOW + SECOND)

    assert (zone().suspect_since, zone().blind_since) == (None, None)
    assert reach_findings() == ["pending"]


def test_all_pairs_and_the_reference_down_is_a_blind_zone(ends):
    _open, (dead, reference) = ends
    pairs = make_pairs(3)
    at_ports(dead, dead, dead)
    refer_to(reference)
    silent(*pairs)
    suspect(NOW)

    check_oneself(worker().name, NOW + SECOND)

    assert zone().blind_since == NOW + SECOND
    assert zone().self_check_failure == (
        "the reference is not reached, and no target is: "
        f"127.0.0.1:{reference} was not reached: connection refused"
    )
    assert reach_findings() == []


def test_pairs_that_are_all_down_are_down_where_the_reference_answers(ends):
    (reference, *_others), (dead, _shut) = ends
    pairs = make_pairs(2)
    at_ports(dead, dead)
    refer_to(reference)
    silent(*pairs)
    suspect(NOW)

    check_oneself(worker().name, NOW + SECOND)

    assert zone().blind_since is None
    assert reach_findings() == ["pending", "pending"]


def test_without_a_reference_hosts_that_refuse_are_there(ends):
    _open, (dead, _shut) = ends
    pairs = make_pairs(2)
    at_ports(dead, dead)
    silent(*pairs)
    suspect(NOW)

    check_oneself(worker().name, NOW + SECOND)

    assert zone().blind_since is None


@pytest.mark.parametrize("is_known", [True, False], ids=["known to be down", "never answered"])
def test_what_was_silent_before_says_nothing_of_the_way_out(ends, is_known):
    """Half a fleet that is dark, or names that were mistyped: what answered before does so now."""
    (alive, *_others), _shut = ends
    first, second, *others = make_pairs(9)
    at_ports(*[alive] * 9)
    for n, pair in enumerate(others):
        Pair.objects.filter(pk=pair.pk).update(redis_url=f"redis://redis-{n}.invalid:6379")
        make_finding(pair, REACHABLE, state="open" if is_known else "pending", results=3)
    answered = [first, second, *(others if is_known else [])]
    PairState.objects.filter(target__in=[one.pk for one in answered]).update(answered_at=NOW)
    silent(first, second)
    assert suspect(NOW) == ["eu-1"]

    check_oneself(worker().name, NOW + SECOND)

    assert (zone().suspect_since, zone().blind_since) == (None, None)


def test_who_answered_last_tells_that_a_zone_sees_whose_others_fell_silent_at_once(ends):
    """Of so many that answered until now one is seldom met by chance: nobody else would be read."""
    (alive, *_others), _shut = ends
    first, *others = make_pairs(60)
    # Of this machine, though not by its name: such a pair alone would not be looked at.
    Pair.objects.filter(pk=first.pk).update(redis_url=f"redis://[::ffff:127.0.0.1]:{alive}")
    for n, pair in enumerate(others):
        Pair.objects.filter(pk=pair.pk).update(redis_url=f"redis://redis-{n}.invalid:6379")
    PairState.objects.update(answered_at=NOW - MINUTE)
    PairState.objects.filter(target=first.pk).update(answered_at=NOW)
    silent(*others[:20])
    assert suspect(NOW) == ["eu-1"]

    check_oneself(worker().name, NOW + SECOND)

    assert (zone().suspect_since, zone().blind_since) == (None, None)


def test_what_answered_until_now_and_is_silent_is_a_blind_zone():
    pairs = make_pairs(4)
    for n, pair in enumerate(pairs):
        Pair.objects.filter(pk=pair.pk).update(redis_url=f"redis://redis-{n}.invalid:6379")
    PairState.objects.update(answered_at=NOW)
    silent(*pairs)
    suspect(NOW)

    check_oneself(worker().name, NOW + SECOND)

    assert zone().blind_since == NOW + SECOND

"""Does a waiver cover what it should, at once, and count apart from what is wrong?"""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction

from fleet.findings import cover, waivers
from fleet.findings.models import Finding, Transition, Waiver
from fleet.findings.waivers import Ask
from fleet.history.partitions import ensure_day
from fleet.inspections import waive
from fleet.inspections.models import PairState
from fleet.inspections.record import record
from fleet.registry.models import FleetSettings
from tests.checks.pairs import GIB
from tests.fleet.factories import make_pair, make_person
from tests.fleet.visiting import NOW, claimed, judged, make_pairs, visit

pytestmark = pytest.mark.django_db
MINUTE, DAY, SECOND = timedelta(minutes=1), timedelta(days=1), timedelta(seconds=1)
EVICTION, HEADROOM = "redis.eviction-policy", "redis.memory-headroom"
BAD = {"maxmemory_policy": "allkeys-lru"}


@pytest.fixture
def mara():
    return make_person()


def asked(pair, rule_id=EVICTION, **changes) -> Ask:
    ask = Ask(
        rule_id,
        pair.target.tenant_id,
        pair.pk,
        "critical",
        "fix_scheduled",
        "A larger plan is ordered",
        NOW + 7 * DAY,
    )
    return replace(ask, **changes)


def state(pair) -> PairState:
    return PairState.objects.get(pk=pair.pk)


def causes(**where) -> list[str]:
    found = Transition.objects.filter(**where).order_by("pk")
    return list(found.values_list("cause", flat=True))


def used(ratio: float) -> dict[str, int]:
    return {"used_memory_bytes": int(4 * GIB * ratio), "maxmemory_bytes": 4 * GIB}


def test_a_waiver_takes_a_finding_out_of_lamps_and_counts_at_once(mara):
    (pair,) = make_pairs(1)
    visit(NOW, **BAD)
    before = state(pair)
    assert (before.compliance, before.critical_count, before.waived_count) == (
        "non_compliant",
        1,
        0,
    )

    waiver = waive.request(asked(pair), mara.pk, NOW + MINUTE)

    after = state(pair)
    assert (after.compliance, after.compliance_since) == ("compliant", NOW + MINUTE)
    assert (after.critical_count, after.waived_count, after.rank) == (0, 1, 6)
    assert (after.worst_short, after.worst_rule_id, after.oldest_opened_at) == ("", "", None)
    finding = Finding.objects.get()
    assert (finding.state, finding.waiver) == ("open", waiver)
    told = Transition.objects.latest("pk")
    assert (told.cause, told.at, told.actor) == ("waived", NOW + MINUTE, mara)
    assert (told.from_state, told.to_state, told.to_severity) == ("open", "open", "critical")
    assert told.note == "Fix scheduled: A larger plan is ordered"


def test_evaluation_goes_on_and_the_next_visit_leaves_everything_as_it_is(mara):
    (pair,) = make_pairs(1)
    visit(NOW, **BAD)
    waive.request(asked(pair), mara.pk, NOW + MINUTE)
    before = state(pair)

    visit(NOW + 10 * MINUTE, **BAD)

    after = state(pair)
    assert (after.compliance, after.compliance_since) == ("compliant", before.compliance_since)
    assert (after.waived_count, after.critical_count) == (1, 0)
    assert causes() == ["opened", "waived"]
    visit(NOW + 20 * MINUTE)
    assert (Finding.objects.get().state, state(pair).waived_count) == ("resolved", 0)


def test_what_opens_under_a_waiver_is_covered_in_the_same_transaction(mara):
    pair, other = make_pairs(2)
    waive.request(asked(pair), mara.pk, NOW)

    visit(NOW, **BAD)

    assert causes(finding__target=pair.pk) == ["opened", "waived"]
    assert causes(finding__target=other.pk) == ["opened"]
    assert (state(pair).compliance, state(pair).waived_count) == ("compliant", 1)
    assert (state(other).compliance, state(other).waived_count) == ("non_compliant", 0)


def test_a_tenants_waiver_covers_its_pairs_alone(mara):
    (pair,) = make_pairs(1)
    (other,) = make_pairs(1, tenant="Contoso")
    visit(NOW, **BAD)

    waive.request(asked(pair, target_id=None), mara.pk, NOW + MINUTE)

    assert (state(pair).compliance, state(other).compliance) == ("compliant", "non_compliant")


def test_a_pairs_own_waiver_comes_before_its_tenants(mara):
    (pair,) = make_pairs(1)
    visit(NOW, **BAD)
    waive.request(asked(pair, target_id=None), mara.pk, NOW)
    own = waive.request(asked(pair), mara.pk, NOW + MINUTE)
    assert Finding.objects.get().waiver == own

    waive.revoke(own.pk, mara.pk, "The tenant's is enough", NOW + 2 * MINUTE)

    assert Finding.objects.get().waiver.target_id is None
    assert causes() == ["opened", "waived"]  # it was covered all the time
    assert state(pair).compliance == "compliant"


def test_revoking_counts_it_again_at_once(mara):
    (pair,) = make_pairs(1)
    visit(NOW, **BAD)
    waiver = waive.request(asked(pair), mara.pk, NOW + MINUTE)

    waive.revoke(waiver.pk, mara.pk, "The plan fell through", NOW + 2 * MINUTE)

    after = state(pair)
    assert (after.compliance, after.compliance_since) == ("non_compliant", NOW + 2 * MINUTE)
    assert (after.critical_count, after.waived_count) == (1, 0)
    assert (after.worst_rule_id, after.oldest_opened_at) == (EVICTION, NOW)
    told = Transition.objects.latest("pk")
    assert (told.cause, told.note) == ("unwaived", "Revoked: The plan fell through")


@pytest.mark.parametrize(
    ("at", "is_over"), [(NOW + 7 * DAY - SECOND, False), (NOW + 7 * DAY, True)]
)
def test_it_expires_on_the_minute_and_once(mara, at, is_over):
    (pair,) = make_pairs(1)
    visit(NOW, **BAD)
    waive.request(asked(pair), mara.pk, NOW)

    assert waive.sweep(at) == is_over
    assert waive.sweep(at) == 0
    assert state(pair).compliance == ("non_compliant" if is_over else "compliant")
    assert causes()[2:] == (["unwaived"] if is_over else [])
    assert Waiver.objects.get().end == ("expired" if is_over else "")


def test_one_that_expired_covers_nothing_that_opens_before_the_sweep(mara):
    (pair,) = make_pairs(1)
    waive.request(asked(pair, expires_at=NOW + MINUTE), mara.pk, NOW)

    visit(NOW + MINUTE, **BAD)

    assert (causes(), state(pair).compliance) == (["opened"], "non_compliant")


def test_a_waiver_of_warnings_lets_a_critical_through_and_takes_it_back(mara):
    (pair,) = make_pairs(1)
    for minute in range(3):
        visit(NOW + minute * 5 * MINUTE, **used(0.85))
    waive.request(asked(pair, HEADROOM, severity="warning"), mara.pk, NOW + 11 * MINUTE)
    assert state(pair).compliance == "compliant"

    visit(NOW + 20 * MINUTE, **used(0.95))
    assert (state(pair).compliance, state(pair).critical_count) == ("non_compliant", 1)
    assert Transition.objects.latest("pk").note == "Its waiver covers warnings only"
    visit(NOW + 25 * MINUTE, **used(0.82))

    assert (state(pair).compliance, state(pair).waived_count) == ("compliant", 1)
    assert causes() == ["opened", "waived", "severity", "unwaived", "severity", "waived"]


@pytest.mark.parametrize(
    ("ratio", "is_covered"), [(0.869, True), (0.87, True), (0.8701, False), (0.9, False)]
)
def test_beyond_its_ceiling_a_waiver_covers_no_longer(mara, ratio, is_covered):
    """Within a hundredth of the worst so far, too, where nothing else would be written."""
    (pair,) = make_pairs(1)
    for minute in range(3):
        visit(NOW + minute * 5 * MINUTE, **used(0.865))
    waive.request(asked(pair, HEADROOM, ceiling=0.87), mara.pk, NOW + 11 * MINUTE)
    assert state(pair).waived_count == 1

    visit(NOW + 20 * MINUTE, used_memory_bytes=int(ratio * 1e10), maxmemory_bytes=int(1e10))

    assert (state(pair).waived_count, state(pair).compliance == "compliant") == (
        int(is_covered),
        is_covered,
    )
    if ratio == 0.8701:
        assert causes() == ["opened", "waived", "unwaived"]
        note = "Its worst value is beyond the waiver's ceiling"
        assert Transition.objects.latest("pk").note == note


def test_a_ceiling_counts_the_worst_value_of_the_episode(mara):
    (pair,) = make_pairs(1)
    for minute, ratio in enumerate((0.86, 0.89, 0.86)):
        visit(NOW + minute * 5 * MINUTE, **used(ratio))
    worst = Finding.objects.get().worst_measure

    waive.request(asked(pair, HEADROOM, ceiling=worst - 0.001), mara.pk, NOW + 11 * MINUTE)

    assert state(pair).waived_count == 0


def test_other_fails_of_the_pair_still_count(mara):
    (pair,) = make_pairs(1)
    for minute in range(3):
        visit(NOW + minute * 5 * MINUTE, **BAD, **used(0.85))

    waive.request(asked(pair), mara.pk, NOW + 11 * MINUTE)

    after = state(pair)
    assert (after.compliance, after.critical_count, after.warning_count) == ("at_risk", 0, 1)
    assert (after.waived_count, after.worst_rule_id) == (1, HEADROOM)


def test_a_request_that_waits_covers_nothing_until_it_is_approved(mara):
    noor = make_person("noor")
    FleetSettings.objects.update_or_create(pk=1, defaults={"second_person": True})
    (pair,) = make_pairs(1)
    visit(NOW, **BAD)
    waiver = waive.request(asked(pair), mara.pk, NOW)
    assert state(pair).compliance == "non_compliant"

    waive.approve(waiver.pk, noor.pk, NOW + MINUTE)

    assert state(pair).compliance == "compliant"
    assert Transition.objects.latest("pk").actor == noor


def test_a_renewal_leaves_it_covered_without_a_word(mara):
    (pair,) = make_pairs(1)
    visit(NOW, **BAD)
    first = waive.request(asked(pair), mara.pk, NOW)

    longer = asked(pair, expires_at=NOW + 20 * DAY)
    second = waive.request(longer, mara.pk, NOW + DAY, renews=first)

    assert (Finding.objects.get().waiver, causes()) == (second, ["opened", "waived"])
    assert waive.sweep(NOW + 8 * DAY) == 0


def test_what_expired_a_moment_ago_covers_no_longer_also_before_the_sweep(mara):
    (pair,) = make_pairs(1)
    visit(NOW, **BAD)
    waive.request(asked(pair, target_id=None), mara.pk, NOW)

    with transaction.atomic():
        cover.settle([Finding.objects.get().pk], NOW + 8 * DAY)

    note = "Its waiver does not hold here any more"
    assert Transition.objects.latest("pk").note == note


def test_the_preview_says_what_the_waiver_then_covers(mara):
    (pair,) = make_pairs(1)
    for minute in range(3):
        visit(NOW + minute * 5 * MINUTE, **BAD, **used(0.85))
    cases = [(EVICTION, "critical", None), (EVICTION, "warning", None), (HEADROOM, "warning", 0.9)]
    for rule_id, severity, ceiling in cases:
        ask = asked(pair, rule_id, severity=severity, ceiling=ceiling)
        found = Finding.objects.filter(rule_id=rule_id)
        promised = found.filter(cover.within(severity, ceiling)).count()

        waiver = waive.request(ask, mara.pk, NOW + 11 * MINUTE)

        assert Finding.objects.filter(waiver=waiver).count() == promised
        waive.revoke(waiver.pk, mara.pk, "Only tried", NOW + 11 * MINUTE)


def run_beside(*works) -> list[BaseException]:
    """Run each in a thread with a connection of its own; returns what went wrong."""
    faults: list[BaseException] = []

    def run(work) -> None:
        try:
            work()
        except BaseException as fault:  # noqa: BLE001  a thread's fault is the test's
            faults.append(fault)
        finally:
            connection.close()

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    return faults


def record_by_turns(turns: int) -> None:
    """Every pair fails at each second turn; half of them are recorded in the other order."""
    for turn in range(turns):
        at = NOW + turn * 10 * MINUTE
        bad = BAD if turn % 2 == 0 else {}
        dues = claimed(at)
        half = len(dues) // 2
        record([judged(due, at, **bad) for due in reversed(dues[:half])])
        record([judged(due, at, **bad) for due in dues[half:]])


def waive_by_turns(pair, person, turns: int) -> None:
    """Waive the rule for the whole tenant and revoke it; the last one stays."""
    for turn in range(turns):
        at = NOW + turn * 10 * MINUTE
        waiver = waive.request(asked(pair, target_id=None), person.pk, at)
        waive.sweep(at)
        if turn < turns - 1:
            waive.revoke(waiver.pk, person.pk, "And once more", at)


@pytest.mark.django_db(transaction=True)
def test_waivers_and_recordings_never_wait_in_a_circle_and_miss_nothing(mara):
    """Twelve pairs fail while a tenant's waiver is put in force and revoked: all end as it says."""
    pairs = make_pairs(12)
    make_pair(tenant="Contoso")
    ensure_day(NOW.date())

    faults = run_beside(lambda: record_by_turns(6), lambda: waive_by_turns(pairs[0], mara, 6))

    assert faults == []
    assert cover.stray(NOW + 2 * DAY) == {}
    for found in PairState.objects.filter(target__in=[pair.pk for pair in pairs]):
        mine = Finding.objects.filter(target=found.target_id, state="open")
        assert found.waived_count == mine.exclude(waiver=None).count()
        assert found.critical_count == mine.filter(waiver=None).count()


@pytest.mark.django_db(transaction=True)
def test_a_recording_waits_for_a_waiver_under_way_and_then_obeys_it(mara):
    """The finding opens between the waiver's look at the findings and its commit: it is covered."""
    (pair,) = make_pairs(1)
    ensure_day(NOW.date())
    (due,) = claimed(NOW)
    thread = threading.Thread(
        target=lambda: (record([judged(due, NOW, **BAD)]), connection.close())
    )

    with transaction.atomic():
        waiver = waivers.request(asked(pair), mara.pk, NOW)
        waive._take_effect(waiver, NOW, mara.pk)
        thread.start()
        thread.join(timeout=0.5)
        assert thread.is_alive()
    thread.join(timeout=30)

    assert causes() == ["opened", "waived"]
    assert state(pair).compliance == "compliant"

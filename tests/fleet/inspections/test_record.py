"""Is each visit recorded once, whole, and only by whoever holds the claim?"""

import threading
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import Count

from checks.facts import Engine, Missing
from checks.rule import Cadence
from fleet.findings.models import Finding, Transition
from fleet.history.models import Visit
from fleet.history.partitions import ensure_day, forget_days
from fleet.inspections.evidence import REWRITTEN_EVERY, rewritten_at
from fleet.inspections.models import LatestFacts, PairSchedule, PairState
from fleet.inspections.record import record
from fleet.inspections.schedule import check_now
from fleet.registry.models import FleetSettings, Pair
from fleet.registry.policies import Policies
from tests.checks.pairs import EMAILENGINE, GIB
from tests.fleet.visiting import EVERYTHING, NOW, UNREACHED, claimed, judged, make_pairs, visit

pytestmark = pytest.mark.django_db
MINUTE = timedelta(minutes=1)
HEALTH_LATENCY = 3


@pytest.fixture(autouse=True)
def today() -> None:
    """Have the day's partition, which the last test may have rolled back."""
    forget_days()
    ensure_day(NOW.date())


def state() -> PairState:
    return PairState.objects.get()


def test_a_healthy_pair():
    (pair,) = make_pairs(1, emailengine_url="http://ee.example.com:3000")
    pair.target.zone.location = "eu/eu-a"
    pair.target.zone.save()
    Pair.objects.update(emailengine_location="eu/eu-a")

    assert visit(NOW) == 1

    found = state()
    assert (found.compliance, found.health, found.rank) == ("compliant", "healthy", 6)
    assert (found.compliance_since, found.health_since) == (NOW, NOW)
    assert (found.engine, found.version, found.emailengine_version) == (
        "redis",
        "7.2.6",
        EMAILENGINE.version,
    )
    assert (found.rtt_us, found.rtt_vantage) == (400, "EmailEngine")
    assert (found.used_ratio, found.ceiling_bytes) == (0.25, 4 * GIB)
    assert found.core_unknown == {}
    assert (found.worst_short, found.oldest_opened_at) == ("", None)
    assert (found.recent_rtt_us, found.recent_stall_us) == ("400", "150")
    assert found.is_redis_only is False
    said = [one["outcome"] for row in LatestFacts.objects.all() for one in row.verdicts.values()]
    assert sum(found.conclusive_counts) == said.count("pass")
    assert sum(found.applicable_counts) > sum(found.conclusive_counts)  # counters want two visits
    assert {found.checked_at, found.answered_at, found.health_at, found.persistence_at} == {NOW}
    assert Finding.objects.count() == 0
    row = Visit.objects.get()
    assert (row.target_id, row.at, row.outcome) == (pair.pk, NOW, 0)
    assert (row.rtt_median_us, row.used_memory_bytes, row.keys_count) == (220, GIB, 1200)
    assert (row.emailengine_rtt_us, row.api_response_us) == (400, 20_000)
    assert (row.submit_waiting_count, row.submit_delayed_count) == (0, 1)
    assert (row.accounts_count, row.accounts_in_error_count) == (4, 0)
    unsure = said.count("unknown")
    assert (row.fails_count, row.unknowns_count, row.last_save_age_s) == (0, unsure, 120)


def test_a_fault_of_the_set_up_opens_at_once_and_closes_by_a_pass():
    make_pairs(1)
    visit(NOW, maxmemory_policy="allkeys-lru")

    found = state()
    assert (found.compliance, found.critical_count) == ("non_compliant", 1)
    assert (found.worst_rule_id, found.worst_short) == (
        "redis.eviction-policy",
        "maxmemory-policy is allkeys-lru",
    )
    assert found.oldest_opened_at == NOW
    later = NOW + 10 * MINUTE
    visit(later)
    finding = Finding.objects.get()
    assert (finding.state, finding.opened_at, finding.resolved_at) == ("resolved", NOW, later)
    assert list(Transition.objects.order_by("id").values_list("cause", "at")) == [
        ("opened", NOW),
        ("resolved", later),
    ]
    assert state().critical_count == 0
    assert state().compliance_since == later


def test_a_visit_judges_only_what_it_read():
    make_pairs(1)
    visit(NOW, maxmemory_policy="allkeys-lru")
    second, third = NOW + 2 * MINUTE, NOW + 4 * MINUTE
    visit(second, maxmemory_policy="allkeys-lru")  # counters want two visits
    counts = state().conclusive_counts

    assert visit(third, bits=HEALTH_LATENCY) == 1

    found = state()
    assert found.compliance == "non_compliant"
    assert (found.health_at, found.persistence_at) == (third, second)
    assert found.conclusive_counts == counts
    assert Finding.objects.get().state == "open"


def test_a_redis_that_does_not_answer_is_asked_again_in_ten_seconds_and_opens_at_the_third():
    make_pairs(1)
    visit(NOW)
    at = NOW + 2 * MINUTE
    states, gaps = [], []
    for _ in range(3):
        visit(at, bits=HEALTH_LATENCY, redis=UNREACHED, emailengine=UNREACHED, duration_s=2.5)
        states.append((state().health, state().pending_count, PairSchedule.objects.get().is_slow))
        before, at = at, PairSchedule.objects.get().health_due_at
        gaps.append((at - before).total_seconds())

    assert gaps[:2] == [12.5, 12.5]
    assert gaps[2] >= 30
    assert states == [("unknown", 1, True), ("unknown", 1, True), ("failing", 0, True)]
    found = state()
    assert (found.compliance, found.rank) == ("unverified", 0)
    assert found.answered_at == NOW
    assert found.core_unknown["redis.standalone"] == "depends_on"
    assert "redis.eviction-policy" not in found.core_unknown  # its turn has not come
    finding = Finding.objects.get()
    assert (finding.rule_id, finding.state, finding.severity) == (
        "redis.reachable",
        "open",
        "critical",
    )
    assert list(Visit.objects.order_by("at").values_list("outcome", flat=True)) == [0, 1, 1, 1]


def test_what_emailengine_hid_in_its_first_minute_is_read_again_in_a_minute():
    make_pairs(1, emailengine_url="http://ee.example.com")
    visit(NOW, emailengine=replace(EMAILENGINE, uptime_s=4.0))

    assert state().core_unknown["emailengine.queue-workers"] == "starting"
    found = PairSchedule.objects.get()
    assert found.persistence_due_at - NOW == timedelta(seconds=60.02)
    assert found.next_due_at <= found.persistence_due_at


def test_a_note_is_not_the_worst_finding_of_a_list():
    make_pairs(1)
    visit(NOW, engine=Engine.VALKEY)

    assert Finding.objects.get().severity == "info"
    found = state()
    assert (found.worst_short, found.worst_rule_id, found.oldest_opened_at) == ("", "", None)


def test_a_pending_fault_that_goes_leaves_nothing():
    make_pairs(1)
    visit(NOW, redis=UNREACHED)
    for n in range(1, 6):
        visit(NOW + n * MINUTE * 2)

    assert Finding.objects.count() == 0
    assert Transition.objects.count() == 0


def test_the_state_row_of_a_pair_that_never_answered():
    make_pairs(1)
    visit(NOW, redis=UNREACHED, emailengine=UNREACHED)

    found = state()
    assert (found.compliance, found.health, found.engine) == ("unverified", "unknown", "")
    assert (found.rtt_us, found.used_ratio, found.answered_at) == (None, None, None)
    assert found.checked_at == NOW
    assert Visit.objects.get().used_memory_bytes is None


def test_a_spent_claim_leaves_nothing():
    make_pairs(2)
    old = [judged(due, NOW, maxmemory_policy="allkeys-lru") for due in claimed(NOW)]
    new = [judged(due, NOW + MINUTE) for due in claimed(NOW + MINUTE)]

    assert record(old) == 0
    assert (Visit.objects.count(), Finding.objects.count()) == (0, 0)
    assert record(new) == 2
    assert record(new) == 0
    assert Visit.objects.count() == 2


def test_a_claim_is_not_even_visited_twice():
    make_pairs(1)
    visit(NOW)

    assert claimed(NOW) == []


def test_part_of_a_shard_may_be_spent():
    make_pairs(3)
    seen = [judged(due, NOW) for due in claimed(NOW)]
    record(seen[:1])

    assert record(seen) == 2
    assert Visit.objects.count() == 3


def test_numbers_no_column_can_hold_are_cut():
    make_pairs(1)
    visit(NOW, used_memory_bytes=10**30, rejected_connections=10**12, version="9" * 300)

    row = Visit.objects.get()
    assert (row.used_memory_bytes, row.rejected_connections) == (2**63 - 1, 2**31 - 1)
    assert state().version == "9" * 40


def test_one_visit_the_database_refuses_does_not_take_the_others_along():
    make_pairs(4)
    seen = [judged(due, NOW, maxmemory_policy="allkeys-lru") for due in claimed(NOW)]
    verdict = seen[2].verdicts["redis.eviction-policy"]
    seen[2].verdicts["redis.eviction-policy"] = replace(verdict, message="\0")

    assert record(seen) == 3
    assert Visit.objects.count() == 3


def test_facts_are_kept_when_they_change_or_are_old_or_somebody_asked():
    (pair,) = make_pairs(1)
    visit(NOW)
    start = NOW + 2 * MINUTE  # counters want two visits
    check_now([pair.pk], start)
    visit(start)
    written = [kept()]
    for n, what in enumerate(
        ({}, {"used_memory_bytes": 5}, {"maxmemory_policy": "volatile-lru"}), start=2
    ):
        visit(start + n * MINUTE, bits=HEALTH_LATENCY, **what)
        written.append(kept())
    asked = start + 6 * MINUTE
    check_now([pair.pk], asked)
    visit(asked, maxmemory_policy="volatile-lru")
    written.append(kept())
    old = rewritten_at(pair.pk, asked)
    visit(old - MINUTE, bits=HEALTH_LATENCY, maxmemory_policy="volatile-lru")
    assert set(kept().values()) == {asked}
    visit(old, bits=HEALTH_LATENCY, maxmemory_policy="volatile-lru")
    written.append(kept())

    health = [times["health"] for times in written]
    assert health == [start, start, start, start + 4 * MINUTE, asked, old]
    assert [times["latency"] for times in written] == [start, start, start, start, asked, old]
    assert [times["persistence"] for times in written] == [start, start, start, start, asked, asked]


def test_what_is_read_together_is_written_again_apart():
    again = [rewritten_at(target_id, NOW) - NOW for target_id in range(1, 1001)]

    assert min(again) >= REWRITTEN_EVERY / 2
    assert max(again) <= REWRITTEN_EVERY * 1.5
    by_minute = Counter(int(one / MINUTE) for one in again)
    assert max(by_minute.values()) <= 1.3 * 1000 / 60
    assert rewritten_at(7, rewritten_at(7, NOW)) - rewritten_at(7, NOW) == REWRITTEN_EVERY


def kept() -> dict[str, object]:
    return dict(LatestFacts.objects.values_list("cadence", "read_at"))


def test_what_another_worker_wrote_is_not_taken_for_ours():
    make_pairs(1)
    visit(NOW, maxmemory_policy="noeviction")
    LatestFacts.objects.update(digest=1)  # another process saw something else at this visit …
    claimed(NOW + 2 * MINUTE)  # … whose claim came between ours

    visit(NOW + 4 * MINUTE, bits=HEALTH_LATENCY)

    assert kept()["health"] == NOW + 4 * MINUTE


def test_each_cadence_keeps_its_own_facts_and_replies():
    make_pairs(1)
    visit(NOW)

    rows = {row.cadence: row for row in LatestFacts.objects.all()}
    assert set(rows) == {"health", "latency", "persistence", "stats", "backup"}
    assert "round_trips" in rows["latency"].facts["redis"]
    assert "round_trips" not in rows["health"].facts["redis"]
    assert rows["health"].raw == [["INFO", "# Server\nredis_version:7.2.6"]]
    assert rows["persistence"].raw == [["CONFIG GET save", "save 900 1 300 10"]]
    assert "redis.eviction-policy" in rows["persistence"].verdicts
    assert all(row.facts["redis"]["host"] == "redis-1.internal" for row in rows.values())


def test_raw_replies_are_kept_daily_at_least():
    make_pairs(1)
    visit(NOW)
    LatestFacts.objects.update(raw_at=NOW - timedelta(hours=25), read_at=NOW - timedelta(hours=2))
    claimed(NOW + 2 * MINUTE)
    visit(NOW + 4 * MINUTE)

    assert set(LatestFacts.objects.values_list("raw_at", flat=True)) == {NOW + 4 * MINUTE}


def test_a_secret_that_cannot_be_revealed_is_named_and_is_no_outage():
    make_pairs(1)
    Pair.objects.update(redis_password="env:PAIRKEEPER_SECRET_NOT_SET")

    (due,) = claimed(NOW)

    assert due.reach.target == Missing(
        "undetermined",
        "Redis was not visited: env:PAIRKEEPER_SECRET_NOT_SET is not set for this process",
    )
    record([judged(due, NOW, redis=due.reach.target, emailengine=due.reach.target)])
    assert Finding.objects.count() == 0
    assert state().health == "unknown"
    assert state().core_unknown["redis.reachable"] == "undetermined"


def test_core_rules_are_a_setting():
    make_pairs(1)
    (due,) = claimed(NOW)
    hidden = Missing("no_permission", "CONFIG is refused")
    mine = Policies({}, ("redis.tcp-keepalive", "redis.no-such-rule"))
    record([judged(due, NOW, EVERYTHING, mine, tcp_keepalive_s=hidden, save=hidden)])

    assert state().core_unknown == {"redis.tcp-keepalive": "no_permission"}


def test_unverified_by_a_long_absence_is_forgotten_at_the_next_visit():
    make_pairs(1)
    visit(NOW)
    PairState.objects.update(core_unknown={"redis.eviction-policy": "no_worker"})

    (due,) = claimed(NOW + 2 * MINUTE, bits=HEALTH_LATENCY)

    assert Cadence.PERSISTENCE in due.cadences


def test_what_changed_between_loading_and_recording_is_put_right():
    make_pairs(1)
    visit(NOW)
    lit = state().compliance
    (due,) = claimed(NOW + 2 * MINUTE, bits=HEALTH_LATENCY)
    PairState.objects.update(compliance="unverified", core_unknown={"redis.durability": "stale"})

    record([judged(due, NOW + 2 * MINUTE)])

    assert (state().compliance, state().core_unknown) == (lit, due.before.core_unknown)


def test_a_visit_like_the_one_before_sets_what_moves_and_keeps_the_rest():
    make_pairs(1)
    visit(NOW)
    visit(NOW + 2 * MINUTE)
    before = PairState.objects.values().get()
    at = NOW + 4 * MINUTE

    visit(at, bits=HEALTH_LATENCY, blocked_clients=9)

    assert PairState.objects.values().get() == before | {
        "recorded_claim": before["recorded_claim"] + 1,
        "blocked_clients": 9,
        "recent_rtt_us": "400 400 400",
        "recent_stall_us": "150 150 150",
        **dict.fromkeys(("health_at", "latency_at", "checked_at", "answered_at"), at),
    }


@pytest.mark.django_db(transaction=True)
def test_a_shard_recorded_by_many_at_once_counts_once():
    FleetSettings.objects.get_or_create(id=1)
    make_pairs(60)
    ensure_day(NOW.date())
    seen = [judged(due, NOW, maxmemory_policy="allkeys-lru") for due in claimed(NOW)]
    counts: list[int] = []

    def run(mine: list) -> None:
        try:
            counts.append(record(mine))
        finally:
            connection.close()

    orders = [seen, seen[::-1], seen[30:] + seen[:30], seen[::2] + seen[1::2]]
    threads = [threading.Thread(target=run, args=(mine,)) for mine in orders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(counts) == [0, 0, 0, 60]
    assert Visit.objects.count() == Finding.objects.count() == Transition.objects.count() == 60


def test_the_first_visits_of_a_shard_leave_all_their_facts():
    make_pairs(25)
    visit(NOW)

    found = dict(LatestFacts.objects.values_list("cadence").annotate(Count("pk")))
    assert found == dict.fromkeys(found, 25)
    assert found.keys() >= {"health", "latency", "persistence"}

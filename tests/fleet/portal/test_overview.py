import re
from datetime import timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone

from fleet.portal import addresses
from fleet.portal.overview import overview
from fleet.portal.scoped_admin import Rows
from fleet.registry.scoping import EVERYTHING
from tests.fleet.factories import (
    NOW,
    make_finding,
    make_pair,
    make_person,
    make_state,
    make_worker,
)

pytestmark = pytest.mark.django_db
ROWS = Rows(EVERYTHING, EVERYTHING)


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture(autouse=True)
def _manned(db):
    make_worker()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def seen():
    cache.clear()
    return overview(ROWS, NOW)


def read_pair(tenant="Northwind Mail", zone="eu-1", mailboxes=None, **state):
    pair = make_pair(tenant, zone, expected_mailboxes=mailboxes)
    make_state(pair, **state)
    return pair


# --- the sentence names the worst


@pytest.mark.parametrize(
    ("states", "sentence", "worst"),
    [
        (["compliant"], "The only pair is compliant", "compliant"),
        (["compliant"] * 2, "All 2 pairs are compliant", "compliant"),
        (["unverified", "compliant"], "1 pair could not be verified", "unverified"),
        (["at_risk", "at_risk", "unverified"], "2 pairs are at risk", "at_risk"),
        (["non_compliant", "at_risk"], "1 of 2 pairs is non-compliant", "non_compliant"),
    ],
)
def test_the_compliance_sentence(states, sentence, worst):
    for state in states:
        read_pair(compliance=state)

    lamp = seen().compliance

    assert (lamp.sentence, lamp.worst.state) == (sentence, worst)
    assert {one.state: one.count for one in lamp.segments if one.count} == {
        state: states.count(state) for state in states
    }


def test_the_health_sentence_says_what_fails():
    stopped, silent = read_pair(health="failing"), read_pair(health="failing")
    make_finding(stopped, "emailengine.queue-workers", kind="operation")
    make_finding(silent, "redis.reachable", kind="operation")
    make_finding(silent, "redis.stall", kind="operation", severity="warning")
    make_finding(silent, "redis.rdb-last-status", kind="operation")

    lamp = seen().health

    assert lamp.sentence == "2 pairs are failing"
    assert (
        lamp.detail == "1 accepts mail and never sends it, 1 does not answer, 1 other check fails."
    )


# --- do first


def test_do_first_puts_stopped_mail_before_mailboxes_and_critical_before_warning():
    many, few = read_pair(mailboxes=9000), read_pair(mailboxes=10)
    make_finding(many, "redis.eviction-policy", cause="policy")
    make_finding(many, "redis.tcp-keepalive", severity="warning")
    make_finding(few, "emailengine.queue-workers", kind="operation")
    make_finding(few, "redis.durability", severity="info")

    tasks = seen().tasks

    assert [one.url for one in tasks] == [
        addresses.findings(rule="emailengine.queue-workers", severity="critical"),
        addresses.findings(rule="redis.eviction-policy", severity="critical"),
        addresses.findings(rule="redis.tcp-keepalive", severity="warning"),
    ]


def test_a_task_sums_pairs_mailboxes_and_keeps_the_oldest():
    for mailboxes, days in ((400, 3), (None, 9), (100, 1)):
        pair = read_pair(mailboxes=mailboxes)
        make_finding(pair, cause="policy", opened_at=NOW - timedelta(days=days))

    (task,) = seen().tasks

    assert (task.do, task.pairs_count, task.mailboxes_count, task.oldest_at) == (
        "Set maxmemory-policy to noeviction",
        3,
        500,
        NOW - timedelta(days=9),
    )


def test_a_pending_finding_and_an_archived_pair_are_no_task():
    make_finding(read_pair(), state="pending")
    gone = make_pair(state="archived")
    make_state(gone)
    make_finding(gone)

    found = seen()

    assert (found.tasks, found.failed_rules) == ([], [])
    assert found.open_counts == {"critical": 0, "warning": 0, "pending": 1, "waived": 0}


def test_an_unknown_rule_of_another_version_is_still_shown():
    make_finding(read_pair(), "redis.of-tomorrow", message="Tomorrow's rule fails")

    assert [one.do for one in seen().tasks] == ["Tomorrow's rule fails"]


# --- what changed, how fresh, why not


def test_moves_of_the_last_24_hours_newest_first():
    pair = read_pair()
    make_finding(pair, short="policy", opened_at=NOW - timedelta(hours=2))
    make_finding(pair, "redis.stall", severity="info", opened_at=NOW - timedelta(hours=1))
    make_finding(
        pair,
        "pair.rtt",
        state="resolved",
        short="RTT 6.02 ms",
        opened_at=NOW - timedelta(hours=25),
        resolved_at=NOW - timedelta(hours=1),
    )

    moves = seen().moves

    assert [(one.state, one.text) for one in moves.newest] == [
        ("resolved", "was: RTT 6.02 ms, for 24\u202fh"),
        ("critical", "policy"),
    ]
    assert (moves.opened_count, moves.resolved_count) == (1, 1)


@time_machine.travel(NOW, tick=False)
def test_the_counts_of_moves_lead_to_what_they_count(operator):
    pair = read_pair()
    make_finding(pair, opened_at=NOW - timedelta(hours=23))
    make_finding(pair, "redis.stall", severity="info")
    make_finding(pair, "redis.version", opened_at=NOW - timedelta(hours=25))

    listed = operator.get(addresses.findings(since="24h")).context["cl"].result_count

    assert (seen().moves.opened_count, listed) == (1, 1)


@pytest.mark.parametrize(
    ("engine", "seconds", "late"),
    [("valkey", 180, 0), ("valkey", 181, 1), ("upstash", 900, 0), ("upstash", 901, 1)],
)
def test_a_pair_is_late_after_three_of_its_engines_intervals(engine, seconds, late):
    read_pair(engine=engine, checked_at=NOW - timedelta(seconds=seconds))

    assert seen().freshness.late_count == late


@pytest.mark.parametrize(
    ("minutes", "words"),
    [((1, 1), "what is happening now"), ((1, 9), "what is happening now"), ((8, 9), "as it was")],
)
def test_health_that_nobody_looks_at_is_not_told_as_now(operator, minutes, words):
    """Where no worker runs nobody takes the green off: the page itself says how old it is."""
    for place, number in enumerate(minutes):
        checked_at = timezone.now() - timedelta(minutes=number)
        make_state(make_pair(name=f"pair-{place}"), checked_at=checked_at)

    text = " ".join(operator.get("/admin/").content.decode().split())

    said = "as it was 8 min ago: nobody looks now"
    assert ("what is happening now" in text) is (words == "what is happening now")
    assert (said in re.sub("<[^>]+>", "", text)) is (words == "as it was")


def test_paused_pairs_are_never_late():
    paused = make_pair(state="paused")
    make_state(paused, checked_at=NOW - timedelta(days=3))

    found = seen().freshness

    assert (found.active_count, found.late_count, found.oldest_at) == (0, 0, None)


def test_doubts_count_pairs_by_reason():
    both = {"redis.durability": "unattested", "pair.rtt": "undetermined"}
    read_pair(compliance="unverified", core_unknown=both)
    read_pair(compliance="unverified", core_unknown={"redis.version": "unattested"})
    read_pair(core_unknown={"redis.reachable": "timeout"})

    every = dict.fromkeys(("redis.version", "redis.durability", "pair.rtt", "backup.age"), "paused")
    for _number in range(3):
        read_pair(compliance="unverified", core_unknown=every)

    assert [(one.words, one.rules, one.count) for one in seen().doubts] == [
        ("Checking is paused", "4 core rules", 3),
        ("Not attested", "redis.durability, redis.version", 2),
        ("Cannot be determined", "pair.rtt", 1),
    ]


def test_tenants_stand_least_compliant_first_with_their_coverage():
    read_pair("Good", conclusive_counts=[10, 8], applicable_counts=[10, 10])
    read_pair("Bad", compliance="non_compliant", conclusive_counts=[5], applicable_counts=[10])
    read_pair("Bad", conclusive_counts=[10], applicable_counts=[10])

    found = seen()

    assert [
        (one.name, one.compliant_count, one.pairs_count, one.conclusive, one.applicable)
        for one in found.tenants
    ] == [("Bad", 1, 2, 15, 20), ("Good", 1, 1, 18, 20)]
    assert (found.conclusive, found.applicable) == (33, 40)


# --- alarms


def test_a_zone_without_a_worker_is_told_with_its_pairs():
    make_worker("ap-1", seen=timedelta(minutes=11))
    make_pair(zone="ap-1")
    make_pair(zone="sa-1")
    make_pair(zone="sa-1", state="paused")
    make_worker("nobody-waits", seen=timedelta(days=9))

    assert [alarm.text for alarm in seen().alarms] == [
        "No worker seen in zone ap-1 for 11\u202fmin: 1 pair cannot be checked.",
        "No worker was ever seen in zone sa-1: 1 pair cannot be checked.",
    ]


@pytest.mark.parametrize(("seconds", "alarms"), [(60, 0), (61, 1)])
def test_a_worker_is_missed_after_a_minute(seconds, alarms):
    make_worker("ap-1", seen=timedelta(seconds=seconds))
    make_pair(zone="ap-1")

    assert len(seen().alarms) == alarms


# --- the page


def test_without_a_pair_the_page_says_how_to_begin(operator):
    text = operator.get(reverse("admin:index")).content.decode()

    assert "No pair yet" in text
    assert "ACL SETUSER pairkeeper on &gt;CHOOSE-A-PASSWORD" in text
    assert reverse("admin:registry_pair_add") in text


@pytest.mark.parametrize("is_demo", [True, False])
def test_a_demo_fleet_is_called_one(operator, is_demo):
    tenant = read_pair().target.tenant
    tenant.is_demo = is_demo
    tenant.save()

    text = operator.get(reverse("portal:overview")).content.decode()

    assert ("its EmailEngine is a simulator" in text) is is_demo


@time_machine.travel(NOW, tick=False)
def test_while_pairs_are_read_for_the_first_time_the_page_says_so(operator):
    read_pair()
    make_pair()

    text = operator.get(reverse("portal:overview")).content.decode()

    assert "First reading under way, 1 of 2 pairs read." in text


@time_machine.travel(NOW, tick=False)
def test_the_page_takes_few_queries_however_many_rows(operator, django_assert_max_num_queries):
    for tenant in ("A", "B", "C"):
        for rule_id in ("redis.eviction-policy", "pair.rtt", "redis.version"):
            make_finding(read_pair(tenant), rule_id)
    cache.clear()

    with django_assert_max_num_queries(12):
        operator.get(reverse("admin:index"))
    with django_assert_max_num_queries(2):  # the session and the person: the rest was kept
        operator.get(reverse("portal:overview"))

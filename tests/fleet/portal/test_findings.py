"""The finding list and the page of one finding."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from django.utils.html import strip_tags

from fleet.alerts.models import Channel, Mail, new_message_id
from fleet.findings.models import Finding, Waiver
from fleet.portal.finding_page import shown_evidence
from tests.checks.pairs import facts_with
from tests.fleet.factories import (
    make_finding,
    make_pair,
    make_person,
    make_reading,
    make_state,
    make_tenant,
    make_worker,
    move,
)

pytestmark = pytest.mark.django_db
LIST = "/admin/findings/finding/"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def make_waiver(target, rule_id, by, now):
    return Waiver.objects.create(
        tenant=target.tenant,
        rule_id=rule_id,
        severity="critical",
        kind="accepted_risk",
        reason="accepted",
        requested_by=by,
        requested_at=now,
        approved_by=by,
        approved_at=now,
        expires_at=now + timedelta(days=20),
    )


def messages(answer):
    return [finding.message for finding in answer.context["cl"].result_list]


def test_open_findings_come_by_severity_then_the_newest(operator):
    now = timezone.now()
    pair = make_pair()
    make_finding(pair, "a", severity="warning", message="warning", opened_at=now)
    make_finding(pair, "b", message="old", opened_at=now - timedelta(days=1))
    make_finding(pair, "c", message="new", opened_at=now)
    make_finding(pair, "d", message="pending", state="pending")
    make_finding(pair, "e", message="back", state="resolved", resolved_at=now)
    make_finding(make_pair(state="archived"), message="archived")

    assert messages(operator.get(LIST)) == ["new", "old", "warning"]
    assert messages(operator.get(LIST, {"state": "pending"})) == ["pending"]
    assert messages(operator.get(LIST, {"state": "resolved"})) == ["back"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"severity": "warning"}, ["slow"]),
        ({"rule": "pair.rtt"}, ["slow"]),
        ({"kind": "operation"}, ["stuck"]),
        ({"tenant": "Halden Clinics"}, ["stuck"]),
        ({"environment": "staging"}, ["stuck"]),
        ({"zone": "us-1"}, ["stuck"]),
        ({"q": "halden"}, ["stuck"]),
        ({"q": "rtt"}, ["slow"]),
    ],
)
def test_filters_and_search(operator, query, found):
    make_finding(make_pair(), "pair.rtt", severity="warning", message="slow")
    pair = make_pair("Halden Clinics", "us-1", environment="staging")
    make_finding(pair, "redis.accepts-writes", kind="operation", message="stuck")

    assert messages(operator.get(LIST, query)) == found


def test_views_and_chips_count_what_they_lead_to(operator):
    pair = make_pair()
    make_finding(pair, "a")
    make_finding(pair, "b", severity="warning", stale_since=timezone.now())
    make_finding(pair, "c", state="pending", severity="warning")

    found = operator.get(LIST, {"state": "pending"}).context

    assert [(f"{one['word']}", one["count"], one["is_current"]) for one in found["views"]] == [
        ("Open", 2, False),
        ("Mine", None, False),
        ("Stale", 1, False),
        ("Waived", 0, False),
        ("Pending", 1, True),
        ("Resolved this week", None, False),
    ]
    assert [chip["count"] for chip in found["severities"]] == [0, 1, 0]
    assert [messages(operator.get(one["url"])) for one in found["views"]] == [
        messages(operator.get(LIST)),
        [],
        [made.message for made in Finding.objects.filter(rule_id="b")],
        [],
        [made.message for made in Finding.objects.filter(rule_id="c")],
        [],
    ]


def test_mine_is_what_one_acknowledged_or_asked_to_waive(client):
    now, pair = timezone.now(), make_pair()
    me, other = make_person("mara"), make_person("tom")
    for rule, by, hours in (("a", me, 1), ("b", me, -1), ("c", other, 1)):
        until = now + timedelta(hours=hours)
        make_finding(pair, rule, message=rule, acknowledged_by=by, acknowledged_until=until)
    for rule, by in (("d", me), ("e", other)):
        waiver = make_waiver(pair.target, rule, by, now)
        make_finding(pair, rule, message=rule, waiver=waiver)
    client.force_login(me)

    assert sorted(messages(client.get(LIST, {"state": "mine"}))) == ["a", "d"]


def test_resolved_this_week_leaves_older_ones_out(operator):
    now, pair = timezone.now(), make_pair()
    for rule, days in (("new", 6), ("old", 8)):
        at = now - timedelta(days=days)
        make_finding(pair, rule, message=rule, state="resolved", resolved_at=at, severity="info")

    assert messages(operator.get(LIST, {"state": "resolved", "since": "7d"})) == ["new"]
    assert messages(operator.get(LIST, {"state": "resolved"})) == ["new", "old"]
    assert operator.get(LIST, {"state": "resolved"}).context["views"][-1]["is_current"]


def mail_about(findings, tenant=None):
    now = timezone.now()
    channel = Channel.objects.create(
        tenant=tenant and make_tenant(tenant), name="Ops", address=f"{tenant}@example.com"
    )
    return Mail.objects.create(
        channel=channel,
        kind="alert",
        message_id=new_message_id(),
        made_at=now,
        next_attempt_at=now,
        subject="[Critical] Northwind Mail",
        finding_ids=[one.pk for one in findings],
    )


def test_the_link_of_a_mail_shows_what_it_told_of_in_whatever_state_it_is_now(operator):
    pair, now = make_pair(), timezone.now()
    told = make_finding(pair, "a", message="open")
    over = make_finding(pair, "b", message="over", state="resolved", resolved_at=now)
    make_finding(pair, "c", message="another")
    mail = mail_about([told, over])

    answer = operator.get(LIST, {"mail": mail.pk})

    assert sorted(messages(answer)) == ["open", "over"]
    assert [one["is_current"] for one in answer.context["views"]] == [False] * 6
    assert f'href="/admin/alerts/mail/{mail.pk}/change/"' in answer.content.decode()
    assert messages(operator.get(LIST, {"mail": mail.pk, "state": "open"})) == ["open"]


@pytest.mark.parametrize("number", ["0", "x", "9" * 30, "²"])
def test_a_mail_that_there_is_not_shows_nothing(operator, number):
    make_finding(make_pair())

    assert messages(operator.get(LIST, {"mail": number})) == []


def test_a_mail_that_one_may_not_see_shows_nothing(client):
    finding = make_finding(make_pair("Northwind Mail"))
    client.force_login(make_person("tess", is_operator=False, roles=[("viewer", "Northwind Mail")]))
    ours, operators = mail_about([finding], "Northwind Mail"), mail_about([finding])

    assert messages(client.get(LIST, {"mail": ours.pk})) == [finding.message]
    answer = client.get(LIST, {"mail": operators.pk})
    assert messages(answer) == []
    assert operators.subject not in answer.content.decode()


def test_a_page_of_fifty_costs_no_query_per_row(operator):
    for _ in range(55):
        make_finding(make_pair())
    operator.get(LIST)
    cache.clear()

    with CaptureQueriesContext(connection) as queries:
        answer = operator.get(LIST)

    assert len(messages(answer)) == 50
    assert len(queries) <= 12, [one["sql"][:120] for one in queries]


def bad():
    now = timezone.now()
    make_worker(now=now)
    pair = make_pair(name="northwind-eu-0417", redis_url="redis://redis-0417.example.com:6379/0")
    make_state(pair, now=now)
    make_reading(
        pair,
        facts_with(maxmemory_policy="allkeys-lru", host="10.0.0.4", config_file="/etc/valkey.conf"),
        now,
    )
    return pair, make_finding(pair, now=now, worst="allkeys-lru")


def page(finding, view="change/"):
    return f"{LIST}{finding.pk}/{view}"


def test_the_page_tells_how_to_put_it_right_on_this_server(operator):
    _pair, finding = bad()

    text = operator.get(page(finding)).content.decode()

    for wanted in (
        "Redis may evict keys: maxmemory-policy is allkeys-lru",
        "<code>CONFIG SET maxmemory-policy noeviction</code>",
        "<code>maxmemory-policy noeviction</code>",
        "In /etc/valkey.conf on redis-0417.example.com, or run CONFIG REWRITE.",
        "<code>CONFIG GET maxmemory-policy</code>",
        "<code>CONFIG SET maxmemory-policy allkeys-lru</code>",
        "Valkey 8.0.1",
        "and this finding closes itself.",
    ):
        assert wanted in text
    assert "Open for 14\u202fmin, since" in strip_tags(text)


def test_the_page_counts_the_other_pairs_that_fail_the_rule(operator):
    _pair, finding = bad()
    make_finding(make_pair())
    make_finding(make_pair(state="archived"))
    make_finding(make_pair(), "pair.rtt")

    answer = operator.get(page(finding))

    assert answer.context["others"] == 1
    assert "/admin/findings/finding/?rule=redis.eviction-policy" in answer.content.decode()


def test_the_timeline_tells_every_move(operator):
    _pair, finding = bad()
    now = timezone.now()
    move(finding, "severity", now, from_severity="warning", to_severity="critical", note="worse")
    move(finding, "resolved", now, from_state="open", to_state="resolved", note="1 of 1 passed")

    found = operator.get(page(finding)).context["timeline"]

    assert not found.has_more
    assert [(one.mark, one.words, one.note) for one in found.events] == [
        ("critical", "Opened, critical", ""),
        ("critical", "Now critical", "worse"),
        ("resolved", "Resolved", "1 of 1 passed"),
    ]


def test_a_resolved_finding_asks_for_nothing_and_names_its_successor(operator):
    pair, live = bad()
    past = make_finding(pair, state="resolved", resolved_at=timezone.now())

    text = operator.get(page(past)).content.decode()

    assert "data-pk-check" not in text
    assert "Observed then" in text
    assert f"/admin/findings/finding/{live.pk}/change/" in text


def test_a_rule_that_is_gone_still_shows_its_finding(operator):
    finding = make_finding(make_pair(), "redis.long-gone", message="it was so")

    text = operator.get(page(finding)).content.decode()

    assert "it was so" in text
    assert "How to put it right" not in text


def test_the_page_costs_at_most_twelve_queries(operator):
    _pair, finding = bad()
    operator.get(page(finding))
    cache.clear()

    with CaptureQueriesContext(connection) as queries:
        operator.get(page(finding))

    assert len(queries) <= 12, [one["sql"][:120] for one in queries]


@pytest.mark.parametrize("view", ["change/", "body/"])
def test_another_tenants_finding_is_not_there(client, view):
    finding = make_finding(make_pair())
    client.force_login(make_person("vera", is_operator=False, roles=[("editor", "Halden Clinics")]))

    assert client.get(page(finding, view)).status_code == 404


def test_nobody_edits_a_finding(operator):
    finding = make_finding(make_pair())

    assert operator.post(page(finding), {"state": "resolved"}).status_code == 405
    assert operator.get(f"{LIST}add/").status_code == 403
    assert operator.post(page(finding, "delete/"), {"post": "yes"}).status_code == 403


def test_evidence_has_units_by_the_ending_of_its_names():
    evidence = {
        "used_ratio": 0.71,
        "ceiling_bytes": 4 * 1024**3,
        "rtt_us": 1420,
        "age_s": 840,
        "keys_count": 12000,
        "is_open": True,
        "policy": "allkeys-lru",
        "save": [[900, 1], [300, 10]],
        "loss_s": -1,
        "none": None,
    }

    assert dict(shown_evidence(evidence)) == {
        "used_ratio": "71%",
        "ceiling_bytes": "4.0\u202fGiB",
        "rtt_us": "1.42\u202fms",
        "age_s": "14\u202fmin",
        "keys_count": "12,000",
        "is_open": "yes",
        "policy": "allkeys-lru",
        "save": "900/1, 300/10",
        "loss_s": "-1",
        "none": "not read",
    }

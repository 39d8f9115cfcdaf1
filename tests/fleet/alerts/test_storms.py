"""Thousands of pairs fail within a minute, and return: how many mails is that, and what do they cost?"""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from fleet.alerts import gather, route, send
from fleet.alerts.models import Delivery, Mail, Told
from fleet.findings.models import Finding, Transition
from fleet.registry.models import Pair, Target
from tests.fleet.alerts.stories import NORTHWIND, OPS, make_channel
from tests.fleet.factories import make_tenant, make_zone

CONTOSO = "ops@contoso.example"


def pairs(count, tenant="Northwind Mail", zone="eu-1") -> list[Target]:
    home = {"tenant": make_tenant(tenant), "zone": make_zone(zone)}
    targets = Target.objects.bulk_create(
        Target(name=f"{tenant}-{zone}-{number}", **home) for number in range(count)
    )
    Pair.objects.bulk_create(
        Pair(target=one, redis_url="redis://redis.example.com:6379/0") for one in targets
    )
    return targets


def fail(targets, at, **fields) -> list[Finding]:
    """Set-based: what a shard of visits leaves."""
    values = {"rule_id": "redis.reachable", "kind": "operation", "severity": "critical", **fields}
    found = Finding.objects.bulk_create(
        Finding(
            target=one,
            state="open",
            message="Redis refuses connections",
            short="refused",
            observed="refused",
            required="answers",
            evidence={"origin": "eu-1"},
            engine="valkey",
            engine_version="8.0.1",
            first_seen_at=at,
            opened_at=at,
            **values,
        )
        for one in targets
    )
    move(found, "opened", at, "pending", "open")
    return found


def mend(findings, at) -> None:
    Finding.objects.filter(pk__in=[one.pk for one in findings]).update(
        state="resolved", resolved_at=at
    )
    move(findings, "resolved", at, "open", "resolved")


def move(findings, cause, at, before, after) -> None:
    Transition.objects.bulk_create(
        Transition(
            finding=one,
            cause=cause,
            at=at,
            from_state=before,
            to_state=after,
            from_severity=one.severity,
            to_severity=one.severity,
        )
        for one in findings
    )


def sixths(found):
    size = -(-len(found) // 6)
    return [found[start : start + size] for start in range(0, len(found), size)]


@pytest.mark.slow
def test_three_thousand_pairs_within_a_minute_are_one_mail_each(story):
    make_channel(None, address=OPS)
    make_channel()
    make_channel("Contoso", address=CONTOSO)
    found = [*pairs(2980), *pairs(20, "Contoso")]
    found = [*found[::2], *found[1::2]]  # Contoso's fail at both ends
    findings = []
    for part in sixths(found):
        findings += fail(part, story.now)
        story.after(seconds=10)
    story.after(minutes=10)

    assert story.subjects(OPS) == ["[Fleet] 2,000 pairs changed in zone eu-1"]
    assert story.subjects(NORTHWIND) == ["[Critical] Northwind Mail: 2,980 pairs are failing"]
    assert story.subjects(CONTOSO) == ["[Critical] Contoso: 20 pairs are failing"]
    assert Told.objects.filter(is_open=True).count() == 3000 + 2980 + 20
    assert not Delivery.objects.filter(state="waiting").exists()

    for part in sixths(findings):
        mend(part, story.now)
        story.after(seconds=10)
    story.after(minutes=10)
    assert [len(story.subjects(to)) for to in (OPS, NORTHWIND, CONTOSO)] == [2, 2, 2]
    assert story.subjects(OPS)[1] == "[Fleet] 2,000 pairs back in zone eu-1"
    assert story.subjects(CONTOSO)[1] == "[Resolved] Contoso: 20 pairs are back after 11 min"
    assert not Told.objects.filter(is_open=True).exists()
    assert story.inbox.to(OPS)[1]["References"] == story.inbox.to(OPS)[0]["Message-ID"]


def test_a_storm_costs_the_same_few_queries_and_a_small_mail(story):
    """The bounds are far above what it takes (0.5 s a step), for a machine that does other work."""
    make_channel(None, address=OPS)
    make_channel()
    fail(pairs(3000), story.now)
    counts = []
    for step in (
        lambda: route.route(story.now),
        lambda: gather.gather(story.now + timedelta(seconds=60)),
        lambda: send.send_one(lambda: story.now + timedelta(seconds=60)),
        lambda: send.send_one(lambda: story.now + timedelta(seconds=60)),
    ):
        begun = time.perf_counter()
        with CaptureQueriesContext(
            connection,
        ) as seen:
            step()
        counts.append(len(seen))
        assert time.perf_counter() - begun < 60
    assert max(counts) <= 40, counts
    assert Mail.objects.filter(state="sent").count() == 2
    assert all(len(one.as_bytes()) < 45_000 for one in story.inbox.mails)


def test_what_joins_the_storm_belongs_to_its_mail_but_another_rule_does_not(story):
    make_channel(None, address=OPS)
    found = pairs(60)
    fail(found[:40], story.now)
    story.after(minutes=1)
    fail(found[40:50], story.now)
    fail(found[50:51], story.now, rule_id="redis.durability", kind="requirement")
    story.after(minutes=3)

    assert story.subjects(OPS) == [
        "[Fleet] 40 pairs changed in zone eu-1",
        "[Critical] Northwind Mail: 1 pair left compliance",
    ]
    fleet = Mail.objects.get(kind="fleet")
    assert fleet.deliveries.filter(state="mailed").count() == 50
    assert Told.objects.filter(mail=fleet, is_open=True).count() == 50

    story.after(minutes=3)
    fail(found[51:], story.now)
    story.after(minutes=1)
    assert len(story.subjects(OPS)) == 3


@pytest.mark.parametrize(
    ("zone_pairs", "failing", "is_storm"),
    [
        (1000, 25, False),
        (1000, 26, True),
        (50, 10, False),  # 20 % exactly
        (50, 11, True),
        (45, 10, True),
        (20, 9, False),  # a tiny zone has its floor
        (20, 10, True),
    ],
)
def test_what_is_a_storm(story, zone_pairs, failing, is_storm):
    make_channel(None, address=OPS)
    fail(pairs(zone_pairs)[:failing], story.now)
    story.after(minutes=1)

    assert story.mails() == [("fleet" if is_storm else "alert", "sent")]


def test_a_zone_hit_is_one_mail_and_the_rest_of_the_news_another(story):
    make_channel(None, address=OPS)
    fail(pairs(15, zone="eu-2"), story.now)
    fail(pairs(50, zone="eu-1")[:2], story.now)
    story.after(minutes=1)

    assert sorted(story.subjects(OPS)) == [
        "[Critical] Northwind Mail: 2 pairs are failing",
        "[Fleet] 15 pairs changed in zone eu-2",
    ]


def test_each_address_stays_within_its_cap_and_the_last_mail_collects_the_rest(story):
    make_channel(None, address=OPS)
    found = [pairs(1, f"Tenant {number:02}", zone=f"zone-{number}")[0] for number in range(30)]
    for target in found[:20]:
        fail([target], story.now)
        story.after(seconds=45)
    assert len(story.subjects(OPS)) == 20

    for target in found[20:24]:
        fail([target], story.now)
    story.after(minutes=20)
    assert len(story.subjects(OPS)) == 20
    story.after(minutes=40)
    assert story.subjects(OPS)[20:] == ["[Fleet] 4 pairs changed"]
    assert Mail.objects.get(kind="fleet").covers == []  # it collects, and is no storm
    assert not Delivery.objects.filter(state="waiting").exists()
    made = list(Mail.objects.values_list("made_at", flat=True))
    in_an_hour = [
        sum(timedelta(0) <= at - first < timedelta(hours=1) for at in made) for first in made
    ]
    assert max(in_an_hour) == 20

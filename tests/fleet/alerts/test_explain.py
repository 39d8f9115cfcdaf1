"""Every suppression has its sentence."""

from datetime import timedelta

import pytest

from fleet.alerts import route
from fleet.alerts.explain import REASONS, by_finding, explain, reason_in_words
from fleet.alerts.models import Channel, Delivery, Told
from fleet.registry.instants import instant
from tests.fleet.alerts.stories import NORTHWIND, OPS, START, make_channel
from tests.fleet.factories import make_finding, make_pair

NOW_MAILED = "would be mailed now; the first of a tenant's mails waits half a minute for others"


def words(pair, *findings, now=START):
    found = explain(pair.target, findings, list(Channel.objects.order_by("pk")), now, instant)
    return [(one.is_mailed, one.words) for one in found]


@pytest.mark.parametrize(
    ("channel", "fields", "said"),
    [
        ({}, {}, (True, NOW_MAILED)),
        ({"verified_at": None}, {}, (False, "its address is not verified")),
        ({"stopped_at": START}, {}, (False, "its owner stopped these mails")),
        (
            {"min_severity": "critical"},
            {"severity": "warning"},
            (False, "the channel wants criticals only"),
        ),
        (
            {"environments": ["staging"]},
            {},
            (False, "the channel wants other environments: staging"),
        ),
        (
            {"subjects": ["backup", "pair"]},
            {},
            (False, "the channel wants other subjects: backup, pair"),
        ),
        ({}, {"state": "pending"}, (False, "not confirmed yet")),
        ({}, {"severity": "info"}, (False, "a note: stands in the digest only")),
    ],
)
def test_why_a_channel_hears_or_not(db, channel, fields, said):
    make_channel(**channel)
    pair = make_pair()

    assert words(pair, make_finding(pair, now=START, **fields)) == [said]


def test_what_was_told_and_when_it_is_told_again(db):
    channel, pair = make_channel(), make_pair()
    finding = make_finding(pair, now=START)
    told = Told.objects.create(
        channel=channel,
        target=pair.target,
        rule_id=finding.rule_id,
        finding=finding,
        is_open=True,
        severity="critical",
        opened_at=finding.opened_at,
        told_at=[START],
        next_reminder_at=START + timedelta(hours=4),
    )
    assert words(pair, finding) == [
        (True, f"told at {instant(START)}; next reminder at {instant(START + timedelta(hours=4))}")
    ]

    finding.acknowledged_until = START + timedelta(hours=9)
    until = instant(finding.acknowledged_until)
    assert words(pair, finding) == [
        (True, f"told at {instant(START)}; acknowledged, so no reminder until {until}")
    ]
    told.delete()
    assert words(pair, finding) == [(True, NOW_MAILED)]


def test_what_was_routed_before_the_channel_was_there_is_in_its_digest_only(db):
    pair = make_pair()
    finding = make_finding(pair, now=START)
    route.route(START)
    channel = make_channel()
    late = "it opened before the channel wanted to hear of it: stands in the digest only"
    assert words(pair, finding) == [(False, late)]

    Delivery.objects.create(transition=finding.transitions.get(), channel=channel, made_at=START)
    assert words(pair, finding) == [(True, NOW_MAILED)]


def test_waivers_maintenance_and_operators_who_stand_in(db, waiver, maintenance):
    make_channel(None, address=OPS, environments=["staging"])
    pair = make_pair()
    finding = make_finding(pair, now=START)
    assert words(pair, finding) == [(True, NOW_MAILED)]  # nobody else wants a critical

    make_channel(address=NORTHWIND)
    finding.waiver = waiver(finding)
    assert words(pair, finding) == [
        (False, "the channel wants other environments: staging"),
        (False, "a waiver covers it"),
    ]
    maintenance([pair], START, minutes=30)
    assert words(pair, finding)[1] == (False, "waits for the end of maintenance")


def test_each_finding_comes_with_all_its_channels(db):
    make_channel()
    make_channel(None, address=OPS)
    pair = make_pair()
    findings = [make_finding(pair), make_finding(pair, "redis.durability")]
    found = explain(pair.target, findings, list(Channel.objects.all()), START, instant)

    assert [(finding, len(lines)) for finding, lines in by_finding(found)] == [
        (finding, 2) for finding in findings
    ]


def test_every_reason_has_words():
    assert all(reason_in_words(reason) != reason for reason in REASONS)
    assert reason_in_words("something else") == "something else"

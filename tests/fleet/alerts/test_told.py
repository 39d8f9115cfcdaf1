"""Who is mailed about what: whole stories, from a transition to the server that took the mail."""

from datetime import timedelta

import pytest

from fleet.alerts import gather, route
from fleet.alerts.models import Delivery, Mail, Told
from fleet.findings.models import Transition
from tests.fleet.alerts.stories import NORTHWIND, OPS, START, make_channel
from tests.fleet.factories import make_pair

OPENED = "[Critical] Northwind Mail: 1 pair left compliance"


def test_an_opening_is_mailed_after_half_a_minute(story):
    make_channel()
    story.opens(make_pair())

    story.after(seconds=30)
    assert story.subjects() == []
    story.after(seconds=10)

    assert story.subjects() == [OPENED]
    assert list(Transition.objects.filter(routed_at=None)) == []


def test_a_recovery_goes_to_whom_the_opening_went_in_the_same_thread(story):
    make_channel()
    finding = story.opens(make_pair())
    story.after(minutes=1)
    make_channel(address="late@northwind.example")
    story.after(minutes=11)
    story.resolves(finding)
    story.after(minutes=1)

    assert story.subjects() == [OPENED, "[Resolved] Northwind Mail: 1 pair is back after 12 min"]
    assert story.subjects("late@northwind.example") == []
    first, second = story.inbox.to(NORTHWIND)
    assert second["References"] == first["Message-ID"]
    assert first["References"] is None


def test_what_happens_within_a_window_is_one_mail(story):
    make_channel()
    pairs = [make_pair() for _ in range(3)]
    story.opens(pairs[0])
    story.after(seconds=20)
    story.opens(pairs[1])
    story.after(minutes=1)
    story.opens(pairs[2])
    story.after(minutes=3)

    assert story.subjects() == ["[Critical] Northwind Mail: 2 pairs left compliance"]
    story.after(minutes=2)
    assert story.subjects()[1:] == [OPENED]


def test_opened_and_resolved_before_the_mail_is_nothing(story):
    make_channel()
    finding = story.opens(make_pair())
    story.after(seconds=10)
    story.resolves(finding)
    story.after(minutes=10)

    assert story.subjects() == []
    assert story.fates() == [("dropped", "over"), ("dropped", "over")]


def test_a_withdrawn_finding_has_no_recovery_mail_and_may_open_again(story):
    make_channel()
    finding = story.opens(make_pair())
    story.after(minutes=1)
    story.resolves(finding, "withdrawn")
    story.after(minutes=10)
    assert story.subjects() == [OPENED]

    story.opens_again(finding)
    story.after(minutes=1)
    assert story.subjects() == [OPENED, OPENED]


def test_a_severity_that_rises_is_mailed_and_one_that_falls_is_not(story):
    make_channel()
    finding = story.opens(make_pair(), severity="warning")
    story.after(minutes=6)
    story.turns(finding, "critical")
    story.after(minutes=6)
    story.turns(finding, "warning")
    story.after(minutes=20)

    assert story.subjects() == ["[Warning] Northwind Mail: 1 pair at risk", OPENED]


def test_a_channel_of_criticals_hears_of_no_warning_but_of_the_end(story):
    make_channel(min_severity="critical")
    finding = story.opens(make_pair(), severity="warning")
    story.after(minutes=6)
    assert story.subjects() == []

    story.turns(finding, "critical")
    story.after(minutes=6)
    story.turns(finding, "warning")
    story.after(minutes=6)
    story.resolves(finding)
    story.after(minutes=6)
    assert [one.split(":")[0] for one in story.subjects()] == [
        "[Critical] Northwind Mail",
        "[Resolved] Northwind Mail",
    ]


def test_notes_are_not_mailed(story):
    make_channel()
    story.opens(make_pair(), severity="info")
    story.after(minutes=10)

    assert story.subjects() == []
    assert story.fates() == []


@pytest.mark.parametrize(
    ("fields", "is_told"),
    [
        ({}, True),
        ({"environments": ["production"]}, True),
        ({"environments": ["staging"]}, False),
        ({"subjects": ["redis", "backup"]}, True),
        ({"subjects": ["backup"]}, False),
        ({"min_severity": "critical"}, True),
        ({"verified_at": None}, False),
        ({"stopped_at": START}, False),
    ],
)
def test_a_channel_chooses(story, fields, is_told):
    make_channel(**fields)
    story.opens(make_pair())
    story.after(minutes=1)

    assert story.subjects() == ([OPENED] if is_told else [])


def test_another_tenants_channel_hears_nothing(story):
    make_channel("Contoso", address="ops@contoso.example")
    make_channel(None, address=OPS)
    story.opens(make_pair())
    story.after(minutes=1)

    assert story.subjects("ops@contoso.example") == []
    assert story.subjects(OPS) == [OPENED]


def test_a_critical_that_nobody_wants_goes_to_the_operators_with_an_alarm(story):
    make_channel(None, address=OPS, environments=["staging"])
    story.opens(make_pair())
    story.after(minutes=3)

    assert story.subjects(OPS) == [
        OPENED,
        "[Portal] Critical findings have no recipient: Northwind Mail. The operators were told instead",
    ]


def test_a_warning_that_nobody_wants_goes_to_nobody(story):
    make_channel(None, address=OPS, environments=["staging"])
    story.opens(make_pair(), severity="warning")
    story.after(minutes=3)

    assert story.subjects(OPS) == []


def test_a_waived_finding_is_not_mailed_and_its_waivers_end_opens_it_again(story, waiver):
    make_channel()
    finding = story.opens(make_pair())
    story.leaves(finding, "waived", waiver=waiver(finding))
    story.after(minutes=10)
    assert story.subjects() == []

    story.leaves(finding, "unwaived", waiver=None)
    story.after(minutes=1)
    assert story.subjects() == [OPENED]


def test_what_ends_while_waived_is_not_mailed(story, waiver):
    make_channel()
    finding = story.opens(make_pair())
    story.after(minutes=1)
    story.leaves(finding, "waived", waiver=waiver(finding))
    story.after(minutes=10)
    story.resolves(finding)
    story.after(minutes=10)

    assert story.subjects() == [OPENED]
    assert not Told.objects.get().is_open


def test_a_paused_pair_waits_and_an_archived_one_is_silent(story):
    make_channel()
    paused, archived = make_pair(), make_pair()
    story.opens(paused)
    story.opens(archived)
    paused.target.state, archived.target.state = "paused", "archived"
    paused.target.save()
    archived.target.save()
    story.after(minutes=10)
    assert story.subjects() == []

    paused.target.state = "active"
    paused.target.save()
    story.after(seconds=10)
    assert story.subjects() == [OPENED]


def test_quiet_moves_are_routed_to_nobody(story):
    make_channel()
    finding = story.opens(make_pair(), flapping_since=START)
    Transition.objects.update(is_quiet=True)
    story.after(minutes=1)

    assert story.subjects() == []
    assert finding.transitions.get().routed_at is not None


def test_routing_twice_makes_one_delivery(story):
    make_channel()
    story.opens(make_pair())
    story.tick()
    Transition.objects.update(routed_at=None)
    story.tick()

    assert Delivery.objects.count() == 1


def test_a_mail_stays_below_the_thread_of_its_incident_until_all_is_over(story):
    make_channel()
    first = story.opens(make_pair())
    story.after(minutes=6)
    second = story.opens(make_pair())
    story.after(minutes=6)
    story.resolves(first)
    story.resolves(second)
    story.after(minutes=6)
    story.opens(make_pair())
    story.after(minutes=6)

    roots = list(Mail.objects.order_by("pk").values_list("root__pk", flat=True))
    begun = Mail.objects.order_by("pk")[0].pk
    assert roots == [None, begun, begun, None]
    third = story.inbox.to(NORTHWIND)[2]
    assert third["References"].split() == [one["Message-ID"] for one in story.inbox.mails[:2]]


def test_a_flapping_server_is_three_mails_in_half_an_hour(story):
    make_channel()
    finding = story.opens(make_pair(), rule_id="redis.reachable", kind="operation")
    for _ in range(3):
        story.after(minutes=7)
        story.resolves(finding) if finding.state == "open" else story.opens_again(finding)
    story.flaps(finding)
    story.after(minutes=9)

    assert [one.partition("]")[0] for one in story.subjects()] == [
        "[Critical",
        "[Resolved",
        "[Critical",
    ]
    story.after(hours=1)
    assert story.subjects()[3:] == ["[Flapping] Northwind Mail: 1 pair comes and goes"]
    story.resolves(finding)
    Transition.objects.order_by("-pk").update(is_quiet=True)
    story.after(minutes=45)
    story.calms(finding)
    story.after(minutes=1)
    assert [one.partition("]")[0] for one in story.subjects()[4:]] == ["[Resolved"]


def test_the_reader_is_told_of_the_flapping_when_it_is_known_at_once(story):
    make_channel()
    finding = story.opens(make_pair(), rule_id="redis.reachable", kind="operation")
    for _ in range(3):
        story.after(seconds=50)
        story.resolves(finding) if finding.state == "open" else story.opens_again(finding)
    story.flaps(finding)
    story.after(minutes=30)

    assert [one.partition("]")[0] for one in story.subjects()] == ["[Critical", "[Flapping"]


def test_news_of_a_stopped_channel_is_dropped(story):
    channel = make_channel()
    story.opens(make_pair())
    story.after(seconds=10)
    channel.stopped_at = story.now
    channel.save()
    story.after(minutes=1)

    assert story.fates() == [("dropped", "stopped")]


def test_fault_to_mail_is_within_its_bound(story):
    """60 s interval + 3 of 5 by re-probes of 10 s and a dispatch each 2 s, then ours."""
    make_channel()
    confirmed_after = timedelta(seconds=60 + 2 * (10 + 2))
    begun = story.now
    story.opens(make_pair())
    while not story.subjects():
        story.after(seconds=5)

    assert confirmed_after + (story.now - begun) + timedelta(seconds=3 * 5) <= timedelta(
        seconds=150
    )


def test_what_happens_in_maintenance_is_told_as_a_difference_afterwards(story, maintenance):
    """One is over before it, one comes and goes within, one comes and stays."""
    make_channel()
    make_channel(None, address=OPS)
    before, within, stays = make_pair(), make_pair(), make_pair()
    told = story.opens(before)
    story.after(minutes=6)
    maintenance([before, within, stays], story.now, minutes=30)
    story.resolves(told)
    gone = story.opens(within)
    story.opens(stays)
    story.after(minutes=10)
    story.resolves(gone)
    story.after(minutes=15)
    assert (story.subjects(), story.subjects(OPS)) == ([OPENED], [OPENED])
    assert not story.mails()[2:]

    story.after(minutes=6)
    assert story.subjects()[1:] == [OPENED]
    text = story.inbox.to(NORTHWIND)[1].get_body(("plain",)).get_content()
    shown = [pair.target.name in text for pair in (before, within, stays)]
    assert shown == [True, False, True]


def test_maintenance_that_begins_while_a_mail_waits_keeps_it(story, maintenance):
    make_channel()
    pair = make_pair()
    story.opens(pair)
    route.route(story.now)
    story.now += timedelta(seconds=30)
    gather.gather(story.now)
    maintenance([pair], story.now, minutes=10)
    story.after(minutes=5)
    assert (story.subjects(), story.fates()) == ([], [("waiting", "")])

    story.after(minutes=7)
    assert story.subjects() == [OPENED]
    assert story.mails() == [("alert", "cancelled"), ("alert", "sent")]


def test_an_acknowledgement_opens_nothing_for_who_was_never_told(story):
    """The channel is younger than the finding, or wanted less severe ones at the time."""
    finding = story.opens(make_pair())
    story.after(minutes=1)
    make_channel()
    story.leaves(finding, "acknowledged", acknowledged_until=story.now + timedelta(hours=4))
    story.after(minutes=10)

    assert story.subjects() == []
    assert story.fates() == [("dropped", "acknowledged")]

"""Reminders, digests, reports, warnings before waivers end: at their time, and once."""

from datetime import UTC, datetime, timedelta

import pytest

from fleet.alerts import periodic, reminders
from fleet.alerts.models import Channel, Mail, Told
from fleet.findings.models import WaiverNotice
from fleet.history.models import ScoreDay
from tests.fleet.alerts.stories import NORTHWIND, OPS, START, make_channel
from tests.fleet.factories import make_pair, make_tenant

STILL = "[Critical] Northwind Mail: 1 pair still non-compliant"


def hours(story) -> list[float]:
    """When reminders were sent, in hours after the opening was."""
    mails = Mail.objects.filter(kind="reminder", state="sent").order_by("pk")
    first = Mail.objects.get(kind="alert").sent_at
    return [round((one.sent_at - first).total_seconds() / 3600) for one in mails]


def test_a_critical_is_reminded_of_three_times_and_then_daily(story):
    make_channel()
    story.opens(make_pair())
    story.after(minutes=1)
    story.after(hours=62)

    assert hours(story) == [4, 8, 12, 36, 60]
    assert set(story.subjects()[1:]) == {STILL}
    first, second = story.inbox.to(NORTHWIND)[:2]
    assert second["References"] == first["Message-ID"]


def test_a_warning_is_reminded_of_daily(story):
    make_channel()
    story.opens(make_pair(), severity="warning")
    story.after(minutes=1)
    story.after(hours=50)

    assert hours(story) == [24, 48]


def test_nobody_is_reminded_of_what_is_acknowledged_until_that_ends(story):
    make_channel()
    finding = story.opens(make_pair())
    story.after(minutes=1)
    story.leaves(finding, "acknowledged", acknowledged_until=story.now + timedelta(hours=9))
    story.after(hours=10)

    assert hours(story) == [9]


@pytest.mark.parametrize("what", ["resolved", "waived", "flapping", "paused", "stopped"])
def test_nobody_is_reminded_of_what_is_over(story, waiver, what):
    channel, pair = make_channel(), make_pair()
    finding = story.opens(pair)
    story.after(minutes=1)
    if what == "resolved":
        story.resolves(finding, "withdrawn")
    elif what == "waived":
        story.leaves(finding, "waived", waiver=waiver(finding))
    elif what == "flapping":
        finding.flapping_since = story.now
        finding.save()
    elif what == "paused":
        pair.target.state = "paused"
        pair.target.save()
    else:
        Channel.objects.filter(pk=channel.pk).update(stopped_at=story.now)
    story.after(hours=5)

    assert hours(story) == []


def test_reminders_of_one_tenant_meet_in_one_mail(story):
    make_channel()
    story.opens(make_pair())
    story.after(minutes=20)
    story.opens(make_pair())
    story.after(hours=5)

    assert story.subjects()[2:] == ["[Critical] Northwind Mail: 2 pairs still non-compliant"]


def test_operators_are_reminded_of_all_tenants_in_one_mail(story):
    make_channel(None, address=OPS)
    for tenant in ("Northwind Mail", "Contoso", "Fabrikam"):
        story.opens(make_pair(tenant))
    story.after(minutes=1)
    story.after(hours=5)

    assert story.subjects(OPS)[3:] == ["[Critical] Fleet: 3 pairs still non-compliant"]
    assert "Contoso / northwind-eu-" in story.inbox.mails[-1].get_body(("plain",)).get_content()


def test_a_reminder_that_fell_away_is_cancelled(story):
    make_channel()
    finding = story.opens(make_pair())
    story.after(minutes=1)
    story.now += timedelta(hours=4)
    reminders.remind(story.now)
    assert reminders.remind(story.now) == 0  # one is on its way
    story.resolves(finding, "withdrawn")
    story.after(minutes=1)

    assert story.mails() == [("alert", "sent"), ("reminder", "cancelled")]
    assert Told.objects.get().reminders_count == 0


@pytest.mark.parametrize(
    ("zone", "hour", "now", "made", "is_due"),
    [
        ("UTC", 8, "2026-11-21T07:59", None, False),
        ("UTC", 8, "2026-11-21T08:00", None, True),
        ("UTC", 8, "2026-11-21T23:59", None, True),  # late is better than never
        ("UTC", 8, "2026-11-21T09:00", "2026-11-21T08:00", False),
        ("UTC", 8, "2026-11-21T09:00", "2026-11-20T08:00", True),
        ("Europe/Berlin", 8, "2026-11-21T06:59", None, False),
        ("Europe/Berlin", 8, "2026-11-21T07:00", None, True),
        ("America/New_York", 8, "2026-11-21T12:59", "2026-11-20T13:00", False),
        ("America/New_York", 8, "2026-11-21T13:00", "2026-11-20T13:00", True),
        ("Pacific/Kiritimati", 0, "2026-11-21T10:00", None, True),
    ],
)
def test_when_a_digest_is_due(zone, hour, now, made, is_due):
    channel = Channel(
        time_zone=zone, digest_hour=hour, created_at=datetime(2026, 11, 1, tzinfo=UTC)
    )
    made_at = datetime.fromisoformat(made).replace(tzinfo=UTC) if made else None
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)

    assert periodic.is_due(channel, made_at, at) is is_due


def test_who_registers_after_the_hour_waits_for_the_next():
    channel = Channel(time_zone="UTC", digest_hour=8, created_at=START)

    assert not periodic.is_due(channel, None, START + timedelta(minutes=1))
    assert periodic.is_due(channel, None, START + timedelta(hours=18))


def test_a_digest_tells_of_the_day_once(story):
    make_channel(has_digest=True, digest_hour=15, min_severity="warning")
    old = story.opens(make_pair(), opened_at=START - timedelta(days=3))
    story.opens(make_pair(), rule_id="redis.idle-timeout", severity="info")
    gone = story.opens(make_pair())
    story.after(minutes=4)
    story.resolves(gone)
    story.after(hours=2)

    assert [one for one in story.subjects() if "Digest" in one] == [
        "[Digest] Northwind Mail: 1 new, 1 still open, 1 resolved"
    ]
    story.resolves(old)
    story.after(hours=24)
    assert [one for one in story.subjects() if "Digest" in one][1:] == [
        "[Digest] Northwind Mail: 0 new, 1 still open, 1 resolved"
    ]


def test_a_day_without_anything_to_tell_has_no_digest(story):
    make_channel(has_digest=True, digest_hour=15)
    make_pair()
    story.after(hours=2)

    assert (story.subjects(), story.mails()) == ([], [("digest", "cancelled")])


def test_the_operators_digest_names_tenants_and_doubts(story):
    make_channel(None, address=OPS, has_digest=True, digest_hour=15)
    story.opens(make_pair("Contoso"), stale_since=START)
    ScoreDay.objects.create(
        day=START.date(),
        tenant=None,
        pairs_count=10,
        compliant_count=7,
        at_risk_count=0,
        non_compliant_count=1,
        unverified_count=2,
        raw_compliant_count=7,
        conclusive_count=95,
        applicable_count=100,
    )
    story.after(hours=2)

    mail = next(one for one in story.inbox.to(OPS) if "Digest" in one["Subject"])
    text = " ".join(mail.get_body(("plain",)).get_content().split())
    assert "Contoso / northwind-eu-" in text
    assert "(70.0% compliant, coverage 95.0%)" in text
    assert "A core rule could not be verified 2 pairs" in text
    assert "A finding has had no conclusive reading for long 1 pair" in text


def test_a_tenant_gets_its_week_on_monday(story):
    make_channel(has_weekly=True, digest_hour=8, reported_at=START - timedelta(days=5))
    make_channel(None, address=OPS, has_weekly=True)
    finding = story.opens(make_pair())
    story.after(hours=1)
    story.resolves(finding)
    story.opens(make_pair())
    ScoreDay.objects.create(
        day=START.date(),
        tenant=make_tenant(),
        pairs_count=2,
        compliant_count=1,
        at_risk_count=0,
        non_compliant_count=1,
        unverified_count=0,
        raw_compliant_count=1,
        conclusive_count=9,
        applicable_count=10,
    )
    story.now += timedelta(days=1, hours=16)  # Monday morning, from Saturday noon
    story.after(hours=3)

    found = [one for one in story.subjects() if "Report" in one]
    assert found == ["[Report] Northwind Mail: 50.0% compliant, Mon 16 Nov – Sun 22 Nov"]
    text = (
        next(one for one in story.inbox.mails if "Report" in one["Subject"])
        .get_body(("plain",))
        .get_content()
    )
    assert "Opened" in text
    assert [one for one in story.subjects(OPS) if "Report" in one] == []
    sent = Mail.objects.get(kind="weekly").sent_at
    assert (sent.weekday(), sent.hour) == (0, 8)


def test_a_warning_waits_until_somebody_can_be_told(story, waiver):
    over = waiver(story.opens(make_pair()))
    WaiverNotice.objects.create(waiver=over, days=14, at=story.now)
    assert periodic.warn_of_ending(story.now) == 0

    make_channel(None, address=OPS)
    assert periodic.warn_of_ending(story.now) == 1
    assert WaiverNotice.objects.get().routed_at == story.now


def test_the_tenant_is_warned_before_its_waivers_end(story, waiver):
    make_channel()
    make_channel(None, address=OPS)
    finding = story.opens(make_pair())
    over = waiver(finding)
    story.leaves(finding, "waived", waiver=over)
    story.now = over.expires_at - timedelta(days=14)
    WaiverNotice.objects.create(waiver=over, days=14, at=story.now)
    story.after(minutes=3)

    assert len(story.subjects()) == 1
    assert story.subjects(OPS) == []
    assert WaiverNotice.objects.get().routed_at is not None
    assert periodic.warn_of_ending(story.now) == 0

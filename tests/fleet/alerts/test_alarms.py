"""Alarms of the portal itself: one episode per key, one mail to operators per episode."""

from datetime import timedelta

from fleet.alerts.alarms import clear_alarm, mail_alarms, raise_alarm
from fleet.alerts.models import Mail, PortalAlarm
from tests.fleet.alerts.stories import OPS, START, make_channel

KEY = "zone.eu-1.no-worker"


def test_an_alarm_is_one_episode_however_often_it_is_raised(db):
    raise_alarm(KEY, "No worker in eu-1 for 2 min.", "Start one.", START)
    raise_alarm(KEY, "No worker in eu-1 for 3 min.", "Start one.", START + timedelta(minutes=1))
    clear_alarm(KEY, START + timedelta(minutes=2))
    clear_alarm(KEY, START + timedelta(minutes=3))
    raise_alarm(KEY, "No worker in eu-1 for 2 min.", "Start one.", START + timedelta(hours=1))

    rows = PortalAlarm.objects.order_by("pk").values_list("since", "text", "ended_at")
    assert list(rows) == [
        (START, "No worker in eu-1 for 3 min.", START + timedelta(minutes=2)),
        (START + timedelta(hours=1), "No worker in eu-1 for 2 min.", None),
    ]


def test_operators_are_mailed_once_per_episode(story):
    make_channel(None, address=OPS)
    make_channel()
    raise_alarm(KEY, "No worker in eu-1.", "Start one.", story.now)
    raise_alarm("disk.low", "3 % of the disk are free.", "Add some.", story.now)
    story.after(minutes=20)

    assert len(story.subjects(OPS)) == 1
    assert story.subjects() == []
    text = story.inbox.to(OPS)[0].get_body(("plain",)).get_content()
    assert "No worker in eu-1." in text
    assert "Add some." in text

    clear_alarm(KEY, story.now)
    raise_alarm(KEY, "No worker in eu-1.", "Start one.", story.now)
    story.after(minutes=20)
    assert len(story.subjects(OPS)) == 2


def test_what_is_over_within_a_minute_or_before_its_mail_goes_is_not_mailed(story):
    make_channel(None, address=OPS)
    raise_alarm(KEY, "No worker in eu-1.", "Start one.", story.now)
    story.now += timedelta(seconds=59)
    assert mail_alarms(story.now) == 0
    story.now += timedelta(seconds=1)
    assert mail_alarms(story.now) == 1
    assert mail_alarms(story.now) == 0
    clear_alarm(KEY, story.now)
    story.after(minutes=1)

    assert story.subjects(OPS) == []
    assert Mail.objects.get().state == "cancelled"


def test_an_alarm_waits_for_an_operator(story):
    raise_alarm(KEY, "No worker in eu-1.", "Start one.", story.now)
    story.after(minutes=5)
    make_channel(None, address=OPS)
    story.after(minutes=2)

    assert len(story.subjects(OPS)) == 1

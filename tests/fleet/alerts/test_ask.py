"""What a person asks for while they wait, and messages to webhooks, against real servers."""

import json

from fleet.alerts import ask
from fleet.alerts.models import Channel, Mail, PortalAlarm
from fleet.registry.sealed import seal
from tests.fleet.alerts.stories import NORTHWIND, START, make_channel
from tests.fleet.alerts.test_webhook import receiver
from tests.fleet.factories import make_pair


def make_webhook(url, **fields):
    return make_channel(address=url, kind="webhook", key=seal("a key of our own"), **fields)


def rows():
    names = ("kind", "state", "answer", "error", "attempts", "lease_until")
    return list(Mail.objects.order_by("pk").values_list(*names))


def test_a_test_mail_is_sent_at_once_and_logged(inbox, db):
    asked = ask.trial(make_channel(), "mara", START)

    assert asked.is_taken
    assert inbox.subjects(NORTHWIND) == ["[Test] Pairkeeper reaches this address"]
    assert rows() == [("test", "sent", asked.answer, "", 1, None)]
    assert asked.answer.startswith("250 ")


def test_a_test_that_is_refused_says_why_and_is_no_dead_letter(inbox, db):
    inbox.answer = "550 5.1.1 no such mailbox"
    asked = ask.trial(make_channel(), "mara", START)

    assert asked == ask.Asked(is_taken=False, answer="550 5.1.1 no such mailbox")
    assert rows() == [("test", "cancelled", "", "550 5.1.1 no such mailbox", 1, None)]


def test_an_address_is_asked_before_anything_else_goes_there(inbox, db):
    channel = make_channel(verified_at=None)
    ask.verify(channel, "mara", START)

    [message] = inbox.to(NORTHWIND)
    assert message["Subject"] == "Confirm that Pairkeeper may mail this address"
    assert "List-Unsubscribe" not in message
    channel.refresh_from_db()
    assert not channel.is_told


def test_a_webhook_that_takes_its_test_is_verified(db, settings):
    with receiver() as server:
        channel = make_webhook(server.url, verified_at=None)
        assert ask.trial(channel, "mara", START).is_taken
    channel.refresh_from_db()

    assert channel.verified_at == START
    assert json.loads(server.taken[0][2])["test"] == {"channel": "Operations", "asked_by": "mara"}


def test_a_webhook_that_refuses_its_test_is_not(db):
    with receiver(status=403, body=b"who are you") as server:
        channel = make_webhook(server.url, verified_at=None)
        assert ask.trial(channel, "mara", START).answer == "403 who are you"
    channel.refresh_from_db()

    assert channel.verified_at is None


def test_a_webhook_is_told_what_a_mail_would_say(story, settings):
    settings.HAS_MAIL = False  # an installation may use webhooks alone
    with receiver(status=200, body=b"thanks") as server:
        make_webhook(server.url)
        story.opens(make_pair(name="northwind-eu-0417"))
        story.after(minutes=1)

    [(_path, headers, body)] = server.taken
    told = json.loads(body)
    mail = Mail.objects.get()
    assert (mail.state, mail.answer) == ("sent", "200 thanks")
    assert told["id"] == headers["Pairkeeper-Id"] == mail.message_id.strip("<>")
    assert [one["pair"] for one in told["alert"]["findings"]] == ["northwind-eu-0417"]
    assert PortalAlarm.objects.count() == 0


def test_a_webhook_is_tried_again_with_the_same_id(story):
    with receiver(status=503) as server:
        make_webhook(server.url)
        story.opens(make_pair())
        story.after(minutes=1)
        server.status = 204
        story.after(minutes=2)

    ids = [headers["Pairkeeper-Id"] for _path, headers, _body in server.taken]
    assert (len(ids), len(set(ids))) == (2, 1)
    assert Mail.objects.get().state == "sent"


def test_a_key_that_cannot_be_opened_waits_for_whoever_mends_it(story, settings):
    with receiver() as server:
        channel = make_webhook(server.url)
        Channel.objects.filter(pk=channel.pk).update(key="sealed:none-of-ours")
        story.opens(make_pair())
        story.after(minutes=1)

    mail = Mail.objects.get()
    assert (mail.state, mail.error) == (
        "waiting",
        "a sealed value fits none of the keys in FLEET_KEYS",
    )
    assert server.taken == []

"""The sender against a real mail server that takes, refuses, hangs, drops and dies."""

from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.test import override_settings

from fleet.alerts import gather, route, send
from fleet.alerts.models import Delivery, Mail, PortalAlarm, Told
from fleet.alerts.timing import LEASE, backoff
from fleet.findings.models import Finding
from tests.fleet.alerts.stories import NORTHWIND, make_channel
from tests.fleet.factories import make_pair
from tests.mail_server import mail_server
from tests.servers import free_port

OPENED = "[Critical] Northwind Mail: 1 pair left compliance"


def made(story, *findings):
    """A mail that is due, not yet sent."""
    make_channel()
    for fields in findings or ({},):
        story.opens(make_pair(), **fields)
    route.route(story.now)
    story.now += timedelta(seconds=30)
    gather.gather(story.now)
    return Mail.objects.get()


def sends(story) -> Mail:
    send.send_one(lambda: story.now)
    return Mail.objects.get()


def test_who_sends_is_woken_for_a_mail_that_is_due_or_has_lost_its_sender(story):
    assert not send.is_due(story.now)
    mail = made(story)
    assert not send.is_due(mail.next_attempt_at - timedelta(seconds=1))
    assert send.is_due(mail.next_attempt_at)

    send._claim(story.now)
    assert not send.is_due(story.now + LEASE - timedelta(seconds=1))
    assert send.is_due(story.now + LEASE)


@override_settings(HAS_MAIL=False)
def test_nobody_is_woken_where_mail_is_not_set_up(story):
    mail = made(story)

    assert not send.is_due(mail.next_attempt_at)


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (40, 60)]
)
def test_backoff(attempts, minutes):
    assert backoff(attempts) == timedelta(minutes=minutes)


def test_a_refusal_for_now_is_tried_again_later_and_later(story):
    made(story)
    story.inbox.answer = "451 4.3.0 try later"
    seen = []
    for _ in range(4):
        mail = sends(story)
        seen.append((mail.state, mail.next_attempt_at - story.now, mail.error))
        assert not send.send_one(lambda: story.now)
        story.now = mail.next_attempt_at

    assert seen == [
        ("waiting", timedelta(minutes=minutes), "451 4.3.0 try later") for minutes in (1, 2, 4, 8)
    ]
    story.inbox.answer = "250 ok"
    mail = sends(story)
    assert (mail.state, mail.error, story.subjects()) == ("sent", "", [OPENED])
    assert Told.objects.get().is_open


def test_after_a_day_of_refusals_it_is_a_dead_letter_with_an_alarm_and_may_be_retried(story):
    made(story)
    story.inbox.answer = "451 4.3.0 try later"
    begun = story.now
    while Mail.objects.get().state == "waiting":
        story.now = Mail.objects.get().next_attempt_at
        sends(story)
    story.minute()

    assert timedelta(hours=24) <= story.now - begun <= timedelta(hours=25)
    alarm = PortalAlarm.objects.get(key="mail.dead")
    assert alarm.text == "1 mail was given up; the last to Operations: 451 4.3.0 try later."
    assert not Told.objects.exists()

    story.inbox.answer = "250 ok"
    assert send.retry(Mail.objects.get().pk, story.now)
    assert not send.retry(Mail.objects.get().pk, story.now)
    assert sends(story).state == "sent"
    story.minute()
    assert PortalAlarm.objects.get(key="mail.dead").ended_at == story.now


def test_a_recipient_refused_for_good_is_dead_at_once(story):
    made(story)
    story.inbox.rcpt[NORTHWIND] = "550 5.1.1 no such user"
    mail = sends(story)

    assert (mail.state, mail.error, mail.attempts) == ("dead", "550 5.1.1 no such user", 1)
    assert send.dismiss(mail.pk)
    story.minute()
    assert not PortalAlarm.objects.filter(ended_at=None).exists()


def test_a_server_that_hangs_costs_its_time_out_and_leaves_the_mail_in_doubt(story, settings):
    settings.EMAIL_TIMEOUT = 0.3
    made(story)
    story.inbox.answer = "hang"
    mail = sends(story)

    assert (mail.state, mail.is_doubtful, mail.awaits_server) == ("waiting", True, False)
    assert mail.error == f"127.0.0.1:{story.inbox.port} gave no answer within 0.3 s"


def test_a_server_that_takes_a_mail_and_dies_before_it_says_so_gets_it_again_as_the_same(story):
    made(story)
    story.inbox.answer = "drop"
    mail = sends(story)
    assert (mail.state, mail.is_doubtful) == ("waiting", True)
    assert mail.error == f"127.0.0.1:{story.inbox.port} closed the connection"

    story.inbox.answer = "250 ok"
    story.now = mail.next_attempt_at
    assert sends(story).state == "sent"
    first, second = story.inbox.mails
    assert first["Message-ID"] == second["Message-ID"] == mail.message_id


def test_what_may_have_been_told_is_followed_by_its_end(story):
    """The server took the opening and said nothing; it is over before the mail is tried again."""
    made(story)
    finding = Delivery.objects.get().transition.finding
    story.inbox.answer = "drop"
    sends(story)
    story.inbox.answer = "250 ok"
    story.resolves(finding)
    story.after(minutes=6)

    assert [one.partition("]")[0] for one in story.subjects()] == ["[Critical", "[Resolved"]
    assert story.mails() == [("alert", "cancelled"), ("alert", "sent")]


def test_what_was_given_up_in_doubt_is_followed_by_its_end_too(story):
    """The server took the opening and said nothing, then refused it for good; a person retries it."""
    made(story)
    finding = Delivery.objects.get().transition.finding
    story.inbox.answer = "drop"
    mail = sends(story)
    story.inbox.answer = "250 ok"
    story.inbox.rcpt[NORTHWIND] = "550 5.1.1 no such user"
    story.now = mail.next_attempt_at
    assert sends(story).state == "dead"
    assert Told.objects.get().is_open

    del story.inbox.rcpt[NORTHWIND]
    story.resolves(finding)
    story.after(minutes=6)
    assert [one.partition("]")[0] for one in story.subjects()] == ["[Critical", "[Resolved"]
    assert send.retry(mail.pk, story.now)
    story.after(minutes=1)
    assert story.mails() == [("alert", "cancelled"), ("alert", "sent")]
    assert not Told.objects.get().is_open


def test_what_was_given_up_in_doubt_and_is_open_still_is_told_by_a_retry(story):
    made(story)
    send._claim(story.now)
    story.now += timedelta(hours=24)
    assert not send.send_one(lambda: story.now)
    assert Told.objects.get().is_open

    mail = Mail.objects.get()
    assert send.retry(mail.pk, story.now)
    assert sends(story).state == "sent"
    assert story.subjects() == [OPENED]


def test_a_server_that_is_away_makes_all_wait_and_the_first_mail_it_takes_frees_them(
    story, settings
):
    make_channel()
    make_channel("Contoso", address="ops@contoso.example")
    story.opens(make_pair())
    story.opens(make_pair("Contoso"))
    settings.EMAIL_PORT = free_port()
    story.after(seconds=40)
    states = Mail.objects.values_list("state", "awaits_server", "attempts").order_by("attempts")
    assert list(states) == [("waiting", True, 0), ("waiting", True, 1)]
    story.after(minutes=10)
    alarm = PortalAlarm.objects.get(key="mail.refusing")
    server = f"127.0.0.1:{settings.EMAIL_PORT} was not reached: Connection refused"
    assert alarm.text == f"2 mails could not be handed over: {server}."

    with mail_server(settings.EMAIL_PORT) as inbox:
        story.after(minutes=20)
        subjects = sorted(inbox.subjects())
    assert subjects == ["[Critical] Contoso: 1 pair left compliance", OPENED]
    assert PortalAlarm.objects.get(key="mail.refusing").ended_at is not None


def test_what_resolves_before_it_is_sent_is_not_sent(story):
    made(story, {}, {"rule_id": "redis.durability"})
    first, second = (one.transition.finding for one in Delivery.objects.order_by("pk"))
    story.resolves(first)
    story.resolves(second)
    mail = sends(story)

    assert (mail.state, mail.error) == ("cancelled", "nothing is left to tell")
    assert (story.subjects(), story.fates()) == ([], [("dropped", "over")] * 2)


def test_what_is_waived_before_it_is_sent_is_left_out(story, waiver):
    made(story, {}, {"rule_id": "redis.durability"})
    finding = Delivery.objects.order_by("pk")[0].transition.finding
    story.leaves(finding, "waived", waiver=waiver(finding))

    assert sends(story).state == "sent"
    assert story.subjects() == [OPENED]
    assert story.fates() == [("dropped", "waived"), ("mailed", "")]


def test_a_lease_that_ran_out_is_taken_over_and_the_late_sender_writes_nothing(story):
    mail = made(story)
    claimed = send._claim(story.now)
    assert not send.send_one(lambda: story.now)

    story.now += LEASE
    assert sends(story).state == "sent"
    still = send.still_to_tell(claimed, story.now)
    send._sent(claimed, still, "250 ok", story.now + timedelta(seconds=1))
    mail.refresh_from_db()
    assert (mail.attempts, mail.sent_at, mail.is_doubtful) == (2, story.now, True)
    assert Told.objects.get().told_at == [story.now]


def test_a_mail_whose_senders_die_is_given_up_after_a_day(story):
    made(story)
    send._claim(story.now)
    story.now += timedelta(hours=24)

    assert not send.send_one(lambda: story.now)
    mail = Mail.objects.get()
    assert (mail.state, mail.error) == ("dead", "no attempt came to an end within 24 h")


def test_at_most_three_senders_hold_a_mail(story):
    for number in range(4):
        make_channel(f"Tenant {number}", address=f"ops{number}@example.com")
        story.opens(make_pair(f"Tenant {number}"))
    route.route(story.now)
    story.now += timedelta(seconds=30)
    gather.gather(story.now)
    held = [send._claim(story.now) for _ in range(4)]

    assert [one is not None for one in held] == [True, True, True, False]


def test_without_a_mail_server_mails_wait_and_an_alarm_says_so(story, settings):
    settings.HAS_MAIL = False
    make_channel()
    finding = story.opens(make_pair())
    story.after(minutes=3)
    mail = Mail.objects.get()
    assert (mail.state, mail.attempts, mail.error) == ("waiting", 0, "")
    alarm = PortalAlarm.objects.get(ended_at=None)
    assert alarm.key == "mail.not-set-up"
    assert alarm.text == "Mail is not set up: nobody is told when a pair fails. 1 mail waits."

    # What comes meanwhile joins the mail that waits.
    story.resolves(finding)
    second = story.opens(make_pair())
    story.after(days=3)
    settings.HAS_MAIL = True
    story.after(seconds=10)
    assert story.subjects() == [OPENED]
    assert Told.objects.get().finding == second


def test_an_installation_without_pairs_has_no_alarm(story, settings):
    settings.HAS_MAIL = False
    story.minute()

    assert not PortalAlarm.objects.exists()


def test_a_router_that_dies_leaves_no_trace(story):
    make_channel()
    finding = story.opens(make_pair())
    with pytest.raises(KeyboardInterrupt):
        routed_and_killed(story.now)

    assert not Delivery.objects.exists()
    assert finding.transitions.get().routed_at is None
    assert route.route(story.now) == 1


@transaction.atomic
def routed_and_killed(now):
    route.route(now)
    raise KeyboardInterrupt


@pytest.mark.parametrize("is_before", [True, False])
def test_a_mail_that_is_taken_while_news_is_grouped_is_followed_by_the_recovery(story, is_before):
    """A sender finishes between two looks of the gatherer: the reader knows of the opening."""
    made(story)
    mail = send._claim(story.now)
    still = send.still_to_tell(mail, story.now)
    story.resolves(Finding.objects.get())
    route.route(story.now)
    looks = []

    def sender(execute, sql, params, many, context):
        looks.append(sql)
        is_look = "alerts_mail" in sql and not any("alerts_mail" in one for one in looks[:-1])
        if is_look and is_before:
            send._sent(mail, still, "250 ok", story.now)
        answer = execute(sql, params, many, context)
        if is_look and not is_before:
            send._sent(mail, still, "250 ok", story.now)
        return answer

    with connection.execute_wrapper(sender):
        gather.gather(story.now)
    assert Told.objects.get().is_open
    story.after(minutes=6)

    assert story.subjects() == ["[Resolved] Northwind Mail: 1 pair is back after 30 s"]


def test_what_eases_and_ends_while_its_mail_is_with_a_sender_is_told_as_over(story):
    """The channel wants criticals; when it is over it is a warning, and nobody was told yet."""
    make_channel(min_severity="critical")
    finding = story.opens(make_pair())
    route.route(story.now)
    story.now += timedelta(seconds=30)
    gather.gather(story.now)
    mail = send._claim(story.now)
    still = send.still_to_tell(mail, story.now)
    story.turns(finding, "warning")
    story.resolves(finding)
    route.route(story.now)
    send._sent(mail, still, "250 ok", story.now)
    story.after(minutes=6)

    assert story.subjects() == ["[Resolved] Northwind Mail: 1 pair is back after 30 s"]

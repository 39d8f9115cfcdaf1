"""The deliveries log, the page of one message, and the preview of any."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import reverse

from fleet.alerts import links
from fleet.alerts.models import Delivery, Mail
from fleet.alerts.render import render
from fleet.alerts.samples import BODIES, READER, sample
from fleet.alerts.trim import trim
from fleet.portal.mail_page import SAMPLES
from fleet.registry.models import FleetSettings
from tests.fleet.alerts.stories import NORTHWIND, make_channel
from tests.fleet.factories import NOW, make_finding, make_pair, make_person

pytestmark = pytest.mark.django_db
LOG = "/admin/alerts/mail/"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person("mara"))
    return client


def make_mail(channel=None, name="opened", **fields) -> Mail:
    channel = channel or make_channel()
    reader = READER.__class__(channel_id=channel.pk, address=channel.address, why="operations")
    found = render(sample(name, reader))
    values = {
        "kind": "alert",
        "state": "sent",
        "attempts": 1,
        "made_at": NOW,
        "next_attempt_at": NOW,
        "sent_at": NOW if fields.get("state", "sent") == "sent" else None,
        "answer": "250 2.0.0 queued as 4F2A" if fields.get("state", "sent") == "sent" else "",
        "message_id": f"<{Mail.objects.count()}@example.com>",
        "subject": found.subject,
        "text": found.text,
        "html": found.html,
        "tenant": channel.tenant,
        **fields,
    }
    return Mail.objects.create(channel=channel, **values)


def page_of(mail, **query) -> str:
    return reverse("admin:alerts_mail_change", args=[mail.pk]) + (
        f"?view={query['view']}" if query else ""
    )


def test_the_log_says_when_what_to_whom_and_what_became_of_it(operator):
    make_mail()
    make_mail(
        make_channel(None, "sre@example.com"),
        "storm",
        state="dead",
        attempts=31,
        error="550 5.1.1 User unknown",
        kind="fleet",
    )
    page = operator.get(LOG).content.decode()

    for text in (
        "[Critical] Northwind Mail: 2 pairs left compliance",
        NORTHWIND,
        "250 2.0.0 queued as 4F2A",
        "[Fleet] 212 pairs changed in zone eu-2",
        "Given up",
        "31 tries",
        "550 5.1.1 User unknown",
    ):
        assert text in page


@pytest.mark.parametrize(
    ("path", "query", "said"),
    [
        (LOG, "", "No message yet."),
        (LOG, "?state=dead", "No message matches."),
        ("/admin/alerts/channel/", "", "No channel yet"),
        ("/admin/alerts/channel/", "?q=nobody", "No channel matches."),
    ],
)
def test_an_empty_list_says_so(operator, path, query, said):
    assert said in operator.get(path + query).content.decode()


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("", {"sent", "waiting", "leased", "dead", "cancelled"}),
        ("state=waiting", {"waiting", "leased"}),
        ("state=dead", {"dead"}),
        ("kind=digest", set()),
        ("channel=x", set()),
        ("tenant=Northwind+Mail", {"sent", "waiting", "leased", "dead", "cancelled"}),
        ("q=left+compliance", {"sent", "waiting", "leased", "dead", "cancelled"}),
    ],
)
def test_the_filters(operator, query, shown):
    channel = make_channel()
    for state in Mail.State.values:
        make_mail(channel, state=state)
    found = operator.get(f"{LOG}?{query}").context["cl"].result_list

    assert {mail.state for mail in found} == shown


def test_the_log_takes_few_queries_and_reads_no_bodies(operator, django_assert_max_num_queries):
    channel = make_channel()
    for _ in range(30):
        make_mail(channel)
    operator.get(LOG)
    with django_assert_max_num_queries(12) as asked:
        operator.get(LOG)

    assert not any('"alerts_mail"."html"' in one["sql"] for one in asked.captured_queries)


def test_the_page_of_a_message_shows_it_as_it_was_sent(operator, django_assert_max_num_queries):
    finding = make_finding(make_pair(name="northwind-eu-0417"))
    mail = make_mail()
    Delivery.objects.create(
        transition=finding.transitions.get(),
        channel=mail.channel,
        mail=mail,
        state="mailed",
        made_at=NOW,
    )
    operator.get(page_of(mail))
    with django_assert_max_num_queries(12):
        page = operator.get(page_of(mail)).content.decode()

    assert "sandbox srcdoc=" in page
    assert "&lt;table" in page
    assert "<table class" not in page
    assert "1 move told" in page
    assert "northwind-eu-0417" in page
    text = operator.get(page_of(mail, view="text")).content.decode()
    assert "    CONFIG SET maxmemory-policy noeviction" in text
    assert mail.message_id in operator.get(page_of(mail, view="headers")).context["headers"][3]


@pytest.mark.parametrize("view", ["html", "text", "headers"])
@pytest.mark.parametrize("name", ["opened", "verification"])
def test_no_page_gives_away_a_link_that_is_the_readers_alone(operator, name, view):
    mail = make_mail(name=name)
    page = operator.get(page_of(mail, view=view)).content.decode()

    channel = mail.channel
    stop = links.stop_token(channel.pk, channel.address)
    assert stop in mail.text or name == "verification"
    assert stop not in page
    assert links.verify_token(channel.pk, channel.address).split(":")[2] not in page
    assert f"/mail/verify/{channel.pk}:" not in page


def test_what_was_given_up_is_retried_or_put_away(operator):
    first, second = (
        make_mail(state="dead"),
        make_mail(make_channel(address="b@c.example"), state="dead"),
    )
    assert "Retry" in operator.get(page_of(first)).content.decode()
    operator.post(reverse("admin:alerts_mail_retry", args=[first.pk, "retry"]))
    operator.post(reverse("admin:alerts_mail_retry", args=[second.pk, "dismiss"]))
    again = operator.post(reverse("admin:alerts_mail_retry", args=[first.pk, "retry"]), follow=True)

    assert list(Mail.objects.order_by("pk").values_list("state", flat=True)) == [
        "waiting",
        "cancelled",
    ]
    assert "not among those given up any more" in again.content.decode()


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("editor", 302)])
def test_who_may_only_look_retries_nothing(client, role, status):
    mail = make_mail(state="dead")
    client.force_login(make_person("vera", is_operator=False, roles=[(role, "Northwind Mail")]))
    answer = client.post(reverse("admin:alerts_mail_retry", args=[mail.pk, "retry"]))

    assert answer.status_code == status


def test_a_tenants_people_see_their_own_channels_mails_only(client):
    make_mail()
    others = make_mail(make_channel("Halden Clinics", "ops@halden.example"))
    operators = make_mail(make_channel(None, "sre@example.com"), tenant=others.tenant)
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Northwind Mail")]))
    page = client.get(LOG).content.decode()

    assert NORTHWIND in page
    assert "halden" not in page
    assert "sre@example.com" not in page
    for mail in (others, operators):
        assert client.get(page_of(mail)).status_code == 404


def test_there_is_a_preview_of_every_kind(operator):
    assert set(SAMPLES) == set(BODIES)


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("view", ["html", "text", "headers"])
def test_a_preview_of_each_kind(operator, name, view):
    answer = operator.get(reverse("portal:mail_preview"), {"kind": name, "view": view})

    assert answer.status_code == 200
    assert answer.context["subject"] == render(sample(name)).subject


def test_a_preview_is_of_a_real_finding_too(operator):
    finding = make_finding(make_pair(name="northwind-eu-0417"))
    url = reverse("portal:mail_preview")
    page = operator.get(url, {"finding": finding.pk, "view": "text"}).content.decode()

    assert "CRITICAL  northwind-eu-0417" in page
    assert operator.get(url, {"finding": finding.pk + 1}).status_code == 404
    assert operator.get(url, {"kind": "none"}).status_code == 404


def test_a_preview_of_anothers_finding_is_not_there(client):
    finding = make_finding(make_pair("Halden Clinics"))
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Northwind Mail")]))

    answer = client.get(reverse("portal:mail_preview"), {"finding": finding.pk})
    assert answer.status_code == 404


def test_the_finding_says_who_was_told(operator):
    finding = make_finding(make_pair())
    mail = make_mail(sent_at=NOW + timedelta(minutes=1))
    Delivery.objects.create(
        transition=finding.transitions.get(),
        channel=mail.channel,
        mail=mail,
        state="mailed",
        made_at=NOW,
    )
    page = operator.get(reverse("admin:findings_finding_change", args=[finding.pk]))

    told = page.context["timeline"].events[-1]
    assert (told.words, told.note, told.url) == (
        "Told Operations",
        "[Critical] Northwind Mail: 2 pairs left compliance",
        reverse("admin:alerts_mail_change", args=[mail.pk]),
    )


def test_the_overview_counts_what_waits_and_what_was_given_up(operator):
    make_finding(make_pair())
    channel = make_channel()
    for state in ("waiting", "leased", "dead", "sent"):
        make_mail(channel, state=state)
    mail = operator.get("/admin/").context["overview"].mail

    assert (mail.waiting_count, mail.dead_count, mail.taken_at) == (2, 1, NOW)


def test_the_wording_of_old_mails_goes_and_the_log_says_so(operator):
    FleetSettings.objects.update_or_create(pk=1, defaults={"mail_days": 30})
    channel = make_channel()
    fields = {
        "old": {"made_at": NOW - timedelta(days=30, seconds=1)},
        "young": {"made_at": NOW - timedelta(days=30)},
        "waiting": {"made_at": NOW - timedelta(days=40), "state": "waiting"},
        "dead": {"made_at": NOW - timedelta(days=40), "state": "dead"},
    }
    mails = {name: make_mail(channel, **one) for name, one in fields.items()}

    assert (trim(NOW), trim(NOW)) == (2, 0)

    for mail in mails.values():
        mail.refresh_from_db()
    assert {name for name, mail in mails.items() if mail.is_trimmed} == {"old", "dead"}
    assert mails["old"].html == ""
    text = " ".join(operator.get(page_of(mails["old"])).content.decode().split())
    assert "Its wording was taken off after 30 days" in text
    assert "250 2.0.0 queued as 4F2A" in text
    assert mails["old"].subject in operator.get(LOG).content.decode()
    assert "Its wording was taken off" not in operator.get(page_of(mails["young"])).content.decode()

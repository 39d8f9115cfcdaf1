"""Links that need no sign-in: each is for one channel and its address, and a GET changes nothing."""

from datetime import timedelta

import pytest
import time_machine
from django.test import Client
from django.urls import reverse

from fleet.alerts import links
from fleet.alerts.models import Channel
from tests.fleet.alerts.stories import NORTHWIND, START, make_channel

pytestmark = pytest.mark.django_db


@pytest.fixture
def client():
    return Client(enforce_csrf_checks=True)


@pytest.fixture
def channel():
    return make_channel()


def path(url: str) -> str:
    return "/" + url.split("/", 3)[3]


def stopped(channel) -> bool:
    channel.refresh_from_db()
    return channel.stopped_at is not None


def press(client, url: str, **data):
    """Open the page and press its button, as a person does."""
    page = client.get(url)
    return client.post(url, {"csrfmiddlewaretoken": page.context["csrf_token"], **data})


def test_one_click_stops_without_a_sign_in_or_a_cookie(client, channel):
    url = path(links.stop(channel.pk, channel.address))
    answer = client.post(
        url, "List-Unsubscribe=One-Click", content_type="application/x-www-form-urlencoded"
    )

    assert (answer.status_code, stopped(channel)) == (200, True)
    assert "These mails are stopped" in answer.content.decode()


def test_opening_the_link_only_asks(client, channel):
    answer = client.get(path(links.stop(channel.pk, channel.address)))

    assert (answer.status_code, stopped(channel)) == (200, False)
    assert "Stop these mails?" in answer.content.decode()


def test_stopping_twice_keeps_the_first_time_and_tells_why_in_the_history(client, channel):
    url = path(links.stop(channel.pk, channel.address))
    client.post(url)
    first = Channel.objects.get().stopped_at
    client.post(url)

    assert Channel.objects.get().stopped_at == first
    assert channel.history.first().history_change_reason == "stopped by the address' owner"
    assert channel.history.count() == 2


def test_what_was_stopped_can_be_taken_up_again(client, channel):
    url = path(links.stop(channel.pk, channel.address))
    page = client.post(url)
    again = reverse("mail:resume", args=[links.stop_token(channel.pk, channel.address)])
    client.post(again, {"csrfmiddlewaretoken": page.context["csrf_token"]})

    assert not stopped(channel)


def test_the_owner_changes_what_is_sent_but_not_where(client, channel):
    url = path(links.change(channel.pk, channel.address))
    wishes = {"min_severity": "critical", "digest_hour": "6", "time_zone": "Europe/Berlin"}
    answer = press(client, url, **wishes, address="else@example.com", kind="webhook")
    channel.refresh_from_db()

    assert answer.status_code == 302
    assert (channel.min_severity, channel.digest_hour, channel.time_zone) == (
        "critical",
        6,
        "Europe/Berlin",
    )
    assert (channel.address, channel.kind) == (NORTHWIND, "email")


def test_a_wish_that_cannot_be_is_refused_at_its_field(client, channel):
    url = path(links.change(channel.pk, channel.address))
    answer = press(client, url, min_severity="critical", digest_hour="24", time_zone="Mars/Here")

    errors = answer.context["form"].errors
    assert set(errors) == {"digest_hour", "time_zone"}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: "9" + token,
        lambda token: token.partition(":")[0],
        lambda token: "x:" + token.partition(":")[2],
        lambda token: "9" * 30 + ":" + token.partition(":")[2],
    ],
)
@pytest.mark.parametrize("name", ["mail:stop", "mail:channel", "mail:verify"])
def test_a_link_that_was_changed_is_not_there(client, channel, name, spoil):
    sign = links.verify_token if name == "mail:verify" else links.stop_token
    url = reverse(name, args=[spoil(sign(channel.pk, channel.address))])

    assert client.get(url).status_code == 404


def test_a_link_holds_for_its_address_and_its_purpose_alone(client, channel):
    stop = links.stop_token(channel.pk, channel.address)
    verify = links.verify_token(channel.pk, channel.address)
    assert client.get(reverse("mail:verify", args=[stop])).status_code == 404
    assert client.get(reverse("mail:stop", args=[verify])).status_code == 404

    Channel.objects.filter(pk=channel.pk).update(address="new@northwind.example")
    assert client.get(reverse("mail:stop", args=[stop])).status_code == 404


def test_an_address_is_confirmed_by_a_press_not_by_opening(client):
    channel = make_channel(verified_at=None)
    url = path(links.verify(channel.pk, channel.address))
    assert "Confirm this address?" in client.get(url).content.decode()
    assert not Channel.objects.get().is_told

    assert "This address is confirmed" in press(client, url).content.decode()
    assert Channel.objects.get().is_told


@pytest.mark.parametrize(("later", "status"), [(timedelta(hours=71), 200), (timedelta(73), 404)])
def test_a_confirmation_holds_for_three_days(client, later, status):
    channel = make_channel(verified_at=None)
    with time_machine.travel(START, tick=False):
        url = path(links.verify(channel.pk, channel.address))
    with time_machine.travel(START + later, tick=False):
        assert client.get(url).status_code == status


def test_the_page_tells_no_other_site_where_it_was(client, channel):
    answer = client.get(path(links.change(channel.pk, channel.address)))

    # Not no-referrer: browsers then send the page's own posts with a null origin.
    assert answer["Referrer-Policy"] == "same-origin"
    assert "no-store" in answer["Cache-Control"]


def test_a_confirmation_without_the_pages_token_is_refused(client):
    channel = make_channel(verified_at=None)
    answer = client.post(path(links.verify(channel.pk, channel.address)))

    assert (answer.status_code, Channel.objects.get().is_told) == (403, False)


def test_the_short_link_of_a_finding_leads_to_its_page(client):
    answer = client.get("/f/8812/")

    assert (answer.status_code, answer["Location"]) == (
        302,
        "/admin/findings/finding/8812/change/",
    )

"""Who is told: the list and the form of channels, and what their buttons do."""

import re

import pytest
from django.contrib.messages import get_messages
from django.core.cache import cache
from django.urls import reverse

from fleet.alerts.models import Channel, Mail
from fleet.registry.sealed import reveal, seal
from tests.fleet.alerts.stories import NORTHWIND, START, make_channel
from tests.fleet.alerts.test_webhook import receiver
from tests.fleet.factories import make_pair, make_person, make_state, make_tenant
from tests.mail_server import mail_server

pytestmark = pytest.mark.django_db
ADD = "/admin/alerts/channel/add/"
LIST = "/admin/alerts/channel/"
KEY = "a-key-that-nobody-guesses"


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def inbox(settings):
    with mail_server() as found:
        settings.HAS_MAIL = True
        settings.EMAIL_BACKEND = "fleet.alerts.channels.smtp.AnsweringBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", found.port
        settings.EMAIL_TIMEOUT = 2
        yield found


@pytest.fixture
def operator(client):
    client.force_login(make_person("mara", time_zone="Europe/Berlin"))
    return client


@pytest.fixture
def editor(client):
    client.force_login(make_person("vera", is_operator=False, roles=[("editor", "Northwind Mail")]))
    return client


def filled(**fields):
    values = {
        "kind": "email",
        "tenant": str(make_tenant().pk),
        "name": "Operations",
        "address": NORTHWIND,
        "min_severity": "warning",
        "time_zone": "Europe/Berlin",
        "digest_hour": "8",
        "has_digest": "on",
        **fields,
    }
    return {name: value for name, value in values.items() if value is not None}


def saved(client, django_capture_on_commit_callbacks, url=ADD, **fields):
    with django_capture_on_commit_callbacks(execute=True):
        return client.post(url, filled(**fields))


@pytest.fixture
def save(django_capture_on_commit_callbacks):
    return lambda client, url=ADD, **fields: saved(
        client, django_capture_on_commit_callbacks, url, **fields
    )


def said(answer) -> list[str]:
    return [str(one) for one in get_messages(answer.wsgi_request)]


def test_a_new_address_is_asked_at_once(operator, save, inbox):
    answer = save(operator)

    channel = Channel.objects.get()
    assert (channel.tenant, channel.verified_at, channel.key) == (make_tenant(), None, "")
    assert inbox.subjects(NORTHWIND) == ["Confirm that Pairkeeper may mail this address"]
    assert any("250 2.0.0 queued" in one for one in said(answer))


def test_an_address_that_cannot_be_asked_says_why_and_is_kept(operator, save, inbox):
    inbox.answer = "554 5.7.1 not from you"
    answer = save(operator)

    assert Channel.objects.get().verified_at is None
    assert any("did not go to Operations: 554 5.7.1 not from you" in one for one in said(answer))


def test_a_new_address_asks_anew_and_another_name_does_not(operator, save, inbox):
    channel = make_channel()
    url = reverse("admin:alerts_channel_change", args=[channel.pk])
    save(operator, url, name="Night shift")
    channel.refresh_from_db()
    assert (channel.name, channel.is_told, inbox.mails) == ("Night shift", True, [])

    save(operator, url, address="night@northwind.example")
    channel.refresh_from_db()
    assert not channel.is_told
    assert len(inbox.to("night@northwind.example")) == 1


def test_a_webhook_is_tried_at_once_and_its_key_is_sealed(operator, save):
    with receiver(status=200) as server:
        save(operator, kind="webhook", address=server.url, new_key=KEY)

    channel = Channel.objects.get()
    assert channel.is_told
    assert channel.key.startswith("sealed:")
    assert reveal(channel.key) == KEY
    page = operator.get(reverse("admin:alerts_channel_change", args=[channel.pk]))
    assert KEY not in page.content.decode()
    assert KEY not in str(channel.history.values())


def test_the_stored_key_stays_unless_another_is_typed(operator, save):
    with receiver(status=200) as server:
        channel = make_channel(kind="webhook", address=server.url, key=seal(KEY))
        url = reverse("admin:alerts_channel_change", args=[channel.pk])
        save(operator, url, kind="webhook", address=server.url)
        channel.refresh_from_db()
        assert reveal(channel.key) == KEY
        save(operator, url, kind="webhook", address=server.url, new_key="another-key-of-ours")
    channel.refresh_from_db()

    assert reveal(channel.key) == "another-key-of-ours"


def test_each_form_offers_a_key_made_just_now(operator):
    keys = {
        re.search(r"<code class='pk-mono'>([\w-]{43})<", operator.get(ADD).content.decode())[1]
        for _ in range(2)
    }

    assert len(keys) == 2


@pytest.mark.parametrize(
    ("fields", "at", "why"),
    [
        ({"address": "nobody"}, "address", "Enter a valid email address."),
        ({"address": "a@b.example\r\nBcc: c@d.example"}, "address", "valid email"),
        ({"kind": "webhook", "new_key": KEY}, "address", "begins with https://"),
        (
            {"kind": "webhook", "address": "https://u:p@hooks.example.com/", "new_key": KEY},
            "address",
            "holds a user or password",
        ),
        (
            {"kind": "webhook", "address": "https://hooks.example.com/"},
            "new_key",
            "are signed: give it a key",
        ),
        (
            {"kind": "webhook", "address": "https://hooks.example.com/", "new_key": "short"},
            "new_key",
            "The key has 5 characters; it must have at least 16.",
        ),
        ({"new_key": KEY}, "new_key", "leave this empty"),
        ({"digest_hour": "24"}, "digest_hour", "less than or equal to 23"),
        ({"time_zone": "Mars/Here"}, "time_zone", "not one of the available choices"),
        ({"subjects": ["weather"]}, "subjects", "not one of the available choices"),
    ],
)
def test_what_cannot_be_is_said_at_its_field(operator, fields, at, why):
    answer = operator.post(ADD, filled(**fields))

    errors = answer.context["adminform"].form.errors
    assert list(errors) == [at]
    assert why in str(errors[at])
    assert not Channel.objects.exists()


def test_an_address_is_told_once_per_tenant(operator):
    make_channel()
    answer = operator.post(ADD, filled())

    assert "There is a channel to this address already." in answer.content.decode()


def test_a_tenants_editor_says_who_is_told_of_that_tenant_alone(editor, save, inbox):
    make_tenant("Halden Clinics")
    page = editor.get(ADD).content.decode()
    assert "Halden" not in page
    assert "The operators: every tenant" not in page

    refused = editor.post(ADD, filled(tenant=None))
    assert "tenant" in refused.context["adminform"].form.errors
    save(editor)
    assert Channel.objects.get().tenant == make_tenant()


def test_a_tenants_people_see_no_channel_of_others_nor_of_the_operators(editor):
    make_channel()
    theirs = make_channel("Halden Clinics", "ops@halden.example")
    operators = make_channel(None, "sre@example.com")
    page = editor.get(LIST).content.decode()

    assert NORTHWIND in page
    assert "halden" not in page
    assert "sre@example.com" not in page
    for channel in (theirs, operators):
        url = reverse("admin:alerts_channel_change", args=[channel.pk])
        assert editor.get(url).status_code == 302
        act = reverse("admin:alerts_channel_act", args=[channel.pk, "stop"])
        assert editor.post(act).status_code == 404


def test_a_viewer_looks_and_changes_nothing(client):
    channel = make_channel()
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Northwind Mail")]))

    assert client.get(LIST).status_code == 200
    assert client.get(ADD).status_code == 403
    assert (
        client.post(reverse("admin:alerts_channel_act", args=[channel.pk, "test"])).status_code
        == 403
    )
    assert not Mail.objects.exists()


def test_the_list_says_where_what_and_whether_and_hides_a_urls_path(operator):
    make_state(make_pair())
    make_channel(environments=["production"], subjects=["redis"], min_severity="critical")
    make_channel(None, "https://hooks.example.com/T0P53CR3T?x=y", kind="webhook", verified_at=None)
    make_channel(address="old@northwind.example", stopped_at=START)
    page = operator.get(LIST).content.decode()

    for text in (
        "Critical only",
        "production, redis",
        "https://hooks.example.com/…",
        "Operators: the whole fleet",
        "Not confirmed",
        "Stopped",
        "In use",
    ):
        assert text in page
    assert "T0P53CR3T" not in page


def test_the_list_takes_few_queries_however_many_channels(operator, django_assert_max_num_queries):
    for number in range(30):
        channel = make_channel(address=f"ops{number}@northwind.example")
        Mail.objects.create(
            channel=channel,
            kind="alert",
            message_id=f"<{number}>",
            made_at=START,
            next_attempt_at=START,
        )
    operator.get(LIST)
    with django_assert_max_num_queries(12):
        operator.get(LIST)


@pytest.mark.parametrize(
    ("act", "changed"), [("stop", "stopped_at"), ("resume", None), ("test", None), ("verify", None)]
)
def test_what_the_buttons_do(operator, inbox, act, changed):
    channel = make_channel(verified_at=None if act == "verify" else START)
    answer = operator.post(reverse("admin:alerts_channel_act", args=[channel.pk, act]))
    channel.refresh_from_db()

    assert answer.status_code == 302
    assert bool(channel.stopped_at) is (changed == "stopped_at")
    assert len(inbox.mails) == (act in {"test", "verify"})


def test_a_button_is_a_post_and_nothing_else_is_one(operator):
    channel = make_channel()

    assert operator.get(f"{LIST}{channel.pk}/stop/act/").status_code == 405
    assert operator.post(f"{LIST}{channel.pk}/delete-all/act/").status_code == 404


def test_the_form_begins_in_the_time_zone_of_whoever_fills_it_in(operator):
    assert operator.get(ADD).context["adminform"].form["time_zone"].value() == "Europe/Berlin"


def test_where_mail_is_not_set_up_the_list_says_what_to_set(operator, settings):
    settings.HAS_MAIL = False

    assert "EMAIL_URL" in operator.get(LIST).content.decode()

"""A pair, and a channel, stay with their tenant: handed over, the past stays with whom it was told."""

import pytest
from django.core.cache import cache
from django.db import IntegrityError
from django.urls import reverse
from django.utils import timezone

from fleet.alerts.models import Channel, Mail
from fleet.registry.models import Pair
from fleet.registry.sealed import seal
from tests.fleet.factories import make_person, make_tenant
from tests.fleet.portal.test_channels import filled
from tests.fleet.portal.test_pair_form import ADD, errors, typed
from tests.fleet.portal.test_scoped_pages import LISTS, answer, object_addresses, with_finding
from tests.fleet.visiting import NOW

pytestmark = pytest.mark.django_db
OLD, NEW = "Northwind Mail", "Halden Clinics"
STAYS = (
    "northwind-eu-1 stays with Northwind Mail, who is told its past."
    " Archive it, and add it anew for Halden Clinics."
)
CHANNEL_STAYS = "Its messages stay with who was told: for another, stop this one and add a channel."


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


@pytest.fixture
def ours():
    make_tenant(NEW)
    return with_finding(OLD, "northwind-eu-1")


def edit(pair) -> str:
    return f"/admin/registry/pair/{pair.pk}/edit/"


def form_of(pair, **fields):
    """What the form of a pair sends, with another tenant."""
    return typed(name=pair.target.name, redis_url=pair.redis_url, **fields)


def test_a_pair_is_not_given_to_another_tenant(operator, ours):
    refused = operator.post(edit(ours), form_of(ours, tenant=make_tenant(NEW).pk))

    assert errors(refused) == {"tenant": [STAYS]}
    ours.target.refresh_from_db()
    assert ours.target.tenant.name == OLD
    assert operator.post(edit(ours), form_of(ours, tenant=None)).status_code == 302


def test_nor_by_an_editor_of_both(client, ours):
    roles = [("editor", OLD), ("editor", NEW)]
    client.force_login(make_person("edda", is_operator=False, roles=roles))

    assert errors(client.post(edit(ours), form_of(ours))) == {"tenant": [STAYS]}


def test_the_database_holds_it_too(ours):
    with pytest.raises(IntegrityError, match=r"target \d+ stays with tenant \d+"):
        ours.target.__class__.objects.update(tenant=make_tenant(NEW))


def test_the_form_says_so_and_leads_to_a_form_filled_alike(operator, ours):
    link = f"{ADD}?like={ours.pk}"
    text = operator.get(edit(ours)).content.decode()

    assert f'<a class="pk-link" href="{link}">add it anew</a>' in text
    initial = operator.get(link).context["adminform"].form
    assert (initial["name"].value(), initial["redis_url"].value(), initial["tenant"].value()) == (
        "northwind-eu-1",
        ours.redis_url,
        None,
    )


def test_who_has_one_tenant_is_led_nowhere(client, ours):
    client.force_login(make_person("edda", is_operator=False, roles=[("editor", OLD)]))

    text = client.get(edit(ours)).content.decode()

    assert "?like=" not in text
    assert "It stays with its tenant, who is told its past." in text


def test_a_form_is_filled_like_ones_own_pairs_only_and_never_with_a_secret(client, ours):
    Pair.objects.update(redis_password=seal("pa:ss/w@rd"))
    roles = [("editor", NEW), ("viewer", OLD)]
    client.force_login(make_person("edda", is_operator=False, roles=roles))
    for like in (str(ours.pk), "0", "x", "9" * 30):
        page = client.get(ADD, {"like": like})
        assert (page.status_code, page.context["adminform"].form["name"].value()) == (200, None)

    client.force_login(make_person("mara"))
    page = client.get(ADD, {"like": ours.pk})
    assert page.context["adminform"].form["redis_password"].value() in (None, "")
    assert "pa:ss/w@rd" not in page.content.decode()


# --- Handed over: archived here, added there


@pytest.fixture
def handed_over(operator, ours):
    """The pair anew under the other tenant, as the pages' way leads."""
    operator.post(f"/admin/registry/pair/{ours.pk}/state/", {"state": "archived"})
    operator.post(ADD, form_of(ours, tenant=make_tenant(NEW).pk))
    return Pair.objects.get(target__tenant__name=NEW)


def pages_alike(pair, other):
    """The addresses of one pair, as they are of another."""
    for name, url in object_addresses(pair):
        if f"/pair/{pair.pk}/" in url:
            yield name, url.replace(f"/pair/{pair.pk}/", f"/pair/{other.pk}/")


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_the_new_tenant_is_told_nothing_of_before(client, ours, handed_over, role):
    client.force_login(make_person("nils", is_operator=False, roles=[(role, NEW)]))

    open_to_them = {
        name for name, url in object_addresses(ours) if answer(client, "get", url) == 200
    }
    assert open_to_them == set()
    for name, url in pages_alike(ours, handed_over):
        assert OLD not in client.get(url).content.decode(), name
    for query in ("pair", "tenant"):
        instant = {"at": timezone.now().strftime("%Y-%m-%dT%H:%M")}
        instant[query] = ours.pk if query == "pair" else ours.target.tenant_id
        assert client.get("/admin/trends/instant/", instant).status_code == 404


@pytest.mark.parametrize("role", ["viewer", "editor"])
def test_the_old_tenant_keeps_its_past_and_sees_nothing_of_the_new(client, ours, handed_over, role):
    client.force_login(make_person("nora", is_operator=False, roles=[(role, OLD)]))

    assert client.get(f"/admin/registry/pair/{ours.pk}/findings/").status_code == 200
    answered = dict(object_addresses(ours))
    assert client.get(answered["admin:findings_finding_change"]).status_code == 200
    for name, url in pages_alike(ours, handed_over):
        assert answer(client, "get", url) != 200, name
    for name in LISTS:
        assert NEW not in client.get(reverse(name)).content.decode(), name


# --- Channels: their messages stay with who was told


def change(channel) -> str:
    return f"/admin/alerts/channel/{channel.pk}/change/"


@pytest.mark.parametrize("before", [OLD, None])
def test_a_channel_is_not_given_to_another_tenant(client, operator, ours, before):
    channel = Channel.objects.create(
        name="ops", address="ops@example.com", tenant=make_tenant(before) if before else None
    )
    Mail.objects.create(
        channel=channel,
        subject="northwind-eu-1 failed",
        kind="alert",
        made_at=NOW,
        next_attempt_at=NOW,
    )

    sent = filled(address="ops@example.com", tenant=str(make_tenant(NEW).pk))
    refused = operator.post(change(channel), sent)

    assert errors(refused) == {"tenant": [CHANNEL_STAYS]}
    with pytest.raises(IntegrityError, match=r"channel \d+ stays with"):
        Channel.objects.update(tenant=make_tenant(NEW))

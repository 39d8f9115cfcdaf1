from dataclasses import replace
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.urls import get_resolver, reverse
from django.utils import timezone

from fleet.findings.maintenance import Plan, start
from fleet.findings.waivers import Ask
from fleet.inspections import waive
from tests.fleet.backups.sources import make_artefact, make_source
from tests.fleet.factories import make_finding, make_pair, make_person, make_state
from tests.house.test_scoping import addresses

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def ours():
    return with_finding("Northwind Mail", "northwind-eu-1")


@pytest.fixture
def theirs():
    return with_finding("Halden Clinics", "halden-eu-1")


def with_finding(tenant, name):
    """A pair that fails a rule, with a waiver of it and in maintenance."""
    pair = make_pair(tenant, name=name)
    make_state(pair, compliance="non_compliant")
    finding = make_finding(pair)
    now, person = timezone.now(), make_person(f"of {name}")
    soon = now + timedelta(days=1)
    tenant_id = pair.target.tenant_id
    ask = Ask(
        finding.rule_id, tenant_id, pair.pk, "critical", "accepted_risk", f"of {tenant}", soon
    )
    waive.request(ask, person.pk, now)
    waive.request(replace(ask, rule_id="pair.rtt"), person.pk, now)
    make_finding(pair, "redis.version")
    start(Plan(now, soon, frozenset([pair.pk]), tenant_id, reason=tenant), person.pk, now)
    make_artefact(make_source(pair, "pull", label=f"of {tenant}"), now)
    return pair


def sign_in(client, *roles):
    person = make_person("vera", is_operator=False, roles=roles)
    client.force_login(person)
    return client


VIEWER, EDITOR, AUDITOR = (
    ("viewer", "Northwind Mail"),
    ("editor", "Northwind Mail"),
    ("auditor", None),
)
LISTS = [
    "admin:index",
    "portal:overview",
    "admin:registry_pair_changelist",
    "admin:findings_finding_changelist",
    "admin:registry_tenant_changelist",
    "admin:findings_waiver_changelist",
    "admin:findings_maintenancewindow_changelist",
    "portal:backups",
]


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("role", [VIEWER, EDITOR])
def test_a_list_shows_ones_own_tenants_only(client, ours, theirs, name, role):
    text = sign_in(client, role).get(reverse(name)).content.decode()

    assert "orthwind" in text
    assert "alden" not in text


@pytest.mark.parametrize("name", LISTS)
def test_an_auditor_sees_every_tenant(client, ours, theirs, name):
    text = sign_in(client, AUDITOR).get(reverse(name)).content.decode()

    assert "orthwind" in text
    assert "alden" in text


def about(pair):
    """What an address may be asked for of one pair."""
    finding = pair.target.findings.first()
    waiver, window = pair.target.waivers.first(), pair.target.maintenance_windows.get()
    return {
        "findings_waiver": waiver.pk,
        "waiver_id": waiver.pk,
        "findings_maintenancewindow": window.pk,
        "window_id": window.pk,
        "backups_backupsource": pair.target.backup_sources.get().pk,
        "copy_id": pair.target.backup_sources.get().artefacts.get().pk,
        "registry_pair": pair.pk,
        "findings_finding": finding.pk,
        "registry_tenant": pair.target.tenant_id,
        "target_id": pair.pk,
        "finding_id": finding.pk,
    }


def object_addresses(pair):
    """Every address that takes an id, filled with this pair's."""
    known = about(pair)
    for name, _view in addresses():
        for form, params in get_forms(name):
            model = name.removeprefix("admin:").rsplit("_", 1)[0]
            values = {one: known.get(one) or known.get(model) for one in params}
            if params and all(values.values()) and form:
                yield name, reverse(name, kwargs={**values, **extras(params)})


def get_forms(name):
    resolver = get_resolver()
    space, _colon, route = name.rpartition(":")
    if space:
        resolver = dict(namespaces(resolver)).get(space)
    for forms in resolver.reverse_dict.getlist(route) if resolver else ():
        yield from forms[0]


def namespaces(resolver):
    return ((space, found) for space, (_prefix, found) in resolver.namespace_dict.items())


def extras(params):
    return {"name": "rtt"} if "name" in params else {}


@pytest.mark.parametrize("role", [VIEWER, EDITOR])
@pytest.mark.parametrize("method", ["get", "post"])
def test_no_address_answers_for_another_tenants_row(client, ours, theirs, role, method):
    sign_in(client, role)

    answered = {
        name: status
        for name, url in object_addresses(theirs)
        if (status := answer(client, method, url)) not in {302, 403, 404, 405}
    }
    names = {name for name, _url in object_addresses(theirs)}

    assert answered == {}
    assert {"admin:registry_pair_change", "admin:registry_pair_trend"} <= names
    assert {"admin:findings_finding_change", "admin:registry_tenant_change"} <= names
    assert {"admin:findings_waiver_change", "admin:findings_waiver_approve"} <= names
    assert {"admin:findings_maintenancewindow_change", "admin:registry_pair_maintenance"} <= names
    assert {"admin:backups_backupsource_change", "admin:registry_pair_backup_download"} <= names


def answer(client, method, url):
    """Give the status; a redirect is fine only away from the row."""
    response = getattr(client, method)(url)
    if response.status_code == 302 and response["Location"].rstrip("/") == url.rstrip("/"):
        return 200
    return response.status_code


def test_ones_own_rows_answer(client, ours):
    sign_in(client, VIEWER)
    answers = {name: client.get(url).status_code for name, url in object_addresses(ours)}

    assert answers["admin:registry_pair_change"] == 200
    assert answers["admin:findings_finding_change"] == 200
    assert answers["admin:registry_pair_trend"] == 200


@pytest.mark.parametrize(
    "name",
    [
        "admin:people_user_changelist",
        "admin:people_user_add",
        "admin:registry_fleetsettings_changelist",
        "admin:registry_zone_add",
        "admin:registry_tenant_add",
    ],
)
def test_the_fleets_own_pages_are_closed_to_tenants(client, ours, name):
    response = sign_in(client, EDITOR).get(reverse(name), follow=True)

    assert response.status_code == 403


def test_an_auditor_changes_nothing(client, ours):
    sign_in(client, AUDITOR)
    tenant = reverse("admin:registry_tenant_change", args=[ours.target.tenant_id])

    assert client.post(tenant, {"name": "Mine"}).status_code == 403
    assert client.get(reverse("admin:registry_pair_add")).status_code == 403
    ours.target.tenant.refresh_from_db()
    assert ours.target.tenant.name == "Northwind Mail"


def test_autocomplete_offers_ones_own_tenants_only(client, ours, theirs):
    sign_in(client, EDITOR)
    asked = {"app_label": "registry", "model_name": "target", "field_name": "tenant", "term": ""}

    answer = client.get(reverse("admin:autocomplete"), asked).json()

    assert [one["text"] for one in answer["results"]] == ["Northwind Mail"]


def test_whoever_is_not_signed_in_is_asked_to(client, ours):
    login = reverse("admin:login")

    assert client.get(reverse("portal:zones"))["Location"].startswith(login)
    poll = client.get(reverse("portal:overview"), headers={"HX-Request": "true"})
    assert (poll.status_code, poll.headers["HX-Refresh"]) == (401, "true")

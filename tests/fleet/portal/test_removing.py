"""Removing tenants and zones: refused in a sentence while pairs hang on them; their history is shown."""

import pytest
from django.utils.html import strip_tags

from fleet.registry.models import Tenant
from tests.fleet.factories import make_pair, make_person, make_tenant, make_zone

pytestmark = pytest.mark.django_db


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def words(answer):
    return " ".join(strip_tags(answer.rendered_content.replace("<", " <")).split())


def test_a_tenant_with_pairs_is_not_removed(operator):
    pair = make_pair(tenant="Halden Clinics")
    address = f"/admin/registry/tenant/{pair.target.tenant_id}/delete/"

    answer = operator.get(address)
    operator.post(address, {"post": "yes"})

    assert (
        "Halden Clinics cannot be removed 1 pair belongs to it , archived ones counted."
        " Their past is told to its people, so it stays." in words(answer)
    )
    assert (
        f'<a href="/admin/registry/pair/?tenant={pair.target.tenant_id}">'
        in answer.rendered_content
    )
    assert Tenant.objects.filter(name="Halden Clinics").exists()


def test_a_zone_with_pairs_is_not_removed(operator):
    make_pair(zone="eu-2")
    make_pair(zone="eu-2")

    answer = operator.get(f"/admin/registry/zone/{make_zone('eu-2').pk}/delete/")

    assert "eu-2 cannot be removed 2 pairs belong to it" in words(answer)
    assert '<a href="/admin/registry/pair/?zone=eu-2">' in answer.rendered_content


def test_a_tenant_without_pairs_is_removed_when_asked(operator):
    tenant = make_tenant("Halden Clinics")
    address = f"/admin/registry/tenant/{tenant.pk}/delete/"

    asked = operator.get(address)
    operator.post(address, {"post": "yes"})

    assert (
        "Remove Halden Clinics? It cannot be brought back. What goes with it: 1 Tenants"
        in words(asked)
    )
    assert not Tenant.objects.filter(pk=tenant.pk).exists()


def test_the_history_of_a_tenant_tells_who_renamed_it(operator):
    tenant = make_tenant("Halden")
    operator.post(f"/admin/registry/tenant/{tenant.pk}/change/", {"name": "Halden Clinics"})

    answer = operator.get(f"/admin/registry/tenant/{tenant.pk}/history/")

    assert "mara Name Halden → became Halden Clinics" in words(answer)


def test_what_keeps_no_history_has_none_to_show(operator):
    person = make_person("otto")

    assert operator.get(f"/admin/people/user/{person.pk}/history/").status_code == 404
    page = operator.get(f"/admin/people/user/{person.pk}/change/").rendered_content
    assert "/history/" not in page


def test_people_are_listed_with_their_roles(operator, django_assert_max_num_queries):
    make_person("otto", is_operator=False, roles=[("editor", "Halden"), ("auditor", None)])
    make_person("nora", is_operator=False)
    make_person("pia", is_operator=False, is_active=False)

    with django_assert_max_num_queries(9):
        shown = words(operator.get("/admin/people/user/"))

    assert "otto – Tenant editor of Halden, Auditor never" in shown
    assert "nora – None yet: sees nothing never" in shown
    assert "pia – May not sign in never" in shown


def test_people_are_narrowed_by_what_they_may_do(operator):
    make_person("otto", is_operator=False, roles=[("editor", "Halden")])
    make_person("pia", is_operator=False, is_active=False)

    def names(value):
        answer = operator.get(f"/admin/people/user/?may={value}")
        return [person.username for person in answer.context["cl"].result_list]

    assert (names("operator"), names("member"), names("nothing")) == (["mara"], ["otto"], ["pia"])

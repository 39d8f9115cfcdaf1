"""A tenant's name is there once, and the form says so where it is typed."""

import pytest

from fleet.registry.models import Tenant
from tests.fleet.factories import make_person

pytestmark = pytest.mark.django_db
ADD = "/admin/registry/tenant/add/"


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def test_a_name_that_is_taken_is_refused_at_its_field(operator):
    Tenant.objects.create(name="Halden Clinics")

    answer = operator.post(ADD, {"name": "halden clinics"})

    form = answer.context["adminform"].form
    assert form.errors == {"name": ["There is a tenant of this name."]}
    assert Tenant.objects.count() == 1


def test_a_tenant_may_keep_its_name_in_other_letters(operator):
    tenant = Tenant.objects.create(name="Halden Clinics")

    answer = operator.post(
        f"/admin/registry/tenant/{tenant.pk}/change/", {"name": "HALDEN clinics"}
    )

    assert answer.status_code == 302
    assert Tenant.objects.get().name == "HALDEN clinics"

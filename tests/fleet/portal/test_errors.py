"""Pages that are not there, not theirs, or too old say what happened and where to go."""

import pytest
from django.test import Client
from django.utils.html import strip_tags

from tests.fleet.alerts.stories import make_channel
from tests.fleet.factories import make_pair, make_person

pytestmark = pytest.mark.django_db


def words(answer):
    return " ".join(strip_tags(answer.content.decode()).split())


@pytest.fixture
def viewer(client):
    make_pair(tenant="Halden Clinics")
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Halden Clinics")]))
    return client


def test_who_is_signed_in_keeps_the_menu_on_a_page_that_is_not_there(viewer):
    answer = viewer.get("/admin/nothing/")

    assert answer.status_code == 404
    assert "Page not found There is nothing at this address, or it is not yours to see." in words(
        answer
    )
    assert 'id="nav-sidebar"' in answer.content.decode()


def test_who_is_not_signed_in_gets_a_page_that_says_nothing_of_the_fleet(client):
    answer = client.get("/nothing/")

    assert answer.status_code == 404
    assert "Page not found" in words(answer)
    assert "nav-sidebar" not in answer.content.decode()


def test_what_a_role_does_not_allow_says_who_can_help(viewer):
    answer = viewer.get("/admin/policies/")

    assert answer.status_code == 403
    assert "Not allowed Your role does not allow it. An operator can change" in words(answer)


def test_a_form_that_is_too_old_says_so():
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(make_person())

    answer = strict.post("/admin/registry/tenant/add/", {"name": "Halden Clinics"})

    assert answer.status_code == 403
    assert "The form has expired This form stood open too long" in words(answer)


def test_an_operator_is_not_sent_to_an_operator(client):
    client.force_login(make_person())
    channel = make_channel()

    answer = client.get(f"/admin/alerts/channel/{channel.pk}/delete/")

    assert answer.status_code == 403
    assert "Not allowed Nobody may do this, whatever their role" in words(answer)


def test_a_request_by_another_name_is_refused_in_our_words(client):
    answer = client.get("/admin/", headers={"host": "elsewhere.example.com"})

    assert answer.status_code == 400
    assert "Not understood The portal refuses this request" in words(answer)

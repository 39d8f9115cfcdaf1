import pytest
from django.urls import reverse

from tests.fleet.factories import PASSWORD, make_person

pytestmark = pytest.mark.django_db
REFUSAL = "Name or password is wrong, or the account is switched off."


@pytest.mark.parametrize(
    ("name", "password"), [("mara", "wrong"), ("nobody", PASSWORD), ("gone", PASSWORD)]
)
def test_a_refusal_is_one_sentence_whatever_is_wrong(client, name, password):
    make_person()
    make_person("gone", is_active=False)

    page = client.post(reverse("admin:login"), {"username": name, "password": password})

    shown = page.content.decode()
    assert shown.count(REFUSAL) == 1
    assert "need another look" not in shown


def test_a_field_left_empty_is_named(client):
    page = client.post(reverse("admin:login"), {"username": "mara", "password": ""})

    assert "One field needs another look." in page.content.decode()

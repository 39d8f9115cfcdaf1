import pytest
from django.contrib.auth.models import AnonymousUser

from fleet.people.scopes import scopes_of
from tests.fleet.factories import make_person, make_tenant

pytestmark = pytest.mark.django_db

NONE, ALL = frozenset(), None


@pytest.mark.parametrize(
    ("roles", "sees", "edits"),
    [
        ([], NONE, NONE),
        ([("operator", None)], ALL, ALL),
        ([("auditor", None)], ALL, NONE),
        ([("viewer", "A")], {"A"}, NONE),
        ([("editor", "A")], {"A"}, {"A"}),
        ([("operator", "A")], {"A"}, {"A"}),
        ([("auditor", "A")], {"A"}, NONE),
        ([("viewer", None)], NONE, NONE),
        ([("editor", None)], NONE, NONE),
        ([("editor", "A"), ("viewer", "B")], {"A", "B"}, {"A"}),
        ([("auditor", None), ("editor", "B")], ALL, {"B"}),
    ],
)
def test_scopes(roles, sees, edits):
    person = make_person(is_operator=False, roles=roles)

    assert [one.tenant_ids for one in scopes_of(person)] == [ids(sees), ids(edits)]


def ids(names):
    return None if names is None else frozenset(make_tenant(name).pk for name in names)


def test_a_superuser_sees_and_edits_everything():
    assert [one.tenant_ids for one in scopes_of(make_person())] == [None, None]


def test_one_who_may_not_sign_in_sees_nothing():
    left = make_person(is_active=False)

    assert [one.tenant_ids for one in scopes_of(left)] == [frozenset(), frozenset()]
    assert [one.tenant_ids for one in scopes_of(AnonymousUser())] == [frozenset(), frozenset()]

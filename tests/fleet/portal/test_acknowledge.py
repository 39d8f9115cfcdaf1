import pytest
from django.urls import reverse

from fleet.findings.models import Finding, Transition
from tests.fleet.factories import make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db

EDITOR, VIEWER = ("editor", "Northwind Mail"), ("viewer", "Northwind Mail")
INTACT = "pair.data-intact"


@pytest.fixture
def finding():
    return finding_of("Northwind Mail", "northwind-eu-1")


def finding_of(tenant, name, rule_id=INTACT):
    pair = make_pair(tenant, name=name)
    make_state(pair)
    return make_finding(pair, rule_id=rule_id)


def sign_in(client, *roles):
    client.force_login(make_person("vera", is_operator=False, roles=roles))
    return client


def address(finding):
    return reverse("admin:findings_finding_acknowledge", args=[finding.pk])


def page(client, finding):
    return client.get(reverse("admin:findings_finding_change", args=[finding.pk])).content.decode()


def test_an_editor_accepts_a_loss_with_a_reason(client, finding):
    sign_in(client, EDITOR)
    assert 'name="reason"' in page(client, finding)
    answer = client.post(address(finding), {"reason": "accounts were moved"}, follow=True)

    finding.refresh_from_db()
    last = Transition.objects.get(finding=finding, cause="acknowledged")
    assert (finding.state, last.note, last.actor.username) == (
        "resolved",
        "accounts were moved",
        "vera",
    )
    assert "Acknowledged. The pair is checked again." in answer.content.decode()
    assert 'name="reason"' not in page(client, finding)


def test_a_reason_is_wanted(client, finding):
    answer = sign_in(client, EDITOR).post(address(finding), {"reason": "ok"}, follow=True)

    assert "Give a reason of 5 letters or more." in answer.content.decode()
    assert Finding.objects.get(pk=finding.pk).state == "open"


def test_who_may_only_look_sees_no_form_and_is_refused(client, finding):
    sign_in(client, VIEWER)

    assert 'name="reason"' not in page(client, finding)
    assert client.post(address(finding), {"reason": "accounts moved"}).status_code == 403
    assert client.get(address(finding)).status_code == 405


def test_a_finding_of_another_tenant_is_not_there(client, finding):
    theirs = finding_of("Halden Clinics", "halden-eu-1")
    answer = sign_in(client, EDITOR).post(address(theirs), {"reason": "accounts moved"})

    assert answer.status_code == 404
    assert Finding.objects.get(pk=theirs.pk).state == "open"


def test_other_findings_close_by_themselves(client):
    other = finding_of("Northwind Mail", "northwind-eu-2", rule_id="redis.eviction-policy")
    sign_in(client, EDITOR)

    assert 'name="reason"' not in page(client, other)
    assert "and this finding closes itself." in page(client, other)

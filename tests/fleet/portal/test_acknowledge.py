from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from fleet.findings.models import Finding, Transition
from fleet.registry.instants import instant
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
    answer = client.post(
        address(finding), {"reason": "accounts were moved", "until": "accept"}, follow=True
    )

    finding.refresh_from_db()
    last = Transition.objects.get(finding=finding, cause="acknowledged")
    assert (finding.state, last.note, last.actor.username) == (
        "resolved",
        "accounts were moved",
        "vera",
    )
    assert "Accepted, and closed. The pair is checked again." in answer.content.decode()
    assert 'name="reason"' not in page(client, finding)


def test_a_reason_is_wanted(client, finding):
    answer = sign_in(client, EDITOR).post(
        address(finding), {"reason": "ok", "until": "accept"}, follow=True
    )

    assert "Give a reason of 5 letters or more." in answer.content.decode()
    assert Finding.objects.get(pk=finding.pk).state == "open"


def test_who_may_only_look_sees_no_form_and_is_refused(client, finding):
    sign_in(client, VIEWER)

    assert 'name="reason"' not in page(client, finding)
    assert (
        client.post(address(finding), {"reason": "accounts moved", "until": "1"}).status_code == 403
    )
    assert client.get(address(finding)).status_code == 405


def test_a_finding_of_another_tenant_is_not_there(client, finding):
    theirs = finding_of("Halden Clinics", "halden-eu-1")
    answer = sign_in(client, EDITOR).post(
        address(theirs), {"reason": "accounts moved", "until": "accept"}
    )

    assert answer.status_code == 404
    assert Finding.objects.get(pk=theirs.pk).state == "open"


def test_other_findings_close_by_themselves(client):
    other = finding_of("Northwind Mail", "northwind-eu-2", rule_id="redis.eviction-policy")
    sign_in(client, EDITOR)

    assert 'value="accept"' not in page(client, other)
    assert "and this finding closes itself." in page(client, other)
    said = {"reason": "we like it so", "until": "accept"}
    answer = client.post(address(other), said, follow=True)
    assert "redis.eviction-policy ends by itself once it passes." in answer.content.decode()


@pytest.mark.parametrize("rule_id", ["redis.eviction-policy", INTACT])
def test_somebody_answers_for_it_until_a_time(client, rule_id):
    other = finding_of("Northwind Mail", "northwind-eu-2", rule_id=rule_id)
    sign_in(client, EDITOR)
    before = timezone.now()
    answer = client.post(
        address(other), {"reason": "a node is coming", "until": "72"}, follow=True
    ).content.decode()

    other.refresh_from_db()
    last = Transition.objects.get(finding=other, cause="acknowledged")
    assert (other.state, other.acknowledged_by.username) == ("open", "vera")
    assert timedelta(days=3) <= other.acknowledged_until - before < timedelta(days=3, minutes=1)
    assert (last.from_state, last.to_state, last.note) == ("open", "open", "a node is coming")
    assert last.until == other.acknowledged_until
    until = instant(other.acknowledged_until)
    assert f"Acknowledged until {until}, unless it gets worse." in answer
    assert answer.count(f"Acknowledged until {until}") == 3  # said, in the head, in the timeline
    assert "a node is coming · by vera" in answer


@pytest.mark.parametrize("until", ["", "720", "-1", "x"])
def test_for_how_long_is_one_of_the_choices(client, finding, until):
    said = {"reason": "a node is coming", "until": until}
    answer = sign_in(client, EDITOR).post(address(finding), said, follow=True)

    assert "Choose for how long." in answer.content.decode()
    finding.refresh_from_db()
    assert finding.acknowledged_until is None


def test_a_resolved_finding_is_past_answering_for(client):
    pair = make_pair(name="northwind-eu-3")
    make_state(pair)
    past = make_finding(pair, state="resolved", resolved_at=timezone.now())
    said = {"reason": "a node is coming", "until": "24"}
    answer = sign_in(client, EDITOR).post(address(past), said, follow=True)

    assert "This finding is not open any more." in answer.content.decode()
    assert 'name="until"' not in page(client, past)


def test_an_acknowledgement_is_ended_early(client, finding):
    sign_in(client, EDITOR)
    assert "End it now" not in page(client, finding)
    client.post(address(finding), {"reason": "on our way", "until": "24"})
    shown = page(client, finding)
    assert "End it now" in shown
    assert "by vera." in shown

    answer = client.post(address(finding), {"until": "end"}, follow=True)

    finding.refresh_from_db()
    assert (finding.state, finding.acknowledged_until, finding.acknowledged_by) == (
        "open",
        None,
        None,
    )
    text = answer.content.decode()
    assert "The acknowledgement is ended: reminders go on." in text
    assert "Acknowledgement ended" in text
    assert "End it now" not in text
    moves = Transition.objects.filter(finding=finding, cause="acknowledged").order_by("pk")
    assert [(one.to_state, bool(one.until), one.actor.username) for one in moves] == [
        ("open", True, "vera"),
        ("open", False, "vera"),
    ]


def test_what_is_not_acknowledged_cannot_be_ended(client, finding):
    answer = sign_in(client, EDITOR).post(address(finding), {"until": "end"}, follow=True)

    assert "This finding is not acknowledged any more." in answer.content.decode()
    assert Transition.objects.filter(cause="acknowledged").count() == 0


def test_who_may_only_look_ends_no_acknowledgement(client, finding):
    until = timezone.now() + timedelta(hours=1)
    Finding.objects.filter(pk=finding.pk).update(acknowledged_until=until)
    sign_in(client, VIEWER)

    assert "End it now" not in page(client, finding)
    assert client.post(address(finding), {"until": "end"}).status_code == 403

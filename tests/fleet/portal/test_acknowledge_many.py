import pytest
from django.urls import reverse

from fleet.findings.models import Finding, Transition
from tests.fleet.factories import NOW, make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db
LIST = "admin:findings_finding_changelist"
EDITOR, VIEWER = ("editor", "Northwind Mail"), ("viewer", "Northwind Mail")
SAID = {"reason": "a node is coming", "until": "24"}


@pytest.fixture
def findings():
    made = []
    for tenant in ("Northwind Mail", "Northwind Mail", "Halden Clinics"):
        pair = make_pair(tenant)
        make_state(pair)
        made.append(make_finding(pair))
    ours = make_pair()
    make_state(ours)
    return [*made, make_finding(ours, state="resolved", resolved_at=NOW)]


def ids(findings):
    return ",".join(str(one.pk) for one in findings)


def sign_in(client, *roles):
    client.force_login(make_person("vera", is_operator=not roles, roles=roles))
    return client


def chosen(client, findings):
    """Tick these in the list and choose the action."""
    return client.post(
        f"{reverse(LIST)}?state=open",
        {"action": "acknowledge_chosen", "_selected_action": [one.pk for one in findings]},
        follow=True,
    )


def test_the_action_asks_for_a_reason_and_a_time(client, findings):
    answer = chosen(sign_in(client), findings[:2])

    assert answer.context["ids"] == ids(findings[:2])
    assert "Acknowledge 2 open findings" in answer.content.decode()


def test_what_is_no_number_of_a_finding_is_passed_over(client, findings):
    odd = ",".join(["9" * 5_000, "x", "", "9" * 30, str(findings[0].pk)])
    sign_in(client).post(reverse("portal:acknowledge_many"), {**SAID, "findings": odd})

    assert list(Finding.objects.exclude(acknowledged_until=None)) == findings[:1]


def test_open_findings_of_ones_own_are_acknowledged(client, findings):
    answer = sign_in(client, EDITOR).post(
        reverse("portal:acknowledge_many"), {**SAID, "findings": ids(findings)}, follow=True
    )

    done = Finding.objects.exclude(acknowledged_until=None).order_by("pk")
    assert list(done) == findings[:2]
    assert {one.acknowledged_by.username for one in done} == {"vera"}
    moves = Transition.objects.filter(cause="acknowledged")
    assert {(one.note, one.to_state) for one in moves} == {("a node is coming", "open")}
    assert "2 findings are acknowledged until " in answer.content.decode()


@pytest.mark.parametrize(
    ("said", "why"),
    [({"reason": "ok"}, "Give a reason of 5 letters"), ({"until": "1000"}, "Choose for how long.")],
)
def test_a_refusal_stands_on_the_form_with_what_was_typed(client, findings, said, why):
    typed = {**SAID, **said, "findings": ids(findings)}
    answer = sign_in(client).post(reverse("portal:acknowledge_many"), typed)

    assert why in answer.content.decode()
    assert answer.context["reason"] == typed["reason"]
    assert not Finding.objects.exclude(acknowledged_until=None).exists()


def test_who_may_only_look_is_offered_nothing(client, findings):
    sign_in(client, VIEWER)
    posted = {**SAID, "findings": ids(findings)}
    answer = client.post(reverse("portal:acknowledge_many"), posted, follow=True)

    assert "None of them is open and yours to acknowledge." in answer.content.decode()
    assert not Finding.objects.exclude(acknowledged_until=None).exists()
    assert "acknowledge_chosen" not in client.get(reverse(LIST)).content.decode()
    assert client.get(reverse("portal:acknowledge_many")).status_code == 405

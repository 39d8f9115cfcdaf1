"""Compliance at a past instant: of a tenant and of a pair, as the record was."""

import re
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from fleet.history.models import FleetHour, LampMove
from fleet.registry.models import Target
from tests.fleet.factories import (
    make_finding,
    make_pair,
    make_person,
    make_state,
    make_tenant,
    make_zone,
    move,
)

pytestmark = pytest.mark.django_db
URL = "/admin/trends/instant/"
DAY = timedelta(days=1)
History = Target.history.model


@pytest.fixture(autouse=True)
def _fresh_caches():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def typed(days_ago: float) -> str:
    return (timezone.now() - days_ago * DAY).strftime("%Y-%m-%dT%H:%M")


def registered(name="northwind-eu-0417", tenant="Northwind Mail", days_ago=30.0):
    """A pair, registered so many days ago."""
    pair = make_pair(tenant, name=name)
    History.objects.filter(id=pair.pk).update(history_date=timezone.now() - days_ago * DAY)
    return pair


def lamp(pair, days_ago: float, compliance: str, health="healthy") -> None:
    at = timezone.now() - days_ago * DAY
    LampMove.objects.create(target_id=pair.pk, at=at, compliance=compliance, health=health)


def lines(answer) -> list[tuple[str, str, str]]:
    return [
        (one.known.name, one.stood.compliance, one.stood.raw_compliance)
        for one in answer.context["told"].lines
    ]


def test_a_tenant_then_worst_first(operator, django_assert_max_num_queries):
    now = timezone.now()
    good, bad, _unread, waived = (registered(name) for name in ("good", "bad", "unread", "waived"))
    registered("later", days_ago=2)
    registered("other", "Fabrikam")
    for pair in (good, waived):
        lamp(pair, 20, "compliant")
    lamp(bad, 20, "compliant")
    lamp(bad, 9, "non_compliant", "failing")
    lamp(good, 5, "non_compliant")
    make_finding(bad, opened_at=now - 9 * DAY, state="resolved", resolved_at=now - 3 * DAY)
    found = make_finding(waived, opened_at=now - 19 * DAY)
    move(found, "waived", now - 19 * DAY, from_state="open", to_state="open")

    with django_assert_max_num_queries(12):
        answer = operator.get(URL, {"at": typed(7), "name": "northwind mail"})

    assert lines(answer) == [
        ("bad", "non_compliant", "non_compliant"),
        ("unread", "", ""),
        ("waived", "compliant", "non_compliant"),
        ("good", "compliant", "compliant"),
    ]
    told = answer.context["told"]
    assert (told.compliant_count, told.raw_count, told.unknown_count) == (2, 1, 1)
    text = " ".join(answer.content.decode().split())
    assert "<b>50.0%</b> of 4 pairs compliant with waivers, 25.0% without." in text
    assert "waived then" in text


def test_paused_pairs_count_and_those_archived_since_stood_as_they_did(client):
    now = timezone.now()
    kept, paused, gone = (registered(name) for name in ("kept", "paused", "gone"))
    for pair, state, days in ((paused, "paused", 20), (gone, "archived", 2)):
        pair.target.state = state
        pair.target.save()
        changed = History.objects.filter(history_type="~", id=pair.pk)
        changed.update(history_date=now - days * DAY)
    client.force_login(make_person("lea", is_operator=False, roles=[("viewer", "Northwind Mail")]))

    told = client.get(URL, {"at": typed(7), "tenant": kept.target.tenant_id}).context["told"]

    assert [(one.known.name, one.is_paused) for one in told.lines] == [
        ("gone", False),
        ("kept", False),
        ("paused", True),
    ]


def test_one_pair_with_what_was_open_as_grave_as_then(operator):
    now, pair = timezone.now(), registered()
    lamp(pair, 20, "at_risk", "degraded")
    found = make_finding(pair, "pair.rtt", severity="warning", opened_at=now - 9 * DAY)
    stays = {"from_state": "open", "to_state": "open"}
    move(found, "severity", now - 3 * DAY, **stays, to_severity="critical")

    answer = operator.get(URL, {"at": typed(7), "pair": pair.pk})

    assert lines(answer) == [("northwind-eu-0417", "at_risk", "at_risk")]
    file = operator.get(URL, {"at": typed(7), "pair": pair.pk, "csv": 1}).content.decode()
    assert file.splitlines() == [
        "pair,compliance,without_waivers,health,open,waived,not_checked_then",
        "northwind-eu-0417,at_risk,at_risk,degraded,pair.rtt:warning,,",
    ]
    assert [one.was.severity for one in answer.context["told"].lines[0].findings] == ["warning"]
    past = operator.get(f"/admin/registry/pair/{pair.pk}/findings/").content.decode()
    assert f"{URL}?pair={pair.pk}" in past


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ({"at": "2999-01-01T10:00", "name": "Northwind Mail"}, "at", "is no date and time"),
        ({"at": "2199-01-01T10:00", "name": "Northwind Mail"}, "at", "has not come yet"),
        ({"at": "never", "name": "Northwind Mail"}, "at", "never is no date and time"),
        ({"at": "2026-01-01T10:00", "name": ""}, "tenant", "Name a tenant."),
        ({"at": "2026-01-01T10:00", "name": "X"}, "tenant", "There is no tenant X"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(operator, query, field, words):
    make_tenant("Northwind Mail")

    answer = operator.get(URL, query)

    assert answer.context["told"] is None
    assert words in answer.context["form"].errors[field][0]


def test_nobody_asks_for_what_is_not_theirs(client):
    pair = registered()
    client.force_login(make_person("lea", is_operator=False, roles=[("viewer", "Fabrikam")]))

    for query in ({"pair": pair.pk}, {"tenant": pair.target.tenant_id}, {"pair": "x"}):
        assert client.get(URL, {"at": typed(1), **query}).status_code == 404
    named = client.get(URL, {"at": typed(1), "name": "Northwind Mail"})
    assert "There is no tenant" in named.context["form"].errors["tenant"][0]


def test_before_it_was_registered_nothing_is_told(operator):
    pair = registered(days_ago=2)
    make_state(pair)

    text = operator.get(URL, {"at": typed(7), "pair": pair.pk}).content.decode()

    assert "No pair was registered then." in text


def watched(hours_ago: int) -> None:
    """Let the fleet's figures tell that pairs were visited in an hour."""
    at = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours_ago)
    FleetHour.objects.create(
        at=at, zone=make_zone(), pairs_count=1, visits_count=60, silent_count=0
    )


@pytest.mark.parametrize(
    ("watched_hours_ago", "is_told"),
    [((80, 5), True), ((72, 5), False), ((5,), False), ((80,), True)],
)
def test_what_nobody_looked_at_then_is_said(operator, watched_hours_ago, is_told):
    """The lamps on record are those of before the portal stood still."""
    pair = registered()
    lamp(pair, 20, "compliant")
    for hours_ago in watched_hours_ago:
        watched(hours_ago)

    answer = operator.get(URL, {"at": typed(3), "pair": pair.pk})

    text = " ".join(answer.content.decode().split())
    assert lines(answer) == [("northwind-eu-0417", "compliant", "compliant")]
    assert ("until then: this is how it stood before." in text) is is_told
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    since = hour - timedelta(hours=79) if is_told else None
    assert answer.context["told"].idle_since == since
    file = operator.get(URL, {"at": typed(3), "pair": pair.pk, "csv": 1}).content.decode()
    why = f"nobody was checked since {since:%Y-%m-%dT%H:%MZ}" if since else ""
    if watched_hours_ago == (5,):  # the record begins after that instant
        why = "not on record"
    assert file.splitlines()[1] == f"northwind-eu-0417,compliant,compliant,healthy,,,{why}"


def test_the_file_says_which_pairs_were_paused_then(operator):
    pair = registered()
    lamp(pair, 20, "compliant")
    paused = History.objects.filter(id=pair.pk).latest("history_id")
    paused.pk, paused.state, paused.history_date = None, "paused", timezone.now() - 9 * DAY
    paused.save()

    file = operator.get(URL, {"at": typed(3), "pair": pair.pk, "csv": 1}).content.decode()

    assert file.splitlines()[1] == "northwind-eu-0417,compliant,compliant,healthy,,,paused"


def test_beyond_what_is_kept_of_visits_that_is_said(operator):
    """The lamps are kept for ever, the figures that tell whether anybody looked are not."""
    pair = registered(days_ago=900)
    lamp(pair, 900, "compliant")
    watched(24 * 730)
    kept_from = timezone.now().replace(minute=0, second=0, microsecond=0) - 730 * DAY
    said = (
        "Whether any pair was checked then is not on record: that goes back to"
        f" {kept_from:%-d %b %Y}"
    )

    beyond, within = (
        operator.get(URL, {"at": typed(days_ago), "pair": pair.pk}) for days_ago in (731, 729.9)
    )

    assert lines(beyond) == [("northwind-eu-0417", "compliant", "compliant")]
    assert said in " ".join(re.sub("<[^>]+>", "", beyond.content.decode()).split())
    assert said not in " ".join(re.sub("<[^>]+>", "", within.content.decode()).split())
    file = operator.get(URL, {"at": typed(731), "pair": pair.pk, "csv": 1}).content.decode()
    assert file.splitlines()[1] == "northwind-eu-0417,compliant,compliant,healthy,,,not on record"


def test_of_the_hour_under_way_nothing_is_missed(operator):
    pair = registered()
    lamp(pair, 20, "compliant")
    watched(5)

    told = operator.get(URL, {"at": typed(0), "pair": pair.pk}).context["told"]

    assert told.idle_since is None

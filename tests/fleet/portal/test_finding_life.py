"""Do pages tell what is so of a finding: stale, flapping, acknowledged, opened before?"""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from fleet.findings.models import Transition
from fleet.portal.figures import clock, instant, time_tag
from fleet.portal.timeline import SHOWN
from tests.fleet.factories import make_finding, make_pair, make_person, make_state, move

pytestmark = pytest.mark.django_db
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def now():
    return timezone.now()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def made(now, **fields):
    pair = make_pair(name="northwind-eu-1")
    make_state(pair, now=now)
    return make_finding(pair, now=now, **fields)


def page(client, finding):
    return client.get(reverse("admin:findings_finding_change", args=[finding.pk]))


@pytest.mark.parametrize(
    ("fields", "mark", "words"),
    [
        ({"stale_since": -HOUR}, "stale", "Stale since {clock}"),
        ({"flapping_since": -HOUR}, "flapping", "Flapping since {clock}"),
        ({"flapping_since": -2 * DAY}, "flapping", "Flapping since {instant}"),
        ({"acknowledged_until": HOUR}, "acknowledged", "Acknowledged until {clock}"),
        ({"acknowledged_until": 3 * DAY}, "acknowledged", "Acknowledged until {instant}"),
    ],
)
def test_each_condition_is_told_on_the_three_pages(operator, now, fields, mark, words):
    ((name, delta),) = fields.items()
    finding = made(now, **{name: now + delta})
    said = words.format(clock=clock(now + delta), instant=instant(now + delta))

    answer = page(operator, finding)
    assert [tuple(one) for one in answer.context["conditions"]] == [(mark, said)]
    pair = operator.get(reverse("admin:registry_pair_change", args=[finding.target_id]))
    rows = operator.get(reverse("admin:findings_finding_changelist"))
    for one in (answer, pair):
        assert said in one.content.decode()
    assert f"<span>{mark.capitalize()}</span>" in rows.content.decode()


def test_what_is_over_is_not_told(operator, now):
    finding = made(now, acknowledged_until=now - HOUR)

    assert page(operator, finding).context["conditions"] == []


def test_a_resolved_finding_may_still_flap_but_is_neither_stale_nor_acknowledged(operator, now):
    finding = made(
        now,
        state="resolved",
        resolved_at=now,
        stale_since=now,
        acknowledged_until=now + HOUR,
        flapping_since=now,
    )

    assert [one.mark for one in page(operator, finding).context["conditions"]] == ["flapping"]


def test_the_timeline_tells_the_whole_life(operator, now):
    finding = made(now)
    stays = {"from_state": "open", "to_state": "open"}
    until = now + DAY
    move(finding, "acknowledged", now, **stays, until=until, note="a node is coming")
    move(finding, "stale", now, **stays)
    move(finding, "fresh", now, **stays)
    move(finding, "resolved", now, from_state="open", to_state="resolved")
    move(finding, "opened", now, from_state="pending", to_state="open", is_quiet=True)
    move(finding, "flapping", now, **stays)
    move(finding, "calm", now, **stays)
    move(finding, "acknowledged", now, from_state="open", to_state="resolved", note="it was us")

    events = page(operator, finding).context["timeline"].events

    assert [(one.mark, one.words, one.note) for one in events] == [
        ("critical", "Opened, critical", ""),
        ("acknowledged", f"Acknowledged until {instant(until)}", "a node is coming"),
        ("stale", "Stale", "no conclusive result for 3 intervals"),
        ("critical", "Read again", ""),
        ("resolved", "Resolved", ""),
        ("critical", "Opened again, critical", "while flapping: nobody is told"),
        ("flapping", "Flapping", "4 moves within an hour"),
        ("critical", "Calm again", ""),
        ("resolved", "Accepted, and closed", "it was us"),
    ]


def test_what_flaps_for_days_does_not_fill_the_page(operator, now, django_assert_max_num_queries):
    finding = made(now)
    Transition.objects.bulk_create(
        Transition(
            finding=finding,
            at=now + n * HOUR / 60,
            cause="resolved" if n % 2 else "opened",
            from_state="open",
            to_state="resolved" if n % 2 else "open",
            to_severity="critical",
        )
        for n in range(500)
    )

    with django_assert_max_num_queries(12):
        answer = page(operator, finding)

    found = answer.context["timeline"]
    assert (len(found.events), found.has_more) == (SHOWN, True)
    assert found.events[-1].words == "Resolved"
    assert found.events[0].words == "Opened again, critical"
    assert "Earlier moves are not shown" in answer.content.decode()


def test_an_episode_that_came_back_says_how_often(operator, now):
    finding = made(now, openings_count=3, first_seen_at=now - 5 * DAY)
    began = time_tag(now - 5 * DAY, instant(now - 5 * DAY))

    assert f"1, opened 3 times since {began}" in page(operator, finding).content.decode()


def test_what_flaps_does_not_fill_the_overview(operator, now):
    finding = made(now)
    for n in range(6):
        move(finding, "resolved" if n % 2 else "opened", now, to_state="open", is_quiet=True)

    answer = operator.get(reverse("admin:index"))

    assert len(answer.context["overview"].moves.newest) == 1

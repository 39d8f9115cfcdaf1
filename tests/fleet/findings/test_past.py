"""Is what was open at a past instant told as the record was?"""

from datetime import timedelta

import pytest
from django.db import connection

from fleet.findings.models import Finding, Transition
from fleet.findings.past import OPEN_AT, Was, open_at
from tests.fleet.factories import NOW, make_finding, make_pair, move

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def test_a_finding_is_open_from_its_opening_until_its_end() -> None:
    pair = make_pair()
    found = make_finding(
        pair, opened_at=NOW - 5 * HOUR, state="resolved", resolved_at=NOW - 3 * HOUR
    )
    was = Was(
        found.pk,
        pair.pk,
        found.rule_id,
        "requirement",
        "critical",
        is_waived=False,
        opened_at=NOW - 5 * HOUR,
    )
    tick = timedelta(microseconds=1)

    told = [
        open_at(at, [pair.pk])
        for at in (NOW - 5 * HOUR - tick, NOW - 5 * HOUR, NOW - 3 * HOUR - tick, NOW - 3 * HOUR)
    ]

    assert told == [[], [was], [was], []]


def test_one_that_opened_again_since_was_open_before_and_not_between() -> None:
    pair = make_pair()
    found = make_finding(pair, opened_at=NOW - 9 * HOUR)
    move(found, "resolved", NOW - 6 * HOUR, from_state="open", to_state="resolved")
    move(found, "opened", NOW - 2 * HOUR, from_state="pending", to_state="open")
    Finding.objects.update(opened_at=NOW - 2 * HOUR)

    opened = [
        [was.opened_at for was in open_at(NOW - hours * HOUR, [pair.pk])] for hours in (7, 4, 1)
    ]

    assert opened == [[NOW - 9 * HOUR], [], [NOW - 2 * HOUR]]


def test_severity_and_waiver_are_those_of_then() -> None:
    pair = make_pair()
    found = make_finding(pair, opened_at=NOW - 9 * HOUR, severity="warning")
    stays = {"from_state": "open", "to_state": "open"}
    move(found, "waived", NOW - 8 * HOUR, **stays)
    move(found, "unwaived", NOW - 5 * HOUR, **stays)
    move(found, "severity", NOW - 3 * HOUR, **stays, to_severity="critical")
    move(found, "stale", NOW - 2 * HOUR, **stays, to_severity="")
    Finding.objects.update(severity="critical")

    told = [
        (was.severity, was.is_waived)
        for hours in (8.5, 7, 4, 1)
        for was in open_at(NOW - hours * HOUR, [pair.pk])
    ]

    assert told == [("warning", False), ("warning", True), ("warning", False), ("critical", False)]


def test_what_covered_an_earlier_opening_does_not_cover_a_later_one() -> None:
    pair = make_pair()
    found = make_finding(pair, opened_at=NOW - 9 * HOUR)
    move(found, "waived", NOW - 8 * HOUR, from_state="open", to_state="open")
    move(found, "resolved", NOW - 6 * HOUR, from_state="open", to_state="resolved")
    move(found, "opened", NOW - 2 * HOUR, from_state="pending", to_state="open")

    assert [was.is_waived for was in open_at(NOW, [pair.pk])] == [False]


def test_pending_and_other_targets_are_left_out() -> None:
    one, other = make_pair(), make_pair()
    make_finding(one, state="pending")
    make_finding(other)

    assert open_at(NOW, [one.pk]) == []
    assert Transition.objects.count() == 1


def test_a_clock_that_was_set_back_ends_a_finding_before_it_began() -> None:
    pair = make_pair()
    make_finding(
        pair,
        first_seen_at=NOW,
        opened_at=NOW,
        state="resolved",
        resolved_at=NOW - HOUR,
    )

    assert [open_at(NOW + n * HOUR, [pair.pk]) for n in (-2, -1, 0, 1)] == [[], [], [], []]


def test_an_index_knows_whose_life_holds_an_instant() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        cursor.execute(f"EXPLAIN {OPEN_AT}", {"at": NOW})
        plan = "\n".join(line for (line,) in cursor.fetchall())

    assert "finding_life" in plan

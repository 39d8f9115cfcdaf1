"""Is a pair's standing at a past instant the one that the portal showed then?"""

from datetime import timedelta

import pytest

from fleet.history.models import LampMove
from fleet.inspections import waive
from fleet.inspections.models import PairSchedule, PairState
from fleet.inspections.past import Stood, stood_at
from fleet.inspections.unverified import mark_unverified
from tests.fleet.factories import make_finding, make_pair, make_person, make_state
from tests.fleet.inspections.test_waive import BAD, asked
from tests.fleet.visiting import NOW, make_pairs, visit

pytestmark = pytest.mark.django_db
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def moves() -> list[tuple[int, str, str]]:
    """Give the record as minutes from NOW."""
    return [
        (round((one.at - NOW) / MINUTE), one.compliance, one.health)
        for one in LampMove.objects.order_by("at")
    ]


def test_every_change_of_a_lamp_is_on_record_whoever_makes_it() -> None:
    (pair,) = make_pairs(1)
    mara = make_person()
    visit(NOW)
    visit(NOW + MINUTE)
    visit(NOW + 6 * MINUTE, **BAD)
    waiver = waive.request(asked(pair), mara.pk, NOW + 7 * MINUTE)
    waive.revoke(waiver.pk, mara.pk, "Ordered too late", NOW + 9 * MINUTE)
    visit(NOW + 11 * MINUTE)
    mark_unverified(NOW + 30 * MINUTE)

    assert moves() == [
        (0, "compliant", "healthy"),
        (6, "non_compliant", "healthy"),
        (7, "compliant", "healthy"),
        (9, "non_compliant", "healthy"),
        (11, "compliant", "healthy"),
        (30, "unverified", "unknown"),
    ]


def test_a_change_after_a_clock_was_set_back_is_on_record_when_it_came() -> None:
    (pair,) = make_pairs(1)
    visit(NOW)
    mark_unverified(NOW + DAY)
    visit(NOW + DAY + MINUTE)
    PairSchedule.objects.update(next_due_at=NOW + 5 * MINUTE, health_due_at=NOW + 5 * MINUTE)
    visit(NOW + 6 * MINUTE, **BAD)

    stood = [
        stood_at(NOW + minutes * MINUTE, [pair.pk])[pair.pk].compliance for minutes in (5, 6, 7)
    ]
    assert stood == ["compliant", "non_compliant", "non_compliant"]


def test_a_pair_stood_as_its_lamps_and_findings_were() -> None:
    (pair,) = make_pairs(1)
    mara = make_person()
    visit(NOW)
    visit(NOW + 6 * MINUTE, **BAD)
    waive.request(asked(pair), mara.pk, NOW + 7 * MINUTE)
    visit(NOW + 11 * MINUTE)

    stood = [stood_at(NOW + n * MINUTE, [pair.pk])[pair.pk] for n in (-1, 0, 6, 7, 11)]

    assert [(one.compliance, one.raw_compliance, len(one.open)) for one in stood] == [
        ("", "", 0),
        ("compliant", "compliant", 0),
        ("non_compliant", "non_compliant", 1),
        ("compliant", "non_compliant", 1),
        ("compliant", "compliant", 0),
    ]
    assert stood[3].open[0].is_waived


@pytest.mark.parametrize(
    ("severity", "kind", "compliance"),
    [
        ("critical", "requirement", "non_compliant"),
        ("warning", "requirement", "at_risk"),
        ("info", "requirement", ""),
        ("critical", "operation", ""),
    ],
)
def test_before_the_record_only_what_findings_prove_is_told(
    severity: str, kind: str, compliance: str
) -> None:
    pair = make_pair()
    make_state(pair, NOW, compliance_since=NOW, health_since=NOW)
    make_finding(pair, severity=severity, kind=kind, opened_at=NOW - DAY)
    stood = stood_at(NOW - MINUTE, [pair.pk])[pair.pk]

    assert (stood.lamps, stood.compliance) == (None, compliance)


def test_of_two_changes_at_one_instant_the_last_stands() -> None:
    pair = make_pair()
    make_state(pair, NOW, compliance_since=NOW - DAY, health_since=NOW - DAY)
    PairState.objects.update(compliance="at_risk", compliance_since=NOW)
    PairState.objects.update(health="failing", health_since=NOW)

    assert moves() == [(-1440, "compliant", "healthy"), (0, "at_risk", "failing")]
    assert stood_at(NOW, []) == {}
    assert stood_at(NOW - 2 * DAY, [pair.pk]) == {pair.pk: Stood(None, ())}

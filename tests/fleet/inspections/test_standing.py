"""Does history hold how the fleet stood: scores, each target at the end of a day, each hour?"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from fleet.findings.models import Finding, Waiver
from fleet.history import partitions
from fleet.history.models import ComplianceDay, FleetHour, ScoreDay, Visit
from fleet.inspections.standing import keep_standing
from fleet.registry.models import Pair, Target
from tests.fleet.factories import (
    make_finding,
    make_pair,
    make_person,
    make_state,
    make_tenant,
    move,
)

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 21)
EVENING = datetime(2026, 11, 21, 23, 55, tzinfo=UTC)
NIGHT = datetime(2026, 11, 22, 0, 5, tzinfo=UTC)
SCORE = (
    "pairs_count",
    "compliant_count",
    "at_risk_count",
    "non_compliant_count",
    "unverified_count",
    "raw_compliant_count",
)


@pytest.fixture(autouse=True)
def days() -> Iterator[None]:
    """Make the partitions that the tests write to."""
    partitions.make(partitions.VISITS, [DAY])
    yield
    partitions.forget_days()


def pair(compliance: str, tenant: str = "Northwind Mail", **state: object) -> Pair:
    made = make_pair(tenant)
    make_state(made, compliance=compliance, **state)
    return made


def score(tenant: str | None, day: date = DAY) -> tuple[int, ...]:
    row = ScoreDay.objects.get(tenant=tenant and make_tenant(tenant), day=day)
    return tuple(getattr(row, name) for name in SCORE)


def test_scores_count_the_pairs_of_each_tenant_and_of_the_fleet() -> None:
    for compliance in ("compliant", "compliant", "at_risk", "non_compliant"):
        pair(compliance)
    pair("unverified", "Fabrikam")
    archived = pair("compliant", "Fabrikam")
    Target.objects.filter(pk=archived.pk).update(state="archived")

    keep_standing(EVENING)

    assert score("Northwind Mail") == (4, 2, 1, 1, 0, 2)
    assert score("Fabrikam") == (1, 0, 0, 0, 1, 0)
    assert score(None) == (5, 2, 1, 1, 1, 2)
    assert ScoreDay.objects.get(tenant=None).conclusive_count == 5 * 18
    assert ScoreDay.objects.get(tenant=None).applicable_count == 5 * 19


def test_scores_hold_what_is_open_by_rule_with_the_waived_apart() -> None:
    one, other, archived = pair("at_risk"), pair("at_risk", "Fabrikam"), pair("at_risk")
    Target.objects.filter(pk=archived.pk).update(state="archived")
    for who in (one, other, archived):
        make_finding(who, "redis.durability", severity="critical")
    make_finding(one, "pair.rtt", severity="warning")
    make_finding(one, "redis.tcp-keepalive", severity="info")
    make_finding(one, "redis.version", state="pending")
    covered = make_finding(other, "redis.same-zone", severity="warning")
    cover(covered)

    keep_standing(EVENING)

    found = {row.tenant and row.tenant.name: row.open_findings for row in ScoreDay.objects.all()}
    both = {"redis.durability": [2, 0, 0], "pair.rtt": [0, 1, 0], "redis.same-zone": [0, 0, 1]}
    assert found == {
        None: both,
        "Northwind Mail": {"redis.durability": [1, 0, 0], "pair.rtt": [0, 1, 0]},
        "Fabrikam": {"redis.durability": [1, 0, 0], "redis.same-zone": [0, 0, 1]},
    }


def cover(finding: Finding) -> None:
    """Lay a waiver over it."""
    who = make_person("waiver")
    finding.waiver = Waiver.objects.create(
        tenant=finding.target.tenant,
        target=finding.target,
        rule_id=finding.rule_id,
        severity="critical",
        kind="accepted_risk",
        reason="Known",
        requested_by=who,
        requested_at=EVENING,
        expires_at=EVENING + timedelta(days=1),
    )
    finding.save()


def test_the_last_run_of_a_day_is_the_days() -> None:
    one = pair("compliant")
    keep_standing(EVENING)
    one.target.pair_state.compliance = "at_risk"
    one.target.pair_state.save()
    keep_standing(EVENING + timedelta(minutes=4))
    keep_standing(NIGHT)

    assert score(None) == (1, 0, 1, 0, 0, 0)
    assert score(None, NIGHT.date()) == (1, 0, 1, 0, 0, 0)


@pytest.mark.parametrize(
    ("state", "scored", "fleet"),
    [("paused", 1, (2, 1, 0, 1, 0, 1)), ("archived", 0, (1, 1, 0, 0, 0, 1))],
)
def test_a_tenant_whose_last_pair_was_archived_has_no_score_of_the_day(
    state: str, scored: int, fleet: tuple[int, ...]
) -> None:
    left = pair("non_compliant")
    pair("compliant", "Fabrikam")
    keep_standing(EVENING)
    Target.objects.filter(pk=left.pk).update(state=state)
    keep_standing(EVENING + timedelta(minutes=4))

    assert ScoreDay.objects.filter(tenant=left.target.tenant).count() == scored
    assert score("Fabrikam") == (1, 1, 0, 0, 0, 1)
    assert score(None) == fleet


def test_a_fleet_whose_last_pair_left_has_no_score_of_the_day() -> None:
    left = pair("compliant")
    keep_standing(EVENING)
    Target.objects.filter(pk=left.pk).update(state="archived")
    keep_standing(EVENING + timedelta(minutes=4))

    assert not ScoreDay.objects.exists()


@pytest.mark.parametrize(
    ("severity", "kind", "raw"),
    [
        ("critical", "requirement", "non_compliant"),
        ("warning", "requirement", "at_risk"),
        ("info", "requirement", "compliant"),
        ("critical", "operation", "compliant"),
    ],
)
def test_raw_is_as_if_nothing_were_waived(severity: str, kind: str, raw: str) -> None:
    one = pair("compliant", waived_count=1)
    make_finding(one, severity=severity, kind=kind)
    keep_standing(EVENING)
    keep_standing(NIGHT)

    found = ComplianceDay.objects.get()
    assert (found.compliance, found.raw_compliance) == ("compliant", raw)
    assert score(None)[-1] == (raw == "compliant")


def test_each_target_is_written_once_soon_after_midnight() -> None:
    one = pair("at_risk", health="degraded", warning_count=2)
    keep_standing(EVENING)
    keep_standing(NIGHT)
    keep_standing(NIGHT + timedelta(minutes=5))

    found = ComplianceDay.objects.get()
    assert (found.target_id, found.day, found.compliance, found.health) == (
        one.pk,
        DAY,
        "at_risk",
        "degraded",
    )
    assert (found.warning_count, found.conclusive_count, found.applicable_count) == (2, 18, 19)


@pytest.mark.parametrize(
    ("late", "count"), [(timedelta(hours=6), 1), (timedelta(hours=6, seconds=1), 0)]
)
def test_a_day_that_was_not_written_in_time_stays_a_gap(late: timedelta, count: int) -> None:
    pair("compliant")
    keep_standing(EVENING)
    keep_standing(datetime(2026, 11, 22, tzinfo=UTC) + late)

    assert ComplianceDay.objects.count() == count


def test_a_day_on_which_nobody_watched_stays_a_gap() -> None:
    pair("compliant")
    keep_standing(NIGHT)

    assert not ComplianceDay.objects.exists()


def visit(one: Pair, minute: int, **columns: object) -> None:
    values = {"fails_count": 0, "unknowns_count": 0, "outcome": 0, **columns}
    Visit.objects.create(
        target_id=one.pk, at=datetime(2026, 11, 21, 22, minute, tzinfo=UTC), **values
    )


def test_a_closed_hour_holds_its_zones_and_engines() -> None:
    quick, slow, other = pair("compliant"), pair("compliant"), pair("compliant", engine="redis")
    for minute, rtt_us in enumerate((100, 200, 300, 400)):
        visit(
            quick,
            minute,
            rtt_median_us=rtt_us,
            rtt_max_us=rtt_us,
            used_memory_bytes=1,
            maxmemory_bytes=4,
        )
    visit(slow, 59, rtt_median_us=9_000, rtt_max_us=9_500, last_save_age_s=60)
    visit(slow, 58, outcome=1)
    visit(other, 5, used_memory_bytes=3, maxmemory_bytes=0)
    make_finding(
        quick,
        rule_id="redis.durability",
        severity="critical",
        opened_at=EVENING - timedelta(days=1),
    )
    make_finding(
        slow, rule_id="pair.rtt", severity="warning", opened_at=EVENING - timedelta(days=1)
    )
    again = make_finding(
        slow, rule_id="redis.rdb-fresh", severity="warning", opened_at=EVENING - timedelta(days=1)
    )
    opens = {"from_state": "pending", "to_state": "open"}
    move(again, "resolved", EVENING - timedelta(minutes=40), from_state="open", to_state="resolved")
    move(again, "opened", EVENING - timedelta(minutes=30), **opens)
    Finding.objects.filter(rule_id="pair.rtt").update(resolved_at=EVENING, state="resolved")
    Finding.objects.filter(pk=again.pk).update(opened_at=EVENING - timedelta(minutes=30))
    waived = make_finding(slow, rule_id="redis.version", opened_at=EVENING - timedelta(days=1))
    move(waived, "waived", EVENING - timedelta(hours=2), from_state="open", to_state="open")

    keep_standing(EVENING)

    found = {row.engine: row for row in FleetHour.objects.all()}
    valkey = found["valkey"]
    assert (valkey.pairs_count, valkey.visits_count, valkey.silent_count) == (2, 5, 1)
    assert (valkey.rtt_median_us, valkey.rtt_p95_us, valkey.rtt_max_us) == (300, 9_000, 9_500)
    assert (valkey.used_ratio_median, valkey.last_save_age_p95_s) == (0.25, 60)
    assert valkey.open_findings == {"redis": [1, 1], "pair": [0, 1]}
    assert (found["redis"].visits_count, found["redis"].used_ratio_median) == (1, None)


def test_hours_that_a_stopped_portal_missed_are_written_afterwards() -> None:
    one = pair("compliant")
    visit(one, 5)
    keep_standing(EVENING)
    Visit.objects.create(target_id=one.pk, at=EVENING, fails_count=0, unknowns_count=0, outcome=0)
    partitions.make(partitions.VISITS, [NIGHT.date()])
    Visit.objects.create(
        target_id=one.pk,
        at=NIGHT + timedelta(hours=1),
        fails_count=0,
        unknowns_count=0,
        outcome=0,
    )
    keep_standing(NIGHT + timedelta(hours=3))

    hours = [at.hour for at in FleetHour.objects.order_by("at").values_list("at", flat=True)]
    assert hours == [22, 23, 1]


def test_a_clock_that_ran_ahead_leaves_no_gap() -> None:
    one = pair("compliant")
    ahead = EVENING + timedelta(days=30)
    partitions.make(partitions.VISITS, [ahead.date()])
    for at in (EVENING - timedelta(hours=1), EVENING, ahead - timedelta(hours=1)):
        Visit.objects.create(target_id=one.pk, at=at, fails_count=0, unknowns_count=0, outcome=0)

    for now in (EVENING, ahead, EVENING + timedelta(hours=1)):
        keep_standing(now)

    written = FleetHour.objects.filter(at__lt=ahead - timedelta(days=1)).order_by("at")
    assert [at.hour for at in written.values_list("at", flat=True)] == [22, 23]

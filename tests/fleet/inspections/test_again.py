"""Is history written again as it was: twice the same rows, and after a run that was killed midway?"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from io import StringIO

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection

from fleet.history import partitions, rollup
from fleet.history.models import (
    ComplianceDay,
    FleetHour,
    LampMove,
    MemoryGrowth,
    ScoreDay,
    Visit,
    VisitDay,
    VisitHour,
)
from fleet.inspections import again, standing
from fleet.inspections.models import PairState
from fleet.registry.models import Pair, Target
from tests.fleet.factories import make_finding, make_pair, make_state, make_tenant, move

pytestmark = pytest.mark.django_db
DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
NEXT = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
TABLES = ("visithour", "visitday", "complianceday", "scoreday", "fleethour")


@pytest.fixture(autouse=True)
def _the_day_after() -> Iterator[None]:
    partitions.forget_days()
    partitions.make(partitions.VISITS, [DAY])
    with time_machine.travel(NEXT, tick=False):
        yield
    partitions.forget_days()


def pair(name: str, compliance: str = "compliant", tenant: str = "Northwind Mail") -> Pair:
    """A pair, registered a month ago, whose lamps stood since so then, with a visit at noon."""
    made = make_pair(tenant, name=name)
    month_ago = NEXT - timedelta(days=30)
    Target.history.filter(id=made.pk).update(history_date=month_ago)
    make_state(
        made, NEXT, compliance=compliance, compliance_since=month_ago, health_since=month_ago
    )
    visit(made, NOON, rtt_median_us=300, used_memory_bytes=1000)
    return made


def visit(one: Pair, at: datetime, **columns: object) -> None:
    values = {"fails_count": 0, "unknowns_count": 0, "outcome": 0, **columns}
    Visit.objects.create(target_id=one.pk, at=at, **values)


def rebuild(*words: str) -> str:
    told = StringIO()
    call_command("rebuild_history", "--from", f"{DAY}", *words, stdout=told)
    return told.getvalue()


def dump() -> dict[str, list[tuple[object, ...]]]:
    """Give every row of what is rebuilt, without the numbers that the database gives."""
    found = {}
    with connection.cursor() as cursor:
        for name in TABLES:
            cursor.execute(f"SELECT to_jsonb(t) - 'id' FROM history_{name} t ORDER BY 1")
            found[name] = cursor.fetchall()
    return found


def score(tenant: str | None = None) -> tuple[object, ...]:
    row = ScoreDay.objects.get(day=DAY, tenant=tenant and make_tenant(tenant))
    return (
        row.pairs_count,
        row.compliant_count,
        row.non_compliant_count,
        row.raw_compliant_count,
        row.open_findings,
    )


def test_everything_of_a_day_comes_from_the_record() -> None:
    good, bad, waived = pair("good"), pair("bad", "non_compliant"), pair("waived")
    paused, later = pair("paused"), pair("later")
    other = pair("other", tenant="Fabrikam")
    Target.history.filter(id=paused.pk).update(state="paused")
    Target.history.filter(id=later.pk).update(history_date=NEXT)
    LampMove.objects.create(target_id=good.pk, at=NEXT, compliance="at_risk", health="healthy")
    rule = "redis.durability"
    gone = make_finding(bad, rule, opened_at=NOON, state="resolved", resolved_at=NEXT)
    covered = make_finding(waived, rule, opened_at=NOON)
    move(covered, "waived", NOON, from_state="open", to_state="open")
    make_finding(other, rule, opened_at=NEXT)

    assert rebuild() == (
        "2026-11-20: rollups from raw, standing, 1 hours\nDrew 0 lines of memory anew.\n"
    )

    rows = {row.target_id: row for row in ComplianceDay.objects.filter(day=DAY)}
    assert {pk: (row.compliance, row.raw_compliance) for pk, row in rows.items()} == {
        good.pk: ("compliant", "compliant"),
        bad.pk: ("non_compliant", "non_compliant"),
        waived.pk: ("compliant", "non_compliant"),
        paused.pk: ("compliant", "compliant"),
        other.pk: ("compliant", "compliant"),
    }
    assert (rows[bad.pk].critical_count, rows[waived.pk].waived_count) == (1, 1)
    assert score("Northwind Mail") == (4, 3, 1, 2, {rule: [1, 0, 1]})
    assert score("Fabrikam") == (1, 1, 0, 1, {})
    assert score() == (5, 4, 1, 3, {rule: [1, 0, 1]})
    hour = FleetHour.objects.get()
    assert (hour.at, hour.visits_count, hour.open_findings) == (NOON, 6, {"redis": [1, 0]})
    assert VisitDay.objects.count() == VisitHour.objects.count() == 6
    assert gone.resolved_at == NEXT


def test_twice_leaves_the_same_rows() -> None:
    bad = pair("bad", "non_compliant")
    pair("good", tenant="Fabrikam")
    make_finding(bad, opened_at=NOON)
    rebuild()
    first = dump()

    rebuild()

    assert dump() == first
    assert [len(first[name]) for name in TABLES] == [2, 2, 2, 3, 1]


@pytest.mark.django_db(transaction=True)
def test_many_at_once_and_the_night_beside_them_leave_the_same_rows() -> None:
    bad = pair("bad", "non_compliant")
    pair("good", tenant="Fabrikam")
    make_finding(bad, opened_at=NOON)
    rebuild()
    first = dump()
    VisitHour.objects.all().delete()

    with ThreadPoolExecutor(4) as pool:
        runs = [pool.submit(done, rebuild) for _ in range(3)]
        runs.append(pool.submit(done, rollup.roll_up, NEXT))
        for run in runs:
            run.result(timeout=60)

    assert dump() == first


def done(work: Callable[..., object], *given: object) -> None:
    """Work on a connection of its own."""
    try:
        work(*given)
    finally:
        connection.close()


@pytest.mark.parametrize("part", ["stand_again", "figure_again"])
def test_a_run_that_was_killed_midway_leaves_whole_parts_and_is_made_good(
    part, monkeypatch
) -> None:
    pair("good")
    rebuild()
    whole = dump()
    Visit.objects.filter(target_id__isnull=False).update(rtt_median_us=900)
    rebuild()
    after = dump()
    Visit.objects.update(rtt_median_us=300)

    class Killed(BaseException):
        """The process ends here."""

    with connection.execute_wrapper(_dies_at(part, Killed)), pytest.raises(Killed):
        rebuild()

    found = dump()
    assert all(found[name] in (whole[name], after[name]) for name in TABLES)
    rebuild()
    assert dump() == whole


def _dies_at(part: str, how: type[BaseException]):
    """Die once a part has begun to write: within its transaction."""
    wanted = {
        "stand_again": "INSERT INTO history_scoreday",
        "figure_again": "INSERT INTO history_fleethour",
    }[part]

    def wrapper(execute, sql, params, many, context):
        result = execute(sql, params, many, context)
        if wanted in str(sql):
            raise how
        return result

    return wrapper


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("is_made_anew", [False, True])
def test_a_day_whose_raw_visits_are_gone_comes_from_its_hours(is_made_anew) -> None:
    one = pair("one")
    rebuild()
    before = dump()
    partitions.drop_before(partitions.VISITS, DAY + timedelta(days=1))
    if is_made_anew:  # by a clock that ran behind
        partitions.make(partitions.VISITS, [DAY])
    VisitDay.objects.update(rtt_median_us=7)

    assert rebuild().startswith("2026-11-20: rollups from hours, standing, 0 hours")
    assert dump() == before
    assert VisitDay.objects.get().target_id == one.pk


def test_a_day_on_which_nobody_was_visited_stays_a_gap() -> None:
    pair("one")
    Visit.objects.all().delete()

    assert "no visits: rollups stay, nobody visited: no standing, 0 hours" in rebuild()
    assert not ComplianceDay.objects.exists()
    assert not ScoreDay.objects.exists()


def test_one_pair_alone_leaves_the_others_and_the_scores() -> None:
    one, other = pair("one"), pair("other")
    rebuild()
    VisitDay.objects.update(rtt_median_us=7)
    ComplianceDay.objects.update(compliance="at_risk")
    ScoreDay.objects.update(pairs_count=9)

    rebuild("--pair", f"{one.pk}")

    days = VisitDay.objects.order_by("target_id").values_list("target_id", "rtt_median_us")
    assert list(days) == [(one.pk, 300), (other.pk, 7)]
    stood = ComplianceDay.objects.order_by("target_id").values_list("target_id", "compliance")
    assert list(stood) == [(one.pk, "compliant"), (other.pk, "at_risk")]
    assert set(ScoreDay.objects.values_list("pairs_count", flat=True)) == {9}


def test_coverage_that_the_night_wrote_stays() -> None:
    pair("one")
    rebuild()
    ComplianceDay.objects.update(conclusive_count=41, applicable_count=44)
    ScoreDay.objects.update(conclusive_count=41, applicable_count=44)

    rebuild()

    rows = [*ComplianceDay.objects.all(), *ScoreDay.objects.all()]
    assert {(row.conclusive_count, row.applicable_count) for row in rows} == {(41, 44)}


def test_the_night_and_the_rebuild_agree() -> None:
    bad = pair("bad", "non_compliant")
    pair("good")
    finding = make_finding(bad, opened_at=NOON)
    PairState.objects.filter(pk=bad.pk).update(critical_count=1)
    rebuild("--only", "rollups")
    evening = datetime(2026, 11, 20, 23, 55, tzinfo=UTC)
    standing.keep_standing(evening)
    standing.keep_standing(evening + timedelta(minutes=10))
    night = dump()

    again.stand_again(DAY)

    assert {name: dump()[name] for name in TABLES[2:4]} == {
        name: night[name] for name in TABLES[2:4]
    }
    assert finding.severity == "critical"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "2026-11-21"], "2026-11-21 is not over yet: the last day that is closed is"),
        (["--to", "2026-11-19"], "--from 2026-11-20 is after --to 2026-11-19"),
        (["--to", "soon"], "'soon' is no day, such as 2026-11-20"),
        (["--pair", "999999"], "there is no pair 999999"),
    ],
)
def test_what_is_wrong_is_said(words, said) -> None:
    with pytest.raises(CommandError, match=said):
        rebuild(*words)


def test_lines_of_memory_are_drawn_anew() -> None:
    one = pair("one")
    days = [DAY - timedelta(days=n) for n in range(20)]
    partitions.make(partitions.DAYS, days)
    counts = dict.fromkeys(("visits_count", "silent_count", "blind_count", "fails_max_count"), 0)
    VisitDay.objects.bulk_create(
        VisitDay(target_id=one.pk, at=rollup.bounds(day)[0], used_memory_max_bytes=1000, **counts)
        for day in days[1:]
    )

    assert rebuild().endswith("Drew 1 lines of memory anew.\n")
    assert MemoryGrowth.objects.get().days_count == 20

"""Does a changed retention drop exactly what is older, and is nothing lost or invented by a longer one?"""

from datetime import UTC, date, datetime, timedelta

import pytest

from fleet.history import partitions
from fleet.history.models import RolledDay, ScoreDay, VisitDay, VisitHour
from fleet.history.retention import keep
from fleet.registry.models import FleetSettings
from tests.fleet.history.visits import make_visit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_partitions")]
TODAY = date(2026, 11, 21)
NIGHT = datetime(2026, 11, 21, 0, 20, tzinfo=UTC)
LONGER, DEFAULT = 30, 3


def days_ago(count: int) -> date:
    return TODAY - timedelta(days=count)


def visit_each_day(oldest: int) -> None:
    """Visit one pair at noon of each of so many days before today."""
    for ago in range(1, oldest + 1):
        make_visit(datetime(TODAY.year, TODAY.month, TODAY.day, 12, tzinfo=UTC) - timedelta(ago))


def run(times: int = 1, **days: int) -> None:
    for _run in range(times):
        keep(NIGHT, NIGHT, FleetSettings(**days))


def raw_days() -> list[int]:
    """Give how many days ago the raw visits are of that are kept."""
    days = partitions.attached_days(partitions.VISITS)
    return [(TODAY - day).days for day in days if day <= TODAY]


def months(table: partitions.Table) -> list[str]:
    return [f"{day:%Y-%m}" for day in partitions.attached_days(table)]


@pytest.mark.parametrize("shorter", [1, 2, 3, 5])
def test_shorter_raw_days_drop_what_is_older_and_nothing_else(shorter: int) -> None:
    visit_each_day(7)
    run(raw_days=7)
    assert raw_days() == [7, 6, 5, 4, 3, 2, 1, 0]

    run(raw_days=shorter)
    assert raw_days() == list(range(max(shorter, 5), -1, -1))
    run(2, raw_days=shorter)

    assert raw_days() == list(range(shorter, -1, -1))


def test_what_a_shorter_setting_drops_is_rolled_up_first() -> None:
    """Also where the rollups of a week were missed, and though no run has seen those days."""
    visit_each_day(7)

    run(4, raw_days=1)

    assert raw_days() == [1, 0]
    written = [datetime(2026, 11, day, tzinfo=UTC) for day in range(14, 21)]
    rows = VisitDay.objects.order_by("at").values_list("at", "visits_count")
    assert list(rows) == [(at, 1) for at in written]
    hours = VisitHour.objects.order_by("at").values_list("at", "visits_count")
    assert list(hours) == [(at + timedelta(hours=12), 1) for at in written]


def test_longer_raw_days_lose_nothing_and_invent_nothing() -> None:
    visit_each_day(7)
    run(3, raw_days=DEFAULT)
    before = raw_days(), list(VisitDay.objects.order_by("at").values()), RolledDay.objects.count()

    run(2, raw_days=LONGER)

    days = list(VisitDay.objects.order_by("at").values())
    assert (raw_days(), days, RolledDay.objects.count()) == before
    assert raw_days() == [3, 2, 1, 0]


def make_months(count: int) -> None:
    """Make a month's partition of hours, days and standing for each month back from today's."""
    day = TODAY
    for _month in range(count):
        for table in (partitions.HOURS, partitions.DAYS, partitions.COMPLIANCE):
            partitions.make(table, [day])
        day = day.replace(day=1) - timedelta(days=1)


@pytest.mark.parametrize(("hourly_days", "oldest"), [(20, "2026-11"), (21, "2026-10")])
def test_a_month_of_hours_goes_when_all_of_it_is_older(hourly_days: int, oldest: str) -> None:
    """On 21 November the last of October is 21 days ago."""
    make_months(2)

    run(hourly_days=hourly_days)

    assert months(partitions.HOURS)[0] == oldest
    assert months(partitions.DAYS)[0] == "2026-10"


@pytest.mark.parametrize(("daily_days", "oldest"), [(112, "2026-08"), (113, "2026-07")])
def test_a_month_of_days_and_standing_goes_when_all_of_it_is_older(
    daily_days: int, oldest: str
) -> None:
    """On 21 November 31 July is 113 days ago: its month goes with 112 days kept, not with 113."""
    make_months(5)

    run(2, daily_days=daily_days)

    assert [months(table)[0] for table in (partitions.DAYS, partitions.COMPLIANCE)] == [oldest] * 2


def score(day: date) -> None:
    counts = {one.name: 0 for one in ScoreDay._meta.concrete_fields if one.name.endswith("_count")}
    ScoreDay.objects.create(day=day, **counts)


def test_a_clock_years_ahead_costs_no_years_of_scores() -> None:
    """Host and database have one clock on a small machine: that they agree proves nothing."""
    for ago in range(700):
        score(days_ago(ago))
        RolledDay.objects.create(day=days_ago(ago), rolled_at=NIGHT, visits_count=1)
    leap = NIGHT + timedelta(days=3650)

    keep(leap, leap, FleetSettings())

    assert ScoreDay.objects.count() >= 700 - 62
    assert RolledDay.objects.count() >= 700 - 62

"""Do hours and days hold what their visits read, once, whatever runs when?"""

import threading
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.db import OperationalError, connection

from fleet.history import partitions, rollup
from fleet.history.models import FleetHour, RolledDay, ScoreDay, VisitDay, VisitHour
from fleet.history.retention import keep
from fleet.registry.models import FleetSettings
from tests.fleet.history.visits import make_visit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_partitions")]
DAY = date(2026, 11, 20)
NIGHT = datetime(2026, 11, 21, 0, 20, tzinfo=UTC)


def visit(hour: float, target_id: int = 1, day: date = DAY, **columns: float) -> None:
    make_visit(at(0, day) + timedelta(hours=hour), target_id, **columns)


def row(model: type[VisitHour | VisitDay], *columns: str) -> list[tuple[object, ...]]:
    return list(model.objects.order_by("target_id", "at").values_list(*columns))


def at(hour: int, day: date = DAY) -> datetime:
    return datetime(day.year, day.month, day.day, hour, tzinfo=UTC)


def test_an_hour_holds_means_extremes_and_highest_counters() -> None:
    read = {"rtt_min_us": 100, "rtt_median_us": 200, "rtt_max_us": 900, "used_memory_bytes": 10}
    visit(9.0, **read, evicted_keys=5, fragmentation_ratio=1.5, fails_count=2)
    visit(9.5, rtt_min_us=80, rtt_median_us=301, rtt_max_us=400, used_memory_bytes=20)
    visit(9.99, outcome=1)
    visit(10.0, outcome=2)

    assert rollup.roll_up(NIGHT) == [DAY]

    wanted = ("at", "visits_count", "silent_count", "blind_count")
    assert row(VisitHour, *wanted) == [(at(9), 2, 1, 0), (at(10), 0, 0, 1)]
    figures = ("rtt_min_us", "rtt_median_us", "rtt_max_us", "used_memory_bytes")
    assert row(VisitHour, *figures) == [(80, 250, 900, 15), (None, None, None, None)]
    rest = ("used_memory_min_bytes", "used_memory_max_bytes", "evicted_keys", "fails_max_count")
    assert row(VisitHour, *rest) == [(10, 20, 5, 2), (None, None, None, 0)]


@pytest.mark.parametrize(
    ("column", "most"), [("used_memory_bytes", 2**63 - 1), ("api_response_us", 2**31 - 1)]
)
def test_the_greatest_that_a_column_holds_is_rolled_up(column: str, most: int) -> None:
    """A server may send any number: it must not end everybody's history."""
    for minute in range(3):
        visit(9 + minute / 60, **{column: most})

    live = rollup.live_days(1, at(0), at(0), at(23))
    rollup.roll_up(NIGHT)

    assert row(VisitHour, column) == row(VisitDay, column) == [(most,)]
    assert live[0][rollup.COLUMNS.index(column)] == most


def test_slow_answers_every_ten_seconds_are_rolled_up() -> None:
    for n in range(360):
        visit(9 + n / 360, api_response_us=9_000_000)

    rollup.roll_up(NIGHT)

    assert row(VisitDay, "visits_count", "api_response_us") == [(360, 9_000_000)]


def test_what_few_visits_tell_is_the_mean_of_those() -> None:
    visit(9.0, processed_per_minute=90, bounce_ratio=0.02)
    visit(9.1)
    visit(9.2, processed_per_minute=30, bounce_ratio=0.04)

    rollup.roll_up(NIGHT)

    mail = ("processed_per_minute", "processed_per_minute_max")
    assert row(VisitHour, *mail) == row(VisitDay, *mail) == [(60, 90)]
    assert [round(one, 4) for one in row(VisitDay, "bounce_ratio", "bounce_max_ratio")[0]] == [
        0.03,
        0.04,
    ]


def test_a_day_weighs_its_hours_by_their_visits() -> None:
    for hour, used in ((1.0, 10), (2.0, 40), (2.5, 40), (2.6, 40)):
        visit(hour, used_memory_bytes=used)
    visit(3.0, target_id=2, used_memory_bytes=7)
    visit(4.0, outcome=1)

    rollup.roll_up(NIGHT)

    wanted = ("target_id", "at", "visits_count", "silent_count", "used_memory_bytes")
    assert row(VisitDay, *wanted) == [(1, at(0), 4, 1, 32), (2, at(0), 1, 0, 7)]


def test_a_day_is_rolled_up_once_it_is_settled_and_only_once() -> None:
    visit(23.99)
    midnight = at(0, DAY + timedelta(days=1))

    assert rollup.roll_up(midnight + timedelta(minutes=10, microseconds=-1)) == []
    assert rollup.roll_up(midnight + timedelta(minutes=10)) == [DAY]
    assert rollup.roll_up(midnight + timedelta(minutes=11)) == []
    assert list(RolledDay.objects.values_list("day", "visits_count")) == [(DAY, 1)]


def test_a_missed_week_is_rolled_up_afterwards() -> None:
    days = [DAY - timedelta(days=n) for n in range(7)]
    for day in days:
        visit(12.0, day=day)

    assert rollup.roll_up(NIGHT) == sorted(days)
    assert VisitDay.objects.count() == 7


def test_rolled_up_again_a_day_holds_the_same_and_what_came_late() -> None:
    visit(9.0, rtt_median_us=100)
    rollup.roll_day(DAY, NIGHT)
    rollup.roll_day(DAY, NIGHT)
    visit(9.5, rtt_median_us=300)
    rollup.roll_day(DAY, NIGHT)

    assert row(VisitHour, "at", "visits_count", "rtt_median_us") == [(at(9), 2, 200)]
    assert row(VisitDay, "visits_count", "rtt_median_us") == [(2, 200)]


def test_a_day_without_its_raw_visits_is_left_as_written() -> None:
    with pytest.raises(ValueError, match="the raw visits of 2026-11-20 are gone"):
        rollup.roll_day(DAY, NIGHT)


def test_many_runs_at_once_write_a_day_once() -> None:
    for hour in range(24):
        visit(hour)

    def run() -> None:
        try:
            rollup.roll_up(NIGHT)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert VisitHour.objects.count() == 24
    assert VisitDay.objects.count() == 1


def test_live_hours_equal_the_ones_written() -> None:
    visit(9.0, rtt_median_us=100, connected_clients=3)
    visit(11.2, rtt_median_us=300, evicted_keys=4)
    visit(11.2, target_id=2)

    live = rollup.live_hours(1, at(0), at(23))
    rollup.roll_up(NIGHT)

    assert live == row(VisitHour, *rollup.COLUMNS)[:2]


def settings(raw_days: int = 3) -> FleetSettings:
    return FleetSettings(raw_days=raw_days)


def test_raw_days_go_once_they_are_rolled_up_two_a_run() -> None:
    for n in range(7):
        visit(12.0, day=DAY - timedelta(days=n))
    kept = [DAY - timedelta(days=n) for n in (2, 1, 0)]
    ahead = [DAY + timedelta(days=n) for n in range(1, 9)]

    for _run in range(2):
        keep(NIGHT, NIGHT, settings())

    assert partitions.attached_days(partitions.VISITS) == kept + ahead
    assert VisitDay.objects.count() == 7


def test_late_visits_are_rolled_up_before_their_raw_day_goes() -> None:
    visit(12.0)
    keep(NIGHT, NIGHT, settings())
    visit(13.0)
    later = NIGHT + timedelta(days=4)
    keep(later, later, settings())

    assert row(VisitDay, "visits_count") == [(2,)]
    assert DAY not in partitions.attached_days(partitions.VISITS)


def test_a_reader_that_holds_up_the_drop_costs_no_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    """A dump of the database reads for longer than a drop waits."""
    monkeypatch.setattr(partitions, "LOCK_WAIT", "100ms")
    monkeypatch.setattr(partitions, "PAUSE_S", 0.0)
    visit(12.0)
    keep(NIGHT, NIGHT, settings())
    later = NIGHT + timedelta(days=4)
    with psycopg.connect(**connection.get_connection_params()) as reader:
        reader.execute("SELECT count(*) FROM history_visit")
        with pytest.raises(OperationalError, match="lock timeout"):
            keep(later, later, settings())

    keep(later, later, settings())

    assert row(VisitHour, "at", "visits_count") == [(at(12), 1)]
    assert row(VisitDay, "at", "visits_count") == [(at(0), 1)]
    assert DAY not in partitions.attached_days(partitions.VISITS)


def test_a_clock_that_ran_behind_costs_no_hour() -> None:
    """The days it makes anew are empty, or hold what was visited by it."""
    days = [DAY - timedelta(days=n) for n in range(6)]
    for day in days:
        visit(12.0, day=day)
        visit(13.0, day=day)
    for _run in range(2):
        keep(NIGHT, NIGHT, settings())
    behind = NIGHT - timedelta(days=5)
    partitions.forget_days()
    keep(behind, NIGHT, settings())
    visit(0.2, day=behind.date())
    keep(behind + timedelta(days=1), NIGHT, settings())

    for _run in range(3):
        keep(NIGHT, NIGHT, settings())

    written = [(at(hour, day), 1) for day in sorted(days) for hour in (12, 13)]
    assert row(VisitHour, "at", "visits_count") == written
    assert [count for (count,) in row(VisitDay, "visits_count")] == [2] * 6
    assert partitions.attached_days(partitions.VISITS)[0] == DAY - timedelta(days=2)


def test_nothing_is_dropped_while_the_clocks_disagree() -> None:
    visit(12.0)
    leap = NIGHT + timedelta(days=400)

    keep(leap, NIGHT, settings())

    assert DAY in partitions.attached_days(partitions.VISITS)


def test_scores_and_hours_of_the_fleet_go_with_the_days() -> None:
    for days_ago in (729, 730, 731):
        ScoreDay.objects.create(
            day=NIGHT.date() - timedelta(days=days_ago),
            **{
                field.name: 0
                for field in ScoreDay._meta.concrete_fields
                if field.name.endswith("_count")
            },
        )

    keep(NIGHT, NIGHT, settings())

    oldest = ScoreDay.objects.order_by("day").values_list("day", flat=True)
    assert [(NIGHT.date() - day).days for day in oldest] == [730, 729]
    assert not FleetHour.objects.exists()

"""Are the open day's hours written once each is over, and is a chart whole whatever ran when?"""

import threading
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from fleet.history import hourly, rollup
from fleet.history.models import RolledDay, RolledHour, VisitDay, VisitHour
from fleet.history.trend import Pace, rolled
from tests.fleet.history.visits import make_visit

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_partitions")]
DAY = date(2026, 11, 20)
NOON = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)


def hour(number: int, day: int = 20) -> datetime:
    return datetime(2026, 11, day, number, tzinfo=UTC)


def chart(pace: Pace, until: datetime = NOON) -> list[list[object]]:
    columns = ["visits_count", "rtt_median_us", "rtt_max_us"]
    rows = rolled(1, until - timedelta(days=90), until, columns, pace)
    return [[datetime.fromtimestamp(at, UTC), *rest] for at, *rest in rows]


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (hour(12) + timedelta(minutes=5, microseconds=-1), hour(10)),
        (hour(12) + timedelta(minutes=5), hour(11)),
    ],
)
def test_an_hour_is_written_once_it_is_settled(now, newest) -> None:
    make_visit(hour(9))

    assert hourly.roll_hours(now)[-1] == newest
    assert hourly.roll_hours(now) == []
    assert rollup.written_until() == (None, newest + timedelta(hours=1))


def test_a_chart_is_the_same_before_and_after_its_hours_and_its_day_are_written() -> None:
    for at, rtt_us in ((8, 100), (9, 200), (11, 400), (12, 800)):
        make_visit(hour(at), rtt_median_us=rtt_us, rtt_max_us=2 * rtt_us)
        make_visit(
            hour(at) + timedelta(minutes=20), rtt_median_us=3 * rtt_us, rtt_max_us=3 * rtt_us
        )
    raw = chart(Pace.HOUR), chart(Pace.DAY)
    assert raw == (
        [
            [hour(8), 2, 200, 300],
            [hour(9), 2, 400, 600],
            [hour(11), 2, 800, 1200],
            [hour(12), 2, 1600, 2400],
        ],
        [[hour(0), 8, 750, 2400]],
    )

    hourly.roll_hours(NOON)
    assert VisitHour.objects.count() == 3
    assert (chart(Pace.HOUR), chart(Pace.DAY)) == raw

    rollup.roll_up(NOON + timedelta(days=1))
    assert (chart(Pace.HOUR), chart(Pace.DAY)) == raw
    assert not RolledHour.objects.exists()


def test_what_came_late_is_in_what_the_night_writes() -> None:
    make_visit(hour(9), rtt_median_us=100)
    hourly.roll_hours(NOON)
    make_visit(hour(9) + timedelta(minutes=30), rtt_median_us=300)

    rollup.roll_up(NOON + timedelta(days=1))

    assert [row[:3] for row in chart(Pace.HOUR)] == [[hour(9), 2, 200]]
    assert VisitDay.objects.get().visits_count == 2


def test_an_hour_written_again_holds_the_same_and_what_came_late() -> None:
    make_visit(hour(9), rtt_median_us=100)
    hourly.roll_hour(hour(9), NOON)
    hourly.roll_hour(hour(9), NOON)
    make_visit(hour(9) + timedelta(minutes=30), rtt_median_us=300)
    hourly.roll_hour(hour(9), NOON)

    found = VisitHour.objects.values_list("at", "visits_count", "rtt_median_us")
    assert list(found) == [(hour(9), 2, 200)]


def test_hours_that_were_missed_come_in_order_and_none_is_left_out() -> None:
    make_visit(hour(22, 18))
    make_visit(hour(3, 20))

    written = hourly.roll_hours(NOON)

    assert written[:2] == [hour(0, 18), hour(1, 18)]
    assert (len(written), written[-1]) == (24 + 12, hour(11, 20))
    assert [row[:2] for row in chart(Pace.HOUR)] == [[hour(22, 18), 1], [hour(3, 20), 1]]


def test_days_that_are_rolled_up_need_no_hours() -> None:
    make_visit(hour(22, 19))
    make_visit(hour(3, 20))
    rollup.roll_up(NOON)

    assert hourly.roll_hours(NOON) == [hour(n) for n in range(12)]


def test_a_clock_that_ran_ahead_leaves_no_hour_or_day_half_told() -> None:
    make_visit(hour(11), rtt_median_us=100)
    ahead = NOON + timedelta(days=2)
    make_visit(ahead)
    rollup.roll_up(ahead)
    hourly.roll_hours(ahead)
    make_visit(hour(12), rtt_median_us=300)

    hourly.roll_hours(NOON)

    assert [row[:3] for row in chart(Pace.HOUR)] == [[hour(11), 1, 100], [hour(12), 1, 300]]
    assert [row[:3] for row in chart(Pace.DAY)] == [[hour(0), 2, 200]]
    assert not RolledDay.objects.exists()


def test_many_runs_at_once_write_each_hour_once() -> None:
    for number in range(12):
        make_visit(hour(number))

    def run() -> None:
        try:
            hourly.roll_hours(NOON)
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    hourly.roll_hours(NOON)

    assert list(VisitHour.objects.order_by("at").values_list("at", "visits_count")) == [
        (hour(number), 1) for number in range(12)
    ]
    assert RolledHour.objects.count() == 12

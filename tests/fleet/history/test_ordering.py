"""Do a pair's rows of a closed month lie side by side, once, and the open month's as they were written?"""

from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from fleet.history import ordering, partitions, rollup
from fleet.history.models import VisitDay, VisitHour
from fleet.history.retention import keep
from fleet.registry.models import FleetSettings

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_partitions")]
COUNTS = dict.fromkeys(("visits_count", "silent_count", "blind_count", "fails_max_count"), 0)


def write(day: date) -> None:
    """Write two targets' rows of a day, as the night does."""
    for table, model in ((partitions.HOURS, VisitHour), (partitions.DAYS, VisitDay)):
        partitions.make(table, [day])
        at = rollup.bounds(day)[0]
        model.objects.bulk_create(
            model(target_id=target_id, at=at, **COUNTS) for target_id in (1, 2)
        )


def lie(partition: str) -> list[tuple[int, int]]:
    """Give a partition's rows as they lie: target, day of the month."""
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT target_id, extract(day FROM at)::int FROM {partition} ORDER BY ctid"
        )
        return list(cursor.fetchall())


def test_a_month_is_put_in_order_once_it_is_over() -> None:
    for day in (date(2026, 10, 30), date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2)):
        write(day)
    as_written = [(1, 30), (2, 30), (1, 31), (2, 31)]

    assert ordering.order_closed(date(2026, 10, 31)) == []
    assert lie("history_visithour_202610") == as_written
    for wanted in (["history_visithour_202610"], ["history_visitday_202610"], []):
        assert ordering.order_closed(date(2026, 11, 1)) == wanted

    assert lie("history_visithour_202610") == lie("history_visitday_202610") == sorted(as_written)
    assert lie("history_visithour_202611") == [(1, 1), (2, 1), (1, 2), (2, 2)]


def test_the_newest_month_comes_first_and_charts_read_what_they_read() -> None:
    for day in (date(2026, 8, 31), date(2026, 9, 30)):
        write(day)
    before = list(VisitDay.objects.order_by("target_id", "at").values_list(*rollup.COLUMNS))

    ordered = ordering.order_closed(date(2026, 11, 1), most=3)

    assert ordered == [
        "history_visithour_202609",
        "history_visithour_202608",
        "history_visitday_202609",
    ]
    after = list(VisitDay.objects.order_by("target_id", "at").values_list(*rollup.COLUMNS))
    assert after == before
    assert partitions.drop_before(partitions.DAYS, date(2026, 9, 1)) == ["history_visitday_202608"]


def test_the_night_orders_what_is_closed_but_not_by_a_clock_that_may_be_wrong() -> None:
    write(date(2026, 10, 30))
    write(date(2026, 10, 31))
    now = datetime(2026, 11, 1, 0, 20, tzinfo=UTC)

    keep(now, now - timedelta(days=1), FleetSettings())
    assert lie("history_visithour_202610") == [(1, 30), (2, 30), (1, 31), (2, 31)]

    keep(now, now, FleetSettings())
    assert lie("history_visithour_202610") == [(1, 30), (1, 31), (2, 30), (2, 31)]

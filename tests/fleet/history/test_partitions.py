"""Are the visit table's days there when needed, and gone when old?"""

import threading
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest
from django.db import IntegrityError, connection

from fleet.history import partitions, record
from fleet.history.models import Visit
from fleet.history.trend import trend
from tests.checks.pairs import facts_with

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("no_partitions")]
TODAY = date(2026, 11, 21)


def attached() -> list[str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT inhrelid::regclass::text FROM pg_inherits"
            " WHERE inhparent = 'history_visit'::regclass AND NOT inhdetachpending"
        )
        return sorted(name for (name,) in cursor.fetchall())


def days(first: date, count: int) -> list[str]:
    return [f"history_visit_{first + timedelta(days=n):%Y%m%d}" for n in range(count)]


def visit(at: datetime, target_id: int = 1, **columns: int) -> Visit:
    return Visit.objects.create(
        target_id=target_id, at=at, fails_count=0, unknowns_count=0, outcome=0, **columns
    )


def test_a_week_is_made_ahead_once() -> None:
    assert partitions.make_ahead(partitions.VISITS, TODAY) == days(TODAY, 8)
    assert partitions.make_ahead(partitions.VISITS, TODAY) == []
    assert attached() == days(TODAY, 8)


def test_a_visit_needs_its_day_and_only_that() -> None:
    with pytest.raises(IntegrityError, match="no partition"):
        visit(datetime(2026, 11, 21, 23, 59, 59, tzinfo=UTC))
    partitions.ensure_day(TODAY)

    visit(datetime(2026, 11, 21, tzinfo=UTC))
    visit(datetime(2026, 11, 21, 23, 59, 59, 999999, tzinfo=UTC))
    with pytest.raises(IntegrityError, match="no partition"):
        visit(datetime(2026, 11, 22, tzinfo=UTC))


def test_the_day_is_remembered_and_can_be_forgotten() -> None:
    partitions.ensure_day(TODAY)
    partitions.drop_before(partitions.VISITS, TODAY + timedelta(days=1))
    partitions.ensure_day(TODAY)
    assert attached() == []

    partitions.forget_days()
    partitions.ensure_day(TODAY)
    assert attached() == days(TODAY, 1)


def test_a_day_that_is_gone_though_remembered_is_made_the_next_time() -> None:
    """Another process dropped it, by a clock that ran ahead; or the database was restored."""
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    row = record.row(1, noon, facts_with(), 0, 0)
    partitions.ensure_day(TODAY)
    partitions.drop_before(partitions.VISITS, TODAY + timedelta(days=1))

    with pytest.raises(IntegrityError, match="no partition"):
        record.write([row])
    partitions.ensure_day(TODAY)
    record.write([row])

    assert Visit.objects.get().at == noon


def test_months_hold_their_days_and_go_when_all_are_old() -> None:
    table = partitions.HOURS
    made = partitions.make(table, (date(2026, 11, 30), date(2026, 12, 1), date(2026, 11, 1)))

    assert made == ["history_visithour_202611", "history_visithour_202612"]
    assert partitions.attached_days(table) == [date(2026, 11, 1), date(2026, 12, 1)]
    assert partitions.drop_before(table, date(2026, 11, 30)) == []
    assert partitions.drop_before(table, date(2026, 12, 1)) == ["history_visithour_202611"]
    assert partitions.drop_before(table, date(2027, 1, 1)) == ["history_visithour_202612"]


def test_what_a_drop_left_half_done_is_finished_or_used_again() -> None:
    partitions.make(partitions.VISITS, (TODAY, TODAY + timedelta(days=1)))
    with connection.cursor() as cursor:
        for name in days(TODAY, 2):
            cursor.execute(f"ALTER TABLE history_visit DETACH PARTITION {name} CONCURRENTLY")

    assert partitions.drop_before(partitions.VISITS, TODAY + timedelta(days=1)) == days(TODAY, 1)
    assert partitions.make(partitions.VISITS, (TODAY + timedelta(days=1),)) == days(
        TODAY + timedelta(days=1), 1
    )


def test_a_reader_in_the_way_leaves_it_half_detached_and_the_next_run_finishes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(partitions, "LOCK_WAIT", "100ms")
    monkeypatch.setattr(partitions, "PAUSE_S", 0.0)
    partitions.make(partitions.VISITS, (TODAY,))
    with psycopg.connect(**connection.get_connection_params()) as reader:
        reader.execute("SELECT count(*) FROM history_visit")
        with pytest.raises(Exception, match="lock timeout"):
            partitions.drop_before(partitions.VISITS, TODAY + timedelta(days=1))
    assert attached() == []

    assert partitions.drop_before(partitions.VISITS, TODAY + timedelta(days=1)) == days(TODAY, 1)


def test_many_runs_at_once_make_and_drop_once() -> None:
    made: list[str] = []
    dropped: list[str] = []

    def run() -> None:
        try:
            made.extend(partitions.make_ahead(partitions.VISITS, TODAY))
            dropped.extend(partitions.drop_before(partitions.VISITS, TODAY + timedelta(days=4)))
        finally:
            connection.close()

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    # A run that makes while another drops leaves its own dropping to the next night's.
    dropped.extend(partitions.drop_before(partitions.VISITS, TODAY + timedelta(days=4)))
    partitions.make_ahead(partitions.VISITS, TODAY + timedelta(days=4))
    assert set(made) >= set(days(TODAY, 8))
    assert set(dropped) == set(days(TODAY, 4))
    assert attached() == days(TODAY + timedelta(days=4), 8)


def test_trend_gives_the_visits_between_two_times_and_gaps_as_none() -> None:
    partitions.ensure_day(TODAY)
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    for minute, rtt_us in ((0, 300), (1, None), (2, 320), (3, 330)):
        visit(noon + timedelta(minutes=minute), rtt_median_us=rtt_us, used_memory_bytes=7)
    visit(noon, target_id=2, rtt_median_us=9)

    rows = trend(1, noon, noon + timedelta(minutes=3), ("rtt_median_us", "used_memory_bytes"))

    start = noon.timestamp()
    assert rows == [[start, 300, 7], [start + 60, None, 7], [start + 120, 320, 7]]


def test_trend_names_a_column_it_does_not_have() -> None:
    noon = datetime(2026, 11, 21, 12, tzinfo=UTC)
    with pytest.raises(ValueError, match="no column password in history"):
        trend(1, noon, noon, ("password",))

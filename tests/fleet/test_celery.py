"""Does the timetable go on when the clock does not?"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from celery import Celery
from celery.schedules import crontab

from fleet.celery import Timetable, app

NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)


class Clock(Celery):
    """An application of two tasks, by a clock that a test sets."""

    def __init__(self) -> None:
        super().__init__("clock", broker="memory://", set_as_current=False)
        self.at = NOW
        self.conf.update(
            enable_utc=True,
            timezone="UTC",
            beat_schedule={
                "often": {"task": "often", "schedule": 60.0},
                "by_the_clock": {"task": "by_the_clock", "schedule": crontab(minute="*/10")},
            },
        )

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def clock() -> Iterator[Clock]:
    clock = Clock()
    clock.set_current()  # what is read back from the timetable's file asks the current application
    yield clock
    app.set_current()


def sent(timetable: Timetable, clock: Clock, for_: timedelta) -> list[str]:
    """Run the timetable for so long; returns what it sent."""
    before = {name: entry.total_run_count for name, entry in timetable.schedule.items()}
    ends_at = clock.at + for_
    while clock.at <= ends_at:
        wait_s = timetable.tick()
        clock.at += timedelta(seconds=max(wait_s, 0.01))
    return [
        name
        for name, entry in sorted(timetable.schedule.items())
        for _run in range(entry.total_run_count - before.get(name, 0))
    ]


def test_a_clock_that_is_set_back_stops_nothing(clock, tmp_path):
    timetable = Timetable(clock, schedule_filename=str(tmp_path / "beat"))
    clock.at = NOW + timedelta(days=30)
    assert "by_the_clock" in sent(timetable, clock, timedelta(minutes=10))

    clock.at = NOW

    found = sent(timetable, clock, timedelta(minutes=10, seconds=1))
    assert found == ["by_the_clock"] + ["often"] * 10


def test_nor_does_a_restart_afterwards(clock, tmp_path):
    clock.at = NOW + timedelta(days=30)
    first = Timetable(clock, schedule_filename=str(tmp_path / "beat"))
    assert sent(first, clock, timedelta(minutes=3)) == ["often"] * 3
    first.close()

    clock.at = NOW
    again = Timetable(clock, schedule_filename=str(tmp_path / "beat"))

    assert sent(again, clock, timedelta(minutes=3, seconds=1)) == ["often"] * 3


def test_it_is_the_one_that_beat_uses():
    assert app.conf.beat_scheduler is Timetable

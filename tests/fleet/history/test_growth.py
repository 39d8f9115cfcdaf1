"""Is a line drawn through each target's days, once a night, and read while it is young?"""

from datetime import UTC, date, datetime, timedelta

import pytest

from checks.facts import Growth
from checks.growth import Mailboxes
from fleet.history import partitions
from fleet.history.growth import growths, keep_growth, mailbox_uses
from fleet.history.models import MemoryGrowth, RolledDay, VisitDay
from fleet.history.rollup import bounds

pytestmark = pytest.mark.django_db
LAST = date(2026, 11, 20)
NIGHT = datetime(2026, 11, 21, 0, 20, tzinfo=UTC)
LAST_DAY = (LAST - date(1970, 1, 1)).days


def days(target_id: int, count: int, step: int) -> None:
    wanted = [LAST - timedelta(days=n) for n in range(count)]
    partitions.make(partitions.DAYS, wanted)
    VisitDay.objects.bulk_create(
        VisitDay(
            target_id=target_id,
            at=bounds(day)[0],
            visits_count=1,
            silent_count=0,
            blind_count=0,
            fails_max_count=0,
            used_memory_max_bytes=10_000 - step * n,
        )
        for n, day in enumerate(wanted)
    )


def rolled(day: date = LAST) -> None:
    RolledDay.objects.create(day=day, rolled_at=NIGHT, visits_count=1)


def test_a_line_a_target_from_the_days_of_four_weeks():
    days(1, 40, 10)
    days(2, 14, 0)
    days(3, 13, 10)
    rolled()

    assert keep_growth() == 2
    assert growths([1, 2, 3], NIGHT) == {
        1: Growth(28, LAST_DAY, 10_000, 10, 10, 10),
        2: Growth(14, LAST_DAY, 10_000, 0, 0, 0),
    }


def test_what_mailboxes_take_is_kept_of_the_newest_day():
    days(1, 20, 10)
    days(2, 20, 10)
    VisitDay.objects.filter(target_id=1).update(accounts_count=40, used_memory_bytes=8000)
    VisitDay.objects.filter(target_id=2).update(accounts_count=0, used_memory_bytes=8000)
    rolled()
    keep_growth()

    assert mailbox_uses([1, 2, 3], NIGHT) == {1: Mailboxes(40, 8000)}
    assert mailbox_uses([1], NIGHT + timedelta(days=3)) == {}


def test_it_is_drawn_once_a_day_and_anew_after_the_next():
    days(1, 20, 10)
    rolled()
    assert [keep_growth(), keep_growth()] == [1, 0]

    rolled(LAST + timedelta(days=1))

    assert keep_growth() == 1
    assert MemoryGrowth.objects.get().made_of == LAST + timedelta(days=1)


@pytest.mark.parametrize(("later", "count"), [(3, 1), (4, 0)])
def test_an_old_line_foretells_nothing(later, count):
    days(1, 20, 10)
    rolled()
    keep_growth()
    now = datetime(2026, 11, 20, 23, tzinfo=UTC) + timedelta(days=later)

    assert len(growths([1], now)) == count

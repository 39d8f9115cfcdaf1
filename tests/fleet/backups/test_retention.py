"""Which copies go, and which never do: a table at the boundaries."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.backups.retention import Copy, Keep, to_remove

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)  # a Wednesday
NONE = Keep(0, 0, 0, 0)


def copies(*ages: timedelta, bad: frozenset[int] = frozenset()) -> list[Copy]:
    """Number copies by their place, of these ages at noon."""
    return [Copy(n, NOON - age, n not in bad) for n, age in enumerate(ages)]


def hours(*ages: float) -> list[Copy]:
    return copies(*(timedelta(hours=age) for age in ages))


def days(*ages: float) -> list[Copy]:
    return copies(*(timedelta(days=age) for age in ages))


@pytest.mark.parametrize(
    ("found", "keep", "gone"),
    [
        ([], Keep(9, 9, 9, 9), []),
        (days(0), NONE, []),
        (days(0, 1), NONE, [1]),
        (hours(0, 0.5, 1, 1.5), Keep(2, 0, 0, 0), [3, 2]),  # 12:00, 11:30 | 11:00, 10:30
        (hours(0, 1, 2), Keep(3, 0, 0, 0), []),
        (hours(0, 1, 2), Keep(2, 0, 0, 0), [2]),
        (
            hours(0, 11, 12, 13),
            Keep(0, 2, 0, 0),
            [2, 1],
        ),  # 12:00, 1:00, 0:00 | 23:00 the day before
        (hours(0, 12, 13, 37), Keep(0, 2, 0, 0), [3, 1]),
        (days(0, 1, 2, 3), Keep(0, 0, 2, 0), [2, 1]),  # Wednesday to Monday | Sunday
        (days(0, 17, 18, 40), Keep(0, 0, 0, 2), [3, 1]),  # November | October
        (days(0, 1, 8, 40), Keep(0, 2, 2, 2), []),
        (days(0, 300), Keep(0, 7, 4, 6), []),  # gaps cost no period
    ],
)
def test_the_newest_of_each_period_stays(found, keep, gone):
    assert to_remove(found, keep) == gone


def test_the_newest_good_copy_stays_when_newer_ones_are_bad():
    found = copies(timedelta(0), timedelta(days=1), timedelta(days=2), bad=frozenset({0}))

    assert to_remove(found, NONE) == [2]


def test_a_bad_copy_goes_once_a_newer_one_is_good():
    found = copies(timedelta(0), timedelta(days=1), bad=frozenset({1}))

    assert to_remove(found, Keep(9, 9, 9, 9)) == [1]


def test_without_a_good_copy_none_goes():
    found = copies(timedelta(0), timedelta(days=1), bad=frozenset({0, 1}))

    assert to_remove(found, NONE) == []


def test_years_do_not_share_their_weeks():
    at = [datetime(2026, 1, 1, tzinfo=UTC), datetime(2025, 12, 29, tzinfo=UTC)]  # one ISO week
    found = [Copy(n, one, is_good=True) for n, one in enumerate(at)]

    assert to_remove(found, Keep(0, 0, 5, 0)) == [1]


AGES = st.lists(st.tuples(st.integers(0, 100_000), st.booleans()), min_size=1, max_size=40)
COUNTS = st.integers(0, 5)


@given(ages=AGES, keep=st.builds(Keep, COUNTS, COUNTS, COUNTS, COUNTS))
def test_the_newest_good_one_and_the_only_one_never_go(ages, keep):
    found = [
        Copy(n, NOON - timedelta(minutes=age), is_good) for n, (age, is_good) in enumerate(ages)
    ]
    gone = set(to_remove(found, keep))
    good = [one for one in found if one.is_good]

    assert not good or max(good, key=lambda one: (one.at, one.id)).id not in gone
    assert len(gone) < len(found)
    left = [one for one in found if one.id not in gone]
    assert to_remove(left, keep) == []  # asked again, nothing more goes

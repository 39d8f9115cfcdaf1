"""A line through daily values: what bends it, what does not, and how sure it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.growth import FEW, Growth, Mailboxes, growth
from checks.missing import Missing

MIB = 1024**2


def line(count: int = 28, start: int = 1000, step: int = 10) -> list[tuple[int, int]]:
    return [(20_000 + day, start + step * day) for day in range(count)]


def test_a_straight_line_is_found_exactly():
    assert growth(line()) == Growth(28, 20_027, 1270, 10, 10, 10)


@pytest.mark.parametrize("count", [0, 13])
def test_too_few_days_show_no_trend(count):
    assert growth(line(count)) == Missing("no_history", f"{count} days of history; 14 show a trend")


def test_fourteen_days_are_enough_and_only_the_newest_28_count():
    assert isinstance(growth(line(14)), Growth)
    old = [(19_000 + day, 10**9) for day in range(50)]
    assert growth(old + line()) == growth(line())


def test_outliers_do_not_bend_it():
    days = line()
    for place in (3, 11, 12, 20):
        days[place] = (days[place][0], 50_000)

    found = growth(days)

    assert (found.slope_bytes, found.is_steady) == (10, True)


def test_days_may_be_missing():
    assert growth(line()[::2]) == Growth(14, 20_026, 1260, 10, 10, 10)


def test_a_sawtooth_does_not_grow():
    days = [(20_000 + day, 1000 + 100 * (day % 7)) for day in range(28)]

    assert not growth(days).is_steady


def test_falling_is_not_growing():
    assert not growth(line(step=-10)).is_steady


@pytest.mark.parametrize(("wanted", "days"), [(1270, 0), (1280, 1), (2270, 100), (900, 0)])
def test_days_until_a_value(wanted, days):
    found = growth(line())

    assert found.days_until(wanted, found.slope_bytes) == days


@given(
    st.lists(
        st.tuples(st.integers(0, 40), st.integers(0, 2**50)), max_size=60, unique_by=lambda d: d[0]
    )
)
def test_the_range_holds_the_slope_whatever_the_days(days):
    found = growth(days)

    assert isinstance(found, Missing) or found.low_bytes <= found.slope_bytes <= found.high_bytes


@pytest.mark.parametrize(
    ("mailboxes", "each", "left"),
    [
        (Mailboxes(20, 40_000), 2000, 30),
        (Mailboxes(100, 100_000), 1000, 0),
        (Mailboxes(100, 120_000), 1200, 0),
        (Mailboxes(19, 40_000), FEW, FEW),
    ],
)
def test_what_a_mailbox_takes_and_how_many_more_fit_into_100_kb(mailboxes, each, left):
    assert (mailboxes.each_bytes, mailboxes.left(100_000)) == (each, left)

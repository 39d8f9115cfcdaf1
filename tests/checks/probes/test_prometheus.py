"""The lean reader of metrics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.probes.prometheus import samples, value

PAGE = """# HELP queue_size Queue size
# TYPE queue_size gauge
queue_size{queue="notify",state="waiting"} 3
queue_size{queue="submit",state="waiting"} 1e3 1795296000
queue_size{queue="odd",state="waiting"} NaN
queue_size{queue="odd",state="waiting"}
queue_size_max{queue="submit"} 9

queue_size{queue="late",state="waiting"} 7
thread_starts 8
thread_starts_total 9
label{text="a } brace, a \\" and a space"} 1
license_days_remaining -1"""


def test_samples_stand_together():
    assert list(samples(PAGE, "queue_size")) == [
        ({"queue": "notify", "state": "waiting"}, 3.0),
        ({"queue": "submit", "state": "waiting"}, 1000.0),
    ]


def test_a_label_may_hold_anything():
    assert list(samples(PAGE, "label")) == [({"text": 'a } brace, a \\" and a space'}, 1.0)]


@pytest.mark.parametrize(
    ("family", "number"),
    [
        ("thread_starts", 8.0),
        ("license_days_remaining", -1.0),
        ("thread", None),
        ("queue_size", None),
        ("nothing", None),
    ],
)
def test_values(family, number):
    assert value(PAGE, family) == number


def test_the_first_line_counts():
    assert value("up 1", "up") == 1.0
    assert list(samples('up{a="b"} 1', "up")) == [({"a": "b"}, 1.0)]


def test_samples_are_bounded():
    assert len(list(samples('x{a="b"} 1\n' * 2000, "x"))) == 500


@given(st.text(alphabet='x{}"=,\\ \n1#a', max_size=200))
def test_any_page_is_read(page):
    assert all(isinstance(number, float) for _, number in samples(page, "x"))
    assert value(page, "x") is None or isinstance(value(page, "x"), float)

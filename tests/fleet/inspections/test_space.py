"""Is there never more in hand than fits, and does who waits get what is given back?"""

import threading

import pytest

from fleet.inspections.space import Space


@pytest.mark.parametrize(("count", "fits"), [(1, True), (2, True), (3, False)])
def test_what_fits_beside_what_is_taken_is_taken(count, fits):
    space = Space(3)
    space.take(1)

    assert space.take(count, 0.0) is fits


@pytest.mark.parametrize(("taken", "fits"), [(0, True), (1, False)])
def test_a_shard_larger_than_the_space_goes_alone(taken, fits):
    space = Space(3)
    space.take(taken)

    assert space.take(5, 0.0) is fits


def test_who_waits_gets_what_is_given_back():
    space = Space(3)
    space.take(3)
    threading.Timer(0.05, space.free, [2]).start()

    assert space.take(2, 30.0) is True
    assert space.take(1, 0.0) is False


def test_the_end_is_when_nothing_is_in_hand():
    space = Space(3)
    space.take(3)
    freeing = threading.Timer(0.05, space.free, [3])
    freeing.start()
    space.wait_until_empty(30.0)
    freeing.join()

    assert space.take(3, 0.0) is True

"""How many visits does a worker hold at once, and until when?"""

import queue
from collections.abc import Iterator

import pytest

from fleet.inspections.judge import Seen
from fleet.inspections.room import Room
from fleet.inspections.terms import terms
from tests.fleet.visiting import NOW, claimed, make_pairs

pytestmark = pytest.mark.django_db


@pytest.fixture
def late() -> queue.SimpleQueue[list[Seen]]:
    return queue.SimpleQueue()


@pytest.fixture
def room(late) -> Iterator[Room]:
    """A room for four visits, two of them slow ones, that only gathers what comes late."""
    made = Room(late.put, most_in_hand=4)
    yield made
    made.stop()


@pytest.fixture
def dues(db):
    make_pairs(4, redis_url="redis://127.0.0.1:1")
    return claimed(NOW)


def test_a_visit_is_in_hand_until_it_is_recorded(room, dues):
    with room.visited(dues[:2], terms().policies) as seen:
        assert {one.due.target_id for one in seen} == {one.target_id for one in dues[:2]}
        with room.visited_slow(dues[2:], terms().policies) as slow:
            assert slow is None

    with room.visited_slow(dues[2:], terms().policies) as slow:
        assert slow is not None


def test_what_came_late_is_in_hand_until_it_is_recorded(room, late, dues):
    for _ in range(3):
        with room.visited_slow(dues[:2], terms().policies) as seen:
            assert seen is not None
        count = len(seen)
        while count < 2:
            count += len(late.get(timeout=5))

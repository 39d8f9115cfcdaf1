"""How many visits does a worker hold at once, and until when?"""

import queue
import threading
from collections.abc import Iterator

import pytest

from checks.facts import NOT_CONFIGURED
from checks.probes.pair import PairReading
from fleet.inspections.judge import Seen
from fleet.inspections.room import Collection, Room, judged
from fleet.inspections.space import Space
from fleet.inspections.terms import terms
from tests.fleet.visiting import NOW, claimed, make_pairs

pytestmark = pytest.mark.django_db


@pytest.fixture
def late() -> queue.SimpleQueue[list[Seen]]:
    return queue.SimpleQueue()


@pytest.fixture
def gate() -> threading.Event:
    """Until it is set, nothing that comes late is recorded."""
    return threading.Event()


@pytest.fixture
def room(late, gate) -> Iterator[Room]:
    """A room for two quick visits and two slow ones, that only gathers what comes late."""

    def record_late(batch):
        gate.wait(30)
        late.put(batch)

    made = Room(record_late, most_quick=2, most_slow=2)
    yield made
    gate.set()
    made.stop()


@pytest.fixture
def dues(db):
    make_pairs(4, redis_url="redis://127.0.0.1:1")
    return claimed(NOW)


def visited(room, dues, **what):
    return room.visited(len(dues), lambda: dues, terms().policies, **what)


def test_what_is_quick_is_waited_for_and_what_is_slow_comes_late(room, late, gate, dues):
    gate.set()
    with visited(room, dues[:2]) as quick, visited(room, dues[2:], is_slow=True) as slow:
        came = [one.due.target_id for one in (*quick, *slow)]

    assert len(quick) == 2
    while len(came) < len(dues):
        came += [one.due.target_id for one in late.get(timeout=30)]
    assert sorted(came) == sorted(one.target_id for one in dues)


def test_a_visit_is_in_hand_until_it_is_recorded(room, gate, dues):
    with (
        visited(room, dues[:2], is_slow=True) as first,
        visited(room, dues[2:], is_slow=True) as second,
    ):
        assert first is not None
        assert second is None
    gate.set()

    with visited(room, dues[2:], is_slow=True) as third:
        assert third is not None


def test_what_is_recorded_is_not_kept_for_a_visit_that_comes_late(late, dues):
    collection = Collection(2, terms().policies, Space(2), late.put)
    seen = [
        judged(
            due,
            NOW,
            PairReading(NOT_CONFIGURED, NOT_CONFIGURED, (), 0.0, due.cadences),
            collection.policies,
        )
        for due in dues[:2]
    ]
    collection.add(seen[0])

    assert collection.close(0.0) == seen[:1]
    assert collection.arrivals == []

    collection.add(seen[1])

    assert late.get_nowait() == (seen[1], collection.space)
    assert collection.arrivals == []


def test_nothing_is_loaded_where_there_is_no_room(room, dues):
    def load():
        raise AssertionError("loaded")

    with (
        visited(room, dues[:2], is_slow=True),
        room.visited(1, load, terms().policies, is_slow=True) as seen,
    ):
        assert seen is None


def test_claims_that_are_spent_take_no_room(room, dues):
    with (
        room.visited(2, list, terms().policies, is_slow=True) as none_due,
        visited(room, dues[2:], is_slow=True) as seen,
    ):
        assert none_due == []
        assert seen is not None

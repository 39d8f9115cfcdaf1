from datetime import UTC, datetime

import pytest
import time_machine

from fleet.history.partitions import forget_days

# A Monday's noon, after the instants that tests write out; years, months, hours and minutes are
# far from their ends.
BEGUN = datetime(2026, 11, 23, 12, 30, 10, tzinfo=UTC)


@pytest.fixture(autouse=True)
def begun_at_noon(request):
    """Let a test begin at the same instant whenever it is run; a server of its own has the real time.

    What happens at the turn of an hour, a day or a year is for tests that say so.
    """
    if request.node.get_closest_marker("live"):
        yield
        return
    with time_machine.travel(BEGUN):
        yield


@pytest.fixture(autouse=True)
def days_made_anew():
    """Forget the partitions that this process made: a test's rollback took them away again."""
    forget_days()

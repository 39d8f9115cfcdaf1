"""Is it written down that our tasks came to their ends, and not too often?"""

from datetime import timedelta

import pytest

from fleet.alerts import tasks, turns
from fleet.alerts.models import Turn
from tests.fleet.factories import NOW

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("after", "written"),
    [(timedelta(seconds=20), NOW), (timedelta(seconds=21), NOW + timedelta(seconds=21))],
)
def test_a_turn_is_written_every_twenty_seconds_at_most(after, written):
    turns.ended("sending", NOW)
    turns.ended("sending", NOW + after)

    assert list(Turn.objects.values_list("name", "ended_at")) == [("sending", written)]


@pytest.mark.django_db(transaction=True)
def test_routing_and_sending_write_that_they_ended():
    tasks.tell()
    tasks.send_mails()

    assert set(Turn.objects.values_list("name", flat=True)) == {"routing", "sending"}

"""Is it written down that our tasks came to their ends, and not too often?"""

from datetime import timedelta

import psycopg
import pytest
from django.db import connection

from fleet.alerts import tasks, turns
from fleet.alerts.gather import GATHER_LOCK
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


@pytest.mark.django_db(transaction=True)
def test_a_gatherer_that_hangs_is_no_end_of_routing():
    """The next turns find it at work, and do nothing."""
    params = connection.get_connection_params()
    where = {name: params[name] for name in ("dbname", "user", "host", "port") if name in params}
    with psycopg.connect(**where) as hanging:
        hanging.execute("SELECT pg_advisory_xact_lock(%s)", [GATHER_LOCK])
        tasks.tell()

    assert not Turn.objects.filter(name="routing").exists()

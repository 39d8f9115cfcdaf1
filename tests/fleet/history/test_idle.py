"""When was nobody visited, and does it cost the same however many zones and engines there are?"""

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from fleet.history.idle import HOURS, idle
from fleet.history.models import FleetHour
from fleet.history.trend import Pace
from tests.fleet.factories import make_zone

pytestmark = pytest.mark.django_db
UNTIL = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
HOUR = timedelta(hours=1)
SPAN = 72 * HOUR
STOOD_STILL = range(30, 34)  # hours ago


@pytest.fixture
def hours():
    """Three days by the hour, of eight zones with four engines each, but for four hours."""
    zones = [make_zone(f"zone-{number}") for number in range(8)]
    newest = UNTIL.replace(minute=0) - HOUR
    FleetHour.objects.bulk_create(
        FleetHour(
            at=newest - ago * HOUR, zone=zone, engine=engine,
            pairs_count=4, visits_count=240, silent_count=0,
        )
        for ago in range(80) if ago not in STOOD_STILL
        for zone in zones
        for engine in ("redis", "valkey", "keydb", "dragonfly")
    )  # fmt: skip
    return newest


def test_the_hours_without_a_visit(hours):
    begin, end = hours - 33 * HOUR, hours - 29 * HOUR

    assert idle(UNTIL - SPAN, UNTIL, Pace.HOUR) == [(begin, end)]
    assert idle(UNTIL - 20 * HOUR, UNTIL, Pace.HOUR) == []


def test_nothing_on_record_is_no_stretch():
    assert idle(UNTIL - SPAN, UNTIL, Pace.HOUR) == []


def test_one_row_an_hour_is_read(hours):
    since = UNTIL - SPAN
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE history_fleethour")
        statement = HOURS.replace(")b", ")s")
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        cursor.execute(explain, {"since": since, "until": UNTIL})
        ((plan,),) = cursor.fetchall()
    found = plan if isinstance(plan, list) else json.loads(plan)

    assert sum(_rows_read(found[0]["Plan"])) <= 72  # PostgreSQL tells a mean of the rows a loop


def _rows_read(node):
    if node.get("Relation Name") == "history_fleethour":
        yield node["Actual Rows"] * node["Actual Loops"]
    for child in node.get("Plans", ()):
        yield from _rows_read(child)

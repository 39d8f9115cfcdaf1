"""Does /healthz tell the truth, quickly, to anybody, and nothing more?"""

import time
from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone

from fleet.inspections.models import PairSchedule
from fleet.portal import healthz
from fleet.portal.models import Pulse
from tests.fleet.factories import make_pair, make_state

DUE = ("health", "latency", "persistence", "stats", "backup", "next")
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _no_answer_kept():
    healthz._answer.read_at = float("-inf")


def test_a_new_portal_is_well(client):
    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (200, b"ok\n")
    assert answer["Content-Type"] == "text/plain"
    assert "no-store" in answer["Cache-Control"]


def test_a_portal_that_nobody_watches_is_not_well(client):
    Pulse.objects.create(watched_at=timezone.now() - timedelta(minutes=4))

    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (503, b"nobody watches\n")


def test_late_checks_are_told_without_details(client):
    ago = timezone.now() - timedelta(hours=1)
    pair = make_pair()
    make_state(pair, now=ago)
    PairSchedule.objects.update_or_create(
        target=pair.target, defaults={f"{one}_due_at": ago for one in DUE}
    )

    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (503, b"checks late\n")


def test_the_answer_is_kept_for_some_seconds(client, django_assert_num_queries):
    assert client.get("/healthz").status_code == 200
    Pulse.objects.create(watched_at=timezone.now() - timedelta(minutes=4))

    assert client.get("/healthz").status_code == 200


def test_a_database_that_is_away_is_told_at_once(client, monkeypatch, tmp_path):
    away = {**connection.get_connection_params(), "host": str(tmp_path)}
    monkeypatch.setattr(connection, "get_connection_params", lambda: away)
    started = time.monotonic()

    answer = client.get("/healthz")

    assert (answer.status_code, answer.content) == (503, b"database away\n")
    assert time.monotonic() - started < 8  # the pool would wait for 10


def test_a_database_that_cannot_be_written_is_told(client):
    with connection.cursor() as cursor:
        name = connection.settings_dict["NAME"]
        cursor.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    try:
        answer = client.get("/healthz")
    finally:
        with connection.cursor() as cursor:
            cursor.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')

    assert (answer.status_code, answer.content) == (503, b"database not writable\n")


def test_only_reading_is_answered(client):
    assert client.post("/healthz").status_code == 405

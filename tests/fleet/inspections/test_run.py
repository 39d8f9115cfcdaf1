"""Is a shard recorded although the database dropped its connection meanwhile?"""

import socket
import threading
from collections.abc import Iterator

import psycopg
import pytest
from django.db import connection
from django.utils import timezone

from fleet.history.models import Visit
from fleet.inspections.run import stop_room
from fleet.inspections.schedule import claim_due
from fleet.inspections.tasks import inspect_pairs
from tests.fleet.visiting import make_pairs, seen

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def room() -> Iterator[None]:
    yield
    stop_room()


def cut_connection(process_id: int) -> None:
    """End the database's side of a connection, as its restart does."""
    with psycopg.connect(**connection.get_connection_params()) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [process_id])


def process_id() -> int:
    connection.ensure_connection()
    return int(connection.connection.info.backend_pid)


def claimed_tokens() -> list[tuple[int, int, int]]:
    now = timezone.now()
    seen(now)
    return [(one.target_id, one.claim, one.bits) for one in claim_due(now, 100)]


def test_a_connection_cut_between_two_shards_costs_no_visit():
    make_pairs(2, redis_url="redis://127.0.0.1:1")
    tokens = claimed_tokens()
    cut_connection(process_id())

    inspect_pairs(tokens)

    assert Visit.objects.count() == 2


def test_a_connection_cut_during_the_visits_costs_none():
    with socket.create_server(("127.0.0.1", 0)) as target:
        make_pairs(2, redis_url=f"redis://127.0.0.1:{target.getsockname()[1]}")
        tokens, ours = claimed_tokens(), process_id()

        def cut_when_visited() -> None:
            target.accept()[0].close()
            cut_connection(ours)
            target.accept()[0].close()

        visited = threading.Thread(target=cut_when_visited)
        visited.start()
        inspect_pairs(tokens)
        visited.join()

    assert Visit.objects.count() == 2

"""A zone's network is cut off, and later its pairs really go down: the two are told apart."""

import socket
import time
from collections.abc import Callable

import pytest

from tests import servers
from tests.live.installation import Installation, databases, wait_for

pytestmark = pytest.mark.live
PAIRS = 12
REACHED = (
    "SELECT count(*) FROM inspections_pairstate"
    " WHERE target_id = ANY(%s) AND answered_at > to_timestamp(%s)"
)
OPENED = (
    "SELECT count(*) FROM findings_transition t JOIN findings_finding f ON f.id = t.finding_id"
    " WHERE f.rule_id = 'redis.reachable' AND t.cause = 'opened'"
)
LAMPS = (
    "SELECT DISTINCT core_unknown->>'redis.reachable', health FROM inspections_pairstate"
    " WHERE target_id = ANY(%s)"
)
ALARMS = "SELECT count(*), count(ended_at) FROM alerts_portalalarm WHERE key = 'zone.local.blind'"
LOOK = (
    "from django.utils import timezone; from fleet.portal.watch import watch; watch(timezone.now())"
)


def test_a_zone_cut_off_is_blind_and_pairs_that_are_down_are_down(here):
    with servers.valkey() as redis:
        port = (
            servers.free_port()
        )  # to be listened on again: none that a client might get meanwhile
        reference = listening(port)
        ids = here.register(databases(redis.url, PAIRS))
        here.sql("UPDATE registry_fleetsettings SET reference_address = %s", f"127.0.0.1:{port}")
        here.start_worker("cut-off")
        wait_for(lambda: here.is_visited(ids), 30, "the first visits")

        reference.close()  # nothing answers any more: the pairs do not, and the reference does not
        redis.stop()
        wait_for(lambda: is_blind(here), 40, "the zone is found blind")
        wait_for(lambda: here.sql(LAMPS, ids) == [("probe_blind", "unknown")], 30, "all unverified")
        look_twice(here)
        assert (here.sql(OPENED), here.sql(ALARMS)) == ([(0,)], [(1, 0)])
        assert gap(here, ids)

        reference = listening(port)
        redis.start()
        back_at = time.time()
        wait_for(lambda: not is_blind(here), 40, "the zone sees again")
        wait_for(all_reached(here, ids, back_at), 40, "every pair is read again")
        look_twice(here)
        assert (here.sql(OPENED), here.sql(ALARMS)) == ([(0,)], [(1, 1)])

        with reference:  # now the pairs are down, and the reference answers
            redis.stop()
            wait_for(lambda: here.sql(OPENED) == [(PAIRS,)], 90, "every pair is found down")
            assert not is_blind(here)
    assert "Traceback" not in here.log("cut-off")


def listening(port: int) -> socket.socket:
    return socket.create_server(("127.0.0.1", port), backlog=64)


def is_blind(here: Installation) -> bool:
    rows = here.sql("SELECT 1 FROM registry_zone WHERE slug = 'local' AND blind_since IS NOT NULL")
    return bool(rows)


def look_twice(here: Installation) -> None:
    here.manage("shell", "-v", "0", "-c", f"{LOOK}; watch(timezone.now())")


def gap(here: Installation, ids: list[int]) -> bool:
    """Say whether the newest visit of each pair tells that the probe was blind, and nothing else."""
    rows = here.sql(
        "SELECT DISTINCT ON (target_id) outcome, used_memory_bytes FROM history_visit"
        " WHERE target_id = ANY(%s) ORDER BY target_id, at DESC",
        ids,
    )
    return rows == [(2, None)] * len(ids)


def all_reached(here: Installation, ids: list[int], since_s: float) -> Callable[[], bool]:
    return lambda: here.sql(REACHED, ids, since_s) == [(len(ids),)]

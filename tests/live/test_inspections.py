"""Inspections under fire: real workers, brokers, databases and targets that die, hang and come back.

No pair may be lost, none counted twice, nothing may lock up or crash in a loop, and live pairs are
visited on time whatever the others do.
"""

import signal
import time
from collections.abc import Iterator
from itertools import pairwise

import pytest
import redis

from tests import servers
from tests.live.installation import (
    INTERVAL_S,
    Installation,
    blackholes,
    installation,
    kill_outright,
    mutes,
    wait_for,
)

pytestmark = pytest.mark.live
DEAD = "redis://no-such-name-{}.invalid:6379"


@pytest.fixture(scope="module")
def here() -> Iterator[Installation]:
    """One installation for all; each test registers pairs of its own and archives the others'."""
    with installation() as made:
        yield made


@pytest.fixture(autouse=True)
def no_workers(here: Installation) -> Iterator[None]:
    """Leave no worker behind."""
    yield
    here.stop_workers()
    here.sql("DELETE FROM registry_worker")


@pytest.fixture(scope="module")
def live_url() -> Iterator[str]:
    with servers.valkey() as server:
        yield server.url


def databases(url: str, count: int) -> list[str]:
    return [f"{url}/{n % 16}" for n in range(count)]


def gaps(here: Installation, ids: list[int]) -> list[float]:
    """Give the seconds between the visits of each pair, all pairs together."""
    return [
        later - sooner for times in here.visits(ids).values() for sooner, later in pairwise(times)
    ]


def assert_sound(here: Installation, ids: list[int]) -> None:
    """No visit without a claim of its own, no live finding twice, no claim recorded that was not given."""
    rows = here.sql(
        "SELECT s.target_id, s.claim, p.recorded_claim, (SELECT count(*) FROM history_visit v"
        " WHERE v.target_id = s.target_id) FROM inspections_pairschedule s"
        " JOIN inspections_pairstate p USING (target_id) WHERE s.target_id = ANY(%s)",
        ids,
    )
    assert len(rows) == len(ids)
    for _pk, claim, recorded, visits in rows:
        assert visits <= recorded <= claim


def assert_on_time(here: Installation, ids: list[int]) -> None:
    """Each pair was visited at most an interval and a half after the last time, and not twice in one."""
    found = gaps(here, ids)
    assert max(found) <= 1.5 * INTERVAL_S + 4, sorted(found)[-5:]
    assert min(found) >= 0.5 * INTERVAL_S - 4, sorted(found)[:5]


def test_two_workers_with_two_timetables_visit_each_pair_once_an_interval(here, live_url):
    ids = here.register(databases(live_url, 250))
    here.start_worker("one")
    here.start_worker("two")

    wait_for(lambda: here.is_visited(ids, 3), 60, "three visits each")

    assert_on_time(here, ids)
    assert_sound(here, ids)
    assert here.sql(
        "SELECT count(*) FROM inspections_pairstate WHERE target_id = ANY(%s) AND engine = 'valkey'",
        ids,
    ) == [(250,)]


def test_a_worker_killed_in_the_middle_loses_no_pair(here, live_url):
    with mutes(40) as silent:
        ids = here.register([*databases(live_url, 60), *silent])
        worker = here.start_worker("doomed")
        wait_for(lambda: leased(here, ids), 20, "a shard under way")
        kill_outright(worker)
        lost = leased(here, ids)
        here.sql("UPDATE inspections_pairschedule SET lease_until = lease_until - interval '1 min'")
        here.start_worker("heir")
        wait_for(lambda: here.is_visited(ids), 40, "the lost pairs")

    assert lost
    assert_sound(here, ids)


def leased(here: Installation, ids: list[int]) -> list[int]:
    """Give the pairs whose claim is neither done nor over."""
    rows = here.sql(
        "SELECT s.target_id FROM inspections_pairschedule s"
        " JOIN inspections_pairstate p USING (target_id)"
        " WHERE s.target_id = ANY(%s) AND s.claim > p.recorded_claim AND s.lease_until > now()",
        ids,
    )
    return [pk for (pk,) in rows]


def test_the_database_goes_and_comes_back(here, live_url):
    ids = here.register(databases(live_url, 100))
    here.start_worker("patient")
    wait_for(lambda: here.is_visited(ids), 30, "the first visits")
    here.stop_postgres()
    time.sleep(6)
    here.start_postgres()
    back_at = time.time()
    here.sql("UPDATE inspections_pairschedule SET lease_until = lease_until - interval '1 min'")

    wait_for(lambda: all(t[-1] > back_at for t in here.visits(ids).values()), 40, "visits again")

    assert_sound(here, ids)
    assert here.workers[0].process.poll() is None
    assert "Traceback" not in here.log("patient")


def test_the_broker_forgets_everything(here, live_url):
    ids = here.register(databases(live_url, 100))
    here.start_worker("steady")
    wait_for(lambda: here.is_visited(ids), 30, "the first visits")
    for forget in (flush, Installation.restart_broker) * 2:
        forget(here)
        time.sleep(1)
    here.sql("UPDATE inspections_pairschedule SET lease_until = lease_until - interval '1 min'")
    back_at = time.time()

    wait_for(lambda: all(t[-1] > back_at for t in here.visits(ids).values()), 60, "visits again")

    assert_sound(here, ids)
    assert here.workers[0].process.poll() is None


def flush(here: Installation) -> None:
    with redis.Redis(unix_socket_path=str(here.folder / "broker")) as broker:
        broker.flushall()


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_targets_that_are_dead_or_hang_delay_no_live_pair(here, live_url, share):
    total = 240
    count = max(3, int(total * share))
    third = count // 3
    with blackholes(third) as holes, mutes(third) as silent:
        dead = [DEAD.format(n) for n in range(third)]
        ids = here.register([*databases(live_url, total - 3 * third), *holes, *silent, *dead])
        live, gone = ids[: -3 * third], ids[-3 * third :]
        here.start_worker(f"holes-{count}")
        opened = (
            "SELECT count(*) FROM findings_finding WHERE rule_id = 'redis.reachable'"
            " AND state = 'open' AND target_id = ANY(%s)"
        )
        wait_for(lambda: here.is_visited(live, 3), 60, "live pairs' visits")
        wait_for(lambda: here.sql(opened, gone) == [(3 * third,)], 90, "open findings")

    assert_on_time(here, live)
    assert_sound(here, ids)
    outcomes = here.sql(
        "SELECT DISTINCT outcome FROM history_visit WHERE target_id = ANY(%s)", gone
    )
    assert outcomes == [(1,)]


def test_nothing_but_blackholes(here):
    with blackholes(150) as holes:
        ids = here.register(holes)
        here.start_worker("dark")
        wait_for(lambda: here.is_visited(ids, 2), 60, "visits")

    assert_sound(here, ids)
    assert here.workers[0].process.poll() is None


def test_a_zone_without_a_worker_is_probed_by_nobody_and_says_so(here, live_url):
    far = here.register(databases(live_url, 20), zone="far")
    here.start_worker("near")
    here.sql("UPDATE registry_target SET created_at = created_at - interval '5 min'")
    unverified = (
        "SELECT count(*) FROM inspections_pairstate WHERE target_id = ANY(%s)"
        " AND compliance = 'unverified' AND core_unknown ->> 'redis.standalone' = 'no_worker'"
    )

    wait_for(lambda: here.sql(unverified, far) == [(20,)], 40, "unverified")
    assert not any(here.visits(far).values())

    here.start_worker("there", zone="far")
    wait_for(lambda: here.is_visited(far), 30, "visits at last")
    assert here.sql(unverified, far) == [(0,)]


def test_a_worker_stops_in_time_while_visits_hang(here):
    with mutes(50) as silent:
        here.register(silent)
        worker = here.start_worker("leaving")
        time.sleep(3)
        started = time.monotonic()
        worker.process.send_signal(signal.SIGTERM)
        assert worker.process.wait(10) == 0

    assert time.monotonic() - started < 5
    assert "Traceback" not in here.log("leaving")


def test_check_now_is_answered_within_seconds(here, live_url):
    ids = here.register(databases(live_url, 20))
    here.start_worker("quick")
    wait_for(lambda: here.is_visited(ids), 30, "the first visits")
    here.sql("UPDATE inspections_pairschedule SET next_due_at = now() + interval '1 hour'")
    asked = time.time()
    script = (
        "from django.utils import timezone; from fleet.inspections.schedule import check_now;"
        f"check_now({ids[:3]}, timezone.now())"
    )
    here.manage("shell", "-v", "0", "-c", script)

    wait_for(
        lambda: all(times[-1] > asked for times in here.visits(ids[:3]).values()), 8, "the answer"
    )
    assert here.sql("SELECT count(*) FROM inspections_pairschedule WHERE asked_at IS NOT NULL") == [
        (0,)
    ]

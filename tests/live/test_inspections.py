"""Inspections under fire: workers, brokers and databases that die, hang and come back.

No pair may be lost, none counted twice, nothing may lock up or crash in a loop.
"""

import signal
import time
from pathlib import Path

import pytest
import redis

from tests.live.installation import (
    Installation,
    are_called,
    assert_on_time,
    assert_sound,
    databases,
    kill_outright,
    mutes,
    wait_for,
)

pytestmark = pytest.mark.live


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


def test_a_worker_that_starts_makes_the_partitions_of_the_coming_week(here):
    worker = here.start_worker("early")
    forked = Path(f"/proc/{worker.process.pid}/task").glob("*/children")
    attached = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'history_visit'::regclass"

    wait_for(lambda: here.sql(attached)[0][0] >= 8, 20, "today and seven days")
    # The timetable sends that work from a thread: a fork would hold the whole program again.
    assert "".join(path.read_text() for path in forked) == ""


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


def test_a_worker_stops_in_time_while_visits_hang(here):
    with mutes(50) as silent:
        here.register(silent)
        worker = here.start_worker("leaving")
        wait_for(lambda: are_called(silent), 40, "visits that hang")
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

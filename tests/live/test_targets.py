"""Targets that are dead, hang or cannot be reached from here: live pairs are visited on time nevertheless."""

import pytest

from tests.live.installation import (
    assert_on_time,
    assert_sound,
    blackholes,
    databases,
    mutes,
    wait_for,
)

pytestmark = pytest.mark.live
DEAD = "redis://no-such-name-{}.invalid:6379"


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

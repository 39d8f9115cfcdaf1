"""A server that comes and goes for half an hour moves many rules: its readers get three mails at most."""

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from checks.facts import Missing
from fleet.alerts.models import Delivery, Told
from fleet.findings.models import Transition
from fleet.history.partitions import ensure_day
from fleet.inspections.clock import advance_findings
from fleet.inspections.record import record
from tests.checks.pairs import EMAILENGINE, GIB
from tests.fleet.alerts.stories import NORTHWIND, OPS, make_channel
from tests.fleet.visiting import UNREACHED, claimed, judged, make_pairs

STEP = timedelta(seconds=20)
STALLED = {"round_trips": {"p95_us": 600_000.0}}
NO_WORKERS = {"bull_clients": ()}
FULL = {"used_memory_bytes": 4 * GIB, "used_memory_rss_bytes": 4 * GIB}
BUSY = {"emailengine": replace(EMAILENGINE, health_s=4.0)}
SAVES_FAIL = {"rdb_last_bgsave_status": "err", "ping": Missing("misconf", "MISCONF no snapshots")}
DOWN = {"redis": UNREACHED}
FAULTS = (DOWN, DOWN, DOWN, NO_WORKERS, STALLED, FULL, BUSY, SAVES_FAIL, {**NO_WORKERS, **FULL})


def visit(now, facts):
    """Visit what is due by the schedule; the server came back as another run each time."""
    ensure_day(now.date())
    record([judged(due, now, **facts) for due in claimed(now)])
    advance_findings(now)


def goes_on(story, facts, lasting, step=STEP):
    end = story.now + lasting
    while story.now < end:
        visit(story.now, facts)
        story.after(seconds=step.seconds)


@pytest.mark.parametrize("seed", range(2))
def test_a_server_that_flaps_for_half_an_hour_is_three_mails_whatever_rules_it_moves(story, seed):
    for tenant, address in (("Northwind Mail", NORTHWIND), (None, OPS)):
        make_channel(tenant, address=address)
    make_pairs(1, emailengine_url="http://ee.example.com:3000")
    chance = random.Random(seed)
    goes_on(story, {}, timedelta(minutes=3))
    begun = story.now
    while story.now - begun < timedelta(minutes=30):
        fault = chance.choice(FAULTS)
        goes_on(story, fault, timedelta(seconds=chance.randrange(60, 240)))
        again = {"run_id": f"{story.now.timestamp():040}"}
        goes_on(story, again, timedelta(seconds=chance.randrange(60, 240)))

    assert Transition.objects.values("finding__rule_id").distinct().count() >= 4
    assert [len(story.subjects(to)) for to in (NORTHWIND, OPS)] == [3, 3]
    goes_on(story, {}, timedelta(hours=2), step=timedelta(minutes=4))
    assert not Told.objects.filter(is_open=True).exists()
    assert not Delivery.objects.filter(state="waiting").exists()
    assert story.subjects()[-1].startswith("[Resolved]")

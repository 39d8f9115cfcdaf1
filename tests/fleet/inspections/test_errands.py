"""What waits is found by one question, and just when who sees to it finds some too."""

from datetime import timedelta

import pytest

from checks.evaluate import REACHABLE
from fleet.backups.models import BackupJob, DrillPlan
from fleet.inspections.blind import suspect
from fleet.inspections.connection_test import claim_tests
from fleet.inspections.dryrun import LOST_AFTER, SENT_AGAIN_AFTER, claim_dry_runs
from fleet.inspections.errands import Errands, errands
from fleet.inspections.models import ConnectionTest, DryRun, PairSchedule
from fleet.inspections.schedule import check_now, ensure_schedule, may_be_lost, release
from fleet.registry.models import Target, Worker, Zone
from tests.fleet.backups.sources import make_source
from tests.fleet.factories import make_finding, make_pair, make_zone
from tests.fleet.visiting import NOW, claimed, visit

pytestmark = pytest.mark.django_db
SECOND, MILLISECOND = timedelta(seconds=1), timedelta(milliseconds=1)
NOTHING = Errands(
    due=False, doubts=False, unscheduled=False, tests=False, dry_runs=False, backups=False
)


def pairs(count):
    """Register pairs without any source of backups, in a zone with a worker, and visit them."""
    made = [make_pair() for _ in range(count)]
    ensure_schedule(NOW)
    visit(NOW)
    return made


def test_where_all_is_well_nothing_waits():
    pairs(2)

    assert errands(NOW) == NOTHING


def test_a_pair_waits_from_its_instant_until_it_is_claimed():
    pair = pairs(1)[0]
    due_at = PairSchedule.objects.get().next_due_at
    soon = due_at - MILLISECOND

    assert [errands(at).due for at in (soon, due_at)] == [False, True]
    Target.objects.update(state="paused")
    assert not errands(due_at).due
    Target.objects.update(state="active")
    (claim,) = claimed(due_at)
    assert not errands(due_at).due
    release([(pair.pk, claim.claim)])
    assert errands(due_at).due
    claimed(due_at)
    check_now([pair.pk], soon)
    assert errands(soon).due


def test_every_ten_seconds_a_tick_looks_for_claims_that_a_worker_lost():
    lost_at = NOW.replace(second=20)
    offsets = (-MILLISECOND, timedelta(), timedelta(seconds=1.999), timedelta(seconds=2))

    assert [may_be_lost(lost_at + offset) for offset in offsets] == [False, True, True, False]
    ticks = [lost_at + timedelta(seconds=2 * n + 0.7) for n in range(30)]
    assert sum(map(may_be_lost, ticks)) == 6


@pytest.mark.parametrize(
    ("rule_id", "state", "waits"),
    [
        (REACHABLE, "pending", True),
        (REACHABLE, "open", False),
        ("redis.memory-headroom", "pending", False),
    ],
)
def test_a_pair_that_may_be_silent_is_a_doubt(rule_id, state, waits):
    make_finding(pairs(1)[0], rule_id, state=state)

    assert errands(NOW) == NOTHING._replace(doubts=waits)
    assert suspect(NOW) == (["eu-1"] if waits else [])


@pytest.mark.parametrize(("who", "zone"), [(Zone, "slug"), (Worker, "zone__slug")])
def test_who_is_blind_is_a_doubt(who, zone):
    pairs(1)
    who.objects.filter(**{zone: "eu-1"}).update(blind_since=NOW)

    assert errands(NOW) == NOTHING._replace(doubts=True)
    assert suspect(NOW) == ["eu-1"]


def test_a_zone_stays_in_doubt_while_it_is_suspected():
    pairs(1)
    Zone.objects.filter(slug="eu-1").update(suspect_since=NOW - SECOND)

    assert errands(NOW) == NOTHING._replace(doubts=True)
    assert suspect(NOW) == ["eu-1"]


def test_new_pairs_are_found_without_being_told_of():
    pairs(1)
    PairSchedule.objects.all().delete()
    assert errands(NOW) == NOTHING._replace(unscheduled=True)
    Target.objects.update(state="archived")
    assert errands(NOW) == NOTHING
    Target.objects.update(state="paused")
    assert errands(NOW) == NOTHING._replace(unscheduled=True)
    assert ensure_schedule(NOW) == 1
    assert errands(NOW) == NOTHING


def test_a_connection_test_waits_until_it_is_sent_or_too_old():
    ConnectionTest.objects.create(zone=make_zone(), asked_at=NOW, expires_at=NOW, draft={})

    found = [errands(at) for at in (NOW - SECOND, NOW, NOW + SECOND)]
    assert found == [NOTHING._replace(tests=True), NOTHING, NOTHING]
    assert len(claim_tests(NOW - SECOND)) == 1
    assert errands(NOW - SECOND) == NOTHING


@pytest.mark.parametrize(
    ("asked", "sent", "started", "waits"),
    [
        (timedelta(), None, False, True),
        (LOST_AFTER - SECOND, None, False, True),
        (LOST_AFTER, None, False, False),
        (timedelta(), None, True, False),
        (SENT_AGAIN_AFTER, SENT_AGAIN_AFTER - SECOND, False, False),
        (SENT_AGAIN_AFTER, SENT_AGAIN_AFTER, False, True),
    ],
)
def test_a_dry_run_waits_until_a_worker_has_it(asked, sent, started, waits):
    DryRun.objects.create(
        level="fleet",
        base=0,
        overrides={},
        note="x",
        asked_at=NOW - asked,
        sent_at=None if sent is None else NOW - sent,
        started_at=NOW if started else None,
    )

    assert errands(NOW) == NOTHING._replace(dry_runs=waits)
    assert bool(claim_dry_runs(NOW)) is waits


def test_a_source_that_is_due_waits():
    pair = pairs(1)[0]
    paused = make_pair(state="paused")
    ensure_schedule(NOW)
    make_source(pair, "heartbeat")
    make_source(pair, is_enabled=False)
    make_source(paused)
    assert errands(NOW) == NOTHING

    source = make_source(pair, next_due_at=NOW)
    found = [errands(at) for at in (NOW - SECOND, NOW)]
    assert found == [NOTHING, NOTHING._replace(backups=True)]
    source.next_due_at = None
    source.save()
    assert errands(NOW).backups


def test_a_drill_that_is_due_waits():
    DrillPlan.objects.create(target_id=pairs(1)[0].pk, next_due_at=NOW)

    assert [errands(at).backups for at in (NOW - SECOND, NOW)] == [False, True]
    DrillPlan.objects.update(is_enabled=False)
    assert not errands(NOW).backups


def test_a_job_waits_that_is_new_or_has_lost_its_worker():
    BackupJob.objects.create(kind="drill", target_id=pairs(1)[0].pk, made_at=NOW)
    found = {}
    for state in BackupJob.State.values:
        BackupJob.objects.update(state=state, lease_until=NOW)
        found[state] = (errands(NOW - SECOND).backups, errands(NOW).backups)

    waiting = {"waiting": (True, True), "leased": (False, True)}
    assert found == dict.fromkeys(BackupJob.State.values, (False, False)) | waiting

"""The doors of inspections: what Celery calls, and when a worker process begins and ends."""

from __future__ import annotations

import gc
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from celery import shared_task
from celery.signals import celeryd_after_setup, worker_ready, worker_shutdown
from django.conf import settings
from django.utils import timezone

from fleet.backups.tasks import dispatch_backups
from fleet.inspections.blind import check_oneself, suspect, workers_of
from fleet.inspections.clock import advance_findings
from fleet.inspections.connection_test import claim_tests, run_test
from fleet.inspections.dispatch import Shard, dispatch_due
from fleet.inspections.dryrun import claim_dry_runs, run_dry
from fleet.inspections.errands import errands
from fleet.inspections.hasten import judge_new_copies
from fleet.inspections.heartbeat import Heartbeat
from fleet.inspections.load import Token
from fleet.inspections.run import inspect, stop_room
from fleet.inspections.schedule import ensure_schedule, may_be_lost
from fleet.inspections.sooner import bring_sooner
from fleet.inspections.standing import keep_standing
from fleet.inspections.unverified import mark_unverified
from fleet.inspections.waive import sweep
from fleet.registry.outage import database_may_fail

EXPIRES_S = 60
TEST_EXPIRES_S = 20
SELF_CHECK_EXPIRES_S = 10  # then it is sent again
DRY_RUN_EXPIRES_S = 25  # then it is sent again
BACKUPS_EXPIRES_S = 4


@shared_task(ignore_result=True)
def inspect_pairs(tokens: Sequence[Token], is_slow: bool = False) -> None:  # noqa: FBT001, FBT002  a message
    """Visit a shard of claimed pairs and record it. Safe to run twice: the second finds its claims spent."""
    with database_may_fail("inspection"):
        inspect(tokens, is_slow=is_slow)


@shared_task(ignore_result=True)
def dispatch() -> None:
    """Send what is due to the workers of its zone, wake backups. Any number may run at once."""
    with database_may_fail("dispatch"):
        now = timezone.now()
        waits = errands(now)
        if waits.doubts:
            send_self_checks(now)
        if waits.unscheduled:
            ensure_schedule(now)
        if waits.due or waits.unscheduled or may_be_lost(now):
            dispatch_due(now, send)
        if waits.tests:
            send_tests(now)
        if waits.dry_runs:
            send_dry_runs(now)
        if waits.backups:
            dispatch_backups.apply_async(expires=BACKUPS_EXPIRES_S)


@shared_task(ignore_result=True)
def self_check(name: str) -> None:
    """See whether the worker of this name, which alone has its queue, is blind. Safe to run twice."""
    with database_may_fail("self-check"):
        check_oneself(name, timezone.now())


@shared_task(ignore_result=True)
def watch_unverified() -> None:
    """Take the green off pairs that nobody looks at, judge what was asked for. Safe to run twice."""
    with database_may_fail("watch"):
        now = timezone.now()
        mark_unverified(now)
        judge_new_copies(now)


@shared_task(ignore_result=True)
def watch_standing() -> None:
    """Write how the fleet stands into history. Safe to run twice."""
    with database_may_fail("standing"):
        keep_standing(timezone.now())


@shared_task(ignore_result=True)
def watch_findings() -> None:
    """Move what time alone moves: findings, waivers that end, what is due too late. Safe to run twice."""
    with database_may_fail("watch"):
        now = timezone.now()
        bring_sooner(now)
        advance_findings(now)
        sweep(now)


@shared_task(ignore_result=True)
def try_connection(test_id: int) -> None:
    """Try a pair that is about to be registered. Safe to run twice: the result is the same row."""
    with database_may_fail("connection test"):
        run_test(test_id)


@shared_task(ignore_result=True)
def try_policy(run_id: int) -> None:
    """Work out what a policy change would do. Safe to run twice: the second finds it claimed."""
    with database_may_fail("dry run"):
        run_dry(run_id, timezone.now())


def send_self_checks(now: datetime) -> None:
    for name in workers_of(suspect(now), now):
        self_check.apply_async(args=[name], queue=own_queue(name), expires=SELF_CHECK_EXPIRES_S)


def send_tests(now: datetime) -> None:
    for test_id, zone in claim_tests(now):
        try_connection.apply_async(args=[test_id], queue=f"zone.{zone}.now", expires=TEST_EXPIRES_S)


def send_dry_runs(now: datetime) -> None:
    for run_id in claim_dry_runs(now):
        try_policy.apply_async(args=[run_id], expires=DRY_RUN_EXPIRES_S)


def send(shard: Shard) -> None:
    inspect_pairs.apply_async(
        args=[shard.tokens, shard.kind == "slow"], queue=shard.queue, expires=EXPIRES_S
    )


def own_queue(name: str) -> str:
    """Name the queue of one worker alone, for what it must do itself."""
    return f"worker.{name}"


def listen(instance: Any, **_signal: Any) -> None:
    """Have this worker consume its own queue beside those that it was started with."""
    instance.app.amqp.queues.select_add(own_queue(settings.WORKER_NAME))


_heartbeat = Heartbeat()


def begin(**_signal: Any) -> None:
    """Report this worker: from now on work is sent to it."""
    # What is loaded by now stays, and a visit leaves next to no cycles: looking for them at every
    # turn costs a tenth of it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    _heartbeat.start()


def end(**_signal: Any) -> None:
    """Let visits under way finish for a moment, and end our threads."""
    stop_room()
    _heartbeat.stop()


celeryd_after_setup.connect(listen, weak=False)
worker_ready.connect(begin, weak=False)
worker_shutdown.connect(end, weak=False)

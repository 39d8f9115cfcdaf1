"""Flat out: what a Redis-only visit costs, from the probe to the committed row."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from django.db import connection
from django.utils import timezone

from fleet.celery import app
from fleet.history.partitions import VISITS, make_ahead
from fleet.inspections.dispatch import SHARD, Shard, dispatch_due
from fleet.inspections.models import PairSchedule, PairState
from fleet.inspections.schedule import ensure_schedule
from fleet.inspections.tasks import send
from fleet.registry.models import Pair, Target, Tenant, Worker, Zone
from tests.bench.stage import Stage, cpu_s, wait_for, worker

PAIRS, ROUNDS = 3_000, 8
OFTEN = ("health_due_at", "latency_due_at", "next_due_at")
RARELY = ("persistence_due_at", "stats_due_at", "backup_due_at")


@dataclass
class Spent:
    """Readings of the meters, or what was spent between two."""

    wall_s: float = 0.0
    worker_s: float = 0.0
    dispatch_s: float = 0.0
    database_s: float = 0.0
    broker_s: float = 0.0
    monitored_s: float = 0.0
    wal_bytes: float = 0.0
    visits: int = 0

    def __add__(self, other: "Spent") -> "Spent":
        return Spent(
            *(a + b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )

    def __sub__(self, other: "Spent") -> "Spent":
        return Spent(
            *(a - b for a, b in zip(vars(self).values(), vars(other).values(), strict=True))
        )

    def per_visit_ms(self, seconds: float) -> float:
        """CPU milliseconds for one visit."""
        return seconds * 1000 / self.visits

    @property
    def ours_ms(self) -> float:
        """Everything of ours: worker, dispatcher, database and broker."""
        return self.per_visit_ms(self.worker_s + self.dispatch_s + self.database_s + self.broker_s)


def register(stage: Stage, count: int = PAIRS) -> None:
    """Register pairs: the farm's servers, told apart by database numbers."""
    tenant, _made = Tenant.objects.get_or_create(name="Bench")
    zone = Zone.objects.get(slug="local")
    first = Target.objects.count()
    targets = Target.objects.bulk_create(
        Target(tenant=tenant, zone=zone, name=f"bench-{first + n}") for n in range(count)
    )
    Pair.objects.bulk_create(
        Pair(target=target, redis_url=f"{stage.farm[n % len(stage.farm)].url}/{n % 16}")
        for n, target in enumerate(targets)
    )
    ensure_schedule(timezone.now())


def measure(stage: Stage) -> Spent:
    """Visit every pair a few times as fast as it goes; the first two rounds warm up."""
    app.set_default()
    make_ahead(VISITS, timezone.now().date())
    with worker(stage) as pid:
        wait_for(Worker.objects.exists, 30, "the worker's first report")
        _round(stage, pid, (*OFTEN, *RARELY))
        _round(stage, pid, OFTEN)
        total = Spent()
        for _ in range(ROUNDS):
            total += _round(stage, pid, OFTEN)
    return total


def _round(stage: Stage, pid: int, due: tuple[str, ...]) -> Spent:
    """Make every pair due, send them, wait for the last one's committed row; setting up is not counted."""
    now = timezone.now()
    PairSchedule.objects.update(**dict.fromkeys(due, now))
    waiting = PairState.objects.exclude(checked_at__gte=now)
    before = _meters(stage, pid)
    before_dispatch = time.process_time()
    sent = dispatch_due(timezone.now(), send)
    dispatch_s = time.process_time() - before_dispatch
    _finish(lambda: not waiting.exists())
    spent = _meters(stage, pid) - before
    return spent + Spent(dispatch_s=dispatch_s, visits=sent)


def _finish(is_done: Callable[[], bool]) -> None:
    """Wait, and send every 2 s what came back, as the timetable would: a busy machine has no room for all."""
    for _attempt in range(60):
        deadline = time.monotonic() + 2
        while time.monotonic() < deadline:
            if is_done():
                return
            time.sleep(0.05)
        dispatch_due(timezone.now(), send)
    raise TimeoutError("a round was not done within 120 s")


def _meters(stage: Stage, pid: int) -> Spent:
    return Spent(
        wall_s=time.monotonic(),
        worker_s=cpu_s(pid),
        database_s=stage.backends(),
        broker_s=cpu_s(stage.broker),
        monitored_s=stage.monitored(),
        wal_bytes=stage.wal(),
    )


def history_row_bytes() -> float:
    """Bytes of a history row, its index included."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT sum(pg_total_relation_size(inhrelid)) FROM pg_inherits"
            " WHERE inhparent = 'history_visit'::regclass"
        )
        size = int(cursor.fetchone()[0])
        cursor.execute("SELECT count(*) FROM history_visit")
        return size / cursor.fetchone()[0]


def dispatch_10000_s(stage: Stage) -> float:
    """Seconds to claim 10,000 due pairs and put them into shards, sending aside."""
    register(stage, 10_000 - Pair.objects.count())
    for number in range(4):  # one is handed no more than it takes up at once
        Worker.objects.update_or_create(
            name=f"bench-{number}",
            defaults={"zone": Zone.objects.get(slug="local"), "last_seen_at": timezone.now()},
        )
    PairSchedule.objects.update(lease_until=None, next_due_at=timezone.now())
    shards: list[Shard] = []
    started = time.monotonic()
    sent = dispatch_due(timezone.now(), shards.append)
    took = time.monotonic() - started
    assert (sent, len(shards)) == (10_000, 10_000 // SHARD), (sent, len(shards))
    return took

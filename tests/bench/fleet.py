"""A fleet of 10,000 pairs with 90 days behind it, put into an empty database in a minute or two.

A few pairs are real: one for each face, visited by the real inspection until what is wrong with it
is confirmed. All others are copies of these, made by the database, so that a worker that goes on
inspecting finds on every pair what stands there already. tests/bench/past.py invents what was before.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import cycle, islice
from typing import Any

from django.db import connection
from django.utils import timezone
from simple_history.utils import bulk_create_with_history

from fleet.findings.models import Finding
from fleet.history.partitions import VISITS, make_ahead
from fleet.inspections.cadences import ALL_BITS
from fleet.inspections.models import LatestFacts, PairMemory, PairSchedule, PairState
from fleet.inspections.run import inspect, stop_room
from fleet.inspections.schedule import claim_pair, ensure_schedule
from fleet.registry.models import Pair, PolicyVersion, Target, Tenant, Worker, Zone
from tests.bench import past
from tests.bench.faces import FACES, Address, Face

PAIRS, TENANTS = 10_000, 40  # every fifth pair is the first tenant's, so it has 2,000
ZONES = ("local", "eu-2", "us-1")
ENVIRONMENTS = ("production", "production", "production", "staging", "development")
CONFIRMING_VISITS = 5
SECRET = "env:PAIRKEEPER_SECRET_BENCH"
# All pairs share a few servers here, which would be all that the lists show.
FLEET_POLICY = {"redis.shared-instance": {"enabled": False}}
TENANT_POLICY = {"redis.memory-headroom": {"warn_used_ratio": 0.75}}


def make(addresses: Mapping[str, Address], now: datetime) -> None:
    """Fill an empty, migrated database."""
    seeds = register(PAIRS, ZONES, addresses, now)
    Worker.objects.bulk_create(
        Worker(name=f"bench-{zone.slug}", zone=zone, version="bench", last_seen_at=now)
        for zone in Zone.objects.all()
    )
    past.make(now)
    _visit(seeds, now)
    _copy_states(now)
    _copy_findings(now)
    past.tell(now)


def register(
    count: int, zones: Sequence[str], addresses: Mapping[str, Address], now: datetime
) -> list[int]:
    """Register so many pairs, of every face its share; returns the id of each face's first."""
    Tenant.objects.bulk_create(Tenant(name=f"Tenant {n:02}") for n in range(TENANTS))
    for slug in zones:
        Zone.objects.update_or_create(slug=slug, defaults={"location": f"{slug}/a"})
    _policies(now)
    seeds = _register([(face, 0) for face in FACES], addresses)
    _register(list(islice(_places(), count - len(seeds))), addresses)
    return seeds


def move(addresses: Mapping[str, Address]) -> None:
    """Let every pair of a fleet made earlier follow its server to this run's port."""
    for name, where in addresses.items():
        _run(
            "UPDATE registry_pair p SET emailengine_url = %(emailengine)s, redis_url ="
            " %(redis)s || '/' || CASE WHEN %(emailengine)s = '' THEN p.target_id %% 16 ELSE 0 END"
            " FROM registry_target t WHERE t.id = p.target_id AND t.labels->>'face' = %(name)s",
            emailengine=where.emailengine_url,
            redis=where.redis_url,
            name=name,
        )


def man(now: datetime) -> None:
    """Let the one worker of a bench stand for a worker in every zone."""
    Worker.objects.update(last_seen_at=now)


def _places() -> Iterator[tuple[Face, int]]:
    """Give a face and a tenant's number for ever, each face as often as its weight says."""
    order = [face for face in FACES for _ in range(face.weight // 5)]
    spread = [order[number * 83 % len(order)] for number in range(len(order))]
    for number, face in enumerate(cycle(spread)):
        yield face, 0 if number % 5 == 0 else 1 + number % (TENANTS - 1)


def _policies(now: datetime) -> None:
    rest = {"made_at": now, "note": "bench", "number": 1}
    PolicyVersion.objects.create(level="fleet", overrides=FLEET_POLICY, **rest)
    PolicyVersion.objects.bulk_create(
        PolicyVersion(level="tenant", tenant=tenant, overrides=TENANT_POLICY, **rest)
        for tenant in Tenant.objects.all()[:20]
    )


def _register(wanted: Sequence[tuple[Face, int]], addresses: Mapping[str, Address]) -> list[int]:
    """Register a pair for each face and tenant; returns their ids."""
    tenants, zones = list(Tenant.objects.order_by("pk")), list(Zone.objects.order_by("pk"))
    first = Target.objects.count()
    targets = bulk_create_with_history(
        [
            Target(
                tenant=tenants[place],
                zone=zones[number % len(zones)],
                name=f"{face.name}-{number:05}",
                environment=ENVIRONMENTS[number % len(ENVIRONMENTS)],
                labels={"face": face.name, "rack": f"r{number % 60}"},
            )
            for number, (face, place) in enumerate(wanted, first)
        ],
        Target,
    )
    pairs = zip(targets, wanted, strict=True)
    bulk_create_with_history(
        [_pair(target, face, addresses[face.name]) for target, (face, _place) in pairs], Pair
    )
    return [target.pk for target in targets]


def _pair(target: Target, face: Face, where: Address) -> Pair:
    """Address one. Those of a server without EmailEngine have databases of their own."""
    return Pair(
        target=target,
        redis_url=f"{where.redis_url}/{0 if face.has_emailengine else target.pk % 16}",
        redis_password=SECRET,
        redis_location=target.zone.location,
        emailengine_url=where.emailengine_url,
        emailengine_location=target.zone.location,
        expected_mailboxes=50 + target.pk % 3000,
        metrics_token=SECRET if face.has_emailengine else "",
        api_token=SECRET if face.has_emailengine else "",
    )


def _visit(target_ids: Sequence[int], now: datetime) -> None:
    """Inspect the seeds until EmailEngine's first minute is over and what is wrong is confirmed."""
    make_ahead(VISITS, now.date())
    ensure_schedule(now)
    _inspect(target_ids)
    while PairState.objects.filter(
        core_unknown__contains={"emailengine.reachable": "starting"}
    ).exists():
        time.sleep(5)
        _inspect(target_ids)
    for _number in range(CONFIRMING_VISITS):
        _inspect(target_ids)
    stop_room()


def _inspect(target_ids: Sequence[int]) -> None:
    now = timezone.now()
    seen = inspect([(one, claim_pair(one, now), ALL_BITS) for one in target_ids])
    assert seen == len(target_ids), f"{seen} of {len(target_ids)} seeds visited"


def _run(statement: str, **values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


# Each pair beside the seed of its face, which is the face's first pair.
_COPIES = """
WITH copies AS (
    SELECT t.id AS target_id, first_value(t.id) OVER w AS seed_id
    FROM registry_target t WINDOW w AS (PARTITION BY t.labels->>'face' ORDER BY t.id)
)
"""


def _columns(model: Any, *but: str) -> str:
    columns = (one.column for one in model._meta.concrete_fields)
    return ", ".join(name for name in columns if name not in ("id", "target_id", *but))


def _copy_states(now: datetime) -> None:
    """Give each pair what the last visits left on its seed, and due times spread as dispatch does."""
    for model in (PairState, PairMemory, PairSchedule, LatestFacts):
        table, names = model._meta.db_table, _columns(model)
        _run(
            f"{_COPIES} DELETE FROM {table} s USING copies c"
            " WHERE c.target_id = s.target_id AND c.target_id <> c.seed_id"
        )
        _run(
            f"{_COPIES} INSERT INTO {table} (target_id, {names}) SELECT c.target_id, {names}"
            f" FROM copies c JOIN {table} s ON s.target_id = c.seed_id"
            " WHERE c.target_id <> c.seed_id"
        )
    every = {"health": 60, "latency": 60, "next": 60, "persistence": 300, "stats": 300}
    due = ", ".join(
        f"{name}_due_at = %(now)s + target_id %% {seconds} * interval '1 s'"
        for name, seconds in every.items()
    )
    _run(f"UPDATE inspections_pairschedule SET {due}", now=now)


def _copy_findings(now: datetime) -> None:
    """Give each pair its seed's open findings, opened at some time in the last 60 days."""
    names = _columns(Finding, "first_seen_at", "opened_at", "results", "results_count")
    _run(
        f"{_COPIES}, moments AS ("
        "  SELECT *, %(now)s - random() * random() * interval '60 days' AS at FROM copies)"
        f" INSERT INTO findings_finding (target_id, {names},"
        "  first_seen_at, opened_at, results, results_count)"
        f" SELECT m.target_id, {names}, m.at, m.at, 0, 0"
        " FROM moments m JOIN findings_finding s ON s.target_id = m.seed_id"
        " WHERE m.target_id <> m.seed_id AND s.state = 'open'",
        now=now,
    )
    _run(
        "UPDATE inspections_pairstate s SET oldest_opened_at = f.at,"
        " compliance_since = f.at, health_since = f.at"
        " FROM (SELECT target_id, min(opened_at) AS at FROM findings_finding"
        "  WHERE state = 'open' AND severity <> 'info' GROUP BY target_id) f"
        " WHERE f.target_id = s.target_id"
    )

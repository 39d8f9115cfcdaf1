"""Who is due, and who has it: claims with a lease, and "check now"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final, Literal, NamedTuple

from django.db import connection, transaction

from checks.rule import Cadence
from fleet.inspections.cadences import ALL_BITS, PLACE, VISITED
from fleet.inspections.due import NEXT_DUE
from fleet.inspections.models import PairSchedule, PairState
from fleet.inspections.terms import terms
from fleet.registry.arrays import array_text, rows_of

LEASE: Final = timedelta(seconds=60)
WORKER_SEEN: Final = timedelta(seconds=60)
# A cadence due within this rides along, for a visit costs more than a cadence; and so does a pair
# where a message has room, for a message costs its statements: early by a tenth of its interval at
# the most, or the same instant would be due again.
RIDES_ALONG: Final = timedelta(seconds=5)
EARLY_RATIO: Final = 0.1
STATES_AT_ONCE: Final = 1000
TICK_S: Final = 2.0  # of the timetable (fleet/celery.py)
LOST_EVERY_S: Final = 10.0
_DUE: Final = ", ".join(f"{cadence.value}_due_at" for cadence in VISITED)


class MostOut(NamedTuple):
    """How many pairs a worker may have out at once: claimed, and neither recorded nor given up."""

    quick: int
    slow: int


# What a worker visits in a few seconds, so that after an outage the longest due go first, what is
# sent is taken up before its lease ends, and a zone or a lot of hung targets holds up its own only.
# Of slow ones it holds at most 1,000 (fleet/inspections/room.py).
MOST_OUT: Final = MostOut(quick=3_000, slow=1_000)


class Claim(NamedTuple):
    """One pair to visit: nobody else records it while this claim number is current.

    `bits` are the due cadences (fleet/inspections/cadences.py).
    """

    target_id: int
    claim: int
    bits: int
    zone: str
    is_slow: bool
    is_asked: bool


class Progress(NamedTuple):
    """How far a "check now" is; `worker_seen_at` is the last sign of life in the pair's zone.

    queued: not yet taken up · checking: a worker has it · no_worker: queued, and nobody is there
    to take it · done: answered (checked_at tells when the pair was last read).
    """

    state: Literal["queued", "checking", "no_worker", "done"]
    asked_at: datetime | None
    checked_at: datetime | None
    worker_seen_at: datetime | None
    zone: str


# By the database itself: thousands may have been imported, and several dispatchers run at once.
_UNSCHEDULED: Final = """
FROM registry_pair p JOIN registry_target t ON t.id = p.target_id
WHERE t.state <> 'archived'
    AND NOT EXISTS (SELECT FROM inspections_pairschedule n WHERE n.target_id = p.target_id)
"""
HAS_UNSCHEDULED: Final = f"EXISTS (SELECT {_UNSCHEDULED})"
NEW_SCHEDULES: Final = f"""
INSERT INTO inspections_pairschedule AS s
    (target_id, {_DUE}, next_due_at, claim, claimed_bits, is_slow)
SELECT p.target_id, {"%(now)s, " * len(VISITED)}%(now)s, 0, 0, false
{_UNSCHEDULED}
ON CONFLICT DO NOTHING
RETURNING target_id, (SELECT emailengine_url FROM registry_pair p WHERE p.target_id = s.target_id)
"""  # noqa: S608  our own column names


def ensure_schedule(now: datetime) -> int:
    """Give every pair that has none a schedule, due now, and a state, unverified; returns how many."""
    with transaction.atomic():
        made = rows_of(NEW_SCHEDULES, {"now": now})
        for first in range(0, len(made), STATES_AT_ONCE):
            PairState.objects.bulk_create(
                [
                    PairState(target_id=pk, is_redis_only=not url)
                    for pk, url in made[first : first + STATES_AT_ONCE]
                ],
                ignore_conflicts=True,
            )
    return len(made)


# A claim that is done makes way for the next due time; one that is not, for the end of its lease.
# Rows that somebody else is claiming are skipped, so that any number of dispatchers may run: the
# second one finds, once it has a row, that it is no longer due.
# Health is read in every visit, so every visit counts as one for it.
_BITS: Final = f"{1 << PLACE[Cadence.HEALTH]} | " + " | ".join(
    f"((s.{cadence.value}_due_at <= %(soon)s)::int << {place})" for cadence, place in PLACE.items()
)
_NEXT: Final = ", ".join(
    f"CASE WHEN bits & {1 << place} = 0 THEN {cadence.value}_due_at"
    f" ELSE {NEXT_DUE.format(id='target_id', now='%(now_ms)s::bigint', every=f'every_ms[{place + 1}]')}"
    f" END AS {cadence.value}_due_at"
    for cadence, place in PLACE.items()
)
_IS_DUE: Final = """CASE WHEN p.recorded_claim = s.claim THEN s.next_due_at <= %(now)s
               ELSE s.lease_until IS NULL OR s.lease_until <= %(now)s END"""
# Who is asked again to confirm a fault is not asked early: the looks are to lie 10 s apart.
_IS_SOON_DUE: Final = f"""(({_IS_DUE}) OR p.recorded_claim = s.claim AND p.pending_count = 0
               AND s.next_due_at <= %(early)s)"""
_IS_OUT: Final = "p.recorded_claim < s.claim AND coalesce(s.lease_until > %(now)s, false)"
# What CLAIM would find by these signs, which one narrow table tells. It reads every pair's state, and
# most ticks of a small fleet have nothing for it; a claim lost with its worker shows by that alone.
HAS_DUE: Final = """EXISTS (
    SELECT FROM inspections_pairschedule s JOIN registry_target t ON t.id = s.target_id
    WHERE t.state = 'active' AND (s.next_due_at <= %(now)s OR s.lease_until IS NULL)
)"""
CLAIM: Final = f"""
WITH workers AS (
    SELECT zone_id, count(*) AS workers_count FROM registry_worker
    WHERE last_seen_at > %(seen)s GROUP BY zone_id
), counted AS (
    SELECT s.target_id, w.workers_count, s.is_slow, {_IS_OUT} AS is_out, {_IS_DUE} AS is_due,
        s.next_due_at, s.asked_at IS NULL AS is_unasked,
        count(*) FILTER (WHERE {_IS_OUT}) OVER (PARTITION BY t.zone_id, s.is_slow) AS out_count,
        count(*) FILTER (WHERE {_IS_DUE}) OVER (PARTITION BY t.zone_id, s.is_slow) AS due_count,
        row_number() OVER (
            PARTITION BY t.zone_id, s.is_slow, {_IS_OUT} ORDER BY NOT {_IS_DUE}, s.next_due_at
        ) AS place
    FROM inspections_pairschedule s
    JOIN inspections_pairstate p ON p.target_id = s.target_id
    JOIN registry_target t ON t.id = s.target_id
    JOIN workers w ON w.zone_id = t.zone_id
    WHERE t.state = 'active' AND ({_IS_OUT} OR {_IS_SOON_DUE})
), chosen AS (
    SELECT target_id FROM counted
    WHERE NOT is_out AND place <= (due_count + %(fill)s - 1) / %(fill)s * %(fill)s
        AND (NOT is_unasked OR place + out_count <=
            workers_count * CASE WHEN is_slow THEN %(slow_out)s ELSE %(quick_out)s END)
    ORDER BY is_unasked, NOT is_due, next_due_at
    LIMIT %(limit)s
), due AS (
    SELECT s.target_id, z.slug, coalesce(e.every_ms, %(every_ms)s::bigint[]) AS every_ms,
        CASE WHEN p.recorded_claim = s.claim THEN 0 ELSE s.claimed_bits END | ({_BITS}) AS bits,
        {_DUE}
    FROM chosen c
    JOIN inspections_pairschedule s ON s.target_id = c.target_id
    JOIN inspections_pairstate p ON p.target_id = s.target_id
    JOIN registry_target t ON t.id = s.target_id
    JOIN registry_zone z ON z.id = t.zone_id
    LEFT JOIN (
        SELECT engine, every_ms::bigint[]
        FROM unnest(%(engines)s::text[], %(engines_every_ms)s::text[]) AS v(engine, every_ms)
    ) e ON e.engine = p.engine
    WHERE {_IS_SOON_DUE}
    FOR UPDATE OF s SKIP LOCKED
), after AS (
    SELECT target_id, slug, bits, {_NEXT} FROM due
)
UPDATE inspections_pairschedule s
SET claim = s.claim + 1, lease_until = %(lease)s, claimed_bits = a.bits,
    {", ".join(f"{name} = a.{name}" for name in _DUE.split(", "))},
    next_due_at = least({", ".join(f"a.{name}" for name in _DUE.split(", "))})
FROM after a
WHERE s.target_id = a.target_id
RETURNING s.target_id, s.claim, a.bits, a.slug, s.is_slow, s.asked_at IS NOT NULL
"""  # noqa: S608  our own column names


def claim_due(
    now: datetime, limit: int, most_out: MostOut = MOST_OUT, fill: int = 1
) -> list[Claim]:
    """Take up to `limit` due pairs, longest due first, for a minute: nobody else gets them meanwhile.

    Only active pairs of zones in which a worker was seen within 60 s, and for each of these workers
    only so many as `most_out` allows to be claimed and not yet recorded. Who was asked for by a
    person goes first and is not held back. Where messages hold `fill` pairs, the last one is filled
    up with pairs that are due within RIDES_ALONG. Safe at any concurrency.
    """
    every_ms = {engine: _every_ms(engine) for engine in terms().engines}
    params = {
        "now": now,
        "now_ms": int(now.timestamp() * 1000),
        "seen": now - WORKER_SEEN,
        "lease": now + LEASE,
        "soon": now + RIDES_ALONG,
        "early": now + min(RIDES_ALONG, EARLY_RATIO * _shortest()),
        "every_ms": _every_ms(""),
        "engines": list(every_ms),
        "engines_every_ms": [array_text(each) for each in every_ms.values()],
        "limit": limit,
        "fill": fill,
        "quick_out": most_out.quick,
        "slow_out": most_out.slow,
    }
    return [Claim(*row) for row in rows_of(CLAIM, params)]


def _shortest() -> timedelta:
    return timedelta(seconds=min(min(every.values()) for every in terms().seconds.values()))


def _every_ms(engine: str) -> list[int]:
    return [terms().interval_s(cadence, engine) * 1000 for cadence in VISITED]


def may_be_lost(now: datetime) -> bool:
    """Say whether it is time to look for claims that a lost worker held: on one tick in ten seconds."""
    return now.timestamp() % LOST_EVERY_S < TICK_S


def claim_pair(target_id: int, now: datetime) -> int:
    """Take one pair for a minute, due or not and whoever has it; returns the claim number."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE inspections_pairschedule"
            " SET claim = claim + 1, lease_until = %s, claimed_bits = %s"
            " WHERE target_id = %s RETURNING claim",
            [now + LEASE, ALL_BITS, target_id],
        )
        return int(cursor.fetchone()[0])


def release(claims: Iterable[tuple[int, int]]) -> None:
    """Give back claims, (target id, claim number) each, that nobody works on: due again at once."""
    pairs = list(claims)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE inspections_pairschedule s SET lease_until = NULL"
            " FROM unnest(%s::bigint[], %s::bigint[]) AS v(target_id, claim)"
            " WHERE s.target_id = v.target_id AND s.claim = v.claim",
            [[target_id for target_id, _claim in pairs], [claim for _id, claim in pairs]],
        )


def check_now(target_ids: Sequence[int], now: datetime) -> int:
    """Ask for a visit of all cadences; returns how many pairs were asked for (active ones).

    The next dispatch (within 2 s) sends them ahead of the others. A visit under way is let
    finish and does not count as the answer. Asking again before the answer changes nothing.
    Follow it with progress().
    """
    ensure_schedule(now)
    with transaction.atomic():
        asked = (
            PairSchedule.objects.filter(target_id__in=target_ids, target__state="active")
            .order_by("target_id")
            .select_for_update(of=("self",))
        )
        fresh = [row.target_id for row in asked if row.asked_at is None]
        PairSchedule.objects.filter(target_id__in=fresh).update(
            asked_at=now,
            health_due_at=now,
            latency_due_at=now,
            persistence_due_at=now,
            stats_due_at=now,
            backup_due_at=now,
            next_due_at=now,
        )
        return len(asked)


PROGRESS: Final = """
SELECT s.target_id,
    CASE WHEN s.asked_at IS NULL THEN 'done'
         WHEN s.claim > p.recorded_claim AND s.lease_until > %(now)s
             AND s.asked_at <= s.lease_until - %(lease)s::interval THEN 'checking'
         WHEN w.seen_at > %(seen)s THEN 'queued'
         ELSE 'no_worker' END,
    s.asked_at, p.checked_at, w.seen_at, z.slug
FROM inspections_pairschedule s
JOIN registry_target t ON t.id = s.target_id
JOIN registry_zone z ON z.id = t.zone_id
JOIN inspections_pairstate p ON p.target_id = s.target_id
LEFT JOIN (SELECT zone_id, max(last_seen_at) AS seen_at FROM registry_worker GROUP BY zone_id) w
    ON w.zone_id = t.zone_id
WHERE s.target_id = ANY(%(ids)s)
"""


def progress(target_ids: Sequence[int], now: datetime) -> dict[int, Progress]:
    """Tell how far each "check now" is, by target id; one query. Pairs never scheduled are absent."""
    with connection.cursor() as cursor:
        cursor.execute(
            PROGRESS,
            {"ids": list(target_ids), "now": now, "seen": now - WORKER_SEEN, "lease": str(LEASE)},
        )
        return {row[0]: Progress(*row[1:]) for row in cursor.fetchall()}

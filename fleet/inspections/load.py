"""A shard's claims to what is visited: the registry's columns, and what the last visit left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache, lru_cache
from typing import Any, Final, NamedTuple

from django.conf import settings

from checks.facts import (
    NOT_CONFIGURED,
    NOT_READ,
    NOTHING_ATTESTED,
    Attested,
    BackupFacts,
    FleetFacts,
    Growth,
    Missing,
    OwnPull,
    Since,
    Vantage,
)
from checks.past import NO_GROWTH
from checks.probes.redis import LastSeen
from checks.rule import Cadence
from fleet.backups.facts import backup_facts
from fleet.backups.own_pulls import own_pulls
from fleet.history.growth import growths
from fleet.inspections import memory
from fleet.inspections.blind import BLIND
from fleet.inspections.cadences import ALL_BITS, from_bits
from fleet.inspections.neighbours import neighbourhood
from fleet.inspections.schedule import LEASE
from fleet.inspections.targets import Columns, Reach, reach
from fleet.inspections.unverified import OUT_OF_SIGHT
from fleet.registry.arrays import rows_of
from fleet.registry.attested import attested

Token = tuple[int, int, int]  # target id, claim number, cadence bits: what a message carries
EMAILENGINE_URL: Final = [one.name for one in fields(Columns)].index("emailengine_url")
SENTINELS: Final = [one.name for one in fields(Columns)].index("sentinel_addresses")
_FIRST_VISIT: Final = Missing("first_visit", "this is the first visit")
_NO_STATS: Final = Missing("first_visit", "stats have not been read yet")
_NO_PULL: Final = Missing("not_applicable", "we pulled no copy of it")
_NEVER: Final = Missing("first_visit", "Redis has not answered yet")


class Before(NamedTuple):
    """PairState as the last visit left it: what this one compares with and carries on.

    First the columns of state.STEADY, in that order, then those that every visit sets.
    """

    compliance: str
    health: str
    compliance_since: datetime | None
    health_since: datetime | None
    rank: int
    critical_count: int
    warning_count: int
    waived_count: int
    pending_count: int
    worst_short: str
    worst_rule_id: str
    oldest_opened_at: datetime | None
    core_unknown: Mapping[str, str]
    conclusive_counts: list[int]
    applicable_counts: list[int]
    engine: str
    version: str
    emailengine_version: str
    is_redis_only: bool
    rtt_vantage: str
    ceiling_bytes: int | None
    last_save_at: datetime | None
    last_backup_at: datetime | None
    persistence_at: datetime | None
    stats_at: datetime | None
    backup_at: datetime | None
    run_id: str
    blocked_clients: int | None
    recent_rtt_us: str
    recent_stall_us: str
    rtt_us: int | None
    used_ratio: float | None
    health_at: datetime | None
    latency_at: datetime | None
    checked_at: datetime | None
    answered_at: datetime | None

    @property
    def was_out_of_sight(self) -> bool:
        """Say whether nobody looked for a while: every rule's last verdict is void (unverified.py)."""
        return any(reason in OUT_OF_SIGHT for reason in self.core_unknown.values())

    def judged_at(self, cadence: Cadence) -> datetime | None:
        """Give when the rules of a cadence were judged; None where no visit judges them."""
        at: datetime | None = getattr(self, f"{cadence.value}_at", None)
        return at


REGISTERED: Final = tuple(one.name for one in fields(Columns))
IS_BLIND: Final = 11
FIRST: Final = 12  # columns of LOAD before those


class Home(NamedTuple):
    """Whose the pair is: what its policy is laid from."""

    environment: str
    tenant_id: int
    target_id: int


class Beside(NamedTuple):
    """What the tables say of a pair beside its last state: the last columns of Due, in that order."""

    attested: Attested
    fleet: FleetFacts
    kept: memory.Kept
    growth: Growth | Missing
    backup: BackupFacts | Missing
    own_pull: OwnPull | Missing


@dataclass(slots=True)
class Due:
    """One pair to visit under one claim."""

    target_id: int
    claim: int
    cadences: frozenset[Cadence]
    is_asked: bool
    is_slow: bool  # the visit before took long
    reach: Reach
    vantage: Vantage
    before: Before
    row_version: str  # of PairState, as `before` was read from it
    is_redis_only: bool
    home: Home
    attested: Attested
    fleet: FleetFacts
    kept: memory.Kept = memory.NOTHING_KEPT
    growth: Growth | Missing = NO_GROWTH
    backup: BackupFacts | Missing = NOT_READ  # read where it is due: it costs queries, no visit
    own_pull: OwnPull | Missing = _NO_PULL

    def since(self, at: datetime, run_id: str | Missing) -> Since | Missing:
        """Give what the last visits left, as the rules see it; run_id is what this one read."""
        before = self.before
        if before.checked_at is None:
            return _FIRST_VISIT
        return Since(
            last_visit_s=(at - before.checked_at).total_seconds(),
            last_answer_s=(at - before.answered_at).total_seconds()
            if before.answered_at
            else _NEVER,
            is_restarted=_is_other(run_id, before.run_id),
            recent_rtt_us=tuple(map(float, before.recent_rtt_us.split())),
            recent_stall_us=tuple(map(float, before.recent_stall_us.split())),
            rtt_vantage=before.rtt_vantage,
            last_stats_s=(at - before.stats_at).total_seconds() if before.stats_at else _NO_STATS,
            own_pull=self.own_pull,
        )


def _is_other(run_id: str | Missing, before: str) -> bool | Missing:
    if isinstance(run_id, Missing):
        return run_id
    return run_id != before if before else _FIRST_VISIT


# A claim that is no longer current is not even visited: another worker has the pair.
LOAD: Final = f"""
SELECT s.target_id, coalesce(s.asked_at <= s.lease_until - %b::interval, false), s.is_slow,
    z.slug, z.location, p.emailengine_location, p.redis_location,
    t.environment, t.tenant_id, p.expected_mailboxes, p.expected_replicas,
    z.blind_since IS NOT NULL,
    {", ".join(f"p.{name}" for name in REGISTERED)},
    {", ".join(f"b.{name}" for name in Before._fields)}, b.xmin::text
FROM unnest(%b::int8[], %b::int8[]) AS v(target_id, claim)
JOIN inspections_pairschedule s ON s.target_id = v.target_id AND s.claim = v.claim
JOIN registry_pair p ON p.target_id = s.target_id
JOIN registry_target t ON t.id = s.target_id
JOIN registry_zone z ON z.id = t.zone_id
JOIN inspections_pairstate b ON b.target_id = s.target_id AND b.recorded_claim < v.claim
"""  # noqa: S608  our own column names


def load(tokens: Sequence[Token], now: datetime) -> list[Due]:
    """Load what these claims are for, in a few queries; claims that are spent are left out.

    Secrets are revealed here and live in the targets only.
    """
    claims = {target_id: (claim, bits) for target_id, claim, bits in tokens}
    rows = rows_of(LOAD, [LEASE, list(claims), [claim for claim, _bits in claims.values()]])
    ids = [row[0] for row in rows]
    befores = {row[0]: Before._make(row[FIRST + len(REGISTERED) : -1]) for row in rows}
    due = {
        target_id: from_bits(ALL_BITS if before.was_out_of_sight else claims[target_id][1])
        for target_id, before in befores.items()
    }
    copies = backup_facts([one for one in ids if Cadence.BACKUP in due[one]], now)
    said, kept, around = attested(ids, now), memory.kept(ids), neighbourhood()
    grown, pulls = growths(ids, now), own_pulls(ids)
    return [
        _due(
            row,
            claims[row[0]][0],
            due[row[0]],
            befores[row[0]],
            Beside(
                said.get(row[0], NOTHING_ATTESTED),
                around.facts(row[0], row[9], row[10]),
                kept.get(row[0], memory.NOTHING_KEPT),
                grown.get(row[0], NO_GROWTH),
                copies.get(row[0], NOT_READ),
                pulls.get(row[0], _NO_PULL),
            ),
        )
        for row in rows
    ]


def _due(
    row: tuple[Any, ...],
    claim: int,
    cadences: frozenset[Cadence],
    before: Before,
    beside: Beside,
) -> Due:
    target_id, is_asked, is_slow = row[:3]
    registered = _hashable(row[FIRST : FIRST + len(REGISTERED)])
    last = None
    if before.run_id and before.blocked_clients is not None:
        last = LastSeen(before.run_id, before.blocked_clients)
    is_redis_only = not registered[EMAILENGINE_URL]
    way = unseen(is_redis_only) if row[IS_BLIND] else reach(registered, before.engine, last)
    return Due(
        target_id,
        claim,
        cadences,
        is_asked,
        is_slow,
        way,
        _vantage(*row[3:7]),
        before,
        row[-1],
        is_redis_only,
        Home(row[7], row[8], target_id),
        *beside,
    )


@cache
def unseen(is_redis_only: bool) -> Reach:  # noqa: FBT001  a key
    """Give what is visited from a zone that is blind: nothing, and why."""
    return Reach(BLIND, NOT_CONFIGURED if is_redis_only else None)


def _hashable(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Make the Sentinels' addresses a tuple, so that the whole can be a key."""
    at = SENTINELS
    return (*values[:at], tuple(values[at]), *values[at + 1 :])


@lru_cache(maxsize=4096)
def _vantage(
    zone: str, zone_location: str, emailengine_location: str, redis_location: str
) -> Vantage:
    return Vantage(
        zone,
        settings.WORKER_NAME,
        zone_location or NOT_CONFIGURED,
        emailengine_location or NOT_CONFIGURED,
        redis_location or NOT_CONFIGURED,
    )

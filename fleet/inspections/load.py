"""A shard's claims to what is visited: the registry's columns, and what the last visit left."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.db import connection

from checks.facts import NOT_CONFIGURED, Attested, FleetFacts, Missing, Since, Vantage
from checks.probes.redis import LastSeen
from checks.rule import Cadence
from fleet.inspections import memory
from fleet.inspections.attested import NOTHING_ATTESTED, attested
from fleet.inspections.cadences import ALL_BITS, from_bits
from fleet.inspections.neighbours import neighbourhood
from fleet.inspections.targets import Columns, Reach, reach

Token = tuple[int, int, int]  # target id, claim number, cadence bits: what a message carries
OUT_OF_SIGHT: Final = ("no_worker", "stale")
_FIRST_VISIT: Final = Missing("first_visit", "this is the first visit")
_NO_STATS: Final = Missing("first_visit", "stats have not been read yet")
_NEVER: Final = Missing("first_visit", "Redis has not answered yet")


@dataclass(frozen=True, slots=True)
class Before:
    """PairState as the last visit left it: what this one compares with and carries on."""

    compliance: str
    health: str
    compliance_since: datetime | None
    health_since: datetime | None
    core_unknown: dict[str, str]
    conclusive_counts: list[int]
    applicable_counts: list[int]
    engine: str
    version: str
    emailengine_version: str
    rtt_vantage: str
    ceiling_bytes: int | None
    last_save_at: datetime | None
    persistence_at: datetime | None
    stats_at: datetime | None
    backup_at: datetime | None
    run_id: str
    blocked_clients: int | None
    recent_rtt_us: list[int]
    recent_stall_us: list[int]
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


BEFORE: Final = tuple(Before.__dataclass_fields__)
REGISTERED: Final = tuple(Columns.__dataclass_fields__)
FIRST: Final = 10  # columns of LOAD before those


class Home(NamedTuple):
    """Whose the pair is: what its policy is laid from."""

    environment: str
    tenant_id: int
    target_id: int


@dataclass(frozen=True, slots=True)
class Due:
    """One pair to visit under one claim."""

    target_id: int
    claim: int
    cadences: frozenset[Cadence]
    is_asked: bool
    reach: Reach
    vantage: Vantage
    before: Before
    is_redis_only: bool
    home: Home
    attested: Attested
    fleet: FleetFacts
    kept: memory.Kept = memory.NOTHING_KEPT

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
            recent_rtt_us=tuple(map(float, before.recent_rtt_us)),
            recent_stall_us=tuple(map(float, before.recent_stall_us)),
            rtt_vantage=before.rtt_vantage,
            last_stats_s=(at - before.stats_at).total_seconds() if before.stats_at else _NO_STATS,
        )


def _is_other(run_id: str | Missing, before: str) -> bool | Missing:
    if isinstance(run_id, Missing):
        return run_id
    return run_id != before if before else _FIRST_VISIT


# A claim that is no longer current is not even visited: another worker has the pair.
LOAD: Final = f"""
SELECT s.target_id, s.asked_at IS NOT NULL, z.slug, z.location, p.emailengine_location,
    p.redis_location, t.environment, t.tenant_id, p.expected_mailboxes, p.expected_replicas,
    {", ".join(f"p.{name}" for name in REGISTERED)},
    {", ".join(f"b.{name}" for name in BEFORE)}
FROM unnest(%s::bigint[], %s::bigint[]) AS v(target_id, claim)
JOIN inspections_pairschedule s ON s.target_id = v.target_id AND s.claim = v.claim
JOIN registry_pair p ON p.target_id = s.target_id
JOIN registry_target t ON t.id = s.target_id
JOIN registry_zone z ON z.id = t.zone_id
JOIN inspections_pairstate b ON b.target_id = s.target_id
"""  # noqa: S608  our own column names


def load(tokens: Sequence[Token], now: datetime) -> list[Due]:
    """Load what these claims are for, in three queries; claims that are spent are left out.

    Secrets are revealed here and live in the targets only.
    """
    claims = {target_id: (claim, bits) for target_id, claim, bits in tokens}
    with connection.cursor() as cursor:
        cursor.execute(LOAD, [list(claims), [claim for claim, _bits in claims.values()]])
        rows = cursor.fetchall()
    ids = [row[0] for row in rows]
    said, kept, around = attested(ids, now), memory.kept(ids), neighbourhood()
    return [
        _due(
            row,
            *claims[row[0]],
            said.get(row[0], NOTHING_ATTESTED),
            around.facts(row[0], row[8], row[9]),
            kept.get(row[0], memory.NOTHING_KEPT),
        )
        for row in rows
    ]


def _due(
    row: tuple[Any, ...],
    claim: int,
    bits: int,
    said: Attested,
    fleet: FleetFacts,
    kept: memory.Kept,
) -> Due:
    target_id, is_asked, zone, zone_location, emailengine_location, redis_location = row[:6]
    columns = _columns(row[FIRST : FIRST + len(REGISTERED)])
    before = _before(row[FIRST + len(REGISTERED) :])
    last = None
    if before.run_id and before.blocked_clients is not None:
        last = LastSeen(before.run_id, before.blocked_clients)
    return Due(
        target_id,
        claim,
        from_bits(ALL_BITS if before.was_out_of_sight else bits),
        is_asked,
        reach(columns, before.engine, last),
        Vantage(
            zone,
            settings.WORKER_NAME,
            zone_location or NOT_CONFIGURED,
            emailengine_location or NOT_CONFIGURED,
            redis_location or NOT_CONFIGURED,
        ),
        before,
        not columns.emailengine_url,
        Home(row[6], row[7], target_id),
        said,
        fleet,
        kept,
    )


def _columns(values: tuple[Any, ...]) -> Columns:
    """Read what is registered; the addresses become a tuple, so that the whole can be a key."""
    columns = Columns(*values)
    return replace(columns, sentinel_addresses=tuple(columns.sentinel_addresses))


def _before(columns: tuple[Any, ...]) -> Before:
    """Read PairState's columns; Django hands jsonb over as text."""
    values = dict(zip(BEFORE, columns, strict=True))
    core_unknown = values["core_unknown"]
    values["core_unknown"] = {} if core_unknown == "{}" else json.loads(core_unknown)
    return Before(**values)

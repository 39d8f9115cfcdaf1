"""Who is not being looked at: no green lamp stays lit over a pair that nobody checks."""

from __future__ import annotations

import json
from datetime import datetime
from itertools import product
from typing import Final

from django.db import connection

from checks.catalog import RULES
from checks.evaluate import Compliance, Health, rank
from checks.lifecycle import STALE_AFTER
from checks.rule import Cadence
from fleet.inspections.schedule import WORKER_SEEN
from fleet.inspections.terms import terms

# Reasons that stand for every rule of a pair at once: nobody looks at it, or nobody can.
OUT_OF_SIGHT: Final = frozenset({"no_worker", "stale", "paused", "probe_blind"})

# A row that a recording holds is skipped: it is being checked, and nobody waits for anybody.
UNVERIFY: Final = """
WITH seen AS (
    SELECT DISTINCT zone_id FROM registry_worker WHERE last_seen_at > %(seen)s
), late AS (
    SELECT p.target_id,
        CASE WHEN t.state = 'paused' THEN %(paused)s
            WHEN seen.zone_id IS NULL THEN %(no_worker)s
            ELSE %(stale)s END::jsonb -> p.is_redis_only::int AS core_unknown
    FROM inspections_pairstate p
    JOIN registry_target t ON t.id = p.target_id
    LEFT JOIN seen ON seen.zone_id = t.zone_id
    LEFT JOIN unnest(%(engines)s::text[], %(engines_every_s)s::int[]) AS e(engine, every_s)
        ON e.engine = p.engine
    WHERE t.state <> 'archived'
      AND coalesce(p.checked_at, t.created_at) < %(now)s
          - CASE WHEN seen.zone_id IS NULL AND t.state <> 'paused' THEN 1 ELSE %(times)s END
            * greatest(coalesce(e.every_s, %(every_s)s), 60) * interval '1 second'
    ORDER BY p.target_id
    FOR UPDATE OF p SKIP LOCKED
)
UPDATE inspections_pairstate p
SET compliance = v.compliance, health = v.health, rank = v.rank,
    compliance_since = CASE WHEN p.compliance = v.compliance THEN p.compliance_since ELSE %(now)s END,
    health_since = CASE WHEN p.health = v.health THEN p.health_since ELSE %(now)s END,
    core_unknown = late.core_unknown
FROM late, unnest(%(lamps)s::text[], %(lights)s::text[], %(compliances)s::text[], %(healths)s::text[],
    %(ranks)s::smallint[]) AS v(lamp, light, compliance, health, rank)
WHERE p.target_id = late.target_id AND v.lamp = p.compliance AND v.light = p.health
  AND p.core_unknown IS DISTINCT FROM late.core_unknown
"""


def mark_unverified(now: datetime) -> int:
    """Take the green off pairs that nobody looks at; returns how many changed.

    no_worker: due, and no worker was seen in their zone for a minute. stale: three intervals went
    by without a visit. paused: they did, and checking is paused. Open findings stay, for only a
    pass resolves; the next visit ends it.
    """
    engines = terms().engines
    before = list(product(Compliance, Health))
    after = [_unlit(*lamps) for lamps in before]
    with connection.cursor() as cursor:
        cursor.execute(
            UNVERIFY,
            {
                "now": now,
                "seen": now - WORKER_SEEN,
                "times": STALE_AFTER,
                "every_s": terms().interval_s(Cadence.HEALTH, ""),
                "engines": engines,
                "engines_every_s": [terms().interval_s(Cadence.HEALTH, one) for one in engines],
                "no_worker": _unknown_because("no_worker"),
                "stale": _unknown_because("stale"),
                "paused": _unknown_because("paused"),
                "lamps": [compliance.value for compliance, _health in before],
                "lights": [health.value for _compliance, health in before],
                "compliances": [compliance.value for compliance, _health in after],
                "healths": [health.value for _compliance, health in after],
                "ranks": [rank(*lamps) for lamps in after],
            },
        )
        return int(cursor.rowcount)


def _unlit(compliance: Compliance, health: Health) -> tuple[Compliance, Health]:
    """Give the lamps once every core rule is unknown: a fail still shows, a pass does not."""
    return (
        Compliance.UNVERIFIED if compliance is Compliance.COMPLIANT else compliance,
        Health.UNKNOWN if health is Health.HEALTHY else health,
    )


def _unknown_because(reason: str) -> str:
    """Give [core rules of a pair, core rules where only Redis is registered] as JSON, all unknown."""
    core = [rule.id for rule in RULES if rule.is_core]
    redis_only = [rule_id for rule_id in core if not rule_id.startswith("emailengine.")]
    return json.dumps([dict.fromkeys(core, reason), dict.fromkeys(redis_only, reason)])

"""Which findings has time alone moved? Those that no visit could judge for long, and those grown calm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import transaction

from checks.catalog import RULES
from checks.lifecycle import CALM_AFTER, STALE_AFTER
from checks.rule import Cadence
from fleet.findings.clock import Late, advance
from fleet.inspections.cadences import VISITED
from fleet.inspections.terms import terms
from fleet.registry.arrays import rows_of

# As with the lamps (unverified.py): a shorter interval does not make a reading old sooner.
LEAST_INTERVAL_S: Final = 60
DAY_S: Final = 86_400  # rules of the daily group are judged once a day, without a visit
AT_ONCE: Final = 2_000

# A finding whose last result was conclusive is as old as its pair's last judgement: only where
# the pair itself has not been visited for long can it be late.
_JUDGED_AT: Final = " ".join(f"WHEN '{one.value}' THEN p.{one.value}_at" for one in VISITED)
LATE: Final = f"""
WITH rule AS (
    SELECT * FROM unnest(%b::text[], %b::text[]) AS r(rule_id, cadence)
), every AS (
    SELECT engine, cadence, s * interval '1 second' AS every
    FROM unnest(%b::text[], %b::text[], %b::int4[]) AS e(engine, cadence, s)
), found AS (
    SELECT f.target_id, f.id, coalesce(own.every, general.every) AS every, f.flapping_since,
        f.recent_moves,
        CASE WHEN f.state = 'open' AND f.stale_since IS NULL AND t.state = 'active'
            THEN coalesce(f.conclusive_at, CASE r.cadence {_JUDGED_AT} END) END AS conclusive_at
    FROM findings_finding f
    JOIN inspections_pairstate p ON p.target_id = f.target_id
    JOIN registry_target t ON t.id = f.target_id
    LEFT JOIN rule r ON r.rule_id = f.rule_id
    JOIN every general ON general.engine = '' AND general.cadence = coalesce(r.cadence, 'health')
    LEFT JOIN every own ON own.engine = p.engine AND own.cadence = r.cadence
    WHERE (f.flapping_since IS NOT NULL
           OR f.state = 'open' AND f.stale_since IS NULL
              AND (f.conclusive_at IS NOT NULL OR p.checked_at <= %b))
      AND (%b::int8[] IS NULL OR f.target_id = ANY(%b::int8[]))
)
SELECT target_id, id, conclusive_at, every FROM found
WHERE conclusive_at <= %b::timestamptz - {STALE_AFTER} * every
   OR greatest(flapping_since, recent_moves[cardinality(recent_moves)]) <= %b
ORDER BY target_id, id LIMIT {AT_ONCE}
"""  # noqa: S608  our own names and figures
HOLD: Final = """
SELECT target_id FROM inspections_pairstate WHERE target_id = ANY(%b::int8[])
ORDER BY target_id FOR UPDATE SKIP LOCKED
"""


def advance_findings(now: datetime) -> int:
    """Move the findings that the clock alone moves; returns how many.

    A pair that a recording holds is skipped: it is being judged. Any number may run at once.
    """
    moved = 0
    while late := _late(now):
        with transaction.atomic():
            ids = list({target_id for target_id, _late in late})
            held = [target_id for (target_id,) in rows_of(HOLD, [ids])]
            count = advance([one for _target, one in _late(now, held)], now) if held else 0
        moved += count
        if len(late) < AT_ONCE or not count:
            break
    return moved


def _late(now: datetime, target_ids: Sequence[int] | None = None) -> list[tuple[int, Late]]:
    """Find the findings that are due to move, with their targets; of these targets alone if given."""
    every = [
        (engine, cadence.value, max(terms().interval_s(cadence, engine), LEAST_INTERVAL_S))
        for engine in ("", *terms().engines)
        for cadence in VISITED
    ]
    every.append(("", Cadence.DAILY.value, DAY_S))
    ids = None if target_ids is None else list(target_ids)
    values: list[Any] = [[rule.id for rule in RULES], [rule.cadence.value for rule in RULES]]
    values += map(list, zip(*every, strict=True))
    unvisited = now - timedelta(seconds=STALE_AFTER * LEAST_INTERVAL_S)
    found = rows_of(LATE, [*values, unvisited, ids, ids, now, now - CALM_AFTER])
    return [(row[0], Late(*row[1:])) for row in found]

"""Due times that lie later than their interval allows: a clock that was set back, or a shorter interval."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection

from checks.rule import Cadence
from fleet.inspections.cadences import PLACE, VISITED
from fleet.inspections.due import NEXT_DUE
from fleet.inspections.schedule import LEASE
from fleet.inspections.terms import terms
from fleet.registry.arrays import array_text

# The clocks of dispatchers differ by less; what is later by no more comes by itself.
MARGIN: Final = timedelta(seconds=60)


def _is_late(cadence: Cadence) -> str:
    """Write the question whether a cadence is due later than any claim would set it (due.py)."""
    every = f"every_ms[{PLACE[cadence] + 1}] * interval '1.5 ms'"
    return f"{cadence.value}_due_at > %(latest)s + {every}"


_NEXT: Final = ", ".join(
    f"CASE WHEN {_is_late(cadence)}"
    f" THEN {NEXT_DUE.format(id='s.target_id', now='%(now_ms)s::bigint', every=f'every_ms[{place + 1}]')}"
    f" ELSE {cadence.value}_due_at END AS {cadence.value}_due_at"
    for cadence, place in PLACE.items()
)
_DUE: Final = [f"{cadence.value}_due_at" for cadence in VISITED]
BRING: Final = f"""
WITH late AS (
    SELECT s.target_id, {_NEXT}
    FROM inspections_pairschedule s
    JOIN inspections_pairstate p ON p.target_id = s.target_id
    LEFT JOIN unnest(%(engines)s::text[], %(engines_every_ms)s::text[]) AS e(engine, own_ms)
        ON e.engine = p.engine
    CROSS JOIN LATERAL (
        SELECT coalesce(e.own_ms::bigint[], %(every_ms)s::bigint[]) AS every_ms
    ) v
    WHERE {" OR ".join(map(_is_late, VISITED))}
        OR s.lease_until > %(latest)s + %(lease)s::interval OR s.asked_at > %(latest)s
    ORDER BY s.target_id
    FOR UPDATE OF s SKIP LOCKED
)
UPDATE inspections_pairschedule s
SET {", ".join(f"{name} = l.{name}" for name in _DUE)},
    next_due_at = least({", ".join(f"l.{name}" for name in _DUE)}),
    lease_until = least(s.lease_until, %(now)s + %(lease)s::interval),
    asked_at = least(s.asked_at, %(now)s)
FROM late l
WHERE s.target_id = l.target_id
"""  # noqa: S608  our own column names


def bring_sooner(now: datetime) -> int:
    """Bring what is due too late to the pair's own next instants; returns how many pairs.

    So nobody is left unseen for as long as a clock was ahead, or for a long interval that is no
    more. Some milliseconds at ten thousand pairs. Any number may run at once.
    """
    engines = {engine: _every_ms(engine) for engine in terms().engines}
    params: dict[str, Any] = {
        "now": now,
        "now_ms": int(now.timestamp() * 1000),
        "latest": now + MARGIN,
        "lease": str(LEASE),
        "every_ms": _every_ms(""),
        "engines": list(engines),
        "engines_every_ms": [array_text(each) for each in engines.values()],
    }
    with connection.cursor() as cursor:
        cursor.execute(BRING, params)
        return int(cursor.rowcount)


def _every_ms(engine: str) -> list[int]:
    return [terms().interval_s(cadence, engine) * 1000 for cadence in VISITED]

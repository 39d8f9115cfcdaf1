"""What was wrong at a past instant: as the record was, told by each finding's transitions."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any, Final, NamedTuple

from fleet.registry.arrays import rows_of

# A row of findings tells of its newest opening only; one that opened again is told by its moves.
# Few are looked at: those whose life, as the index finding_life has it, holds the instant.
OPEN_AT: Final = """
SELECT f.id AS finding_id, f.target_id, f.rule_id, f.kind, was.severity, was.is_waived, was.opened_at
FROM findings_finding f
CROSS JOIN LATERAL (
    SELECT (array_agg(m.to_state ORDER BY m.at DESC, m.id DESC))[1] AS state,
        (array_agg(m.to_severity ORDER BY m.at DESC, m.id DESC)
            FILTER (WHERE m.to_severity <> ''))[1] AS severity,
        (array_agg(m.cause ORDER BY m.at DESC, m.id DESC)
            FILTER (WHERE m.cause IN ('opened', 'waived', 'unwaived')))[1] = 'waived' AS is_waived,
        max(m.at) FILTER (WHERE m.cause = 'opened') AS opened_at
    FROM findings_transition m WHERE m.finding_id = f.id AND m.at <= %(at)s
) was
WHERE tstzrange(LEAST(f.first_seen_at, f.resolved_at), f.resolved_at) @> %(at)s::timestamptz
  AND was.state = 'open'
"""
OF_TARGETS: Final = (
    f"{OPEN_AT} AND f.target_id = ANY(%(target_ids)s::int8[]) ORDER BY f.target_id, f.rule_id"
)


class Was(NamedTuple):
    """A finding that was open: as grave as it was then, and whether a waiver covered it then."""

    finding_id: int
    target_id: int
    rule_id: str
    kind: str
    severity: str
    is_waived: bool
    opened_at: datetime


def open_at(at: datetime, target_ids: Collection[int]) -> list[Was]:
    """Give what was open on these targets at an instant, all that moved at it counted. One query."""
    params: dict[str, Any] = {"at": at, "target_ids": list(target_ids)}
    return [Was._make(row) for row in rows_of(OF_TARGETS, params)]

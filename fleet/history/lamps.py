"""How lamps stood at a past instant, by the record of their changes."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from fleet.registry.arrays import rows_of

LAMPS_AT: Final = """
SELECT v.target_id, was.compliance, was.health, was.at
FROM unnest(%b::int8[]) AS v(target_id)
CROSS JOIN LATERAL (
    SELECT l.compliance, l.health, l.at FROM history_lampmove l
    WHERE l.target_id = v.target_id AND l.at <= %b
    ORDER BY l.at DESC LIMIT 1
) was
"""


class Lamps(NamedTuple):
    """How a target stood, and when either lamp had changed last."""

    compliance: str
    health: str
    since: datetime


def lamps_at(at: datetime, target_ids: Collection[int]) -> dict[int, Lamps]:
    """Give the lamps of these targets at an instant; one without a record by then is left out. One query."""
    rows = rows_of(LAMPS_AT, [list(target_ids), at])
    return {target_id: Lamps(*was) for target_id, *was in rows}

"""What the clock alone does to findings: they grow stale, and those that flapped grow calm."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from checks.lifecycle import Standing, tick
from fleet.findings import rows
from fleet.findings.models import Transition
from fleet.registry.arrays import run


class Late(NamedTuple):
    """A finding to look at: when its rule was last conclusive, and how often it is judged."""

    finding_id: int
    conclusive_at: datetime | None
    interval: timedelta


UPDATE: Final = """
UPDATE findings_finding f SET conclusive_at = v.conclusive_at, stale_since = v.stale_since,
    flapping_since = v.flapping_since,
    recent_moves = CASE WHEN v.flapping_since IS NULL AND f.flapping_since IS NOT NULL
        THEN '{}' ELSE f.recent_moves END
FROM unnest(%b::int8[], %b::timestamptz[], %b::timestamptz[], %b::timestamptz[])
    AS v(id, conclusive_at, stale_since, flapping_since)
WHERE f.id = v.id
"""


def advance(late: Sequence[Late], now: datetime) -> int:
    """Move these findings by the clock, in the caller's transaction; returns how many moved.

    The caller holds the targets' state rows: nobody records them meanwhile.
    """
    by_id = {one.finding_id: one for one in late}
    moved: list[tuple[int, Standing]] = []
    transitions: list[Transition] = []
    for row in rows.by_id(by_id):
        about = by_id[row.id]
        found = tick(rows.standing(row), about.conclusive_at, about.interval, now)
        moves = rows.moves_of(found)
        if found.standing is not None and moves:
            moved.append((row.id, found.standing))
            transitions += [rows.transition(row.id, move, now) for move in moves]
    if moved:
        run(
            UPDATE,
            [
                [finding_id for finding_id, _after in moved],
                [after.conclusive_at for _id, after in moved],
                [after.stale_since for _id, after in moved],
                [after.flapping_since for _id, after in moved],
            ],
        )
        Transition.objects.bulk_create(transitions)
    return len(moved)

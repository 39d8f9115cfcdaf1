"""Which pairs were registered, and were they watched, at a past instant: by the registry's history."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from fleet.registry.arrays import rows_of

LAST: Final = """
SELECT v.id, was.name, was.state
FROM unnest(%b::int8[]) AS v(id)
CROSS JOIN LATERAL (
    SELECT h.name, h.state, h.history_type FROM registry_historicaltarget h
    WHERE h.id = v.id AND h.history_date <= %b
    ORDER BY h.history_date DESC, h.history_id DESC LIMIT 1
) was
WHERE was.history_type <> '-'
"""
COURSE: Final = """
SELECT h.history_date, h.state, coalesce(z.slug, '')
FROM registry_historicaltarget h LEFT JOIN registry_zone z ON z.id = h.zone_id
WHERE h.id = %b AND h.history_date < %b AND h.history_type <> '-'
ORDER BY h.history_date, h.history_id
"""


class Stretch(NamedTuple):
    """From when on a target was in a state, probed from a zone (its slug)."""

    at: datetime
    state: str
    zone: str


class Known(NamedTuple):
    """A target as it was registered then."""

    name: str
    state: str


def known_at(at: datetime, target_ids: Collection[int]) -> dict[int, Known]:
    """Give how these targets were registered at an instant; one that was not is left out. One query."""
    return {pk: Known(*was) for pk, *was in rows_of(LAST, [list(target_ids), at])}


def course_of(target_id: int, until: datetime) -> list[Stretch]:
    """Give how one target's state and zone went until an instant, oldest first. One query."""
    return [Stretch(*row) for row in rows_of(COURSE, [target_id, until])]

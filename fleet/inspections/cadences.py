"""The cadences a visit can be due for, as bits of a claim and as places of an array."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Final

from checks.rule import Cadence

# The order is stored (PairState.conclusive_counts, messages under way): only append.
VISITED: Final = (
    Cadence.HEALTH,
    Cadence.LATENCY,
    Cadence.PERSISTENCE,
    Cadence.STATS,
    Cadence.BACKUP,
)
PLACE: Final = {cadence: place for place, cadence in enumerate(VISITED)}
ALL_BITS: Final = (1 << len(VISITED)) - 1


@cache
def from_bits(bits: int) -> frozenset[Cadence]:
    """Give the cadences whose bit is set."""
    return frozenset(cadence for cadence, place in PLACE.items() if bits >> place & 1)


def to_bits(cadences: Iterable[Cadence]) -> int:
    """Give the bits of these cadences; one that needs no visit has none."""
    return sum(1 << PLACE[cadence] for cadence in cadences if cadence in PLACE)

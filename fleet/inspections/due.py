"""When a pair is due next: fixed instants of its own, so that a fleet spreads evenly by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MS: Final = timedelta(milliseconds=1)
# Multiples of the golden ratio fill an interval evenly, however many there are (Knuth, TAOCP 3, 6.4).
GOLDEN: Final = 0x9E3779B97F4A7C15
WEEK_MS: Final = 7 * 86_400_000
REPROBE: Final = timedelta(seconds=10)


def phase_ms(target_id: int) -> int:
    """Give the pair's place in the week, in ms: its visits fall on phase + n × interval."""
    return ((target_id * GOLDEN) % (1 << 64)) * WEEK_MS >> 64


def next_due(target_id: int, visited_at: datetime, interval_s: int) -> datetime:
    """Give the pair's first instant that is at least half an interval after this visit.

    So a visit on time is followed by the next instant, a late one by at most one and a half
    intervals, and thousands that were due at once are spread over one interval.
    Cadences whose intervals divide each other fall together and ride one connection.
    """
    interval_ms = interval_s * 1000
    least_ms = (visited_at - EPOCH) // MS + interval_ms // 2
    return EPOCH + (least_ms + (phase_ms(target_id) - least_ms) % interval_ms) * MS

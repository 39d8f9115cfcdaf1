"""How often each cadence is due, in seconds: a fleet setting with overrides per engine."""

from __future__ import annotations

from checks.facts import Engine
from checks.rule import Cadence

LEAST_S, MOST_S = 10, 7 * 86400

DEFAULT_S: dict[str, int] = {
    Cadence.HEALTH.value: 60,
    Cadence.LATENCY.value: 60,
    Cadence.PERSISTENCE.value: 300,
    Cadence.STATS.value: 300,
    Cadence.BACKUP.value: 3600,
}
# Upstash bills commands: 10 PINGs a minute are 430,000 a month.
UPSTASH_S: dict[str, int] = {Cadence.HEALTH.value: 300, Cadence.LATENCY.value: 300}

Intervals = dict[str, dict[str, int]]  # {"default": {cadence: seconds}, engine: {...}}


def default_intervals() -> Intervals:
    """Give the intervals of a new installation."""
    return {"default": dict(DEFAULT_S), Engine.UPSTASH.value: dict(UPSTASH_S)}


def interval_s(intervals: Intervals, cadence: Cadence, engine: str = "") -> int:
    """Seconds between two visits of one cadence on one engine."""
    own = intervals.get(engine, {}).get(cadence.value)
    return own or intervals.get("default", {}).get(cadence.value) or DEFAULT_S[cadence.value]

"""Which of two fails is worse? Told from the rule's own limits, where they tell it."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

from checks.rule import JSON, Limits, Verdict


def measure(limits: Limits, verdict: Verdict) -> float | None:
    """Give the figure a fail was judged by, so that larger is worse; None where limits name none.

    A rule with the limits warn_x and critical_x judges its evidence x, perhaps in another unit:
    large values are the bad ones unless critical_x is the smaller limit.
    """
    for name in _scales(tuple(one.name for one in fields(limits))):
        value = _value(name, verdict)
        if isinstance(value, int | float) and not isinstance(value, bool):
            falls = getattr(limits, f"critical_{name}") < getattr(limits, f"warn_{name}")
            return -float(value) if falls else float(value)
    return None


def _value(name: str, verdict: Verdict) -> JSON:
    evidence = verdict.evidence
    if name in evidence:
        return evidence[name]
    stem = _stem(name)
    return next((value for key, value in evidence.items() if _stem(key) == stem), None)


def _stem(name: str) -> str:
    """Give the name without its unit: rtt of rtt_us."""
    return name.rpartition("_")[0]


@cache
def _scales(names: tuple[str, ...]) -> tuple[str, ...]:
    """Give the names x for which there are both warn_x and critical_x, in their order."""
    return tuple(
        name.removeprefix("critical_")
        for name in names
        if name.startswith("critical_") and f"warn_{name.removeprefix('critical_')}" in names
    )

"""Which of two fails is worse? Told from the rule's own limits, where they tell it."""

from __future__ import annotations

from dataclasses import fields
from functools import cache

from checks.rule import Limits, Verdict


def measure(limits: Limits, verdict: Verdict) -> float | None:
    """Give the figure a fail was judged by, so that larger is worse; None where limits name none.

    A rule with the limits warn_x and critical_x judges its evidence x: large values are the bad
    ones unless critical_x is the smaller limit.
    """
    for name in _scales(type(limits)):
        value = verdict.evidence.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            falls = getattr(limits, f"critical_{name}") < getattr(limits, f"warn_{name}")
            return -float(value) if falls else float(value)
    return None


@cache
def _scales(kind: type[Limits]) -> tuple[str, ...]:
    """Give the names x for which there are both warn_x and critical_x, in their order."""
    names = [one.name for one in fields(kind)]
    return tuple(
        name.removeprefix("critical_")
        for name in names
        if name.startswith("critical_") and f"warn_{name.removeprefix('critical_')}" in names
    )

"""Which of two fails is worse? Told from the rule's own limits, where they tell it."""

from __future__ import annotations

from dataclasses import fields
from functools import cache
from typing import Final, NamedTuple

from checks.rule import JSON, Limits, Verdict

# A figure is told in the unit that its name ends with; the limit's unit is the one compared in.
SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}


class Scale(NamedTuple):
    """What a rule's fails are measured by: the limits warn_<name> and critical_<name>, in their unit."""

    name: str
    falls: bool  # small values are the bad ones

    def measure(self, value: float) -> float:
        """Turn a value into a measure, of which larger is worse; the same turns it back."""
        return -value if self.falls else value


def scale(limits: Limits) -> Scale | None:
    """Give what a rule's fails are measured by; None where its limits name nothing."""
    return next(iter(_scales(limits)), None)


def measure(limits: Limits, verdict: Verdict) -> float | None:
    """Give the figure a fail was judged by, so that larger is worse; None where limits name none.

    A rule with the limits warn_x and critical_x judges its evidence x, perhaps in another unit:
    the measure is in the limits' unit. Large values are the bad ones unless critical_x is the
    smaller limit.
    """
    for one in _scales(limits):
        value = _value(one.name, verdict)
        if value is not None:
            return one.measure(value)
    return None


def _value(name: str, verdict: Verdict) -> float | None:
    stem, unit = _split(name)
    for key, value in _nearest(name, stem, verdict):
        if isinstance(value, int | float) and not isinstance(value, bool):
            own = _split(key)[1]
            if own == unit or own not in SECONDS or unit not in SECONDS:
                return float(value)
            return float(value) * SECONDS[own] / SECONDS[unit]
    return None


def _nearest(name: str, stem: str, verdict: Verdict) -> list[tuple[str, JSON]]:
    """Give the evidence of this name, else of its stem: rtt_us is the stem of rtt_ms too."""
    evidence = verdict.evidence
    if name in evidence:
        return [(name, evidence[name])]
    return [(key, value) for key, value in evidence.items() if _split(key)[0] == stem][:1]


def _split(name: str) -> tuple[str, str]:
    """Give a figure's name and its unit: rtt and us of rtt_us."""
    stem, _, unit = name.rpartition("_")
    return stem, unit


def _scales(limits: Limits) -> tuple[Scale, ...]:
    """Give the names x for which there are both warn_x and critical_x, in their order."""
    return tuple(
        Scale(name, getattr(limits, f"critical_{name}") < getattr(limits, f"warn_{name}"))
        for name in _names(tuple(one.name for one in fields(limits)))
    )


@cache
def _names(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(
        name.removeprefix("critical_")
        for name in names
        if name.startswith("critical_") and f"warn_{name.removeprefix('critical_')}" in names
    )

"""The terms of a visit that the fleet sets: intervals, which rules are core, the policy."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

from checks.catalog import RULES
from checks.policy import DEFAULT, Policy, lay
from checks.rule import Cadence
from fleet.inspections.cadences import VISITED
from fleet.registry.intervals import Intervals, interval_s
from fleet.registry.models import FleetSettings

KEPT_S: Final = 10.0


@dataclass(frozen=True)
class Terms:
    """What one row of fleet settings says, worked out."""

    intervals: Intervals
    policy: Policy
    seconds: Mapping[str, Mapping[Cadence, int]]  # by engine; "" for engines without their own

    @property
    def engines(self) -> list[str]:
        """The engines that have intervals of their own."""
        return [engine for engine in self.seconds if engine]

    def interval_s(self, cadence: Cadence, engine: str) -> int:
        """Give the seconds between two visits of one cadence on one engine."""
        return self.seconds.get(engine, self.seconds[""])[cadence]


@dataclass
class _Kept:
    terms: Terms | None = None
    read_at: float = 0.0


_kept: Final = _Kept()


def terms() -> Terms:
    """Give the terms in force; a change of the settings is seen within 10 s."""
    now = time.monotonic()
    if _kept.terms is None or now - _kept.read_at > KEPT_S:
        settings = FleetSettings.objects.first() or FleetSettings()
        _kept.terms = read(settings.intervals, settings.core_rules)
        _kept.read_at = now
    return _kept.terms


def read(intervals: Intervals, core_rules: list[str] | None) -> Terms:
    """Work terms out from what the settings hold."""
    return Terms(
        intervals,
        policy_of(None if core_rules is None else tuple(core_rules)),
        {
            engine: {cadence: interval_s(intervals, cadence, engine) for cadence in VISITED}
            for engine in ("", *(name for name in intervals if name != "default"))
        },
    )


@lru_cache(maxsize=8)
def policy_of(core_rules: tuple[str, ...] | None) -> Policy:
    """Give the policy whose core rules are these, of those that exist; None = the catalogue's own."""
    if core_rules is None:
        return DEFAULT
    return lay(rules=[replace(rule, is_core=rule.id in core_rules) for rule in RULES])

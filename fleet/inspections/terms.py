"""The terms that the fleet sets: intervals, core rules, policies, how long history is kept."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from checks.rule import Cadence
from fleet.inspections.cadences import VISITED
from fleet.registry.intervals import Intervals, interval_s
from fleet.registry.models import FleetSettings
from fleet.registry.policies import Policies, newest_id, read_policies

KEPT_S: Final = 10.0


@dataclass(frozen=True)
class Terms:
    """What the fleet's settings and the policy's layers say, worked out."""

    intervals: Intervals
    policies: Policies
    core_rules: tuple[str, ...] | None
    seconds: Mapping[str, Mapping[Cadence, int]]  # by engine; "" for engines without their own
    hourly_days: int
    daily_days: int

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
    newest_id: int = -1
    read_at: float = 0.0


_kept: Final = _Kept()


def terms() -> Terms:
    """Give the terms in force; a change of the settings or of a policy is seen within 10 s.

    The layers are read again only when a version was added: the ids of versions rise.
    """
    now = time.monotonic()
    if _kept.terms is None or now - _kept.read_at > KEPT_S:
        settings = FleetSettings.objects.first() or FleetSettings()
        core_rules = None if settings.core_rules is None else tuple(settings.core_rules)
        newest = newest_id()
        last = _kept.terms
        if last and (last.core_rules, _kept.newest_id) == (core_rules, newest):
            policies = last.policies
        else:
            policies = read_policies(core_rules)
        _kept.terms = read(settings, policies, core_rules)
        _kept.newest_id, _kept.read_at = newest, now
    return _kept.terms


def forget() -> None:
    """Let this process read the terms again at the next look: somebody has just changed them here."""
    _kept.terms = None


def read(
    settings: FleetSettings, policies: Policies, core_rules: tuple[str, ...] | None = None
) -> Terms:
    """Work terms out from what the settings hold."""
    intervals = settings.intervals
    return Terms(
        intervals,
        policies,
        core_rules,
        {
            engine: {cadence: interval_s(intervals, cadence, engine) for cadence in VISITED}
            for engine in ("", *(name for name in intervals if name != "default"))
        },
        settings.hourly_days,
        settings.daily_days,
    )

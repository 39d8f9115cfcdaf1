"""How often does Redis save? Its save points against those wanted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from checks.facts import Engine, PairFacts, known
from checks.render import pairs
from checks.rule import (
    Code,
    Group,
    Kind,
    Limits,
    Remediation,
    Severity,
    Verdict,
    failed,
    not_applicable,
    passed,
    rule,
)

SavePoints = tuple[tuple[int, int], ...]

WANTED_SAVE: Final[SavePoints] = ((900, 1), (300, 10))
# Who runs persistence themselves (the provider), or has no save points (Dragonfly has a schedule).
PROVIDERS: Final = (Engine.UPSTASH, Engine.ELASTICACHE, Engine.MEMORYDB)

FIRST_SAVE = (
    "The first save may begin at once: it forks, so it needs free RAM for the pages that change "
    "meanwhile, and disk space for the whole dataset."
)
SET_SAVE = Code('CONFIG SET save "{wanted_save:save_points}"')
SAVE_LINES = Code("{wanted_save:save_lines}")
SAVE_ANSWERS = (
    Code("CONFIG GET save"),
    "must answer {wanted_save:save_points}; later rdb_saves rises in INFO persistence.",
)
SAVE_UNDO = Code('CONFIG SET save "{save:save_points}"')
WEAK = Remediation(
    why=(
        "The rarer Redis saves, the more a crash loses: with these save points changes stay "
        "unsaved longer than the vendor allows."
    ),
    do="Let Redis save more often",
    now=SET_SAVE,
    durable=SAVE_LINES,
    verify=SAVE_ANSWERS,
    risk=FIRST_SAVE,
    undo=SAVE_UNDO,
)


@dataclass(frozen=True)
class ScheduleLimits(Limits):
    """Save points (seconds, changes) of which each must be met by a configured one."""

    required_pairs: SavePoints = WANTED_SAVE


@rule(
    id="redis.rdb-schedule",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="RDB save points are at least as strict as {limits.required_pairs:pairs}",
    severity=Severity.WARNING,
    source="S1",
    observed="{told}",
    required="{limits.required_pairs:pairs}",
    reads="CONFIG GET save, INFO persistence: one batch",
    limits=ScheduleLimits(),
    not_on=(*PROVIDERS, Engine.DRAGONFLY),
    remediation=WEAK,
)
def rdb_schedule(facts: PairFacts, limits: ScheduleLimits) -> Verdict:
    """Judge whether each required save point (S, C) is met by a configured one: s ≤ S and c ≤ C.

    Exact, without heuristics: `300 1` alone meets both defaults, Redis' own default meets none.
    With the AOF on the schedule does not bound the loss.

    Source: S1, save 900 1 and save 300 10.
    """
    redis = known(facts.redis)
    if redis.aof_enabled is True:
        return not_applicable("The AOF is on: it bounds the loss, not the save points")
    save = known(redis.save)
    known(redis.aof_enabled)
    unmet = [point for point in limits.required_pairs if not is_met(point, save)]
    told = pairs(save) if save else "off"
    if not unmet:
        return passed(told=told, save=listed(save))
    return failed(
        f"RDB saves at {told}; save points at least as strict as {pairs(unmet)} are missing",
        short=f"RDB schedule is {told}",
        severity=Severity.WARNING,
        told=told,
        save=listed(save),
        unmet=listed(unmet),
        wanted_save=listed(merged(limits.required_pairs, save)),
    )


def listed(points: Iterable[tuple[int, int]]) -> list[list[int]]:
    """Return save points as JSON holds them."""
    return [list(point) for point in points]


def is_met(required: tuple[int, int], save: SavePoints) -> bool:
    """Tell whether some configured save point is at least as strict as the required one."""
    return any(s <= required[0] and c <= required[1] for s, c in save)


def merged(required: SavePoints, save: SavePoints) -> SavePoints:
    """Lay the required points over the configured, keeping those that are stricter somewhere."""
    kept = [(s, c) for s, c in save if not is_met((s, c), required)]
    return tuple(sorted({*required, *kept}, reverse=True))

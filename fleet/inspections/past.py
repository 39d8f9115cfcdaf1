"""How a target stood at a past instant: its lamps, and what was open, as the record was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from checks.evaluate import Compliance
from checks.rule import Kind, Severity
from fleet.findings.past import Was, open_at
from fleet.history.lamps import Lamps, lamps_at

IN_ORDER = (Compliance.COMPLIANT, Compliance.AT_RISK, Compliance.NON_COMPLIANT)
AS_BAD = {Severity.CRITICAL.value: 2, Severity.WARNING.value: 1}


@dataclass(frozen=True)
class Stood:
    """One target at an instant. Lamps of None: no change of them was on record by then."""

    lamps: Lamps | None
    open: tuple[Was, ...]

    @cached_property
    def compliance(self) -> str:
        """The lamp; before the first record what the findings prove; "" where they prove nothing."""
        if self.lamps is not None:
            return self.lamps.compliance
        worst = worst_of(was for was in self.open if not was.is_waived)
        return "" if worst is Compliance.COMPLIANT else worst.value

    @cached_property
    def raw_compliance(self) -> str:
        """The same as if nothing had been waived: as bad as the worst open requirement at least."""
        worst, lamp = worst_of(self.open), self.compliance
        if worst is Compliance.COMPLIANT or lamp == Compliance.NON_COMPLIANT:
            return lamp
        return worst.value


def worst_of(open_ones: Iterable[Was]) -> Compliance:
    """Say how bad the open requirements are together; nothing scored is open: compliant."""
    ranks = (AS_BAD.get(was.severity, 0) for was in open_ones if was.kind == Kind.REQUIREMENT)
    return IN_ORDER[max(ranks, default=0)]


def stood_at(at: datetime, target_ids: Collection[int]) -> dict[int, Stood]:
    """Give how each of these targets stood at an instant. Two queries."""
    lamps = lamps_at(at, target_ids)
    by_target: defaultdict[int, list[Was]] = defaultdict(list)
    for was in open_at(at, target_ids):
        by_target[was.target_id].append(was)
    return {one: Stood(lamps.get(one), tuple(by_target[one])) for one in target_ids}

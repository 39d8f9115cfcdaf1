"""What changed since a week ago: pairs, tenants and rules that moved most, for better and worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from checks.catalog import BY_ID
from checks.remedy import title as title_of
from fleet.history.lamps import lamps_at
from fleet.history.models import ScoreDay
from fleet.inspections.models import PairState
from fleet.portal import addresses
from fleet.portal.marks import COMPLIANCE_ORDER
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target, Tenant

WEEK: Final = timedelta(days=7)
SHOWN: Final = 8
FALLS, RISES = 5, 3
Scores = Mapping[int | None, ScoreDay]  # by tenant; None: the fleet's own
PLACE: Final = {state: place for place, state in enumerate(COMPLIANCE_ORDER)}


@dataclass(frozen=True)
class MovedPair:
    """A pair whose compliance is another than a week ago."""

    target_id: int
    name: str
    tenant: str
    before: str
    after: str
    reason: str
    since: datetime | None

    @property
    def url(self) -> str:
        """Where the pair is told in full."""
        return addresses.pair(self.target_id)


@dataclass(frozen=True)
class MovedTenant:
    """A tenant whose compliant share is another than a week ago; shares with waivers."""

    tenant_id: int
    name: str
    before_count: int
    before_pairs: int
    after_count: int
    after_pairs: int

    @property
    def change(self) -> float:
        """Give how many points the share moved."""
        return 100 * (self.after_count / self.after_pairs - self.before_count / self.before_pairs)

    @property
    def words(self) -> str:
        """Write the change with its sign: `−2.5`."""
        return f"{self.change:+.1f}".replace("-", "−")

    @property
    def url(self) -> str:
        """Where its pairs are listed."""
        return addresses.pairs(tenant=self.tenant_id)


@dataclass(frozen=True)
class MovedRule:
    """A rule that more or fewer findings are open of than a week ago."""

    rule_id: str
    title: str
    before_count: int
    after_count: int

    @property
    def url(self) -> str:
        """Where its open findings are listed."""
        return addresses.findings(rule=self.rule_id)

    @property
    def change(self) -> int:
        """Give how many more there are."""
        return self.after_count - self.before_count

    @property
    def words(self) -> str:
        """Write the change with its sign."""
        return f"{self.change:+,}".replace("-", "−")


@dataclass(frozen=True)
class Movers:
    """What moved, worst first, and how many pairs did in all; has_past: a score of a week ago is there."""

    since: datetime
    worse: list[MovedPair]
    better: list[MovedPair]
    worse_count: int
    better_count: int
    tenants: list[MovedTenant]
    rules: list[MovedRule]
    has_past: bool


def movers(rows: Rows, tenant: Tenant | None, now: datetime) -> Movers:
    """Compare with a week ago. Three queries: states, lamps then, scores of the two days."""
    then = now - WEEK
    moved = _pairs(rows, tenant, then)
    worse = [one for one in moved if PLACE[one.after] < PLACE[one.before]]
    better = [one for one in moved if PLACE[one.after] > PLACE[one.before]]
    scores, day = _scores(rows, tenant, now, then), then.astimezone(UTC).date()
    before = {one.tenant_id: one for one in scores if one.day == day}
    after = {one.tenant_id: one for one in scores if one.day != day}
    return Movers(
        since=then,
        worse=worse[:SHOWN],
        better=sorted(better, key=lambda one: (-PLACE[one.after], one.name))[:SHOWN],
        worse_count=len(worse),
        better_count=len(better),
        tenants=_tenants(before, after) if tenant is None else [],
        rules=_rules(before, after) if _is_told(before) else [],
        has_past=bool(before),
    )


def _pairs(rows: Rows, tenant: Tenant | None, then: datetime) -> list[MovedPair]:
    """Give the active pairs whose lamp is another than then, the worst now first."""
    states = rows.of(PairState).filter(compliance_since__gt=then, target__state=Target.State.ACTIVE)
    if tenant is not None:
        states = states.filter(target__tenant=tenant)
    found = list(
        states.values_list(
            "target_id",
            "target__name",
            "target__tenant__name",
            "compliance",
            "worst_short",
            "compliance_since",
        )
    )
    lamps = lamps_at(then, [row[0] for row in found])
    moved = [
        MovedPair(pk, name, whose, lamps[pk].compliance, after, reason, since)
        for pk, name, whose, after, reason, since in found
        if pk in lamps and lamps[pk].compliance != after
    ]
    return sorted(moved, key=lambda one: (PLACE[one.after], -PLACE[one.before], one.name))


def _scores(rows: Rows, tenant: Tenant | None, now: datetime, then: datetime) -> list[ScoreDay]:
    days = [at.astimezone(UTC).date() for at in (then, now)]
    scores = rows.of(ScoreDay).filter(day__in=days).select_related("tenant")
    return list(scores if tenant is None else scores.filter(tenant=tenant))


def _tenants(before: Scores, after: Scores) -> list[MovedTenant]:
    """Give the tenants whose share moved most: those that fell, then those that rose."""
    both = [
        MovedTenant(
            row.tenant.pk,
            row.tenant.name,
            before[key].compliant_count,
            before[key].pairs_count,
            row.compliant_count,
            row.pairs_count,
        )
        for key, row in after.items()
        if row.tenant is not None and key in before
    ]
    falls = sorted((one for one in both if one.change < 0), key=lambda one: (one.change, one.name))
    rises = sorted((one for one in both if one.change > 0), key=lambda one: (-one.change, one.name))
    return [*falls[:FALLS], *rises[:RISES]]


def _rules(before: Scores, after: Scores) -> list[MovedRule]:
    """Give the rules whose open findings moved most: those that grew, then those that fell."""
    old, new = _open(before), _open(after)
    moved = [
        MovedRule(
            rule_id,
            title_of(BY_ID[rule_id]) if rule_id in BY_ID else rule_id,
            old.get(rule_id, 0),
            new.get(rule_id, 0),
        )
        for rule_id in old.keys() | new.keys()
        if old.get(rule_id, 0) != new.get(rule_id, 0)
    ]
    grown = sorted(
        (one for one in moved if one.change > 0), key=lambda one: (-one.change, one.title)
    )
    fallen = sorted(
        (one for one in moved if one.change < 0), key=lambda one: (one.change, one.title)
    )
    return [*grown[:FALLS], *fallen[:RISES]]


def _is_told(scores: Scores) -> bool:
    return any(row.open_findings is not None for row in scores.values())


def _open(scores: Scores) -> Counter[str]:
    """Add up what was open by rule, critical and warning: the fleet's own row holds it all."""
    chosen = [scores[None]] if None in scores else list(scores.values())
    found: Counter[str] = Counter()
    for row in chosen:
        for rule_id, (critical, warning, _waived) in (row.open_findings or {}).items():
            found[rule_id] += critical + warning
    return found

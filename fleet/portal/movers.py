"""What changed since then: pairs, tenants and rules that moved most, for better and worse."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from django.db.models import Count, Q, QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy

from checks.catalog import BY_ID
from checks.remedy import title as title_of
from fleet.history.lamps import lamps_at
from fleet.history.models import ScoreDay
from fleet.inspections.models import PairState
from fleet.portal import addresses
from fleet.portal.marks import COMPLIANCE_ORDER
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target, Tenant

SHOWN: Final = 8
FALLS, RISES = 5, 3
Scores = Mapping[int | None, ScoreDay]  # by tenant; None: the fleet's own
PLACE: Final = {state: place for place, state in enumerate(COMPLIANCE_ORDER)}


@dataclass(frozen=True)
class Span:
    """How far back one may compare."""

    name: str
    label: str | Promise
    ago: str | Promise
    back: timedelta


SPANS: Final = (
    Span("24h", gettext_lazy("24 h"), gettext_lazy("24 hours ago"), timedelta(days=1)),
    Span("7d", gettext_lazy("7 d"), gettext_lazy("a week ago"), timedelta(days=7)),
    Span("30d", gettext_lazy("30 d"), gettext_lazy("30 days ago"), timedelta(days=30)),
)
WEEK: Final = SPANS[1]


@dataclass(frozen=True)
class MovedPair:
    """A pair whose compliance is another than then."""

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
    """A tenant whose compliant share is another than then; shares with waivers."""

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
    """A rule that more or fewer findings are open of than then."""

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
    """What moved, worst first, and how many pairs did in all.

    Pairs are compared with how they stood at that instant, as far as that is on record; tenants and
    rules with the end of its day (UTC), where has_past.
    """

    span: Span
    day: date
    on_record_count: int
    off_record_count: int
    worse: list[MovedPair]
    better: list[MovedPair]
    worse_count: int
    better_count: int
    tenants: list[MovedTenant]
    rules: list[MovedRule]
    has_past: bool


def movers(rows: Rows, tenant: Tenant | None, now: datetime, span: Span = WEEK) -> Movers:
    """Compare with then. Four queries: counts, states, lamps then, scores of the two days."""
    then = now - span.back
    states = rows.of(PairState).exclude(target__state=Target.State.ARCHIVED)
    if tenant is not None:
        states = states.filter(target__tenant=tenant)
    counts = states.aggregate(
        all=Count("pk"), still=Count("pk", filter=Q(compliance_since__lte=then))
    )
    known = _known(states, then)
    on_record_count = counts["still"] + len(known)
    moved = [one for one in known if one.before != one.after]
    worse = [one for one in moved if PLACE[one.after] < PLACE[one.before]]
    better = [one for one in moved if PLACE[one.after] > PLACE[one.before]]
    scores, day = _scores(rows, tenant, now, then), then.astimezone(UTC).date()
    before = {one.tenant_id: one for one in scores if one.day == day}
    after = {one.tenant_id: one for one in scores if one.day != day}
    return Movers(
        span=span,
        day=day,
        on_record_count=on_record_count,
        off_record_count=counts["all"] - on_record_count,
        worse=worse[:SHOWN],
        better=sorted(better, key=lambda one: (-PLACE[one.after], one.name))[:SHOWN],
        worse_count=len(worse),
        better_count=len(better),
        tenants=_tenants(before, after) if tenant is None else [],
        rules=_rules(before, after) if _is_told(before) else [],
        has_past=bool(before),
    )


def _known(states: QuerySet[PairState], then: datetime) -> list[MovedPair]:
    """Give the pairs whose lamp changed since and was on record then, the worst now first."""
    found = list(
        states.filter(compliance_since__gt=then).values_list(
            "target_id",
            "target__name",
            "target__tenant__name",
            "compliance",
            "worst_short",
            "compliance_since",
        )
    )
    lamps = lamps_at(then, [row[0] for row in found])
    known = [
        MovedPair(pk, name, whose, lamps[pk].compliance, after, reason, since)
        for pk, name, whose, after, reason, since in found
        if pk in lamps
    ]
    return sorted(known, key=lambda one: (PLACE[one.after], -PLACE[one.before], one.name))


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

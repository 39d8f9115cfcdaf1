"""Scores of tenants, and why pairs are unverified."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Count, Func, IntegerField, Q, QuerySet, Sum
from django.urls import reverse
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from checks.rule import Kind
from fleet.findings.cover import WAIVED
from fleet.findings.models import Finding
from fleet.inspections.cadences import VISITED
from fleet.inspections.models import PairState
from fleet.portal import addresses, freshness
from fleet.portal.freshness import Freshness
from fleet.portal.reasons import in_words
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target

UNVERIFIED = PairState.Compliance.UNVERIFIED.value
NAMED: Final = 3
SCORED: Final = 9  # columns of a tenant's score before those of its freshness


@dataclass(frozen=True)
class TenantScore:
    """One tenant: its pairs, how many comply, and how many rules could be judged."""

    tenant_id: int
    name: str
    is_demo: bool
    pairs_count: int
    compliant_count: int
    non_compliant_count: int
    raw_count: int  # compliant without any waiver
    conclusive: int
    applicable: int
    freshness: Freshness

    @property
    def url(self) -> str:
        """Where its pairs are listed."""
        return addresses.pairs(tenant=self.tenant_id)

    @property
    def non_compliant_url(self) -> str:
        """Where its non-compliant pairs are listed."""
        return addresses.pairs(tenant=self.tenant_id, compliance="non_compliant")


@dataclass(frozen=True)
class Doubt:
    """One reason for which pairs are unverified, and the rules that wait for it."""

    words: str
    rules: str
    count: int
    url: str  # the pairs it counts
    act_url: str  # where something can be done about it


class ElementSum(Func):
    """The sum of an array column's elements: a count per cadence."""

    template = "({})".format(
        " + ".join(f"coalesce((%(expressions)s)[{n}], 0)" for n in range(1, len(VISITED) + 1))
    )
    output_field = IntegerField()


def summed(column: str, which: Q | None = None) -> Sum:
    """Sum a column of counts per cadence over its elements and over the rows."""
    return Sum(ElementSum(column), filter=which, default=0)


def only_by_waiver(rows: Rows) -> QuerySet[Finding, Any]:
    """Give the targets that cannot be compliant but by a waiver, as a subquery."""
    waived = rows.of(Finding).filter(WAIVED, kind=Kind.REQUIREMENT.value)
    return waived.exclude(severity=Finding.Severity.INFO).order_by().values("target")


def tenant_scores(rows: Rows, now: datetime) -> list[TenantScore]:
    """Return the tenants that have pairs, least compliant first. Two queries."""
    waived = only_by_waiver(rows)
    found = (
        rows.of(Target)
        .exclude(state=Target.State.ARCHIVED)
        .order_by()
        .values_list("tenant_id", "tenant__name", "tenant__is_demo")
        .annotate(
            pairs=Count("pk"),
            compliant=Count("pk", filter=Q(pair_state__compliance="compliant")),
            non_compliant=Count("pk", filter=Q(pair_state__compliance="non_compliant")),
            raw=Count("pk", filter=Q(pair_state__compliance="compliant") & ~Q(pk__in=waived)),
            conclusive=summed("pair_state__conclusive_counts"),
            applicable=summed("pair_state__applicable_counts"),
            **freshness.columns(now),
        )
    )
    return sorted(map(_score, found), key=_worst_first)


def _score(row: Sequence[Any]) -> TenantScore:
    scored: tuple[Any, ...] = (*row[:SCORED], Freshness(*row[SCORED:]))
    return TenantScore(*scored)


def _worst_first(score: TenantScore) -> tuple[float, int, str]:
    return score.compliant_count / score.pairs_count, -score.non_compliant_count, score.name


def doubts(rows: Rows, limit: int) -> list[Doubt]:
    """Count unverified pairs by the reasons of their core rules, most pairs first. One query.

    A pair that waits for two reasons counts under both, as the lists it leads to show it.
    """
    unverified = rows.of(PairState).filter(compliance=UNVERIFIED)
    found = (
        unverified.exclude(target__state=Target.State.ARCHIVED)
        .order_by()
        .values_list("core_unknown")
        .annotate(pairs=Count("pk"))
    )
    pairs: Counter[str] = Counter()
    rules: defaultdict[str, set[str]] = defaultdict(set)
    for core_unknown, count in found:
        for reason in set(core_unknown.values()):
            pairs[reason] += count
        for rule_id, reason in core_unknown.items():
            rules[reason].add(rule_id)
    return [_doubt(reason, rules[reason], count) for reason, count in pairs.most_common(limit)]


def _rules_words(rule_ids: set[str]) -> str:
    """Name a few rules; where nobody looks or Redis is silent it is all of them, and a count says it."""
    if len(rule_ids) > NAMED:
        return _("%(count)d core rules") % {"count": len(rule_ids)}
    return ", ".join(sorted(rule_ids))


def _doubt(reason: str, rule_ids: set[str], count: int) -> Doubt:
    pairs_url = addresses.pairs(compliance=UNVERIFIED, reason=reason)
    return Doubt(
        words=capfirst(str(in_words(reason))),
        rules=_rules_words(rule_ids),
        count=count,
        url=pairs_url,
        act_url=reverse("portal:attestations") if reason == "unattested" else pairs_url,
    )

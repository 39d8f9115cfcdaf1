"""What there is to filter by, counted: one query a quarter of a minute for each scope."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from django.db.models import Count

from fleet.findings.cover import STALE as IS_STALE
from fleet.findings.cover import WAIVED as IS_WAIVED
from fleet.findings.models import Finding
from fleet.inspections.models import PairState
from fleet.portal.kept import kept, known
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target


@dataclass
class PairFacets:
    """Pairs by what lists filter on. Archived pairs count in `archived` alone."""

    total: int = 0
    paused: int = 0
    archived: int = 0
    redis_only: int = 0
    compliance: Counter[str] = field(default_factory=Counter)
    health: Counter[str] = field(default_factory=Counter)
    environments: Counter[str] = field(default_factory=Counter)
    zones: Counter[str] = field(default_factory=Counter)
    engines: Counter[str] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)


# Views beside the states of a finding; what is one's own is counted for nobody else.
WAIVED: Final = "waived"
STALE: Final = "stale"
MINE: Final = "mine"


@dataclass
class FindingFacets:
    """Live findings of unarchived pairs: by state and severity, the open ones by rule too.

    Those that are waived count in the state WAIVED alone; the stale ones count as open too.
    """

    by_state: dict[str, Counter[str]] = field(default_factory=dict)
    rules: Counter[str] = field(default_factory=Counter)

    def count(self, state: str, severity: str = "") -> int:
        """Count one state's findings, of one severity or of all."""
        counts = self.by_state.get(state, Counter())
        return counts[severity] if severity else counts.total()


def pair_facets(rows: Rows) -> PairFacets:
    """Count the pairs this person may see; at most 15 s old."""
    return kept("pair-facets", rows.seen, lambda: _count_pairs(rows))


def finding_facets(rows: Rows) -> FindingFacets:
    """Count the live findings this person may see; at most 15 s old."""
    return kept("finding-facets", rows.seen, lambda: _count_findings(rows))


def open_criticals(rows: Rows) -> int:
    """Count the open critical findings this person may see; at most 15 s old.

    Every page's menu shows it: of all else that finding_facets counts it is a tenth.
    """
    facets: FindingFacets | None = known("finding-facets", rows.seen)
    if facets is not None:
        return facets.count(Finding.State.OPEN, Finding.Severity.CRITICAL)
    found = rows.of(Finding).filter(
        ~IS_WAIVED, state=Finding.State.OPEN, severity=Finding.Severity.CRITICAL
    )
    live = found.exclude(target__state=Target.State.ARCHIVED)
    return kept("open-criticals", rows.seen, live.count)


def _count_pairs(rows: Rows) -> PairFacets:
    groups = (
        rows.of(Target)
        .filter(kind=Target.Kind.PAIR)
        .order_by()
        .values_list(
            "state",
            "environment",
            "zone__slug",
            "pair_state__compliance",
            "pair_state__health",
            "pair_state__engine",
            "pair_state__version",
            "pair_state__is_redis_only",
        )
        .annotate(count=Count("pk"))
    )
    facets = PairFacets()
    for group in groups:
        _add(facets, *group)
    return facets


def _add(  # noqa: PLR0917  one column of the grouping each
    facets: PairFacets,
    state: str,
    environment: str,
    zone: str,
    compliance: str | None,
    health: str | None,
    engine: str | None,
    version: str | None,
    is_redis_only: bool | None,  # noqa: FBT001
    count: int,
) -> None:
    if state == Target.State.ARCHIVED:
        facets.archived += count
        return
    facets.total += count
    facets.paused += count if state == Target.State.PAUSED else 0
    facets.redis_only += count if is_redis_only else 0
    # A pair without a state row has not been read yet: unverified, not compliant.
    facets.compliance[compliance or PairState.Compliance.UNVERIFIED.value] += count
    facets.health[health or PairState.Health.UNKNOWN.value] += count
    for counts, value in _named(facets, environment, zone, engine, version):
        counts[value] += count


def _named(
    facets: PairFacets, environment: str, zone: str, engine: str | None, version: str | None
) -> Iterable[tuple[Counter[str], str]]:
    pairs = (
        (facets.environments, environment),
        (facets.zones, zone),
        (facets.engines, engine),
        (facets.versions, version),
    )
    return ((counts, value) for counts, value in pairs if value)


def _count_findings(rows: Rows) -> FindingFacets:
    groups = (
        rows.of(Finding)
        .filter(state__in=[Finding.State.OPEN, Finding.State.PENDING])
        .exclude(target__state=Target.State.ARCHIVED)
        .order_by()
        .values_list("state", "severity", "rule_id")
        .annotate(
            count=Count("pk", filter=~IS_WAIVED),
            waived=Count("pk", filter=IS_WAIVED),
            stale=Count("pk", filter=IS_STALE),
        )
    )
    facets = FindingFacets()
    for state, severity, rule_id, count, waived, stale in groups:
        facets.by_state.setdefault(STALE, Counter())[severity] += stale
        facets.by_state.setdefault(WAIVED, Counter())[severity] += waived
        facets.by_state.setdefault(state, Counter())[severity] += count
        if state == Finding.State.OPEN:
            facets.rules[rule_id] += count
    return facets

"""The first page: is the fleet compliant, what changed, what to do first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.utils.translation import ngettext, ngettext_lazy

from fleet.findings.models import Finding
from fleet.portal import addresses
from fleet.portal.alarms import Banner, portal_now
from fleet.portal.facets import WAIVED, FindingFacets, PairFacets, finding_facets, pair_facets
from fleet.portal.fails import (
    FailedRule,
    Task,
    do_first,
    failing_operations,
    groups,
    most_failed,
)
from fleet.portal.freshness import Freshness, together
from fleet.portal.kept import kept
from fleet.portal.mail_figures import MailFigures
from fleet.portal.marks import COMPLIANCE_ORDER, HEALTH_ORDER
from fleet.portal.moves import Moves, moves
from fleet.portal.scoped_admin import Rows
from fleet.portal.scores import Doubt, TenantScore, doubts, tenant_scores
from fleet.portal.waivers_ending import Ending, ending

# What a pair does of which an operation rule fails critically.
WHAT_FAILS: Final = {
    "emailengine.queue-workers": ngettext_lazy(
        "%(n)s accepts mail and never sends it", "%(n)s accept mail and never send it", "count"
    ),
    "redis.reachable": ngettext_lazy("%(n)s does not answer", "%(n)s do not answer", "count"),
    "redis.accepts-writes": ngettext_lazy("%(n)s refuses writes", "%(n)s refuse writes", "count"),
    "emailengine.reachable": ngettext_lazy(
        "EmailEngine of %(n)s does not answer", "EmailEngines of %(n)s do not answer", "count"
    ),
}
# Of findings, not of pairs: one that is told of already may fail others too.
OTHERWISE: Final = ngettext_lazy("%(n)s other check fails", "%(n)s other checks fail", "count")
TASKS, MOVES, TENANTS, FAILED_RULES, DOUBTS, ENDING = 5, 6, 10, 8, 6, 5


@dataclass(frozen=True)
class Segment:
    """One state of a lamp: how many pairs, and where they are listed."""

    state: str
    count: int
    url: str


@dataclass(frozen=True)
class Lamp:
    """A verdict card: a sentence on the worst state, and all four with their counts."""

    sentence: str
    segments: tuple[Segment, ...]
    total: int
    detail: str = ""

    @property
    def worst(self) -> Segment:
        """The first state that any pair is in; of an empty fleet the best."""
        return next((one for one in self.segments if one.count), self.segments[-1])

    @property
    def best(self) -> Segment:
        """Compliant, or healthy."""
        return self.segments[-1]


@dataclass(frozen=True)
class Overview:
    """Everything the page shows; worked out once for everybody with the same scope."""

    alarms: list[Banner]
    pairs: PairFacets
    findings: FindingFacets
    compliance: Lamp
    health: Lamp
    tasks: list[Task]
    moves: Moves
    freshness: Freshness
    mail: MailFigures
    doubts: list[Doubt]
    ending: Ending
    failed_rules: list[FailedRule]
    tenants: list[TenantScore] = field(repr=False)

    @property
    def is_empty(self) -> bool:
        """No pair yet: the page says how to begin."""
        return not (self.pairs.total or self.pairs.archived)

    @property
    def has_demo(self) -> bool:
        """Tell whether the demo fleet is among what is shown."""
        return any(one.is_demo for one in self.tenants)

    @property
    def worst_tenants(self) -> list[TenantScore]:
        """The least compliant tenants that have pairs."""
        return self.tenants[:TENANTS]

    @property
    def raw_count(self) -> int:
        """Pairs that are compliant without any waiver."""
        return sum(one.raw_count for one in self.tenants)

    @property
    def conclusive(self) -> int:
        """Rules that could be judged, over all pairs."""
        return sum(one.conclusive for one in self.tenants)

    @property
    def applicable(self) -> int:
        """Rules that could apply, over all pairs."""
        return sum(one.applicable for one in self.tenants)

    @property
    def open_counts(self) -> dict[str, int]:
        """Open findings by severity, and the pending ones."""
        is_open, pending = Finding.State.OPEN.value, Finding.State.PENDING.value
        return {
            "critical": self.findings.count(is_open, Finding.Severity.CRITICAL),
            "warning": self.findings.count(is_open, Finding.Severity.WARNING),
            "pending": self.findings.count(pending),
            "waived": self.findings.count(WAIVED),
        }


def overview(rows: Rows, now: datetime) -> Overview:
    """Return the overview of what this person may see, at most 15 s old."""
    return kept("overview", rows.seen, lambda: _gather(rows, now))


def _gather(rows: Rows, now: datetime) -> Overview:
    pairs, portal = pair_facets(rows), portal_now(rows, now)
    found, tenants = groups(rows.of(Finding)), tenant_scores(rows, now)
    return Overview(
        alarms=portal.banners,
        pairs=pairs,
        findings=finding_facets(rows),
        compliance=compliance_lamp(pairs),
        health=health_lamp(pairs, failing_operations(found)),
        tasks=do_first(found, rows.of(Finding), TASKS),
        moves=moves(rows, now, MOVES),
        freshness=together([one.freshness for one in tenants]),
        mail=portal.mail,
        doubts=doubts(rows, DOUBTS),
        ending=ending(rows, now, ENDING),
        failed_rules=most_failed(found, FAILED_RULES),
        tenants=tenants,
    )


def compliance_lamp(pairs: PairFacets) -> Lamp:
    """Say in one sentence how compliant the pairs are."""
    segments = tuple(
        Segment(state, pairs.compliance[state], addresses.pairs(compliance=state))
        for state in COMPLIANCE_ORDER
    )
    return Lamp(_compliance_sentence(pairs.compliance, pairs.total), segments, pairs.total)


def _compliance_sentence(counts: Mapping[str, int], total: int) -> str:
    values = {state: f"{counts.get(state, 0):,}" for state in COMPLIANCE_ORDER}
    values["total"] = f"{total:,}"
    if worst := counts.get("non_compliant", 0):
        text = ngettext(
            "%(non_compliant)s of %(total)s pairs is non-compliant",
            "%(non_compliant)s of %(total)s pairs are non-compliant",
            worst,
        )
    elif worst := counts.get("at_risk", 0):
        text = ngettext("%(at_risk)s pair is at risk", "%(at_risk)s pairs are at risk", worst)
    elif worst := counts.get("unverified", 0):
        text = ngettext(
            "%(unverified)s pair could not be verified",
            "%(unverified)s pairs could not be verified",
            worst,
        )
    else:
        text = ngettext("The only pair is compliant", "All %(total)s pairs are compliant", total)
    return text % values


def health_lamp(pairs: PairFacets, operations: Mapping[str, int]) -> Lamp:
    """Say in one sentence how the pairs do now, and what makes pairs fail."""
    segments = tuple(
        Segment(state, pairs.health[state], addresses.pairs(health=state)) for state in HEALTH_ORDER
    )
    sentence = _health_sentence(pairs.health, pairs.total)
    return Lamp(sentence, segments, pairs.total, _what_fails(operations))


def _health_sentence(counts: Counter[str], total: int) -> str:
    values = {state: f"{counts[state]:,}" for state in HEALTH_ORDER} | {"total": f"{total:,}"}
    if counts["failing"]:
        text = ngettext(
            "%(failing)s pair is failing", "%(failing)s pairs are failing", counts["failing"]
        )
    elif counts["degraded"]:
        text = ngettext(
            "%(degraded)s pair is degraded", "%(degraded)s pairs are degraded", counts["degraded"]
        )
    elif counts["unknown"]:
        text = ngettext(
            "Health of %(unknown)s pair is unknown",
            "Health of %(unknown)s pairs is unknown",
            counts["unknown"],
        )
    else:
        text = ngettext("The only pair is healthy", "All %(total)s pairs are healthy", total)
    return text % values


def _what_fails(operations: Mapping[str, int]) -> str:
    """Write what fails critically: `4 accept mail and never send it, 5 do not answer`."""
    told = [(WHAT_FAILS[one], n) for one, n in operations.items() if one in WHAT_FAILS]
    if rest := sum(n for one, n in operations.items() if one not in WHAT_FAILS):
        told.append((OTHERWISE, rest))
    parts = [words % {"count": n, "n": f"{n:,}"} for words, n in told]
    return ", ".join(parts) + "." if parts else ""

"""Findings as a letter shows them, and how a tenant stands: a handful of queries, however many."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from django.db.models import Count, Q, QuerySet

from checks.rule import Kind, Limits, Severity
from fleet.alerts.letter import Item, Move, Standing
from fleet.findings.models import Finding
from fleet.registry.models import Target
from fleet.registry.policies import Policies, read_policies

# What counts against a tenant: open, not waived, on a pair that is watched.
COUNTED: Final = Q(state=Finding.State.OPEN, waiver=None, target__state=Target.State.ACTIVE)
CRITICAL: Final = Q(severity=Finding.Severity.CRITICAL)
WARNING: Final = Q(severity=Finding.Severity.WARNING)


@dataclass(frozen=True)
class Wanted:
    """A finding to show: what became of it, and its severity when the reader was last told."""

    move: Move
    was_severity: str = ""


def items_of(
    wanted: Mapping[int, Wanted], *, with_tenants: bool = False, with_evidence: bool = True
) -> tuple[Item, ...]:
    """Read findings, given by id, in the order given. At most three queries.

    with_tenants puts the tenant before the pair's name; without evidence nothing can be said of
    what to do.
    """
    rows = Finding.objects.filter(pk__in=wanted).select_related("target__tenant")
    open_counts = _open_counts(wanted)
    policies = read_policies() if with_evidence and wanted else None
    # Row by row: a storm has ten thousand, and to hold them all took 61 MB in place of 33.
    found = {
        row.pk: _item(
            row,
            wanted[row.pk],
            evidence=row.evidence if with_evidence else {},
            limits=_limits(row, policies),
            others_open=max(open_counts.get(row.target_id, 0) - _is_counted(row), 0),
            with_tenants=with_tenants,
        )
        for row in (rows if with_evidence else rows.defer("evidence")).iterator()
    }
    return tuple(found[pk] for pk in wanted if pk in found)


def _is_counted(finding: Finding) -> bool:
    """Tell whether the finding itself is among those counted on its target."""
    is_note = finding.severity == Finding.Severity.INFO
    return finding.state == Finding.State.OPEN and finding.waiver_id is None and not is_note


def _open_counts(finding_ids: Collection[int]) -> dict[int, int]:
    """Count what is open and counts on each of these findings' targets; notes do not."""
    theirs = Finding.objects.filter(pk__in=finding_ids).values("target")
    rows = Finding.objects.filter(COUNTED, CRITICAL | WARNING, target__in=theirs)
    return dict(rows.order_by().values_list("target").annotate(open_count=Count("pk")))


def _item(
    finding: Finding,
    one: Wanted,
    *,
    evidence: Mapping[str, object],
    limits: Limits | None,
    others_open: int,
    with_tenants: bool,
) -> Item:
    target = finding.target
    return Item(
        finding_id=finding.pk,
        pair=f"{target.tenant.name} / {target.name}" if with_tenants else target.name,
        rule_id=finding.rule_id,
        move=one.move,
        severity=Severity(finding.severity),
        is_requirement=finding.kind == Kind.REQUIREMENT.value,
        message=finding.message,
        short=finding.short,
        observed=finding.observed,
        required=finding.required,
        opened_at=finding.opened_at or finding.first_seen_at,
        environment=target.environment,
        cause=finding.cause,
        evidence=evidence,
        engine=finding.engine,
        engine_version=finding.engine_version,
        limits=limits,
        worst=finding.worst,
        resolved_at=finding.resolved_at,
        was_severity=Severity(one.was_severity) if one.was_severity else None,
        others_open=others_open,
    )


def _limits(finding: Finding, policies: Policies | None) -> Limits | None:
    """Give the rule's limits in force there; None for a rule that is no more."""
    if policies is None:
        return None
    target = finding.target
    settings = policies.of(target.environment, target.tenant_id, target.pk).settings
    return settings[finding.rule_id].limits if finding.rule_id in settings else None


def standing(tenant_id: int | None) -> Standing:
    """Count how the active pairs of a tenant, or of the fleet, stand now. Three queries."""
    targets: QuerySet[Target] = Target.objects.filter(state=Target.State.ACTIVE)
    findings = Finding.objects.filter(COUNTED, kind=Kind.REQUIREMENT.value)
    if tenant_id is not None:
        targets = targets.filter(tenant=tenant_id)
        findings = findings.filter(target__tenant=tenant_id)
    bad_count = _targets_count(findings.filter(CRITICAL))
    return Standing(
        pairs_count=targets.count(),
        non_compliant_count=bad_count,
        at_risk_count=_targets_count(findings.filter(CRITICAL | WARNING)) - bad_count,
    )


def _targets_count(findings: QuerySet[Finding]) -> int:
    return findings.values("target").distinct().count()

"""What a waiver that is asked for would cover now, finding by finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from checks.catalog import BY_ID
from fleet.findings import cover
from fleet.findings.cover import UP_TO
from fleet.findings.models import Finding
from fleet.portal import addresses, ceilings, moments
from fleet.portal.finding_list import SEVERITY_RANK
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Target, Tenant

SHOWN: Final = 20
WARNING: Final = Finding.Severity.WARNING.value


@dataclass(frozen=True)
class Match:
    """One finding of the rule and scope, and why it would not be covered ("" where it would)."""

    finding: Finding
    why_not: str


@dataclass(frozen=True)
class Preview:
    """What a waiver would cover now; `words` say what is missing to tell."""

    matches: list[Match]
    covered_count: int
    left_count: int
    pairs_url: str
    ends: str
    unit: str
    worst: str
    is_measured: bool

    @property
    def is_cut(self) -> bool:
        """Tell whether there are more than are listed."""
        return self.covered_count + self.left_count > len(self.matches)


def preview_of(rows: Rows, typed: Mapping[str, Any]) -> Preview | None:
    """Match what is typed so far with the open findings; None while scope or rule are not known."""
    found = _matching(rows, typed)
    rule_id, severity = str(typed.get("rule_id", "")), str(typed.get("severity", ""))
    if found is None or severity not in UP_TO:
        return None
    try:
        ceiling = ceilings.parse(str(typed.get("ceiling", "")), rule_id)
    except ValueError:
        ceiling = None
    covered_count = found.filter(cover.within(severity, ceiling)).count()
    listed = found.select_related("target__tenant", "waiver").order_by(SEVERITY_RANK, "pk")
    matches = [Match(one, _why_not(one, severity, ceiling)) for one in listed[:SHOWN]]
    one = ceilings.scale_of(rule_id)
    worst = max((m.finding.worst_measure or 0.0 for m in matches), default=None)
    return Preview(
        matches=matches,
        covered_count=covered_count,
        left_count=found.count() - covered_count,
        pairs_url=addresses.findings(rule=rule_id),
        ends=_ends(typed),
        unit=ceilings.unit_of(one) if one else "",
        worst=ceilings.shown(worst, rule_id) if matches else "",
        is_measured=one is not None,
    )


def preview_of_several(findings: Sequence[Finding], severity: str) -> Preview:
    """Say which of these findings waivers of this severity would cover, each on its own pair."""
    reach = severity if severity in UP_TO else WARNING
    matches = [Match(one, _why_not(one, reach, None)) for one in findings]
    covered = sum(not one.why_not for one in matches)
    left = len(matches) - covered
    return Preview(matches, covered, left, "", "", "", "", is_measured=False)


def _matching(rows: Rows, typed: Mapping[str, Any]) -> QuerySet[Finding] | None:
    """Give the open findings of the rule and scope that are typed; None while one is not known."""
    rule_id = str(typed.get("rule_id", ""))
    tenant_name, pair_name = (str(typed.get(name, "")).strip() for name in ("tenant", "pair"))
    tenant = rows.choices(Tenant).filter(name__iexact=tenant_name).first() if tenant_name else None
    if rule_id not in BY_ID or tenant is None:
        return None
    found = rows.of(Finding).filter(
        rule_id=rule_id, target__tenant=tenant, state=Finding.State.OPEN
    )
    if pair_name:
        found = found.filter(target__name__iexact=pair_name)
    return found.exclude(target__state=Target.State.ARCHIVED)


def _ends(typed: Mapping[str, Any]) -> str:
    """Write when it would end, in the person's time zone and in UTC; "" while that is not known."""
    zone = moments.zone_named(str(typed.get("zone", "")))
    try:
        return moments.both(moments.read(str(typed.get("expires_at", "")), zone))
    except forms.ValidationError:
        return ""


def _why_not(finding: Finding, severity: str, ceiling: float | None) -> str:
    if finding.severity not in UP_TO[severity]:
        return _("critical")
    if ceiling is None or (finding.worst_measure is not None and finding.worst_measure <= ceiling):
        return ""
    worst = ceilings.shown(finding.worst_measure, finding.rule_id)
    return _("its worst value is %(worst)s") % {"worst": worst or _("not known")}

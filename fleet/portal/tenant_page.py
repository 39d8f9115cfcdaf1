"""How one tenant stands now, above its form: counts, each a link to what it counts."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, Q

from checks.rule import Severity
from fleet.findings.cover import COUNTED
from fleet.findings.models import Finding
from fleet.portal import addresses, tenant_list
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import PolicyVersion, Target


def stands(rows: Rows, tenant_id: int) -> dict[str, Any]:
    """Give the figures and links of a tenant that this person may see. Two queries."""
    tenant = tenant_list.scored(rows).get(pk=tenant_id)
    critical, warning = Severity.CRITICAL.value, Severity.WARNING.value
    found = rows.of(Finding).filter(COUNTED, target__tenant=tenant_id)
    live = found.exclude(target__state=Target.State.ARCHIVED)
    return {
        "tenant": tenant,
        "coverage": tenant_list.coverage(tenant),
        "pairs_url": addresses.pairs(tenant=tenant_id),
        "non_compliant_url": addresses.pairs(tenant=tenant_id, compliance="non_compliant"),
        "critical_url": addresses.findings(tenant=tenant_id, severity=critical),
        "warning_url": addresses.findings(tenant=tenant_id, severity=warning),
        "may_set_policy": rows.may_edit(PolicyVersion),
        **live.aggregate(
            critical_count=Count("pk", filter=Q(severity=critical)),
            warning_count=Count("pk", filter=Q(severity=warning)),
        ),
    }

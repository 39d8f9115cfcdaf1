"""The pages that belong to no model: overview, zones and workers, catalogue."""

from __future__ import annotations

from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from checks.facts import Engine
from checks.probes.acl import ACL_NOTES, acl_line
from fleet.findings.models import Finding
from fleet.portal import addresses, facets
from fleet.portal.facets import WAIVED, finding_facets
from fleet.portal.moves import LATELY
from fleet.portal.overview import overview
from fleet.portal.rules import chips, describe, listing
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.portal.zones import may_forget, zone_cards
from fleet.registry.models import FleetSettings, Pair, Target, Worker, Zone

OTHER_ENGINES = (
    Engine.DRAGONFLY,
    Engine.KEYDB,
    Engine.ELASTICACHE,
    Engine.MEMORYDB,
    Engine.UPSTASH,
)


def dashboard(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Fill the admin's index (Unfold's DASHBOARD_CALLBACK)."""
    return {**context, "title": _("Overview"), **_overview(rows_of(request))}


@scoped_view
def overview_panel(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Answer the overview's poll: what stands inside it, anew."""
    return render(request, "portal/overview.html", _overview(rows))


def _overview(rows: Rows) -> dict[str, Any]:
    now = timezone.now()
    found = overview(rows, now)
    state, severity = Finding.State, Finding.Severity
    return {
        "now": now,
        "overview": found,
        "first_run": _first_run() if found.is_empty else None,
        "may_add": rows.may_edit(Pair),
        "pairs_url": addresses.pairs(),
        "redis_only_url": addresses.pairs(redis_only=1),
        "paused_url": addresses.pairs(state=Target.State.PAUSED.value),
        "findings_url": addresses.findings(),
        "critical_url": addresses.findings(severity=severity.CRITICAL.value),
        "warning_url": addresses.findings(severity=severity.WARNING.value),
        "opened_url": addresses.findings(since=LATELY),
        "resolved_url": addresses.findings(state=state.RESOLVED.value, since=LATELY),
        "unverified_url": addresses.pairs(compliance="unverified"),
        "pending_url": addresses.findings(state=state.PENDING.value),
        "waived_url": addresses.findings(state=WAIVED),
    }


def _first_run() -> dict[str, Any]:
    others = [
        {"engine": one.label, "line": acl_line(one), "note": ACL_NOTES.get(one, "")}
        for one in OTHER_ENGINES
    ]
    return {"line": acl_line(Engine.REDIS), "others": others}


@scoped_view
def zones(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Show where pairs are probed from, and by whom."""
    now = timezone.now()
    context = {"now": now, "zones": zone_cards(rows, now), "may_edit": rows.may_edit(Zone)}
    return page(request, "portal/zones.html", _("Zones and workers"), context)


@scoped_view
@require_POST
def forget_worker(_request: HttpRequest, rows: Rows, worker_id: int) -> HttpResponse:
    """Take a worker that is gone off the list; one that still runs reports itself again."""
    worker = rows.editable(Worker).filter(pk=worker_id).first()
    if worker is None or not may_forget(worker, timezone.now()):
        raise Http404("no such worker that is gone")
    worker.delete()
    return redirect("portal:zones")


@scoped_view
def catalogue(request: HttpRequest, rows: Rows) -> HttpResponse:
    """List every rule, with how many pairs fail it."""
    chosen = request.GET.get("kind", "")
    counts = finding_facets(rows).rules
    context = {"rules": listing(chosen, counts), "chips": chips(chosen)}
    return page(request, "portal/rules/catalogue.html", _("Catalogue"), context)


@scoped_view
def rule(request: HttpRequest, rows: Rows, rule_id: str) -> HttpResponse:
    """Show one rule: limits, source, what it reads, and its remediation on every engine."""
    found = describe(rule_id, finding_facets(rows).rules)
    if found is None:
        raise Http404(f"there is no rule named {rule_id}")
    return page(request, "portal/rules/rule.html", found.title, {"rule": found})


def open_criticals(request: HttpRequest) -> str:
    """Count the open critical findings for the menu's badge; "" for none."""
    count = facets.open_criticals(rows_of(request))
    return f"{count:,}" if count else ""


def sees_fleet(request: HttpRequest) -> bool:
    """Tell whether the menu offers what only people of the whole fleet may see."""
    return rows_of(request).may_see(FleetSettings)

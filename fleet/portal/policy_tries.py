"""A policy change tried before it is saved: what it would open and resolve, on which pairs and tenants."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.inspections.dryrun import LOST_AFTER, Moved, changes_between, moved
from fleet.inspections.models import DryRun
from fleet.portal import addresses, policy_many
from fleet.portal.kept import kept
from fleet.portal.policies import Layer, guard, layer_named, lines_of, put_in_force
from fleet.portal.rules import Words
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import PolicyVersion, Target, Tenant

# The words of fleet/inspections/dryrun.py, and the mark of each.
WHAT: Final[dict[str, tuple[Words, str]]] = {
    "opens": (gettext_lazy("opens"), ""),
    "worse": (gettext_lazy("worse than before"), ""),
    "milder": (gettext_lazy("milder than before"), ""),
    "resolves": (gettext_lazy("was %(severity)s"), "resolved"),
    "withdrawn": (gettext_lazy("was %(severity)s"), "withdrawn"),
}
SHOWN = 50
TOTALS_KEPT_S: Final = 600  # a finished run does not change


@dataclass(frozen=True)
class Line:
    """One finding that would move."""

    name: str
    tenant: str
    pair_url: str
    rule_id: str
    word: Words
    mark: str
    short: str


@scoped_view
def show(request: HttpRequest, rows: Rows, run_id: int) -> HttpResponse:
    """Show a dry run: how far it is, then what it found."""
    guard(rows)
    run = _run(rows, run_id)
    title = _("What this policy would change")
    return page(request, "portal/policies/try.html", title, _context(request, rows, run))


@scoped_view
def result(request: HttpRequest, rows: Rows, run_id: int) -> HttpResponse:
    """Answer the page's poll."""
    guard(rows)
    run = _run(rows, run_id)
    return render(request, "portal/policies/result.html", _context(request, rows, run))


@scoped_view
def save(request: HttpRequest, rows: Rows, run_id: int) -> HttpResponse:
    """Put in force what was tried, by POST."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    run = _run(rows, run_id)
    if not rows.may_edit(PolicyVersion):
        raise PermissionDenied
    if run.saved_as is None:
        saved = _put_in_force(request, rows, run)
        if isinstance(saved, str):
            context = {**_context(request, rows, run), "failure": saved}
            title = _("What this policy would change")
            return page(request, "portal/policies/try.html", title, context)
        rows.editable(DryRun).filter(pk=run.pk).update(saved_as=saved)
    return redirect("portal:policies")


def _put_in_force(request: HttpRequest, rows: Rows, run: DryRun) -> PolicyVersion | str | None:
    layer = _layer(rows, run)
    if isinstance(layer, policy_many.Many):
        return policy_many.put_in_force(request, run)
    return put_in_force(request, layer, run.overrides, run.note, run.base)


def _layer(rows: Rows, run: DryRun) -> Layer | policy_many.Many:
    if run.target_ids is not None:
        return policy_many.many_of(rows, run.target_ids)
    query = {
        "level": run.level,
        "environment": run.environment,
        "tenant": str(run.tenant_id or ""),
        "pair": str(run.target_id or ""),
    }
    return layer_named(rows, query)


def _run(rows: Rows, run_id: int) -> DryRun:
    """Find a run without its changes, which are read when they are shown."""
    runs = rows.of(DryRun).select_related("asked_by", "saved_as").defer("changes")
    return get_object_or_404(runs, pk=run_id)


def _context(request: HttpRequest, rows: Rows, run: DryRun) -> dict[str, Any]:
    layer = _layer(rows, run)
    at = run.started_at or run.asked_at
    sums, by_tenant = _totals(rows, run)
    places = range(sum(count for _word, _mark, count in sums))
    found = Paginator(places, SHOWN).get_page(request.GET.get("page"))
    shown = list(found.object_list)
    changes = changes_between(run.pk, shown[0], shown[-1] + 1) if shown else []
    targets = _targets(rows, {change[0] for change in changes})
    return {
        "run": run,
        "layer": layer,
        "lines_said": lines_of(run.overrides),
        "is_lost": run.finished_at is None and timezone.now() - at > LOST_AFTER,
        "percent": run.done_count * 100 // run.pairs_count if run.pairs_count else 0,
        "sums": sums,
        "by_tenant": by_tenant,
        "found": found,
        "lines": list(_lines(changes, targets)),
        "may_edit": rows.may_edit(PolicyVersion),
    }


Sums = list[tuple[str, str, int]]
TenantMoves = list[tuple[str, str, int, int]]


def _totals(rows: Rows, run: DryRun) -> tuple[Sums, TenantMoves]:
    """Count what a finished run found: the same on each of its pages."""
    if run.finished_at is None:
        return [], []

    def count() -> tuple[Sums, TenantMoves]:
        moves = moved(run.pk)
        names = dict(rows.of(Tenant).values_list("pk", "name"))
        return _sums(moves), _by_tenant(moves, names)

    return kept(f"dry-run-{run.pk}", rows.seen, count, TOTALS_KEPT_S)


def _targets(rows: Rows, ids: Iterable[int]) -> dict[int, tuple[str, int, str]]:
    found = rows.of(Target).filter(pk__in=ids)
    columns = found.values_list("pk", "name", "tenant_id", "tenant__name")
    return {pk: (name, tenant_id, tenant) for pk, name, tenant_id, tenant in columns}


def _sums(moves: Iterable[Moved]) -> Sums:
    """Count the moves by kind and severity."""
    counts: Counter[tuple[str, str]] = Counter()
    for one in moves:
        counts[one.what, one.severity] += one.findings_count
    return [
        (str(words % {"severity": severity}), mark or severity, counts[what, severity])
        for what, (words, mark) in WHAT.items()
        for severity in ("critical", "warning", "info")
        if counts[what, severity]
    ]


def _by_tenant(moves: Iterable[Moved], names: Mapping[int, str]) -> TenantMoves:
    """Count what opens (or grows worse) and what goes (or grows milder), per tenant."""
    opens: Counter[tuple[str, int]] = Counter()
    goes: Counter[tuple[str, int]] = Counter()
    for one in moves:
        if one.tenant_id is not None and one.tenant_id in names:
            side = opens if one.what in ("opens", "worse") else goes
            side[names[one.tenant_id], one.tenant_id] += one.findings_count
    everyone = sorted({*opens, *goes}, key=lambda one: (-opens[one], -goes[one], one))
    return [
        (tenant, addresses.pairs(tenant=pk), opens[tenant, pk], goes[tenant, pk])
        for tenant, pk in everyone
    ]


def _lines(changes: Iterable[Any], targets: Mapping[int, tuple[str, int, str]]) -> Iterable[Line]:
    for target_id, rule_id, what, severity, short in changes:
        if target_id in targets:
            name, _tenant_id, tenant = targets[target_id]
            words, mark = WHAT[what]
            url = addresses.pair(target_id)
            yield Line(
                name, tenant, url, rule_id, words % {"severity": severity}, mark or severity, short
            )

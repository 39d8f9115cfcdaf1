"""Findings, waivers and maintenance in the admin: lists with views, and pages. No row is edited."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import SEARCH_VAR, ChangeList
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.findings.models import Finding, MaintenanceWindow, Waiver
from fleet.portal import (
    acknowledge,
    filters,
    finding_list,
    finding_page,
    finding_search,
    maintenance_form,
    maintenance_list,
    waiver_filters,
    waiver_form,
    waiver_list,
    waiver_page,
)
from fleet.portal.acknowledge_many import AcknowledgeAction
from fleet.portal.row_list import (
    CappedPaginator,
    PastPaginator,
    RowListAdmin,
    SearchedPaginator,
)
from fleet.portal.scoped_admin import rows_of


@admin.register(Finding)
class FindingAdmin(AcknowledgeAction, RowListAdmin):
    """Open findings first; critical above warning, the newest on top."""

    row_list = finding_list.FindingList
    row_page = staticmethod(finding_page.show)
    list_title = gettext_lazy("Findings")
    none_matches = gettext_lazy("No finding matches.")
    list_before_template = "portal/findings/chips.html"
    list_display = (
        finding_list.severity_cell,
        finding_list.finding_cell,
        finding_list.pair_cell,
        finding_list.values_cell,
        finding_list.age_cell,
    )
    paginator = CappedPaginator
    list_filter = (
        filters.FindingStateFilter,
        filters.SeverityFilter,
        filters.RuleFilter,
        filters.KindFilter,
        filters.TenantFilter,
        filters.EnvironmentFilter,
        filters.ZoneFilter,
        filters.SinceFilter,
        filters.WaiverFilter,
        filters.MailFilter,
    )
    list_select_related = ("target__tenant", "waiver")
    search_fields = ("message", "rule_id", "target__name", "target__tenant__name")
    search_help_text = gettext_lazy("Message, rule, pair or tenant")
    ordering = finding_list.ORDER
    actions = ("acknowledge_chosen", "waive_chosen")
    actions_selection_counter = True

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Finding], search_term: str
    ) -> tuple[QuerySet[Finding], bool]:
        """Search without a join per finding; no row comes twice."""
        return finding_search.search(rows_of(request), queryset, search_term), False

    def get_paginator(self, request: HttpRequest, *args: Any, **kwargs: Any) -> CappedPaginator:
        """Read what a search finds once, and of the past, which has no end, the newest."""
        if not request.GET.get(SEARCH_VAR):
            return CappedPaginator(*args, **kwargs)
        is_past = request.GET.get("state") == Finding.State.RESOLVED
        return (PastPaginator if is_past else SearchedPaginator)(*args, **kwargs)

    def nothing(self, cl: ChangeList) -> Any:
        """Say what an empty view means."""
        is_narrowed = cl.query or cl.filter_params.keys() - {"state", "since", "o"}
        return "" if is_narrowed else finding_list.empty(cl.filter_params)

    def above(self, request: HttpRequest) -> dict[str, Any]:
        """Give the views and chips."""
        return finding_list.chips(request)

    def has_waive_permission(self, request: HttpRequest) -> bool:
        """Who may change some tenant's rows may waive its rules."""
        return rows_of(request).may_edit(Waiver)

    @admin.action(description=gettext_lazy("Waive …"), permissions=["waive"])
    def waive_chosen(
        self, request: HttpRequest, findings: QuerySet[Finding]
    ) -> HttpResponseRedirect | None:
        """Lead to the form about them."""
        most = waiver_form.MOST_FINDINGS
        ids = list(findings.values_list("pk", flat=True)[: most + 1])
        if len(ids) > most:
            text = _("At most %(most)d findings at once: waive the rule for a whole tenant.")
            messages.error(request, text % {"most": most})
            return None
        return HttpResponseRedirect(waiver_form.address(ids))

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: a finding is what a rule found."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: it opens and resolves by readings."""
        return False

    def get_urls(self) -> list[URLPattern]:
        """Add the part of the page that a new reading changes, and its acknowledgement."""
        return [
            path(
                "<int:finding_id>/acknowledge/",
                acknowledge.answer,
                name="findings_finding_acknowledge",
            ),
            path("<int:finding_id>/body/", finding_page.body, name="findings_finding_body"),
            *super().get_urls(),
        ]


class _Register(RowListAdmin):
    """Rows that pages of their own add and end: the admin lists them, in views."""

    list_before_template = "portal/findings/chips.html"
    actions = None

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: what was signed stands as it is."""
        return False


@admin.register(Waiver)
class WaiverAdmin(_Register):
    """Waivers in force, the first to end on top; those that wait, that end soon and that ended."""

    row_list = waiver_list.WaiverList
    row_page = staticmethod(waiver_page.show)
    list_title = gettext_lazy("Waivers")
    none_yet = gettext_lazy("No waiver is in force.")
    none_matches = gettext_lazy("No waiver matches.")
    list_display = (
        waiver_list.rule_cell,
        waiver_list.scope_cell,
        waiver_list.covers_cell,
        waiver_list.why_cell,
        waiver_list.who_cell,
        waiver_list.until_cell,
    )
    list_filter = (
        waiver_filters.WaiverViewFilter,
        waiver_filters.OwnTenantFilter,
        waiver_filters.WaivedRuleFilter,
        waiver_filters.WaiverKindFilter,
        waiver_filters.ReachFilter,
    )
    list_select_related = ("tenant", "target", "requested_by", "approved_by")
    search_fields = ("rule_id", "reason", "target__name", "tenant__name")
    search_help_text = gettext_lazy("Rule, reason, pair or tenant")
    ordering = ("expires_at", "pk")

    def above(self, request: HttpRequest) -> dict[str, Any]:
        """Give the views."""
        return waiver_list.chips(request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask for one, with what it would cover beside the form."""
        return waiver_form.add(request)

    def get_urls(self) -> list[URLPattern]:
        """Add what can be done with one."""
        acts = [
            path(
                f"<int:waiver_id>/{what}/",
                waiver_page.act,
                {"what": what},
                name=f"findings_waiver_{what}",
            )
            for what in waiver_page.ACTS
        ]
        return [*acts, *super().get_urls()]


@admin.register(MaintenanceWindow)
class MaintenanceAdmin(_Register):
    """Windows under way, to come and over, the newest on top."""

    row_list = maintenance_list.WindowList
    row_page = staticmethod(maintenance_list.show)
    list_title = gettext_lazy("Maintenance")
    none_yet = gettext_lazy("No maintenance is under way.")
    none_matches = gettext_lazy("No maintenance matches.")
    list_display = (
        maintenance_list.scope_cell,
        maintenance_list.state_cell,
        maintenance_list.times_cell,
        maintenance_list.why_cell,
    )
    list_filter = (waiver_filters.WindowViewFilter, waiver_filters.OwnTenantFilter)
    list_select_related = ("tenant", "made_by")
    search_fields = ("reason", "tenant__name", "label_name", "label_value", "targets__name")
    search_help_text = gettext_lazy("Reason, tenant, label or pair")
    ordering = maintenance_list.ORDER

    def above(self, request: HttpRequest) -> dict[str, Any]:
        """Give the views."""
        return maintenance_list.chips(request)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Make one."""
        return maintenance_form.add(request)

    def get_urls(self) -> list[URLPattern]:
        """Add how one ends early."""
        name = "findings_maintenancewindow_end"
        return [path("<int:window_id>/end/", maintenance_list.end, name=name), *super().get_urls()]

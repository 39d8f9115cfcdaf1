"""Findings in the admin: three saved views, and the page of one. Nobody edits a finding by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils.translation import gettext_lazy

from fleet.findings.models import Finding
from fleet.portal import acknowledge, filters, finding_list, finding_page
from fleet.portal.row_list import CappedPaginator, RowListAdmin


@admin.register(Finding)
class FindingAdmin(RowListAdmin):
    """Open findings first; critical above warning, the newest on top."""

    row_list = finding_list.FindingList
    list_title = gettext_lazy("Findings")
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
    )
    list_select_related = ("target__tenant",)
    search_fields = ("message", "rule_id", "target__name", "target__tenant__name")
    search_help_text = gettext_lazy("Message, rule, pair or tenant")
    ordering = finding_list.ORDER
    actions = None

    def above(self, request: HttpRequest) -> dict[str, Any]:
        """Give the views and chips."""
        return finding_list.chips(request)

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

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the page of one finding."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return finding_page.show(request, int(object_id) if object_id.isdecimal() else 0)

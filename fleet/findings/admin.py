"""Findings in the admin: three saved views, and the page of one. Nobody edits a finding by hand."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.urls import URLPattern, path
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.findings.models import Finding
from fleet.portal import acknowledge, filters, finding_list, finding_page
from fleet.portal.scoped_admin import ScopedAdmin


@admin.register(Finding)
class FindingAdmin(ScopedAdmin):
    """Open findings first; critical above warning, the newest on top."""

    change_list_template = "portal/pairs/list.html"
    list_before_template = "portal/findings/chips.html"
    list_fullwidth = True
    list_display = ("severity_cell", "finding_cell", "pair_cell", "values_cell", "age_cell")
    list_display_links = None
    show_facets = admin.ShowFacets.NEVER  # the filters carry their counts already
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

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[finding_list.FindingList]:
        """Use the list that knows what time it is."""
        return finding_list.FindingList

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the list with its views and chips."""
        values = {**finding_list.chips(request), "title": _("Findings"), **(extra_context or {})}
        answer: HttpResponse = super().changelist_view(request, values)
        return answer

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: a finding is what a rule found."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Nobody: it opens and resolves by readings."""
        return False

    @admin.display(description=gettext_lazy("Severity"), ordering=finding_list.SEVERITY_RANK)
    def severity_cell(self, finding: Finding) -> SafeString:
        return finding_list.severity_cell(finding)

    @admin.display(description=gettext_lazy("Finding"), ordering="rule_id")
    def finding_cell(self, finding: Finding) -> SafeString:
        return finding_list.finding_cell(finding)

    @admin.display(description=gettext_lazy("Pair"), ordering="target__name")
    def pair_cell(self, finding: Finding) -> SafeString:
        return finding_list.pair_cell(finding)

    @admin.display(description=gettext_lazy("Observed, required"))
    def values_cell(self, finding: Finding) -> SafeString:
        return finding_list.values_cell(finding)

    @admin.display(description=gettext_lazy("Age"), ordering="opened_at")
    def age_cell(self, finding: Finding) -> SafeString:
        return finding_list.age_cell(finding)

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

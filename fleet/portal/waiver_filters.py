"""The filters of the waivers and of the maintenance windows."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from checks.catalog import RULES
from checks.remedy import title
from fleet.findings.models import Finding, Waiver
from fleet.portal import maintenance_list, waiver_list
from fleet.portal.filters import Choices, SelectFilter, TenantFilter


class WaiverViewFilter(SelectFilter):
    """Waivers in force, unless another view is chosen."""

    title = _("view")
    parameter_name = "view"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return waiver_list.VIEWS[1:]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return waiver_list.in_view(queryset, self.value() or "", timezone.now())

    def all_words(self) -> Any:
        return waiver_list.VIEWS[0][1]


class OwnTenantFilter(TenantFilter):
    """The tenant that the row itself names."""

    path = "tenant"


class WaivedRuleFilter(SelectFilter):
    """The rule that is waived."""

    title = _("rule")
    parameter_name = "rule"
    path = "rule_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return sorted(((rule.id, title(rule)) for rule in RULES), key=lambda one: one[1])


class WaiverKindFilter(SelectFilter):
    """What kind of acceptance it is."""

    title = _("kind")
    parameter_name = "kind"
    path = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return Waiver.Kind.choices


class ReachFilter(SelectFilter):
    """How bad a finding it covers."""

    title = _("covers up to")
    parameter_name = "severity"
    path = "severity"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return [
            (Finding.Severity.CRITICAL.value, _("criticals too")),
            (Finding.Severity.WARNING.value, _("warnings only")),
        ]


class WindowViewFilter(SelectFilter):
    """Windows under way and to come, unless those that are over are wanted."""

    title = _("view")
    parameter_name = "view"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        return maintenance_list.VIEWS[1:]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return maintenance_list.in_view(queryset, self.value() or "", timezone.now())

    def all_words(self) -> Any:
        return maintenance_list.VIEWS[0][1]

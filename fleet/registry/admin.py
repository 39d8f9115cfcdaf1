"""Tenants, zones and the fleet's settings, as people edit them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from fleet.portal import tenant_list
from fleet.portal.pair_admin import PairAdmin
from fleet.portal.scoped_admin import ScopedAdmin, rows_of
from fleet.portal.settings_form import SettingsForm
from fleet.registry.models import FleetSettings, Pair, Tenant, Zone


@admin.register(Tenant)
class TenantAdmin(ScopedAdmin):
    """Tenants with their scores, least compliant first."""

    list_display = ("name", "pairs", "compliant", "coverage")
    search_fields = ("name",)
    fields = ("name",)
    may_delete = True  # the database refuses while the tenant has targets

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """Annotate and order by the scores on the list; elsewhere tenants go by name."""
        rows = rows_of(request)
        match = request.resolver_match
        if match is None or match.url_name != "registry_tenant_changelist":
            return rows.of(Tenant).order_by("name")
        return tenant_list.scored(rows).order_by("share", "name")

    def get_ordering(self, request: HttpRequest) -> tuple[str, ...]:
        """Put the least compliant first."""
        return ("share", "name")

    @admin.display(description=_("Pairs"), ordering="pairs_count")
    def pairs(self, tenant: Tenant) -> SafeString:
        """Count the tenant's pairs."""
        return tenant_list.pairs(tenant)

    @admin.display(description=_("Compliant"), ordering="share")
    def compliant(self, tenant: Tenant) -> SafeString:
        """Score the tenant."""
        return tenant_list.compliant(tenant)

    @admin.display(description=_("Coverage"))
    def coverage(self, tenant: Tenant) -> SafeString | str:
        """Say how many rules could be judged."""
        return tenant_list.coverage(tenant)


@admin.register(Zone)
class ZoneAdmin(ScopedAdmin):
    """One zone's form; the list is the page Zones and workers."""

    fields = ("slug", "location")
    search_fields = ("slug",)
    may_delete = True  # the database refuses while pairs are probed from it

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the page that shows zones with their workers."""
        return redirect("portal:zones")


@admin.register(FleetSettings)
class FleetSettingsAdmin(ScopedAdmin):
    """The one row of settings."""

    form = SettingsForm
    fieldsets = (
        (
            _("How often, in seconds"),
            {
                "fields": (
                    ("health_s", "latency_s"),
                    ("persistence_s", "stats_s"),
                    ("upstash_health_s", "upstash_latency_s"),
                )
            },
        ),
        (_("What decides the lamps"), {"fields": ("core_rules",)}),
        (_("Is a zone cut off?"), {"fields": ("reference_address",)}),
        (
            _("Waivers and maintenance"),
            {
                "fields": (
                    ("critical_waiver_days", "warning_waiver_days"),
                    "second_person",
                    "maintenance_hours",
                )
            },
        ),
        (_("History"), {"fields": ("raw_days", "hourly_days", "daily_days")}),
    )

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead straight to the one row."""
        return redirect("admin:registry_fleetsettings_change", 1)

    def get_object(
        self, request: HttpRequest, object_id: str, from_field: str | None = None
    ) -> FleetSettings | None:
        """Return the row, or the defaults to begin with."""
        found: FleetSettings | None = super().get_object(request, object_id, from_field)
        return found or (FleetSettings() if object_id == "1" else None)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse: there is one row."""
        return False

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Stay on the form."""
        return redirect("admin:registry_fleetsettings_change", 1)


admin.site.register(Pair, PairAdmin)

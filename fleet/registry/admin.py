"""Tenants, zones and the fleet's settings, as people edit them."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from fleet.portal import addresses, tenant_list, tenant_page
from fleet.portal.pair_admin import PairAdmin
from fleet.portal.row_list import RowList, RowListAdmin
from fleet.portal.scoped_admin import ScopedAdmin, rows_of
from fleet.portal.settings_form import SettingsForm
from fleet.portal.shorter import may_lose
from fleet.registry.models import FleetSettings, Pair, Target, Tenant, Zone


def _held(
    targets: QuerySet[Target], filters: dict[str, Any], way_out: str
) -> tuple[list[Any], dict[str, int], set[str], list[Any]] | None:
    """Say which pairs hold a row, archived ones too; None where none does."""
    count = targets.count()
    if not count:
        return None
    text = ngettext("%(count)s pair belongs to it", "%(count)s pairs belong to it", count)
    url = addresses.pairs(**filters)
    link = format_html('<a href="{}">{}</a>', url, text % {"count": f"{count:,}"})
    words = gettext("%(pairs)s, archived ones counted. %(way_out)s")
    words = words.replace("%(pairs)s", "{}").replace("%(way_out)s", "{}")
    return [], {}, set(), [format_html(words, link, way_out)]


class TenantList(RowList):
    """Tenants, least compliant first unless a column is chosen."""

    def get_ordering_field_columns(self) -> dict[int, str]:
        """Mark the column of the score as sorted."""
        chosen: dict[int, str] = super().get_ordering_field_columns()
        if ORDER_VAR in self.params:
            return chosen
        return {list(self.list_display).index("compliant"): "asc"}


@admin.register(Tenant)
class TenantAdmin(RowListAdmin):
    """Tenants with their scores, least compliant first."""

    row_list = TenantList
    list_title = _("Tenants")
    none_yet = _("No tenant yet. A tenant is whose pairs these are.")
    none_matches = _("No tenant matches.")
    list_display = ("name", "pairs", "compliant", "coverage", "trends")
    list_display_links = ("name",)
    actions = None
    search_help_text = _("Name")
    change_form_template = "portal/tenants/form.html"
    form_lead = _("Whose pairs these are: what a person may see is decided per tenant.")
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

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Refuse in a sentence, with a link, while the tenant has pairs."""
        stays = gettext("Their past is told to its people, so it stays.")
        held = _held(objs[0].targets, {"tenant": objs[0].pk}, stays)
        return held or super().get_deleted_objects(objs, request)

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        """Say above the form how the tenant stands."""
        tenant = kwargs.get("obj")
        if tenant is not None:
            context["stands"] = tenant_page.stands(rows_of(request), tenant.pk)
        answer: HttpResponse = super().render_change_form(request, context, **kwargs)
        return answer

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

    @admin.display(description=_("Trends"))
    def trends(self, tenant: Tenant) -> SafeString:
        """Lead to its trends."""
        return tenant_list.trends(tenant)


@admin.register(Zone)
class ZoneAdmin(ScopedAdmin):
    """One zone's form; the list is the page Zones and workers."""

    fields = ("slug", "location")
    search_fields = ("slug",)
    form_lead = _("Where pairs are probed from: its workers are started with ZONE set to its slug.")
    may_delete = True  # the database refuses while pairs are probed from it

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Lead to the page that shows zones with their workers."""
        return redirect("portal:zones")

    def get_deleted_objects(
        self, objs: Any, request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[Any]]:
        """Refuse in a sentence, with a link, while pairs are probed from it."""
        way_out = gettext("Move them elsewhere first.")
        held = _held(objs[0].targets, {"zone": objs[0].slug}, way_out)
        return held or super().get_deleted_objects(objs, request)


@admin.register(FleetSettings)
class FleetSettingsAdmin(ScopedAdmin):
    """The one row of settings."""

    form_lead = _("They hold for the whole fleet, from each pair's next check on.")
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
        (_("History"), {"fields": ("raw_days", "hourly_days", "daily_days", "mail_days")}),
    )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Ask beneath the days of history whether what is older may go, once some are made fewer."""
        *others, (title, history) = self.fieldsets
        if not may_lose(obj or FleetSettings(), request.POST):
            return self.fieldsets
        return (*others, (title, {"fields": (*history["fields"], "drops")}))

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

    def render_change_form(
        self, request: HttpRequest, context: dict[str, Any], **kwargs: Any
    ) -> HttpResponse:
        """Offer one way to save: the form stays open anyway."""
        context["show_save_and_continue"] = False
        answer: HttpResponse = super().render_change_form(request, context, **kwargs)
        return answer

    def response_post_save_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Stay on the form."""
        return redirect("admin:registry_fleetsettings_change", 1)


admin.site.register(Pair, PairAdmin)

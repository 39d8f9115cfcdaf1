"""Pairs in the admin: the list, the page of one, and the form behind Edit and Add."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import F
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.inspections.schedule import check_now
from fleet.people.models import User
from fleet.portal import (
    addresses,
    filters,
    measure_filters,
    pair_list,
    pair_page,
    pair_urls,
)
from fleet.portal.pair_form import SECRETS, PairForm, filled_like
from fleet.portal.pair_moves import PairMoves
from fleet.portal.policy_many import PolicyAction
from fleet.portal.row_list import RowListAdmin
from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import rows_of
from fleet.portal.tenant_field import alike
from fleet.registry.models import Pair, Target
from fleet.registry.register import put

LADDER = "pk_ladder"  # where a request keeps how its connection test went


class PairAdmin(PolicyAction, PairMoves, RowListAdmin):
    """All pairs; worst first, fifty a page, at most a dozen queries."""

    form = PairForm
    row_list = pair_list.PairList
    row_page = staticmethod(pair_page.show)
    list_title = gettext_lazy("Pairs")
    none_yet = gettext_lazy("No pair yet. A pair is one EmailEngine and its Redis.")
    none_matches = gettext_lazy("No pair matches.")
    change_form_template = "portal/pairs/form.html"
    list_before_template = "portal/pairs/chips.html"
    list_display = (
        pair_list.lamps_cell,
        pair_list.name_cell,
        pair_list.findings_cell,
        pair_list.engine_cell,
        pair_list.rtt_cell,
        pair_list.memory_cell,
        pair_list.snapshot_cell,
        pair_list.backup_cell,
        pair_list.checked_cell,
    )
    list_filter = (
        filters.TenantFilter,
        filters.EnvironmentFilter,
        filters.ZoneFilter,
        filters.EngineFilter,
        filters.VersionFilter,
        filters.ComplianceFilter,
        filters.HealthFilter,
        filters.RedisOnlyFilter,
        filters.ReasonFilter,
        filters.StateFilter,
        measure_filters.RttFilter,
        measure_filters.MemoryFilter,
        measure_filters.SnapshotFilter,
    )
    list_select_related = ("target__tenant", "target__zone", "target__pair_state")
    search_fields = (
        "target__name",
        "redis_url",
        "emailengine_url",
        "target__labels",
        "target__tenant__name",
    )
    search_help_text = gettext_lazy("Name, host, label or tenant")
    ordering = (
        F("target__pair_state__rank").asc(nulls_last=True),
        F("target__pair_state__oldest_opened_at").asc(nulls_last=True),
        "target__name",
    )
    actions = (
        "check_chosen",
        "silence_chosen",
        "set_policy",
        "pause_chosen",
        "resume_chosen",
        "archive_chosen",
    )
    actions_selection_counter = True
    fieldsets = (
        (gettext_lazy("Pair"), {"fields": (("name", "tenant"), ("environment", "zone"), "labels")}),
        (
            gettext_lazy("Redis"),
            {
                "fields": (
                    "redis_url",
                    "redis_password",
                    "remove_redis_password",
                    ("redis_location", "expected_mailboxes"),
                )
            },
        ),
        (
            gettext_lazy("EmailEngine"),
            {
                "fields": (
                    "emailengine_url",
                    "metrics_token",
                    "remove_metrics_token",
                    "api_token",
                    "remove_api_token",
                    ("emailengine_location", "emailengine_prefix"),
                ),
            },
        ),
        (
            gettext_lazy("TLS, replicas and Sentinel"),
            {
                "fields": (
                    ("redis_tls_verify", "redis_tls_name"),
                    "redis_ca",
                    "expected_replicas",
                    ("sentinel_addresses", "sentinel_master"),
                ),
            },
        ),
    )

    def above(self, request: HttpRequest) -> dict[str, Any]:
        """Give the chips."""
        return {"chips": pair_list.chips(request)}

    def get_urls(self) -> list[URLPattern]:
        """Add the views of one pair; Django's own history view is replaced by Changes."""
        edit = self.admin_site.admin_view(self.edit_view)
        return [
            *pair_urls.of_one(),
            path("<path:object_id>/edit/", edit, name="registry_pair_edit"),
            *super().get_urls(),
        ]

    def history_view(
        self,
        request: HttpRequest,
        object_id: str,
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Send to Changes, which knows more."""
        return HttpResponseRedirect(reverse("admin:registry_pair_changes", args=[object_id]))

    def edit_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show and save the form."""
        pair = rows_of(request).get(Pair, "target__tenant", pk=row_number(object_id))
        if not self.has_change_permission(request, pair):
            raise PermissionDenied
        self._try_connection(request, pair)
        values = {"title": _("Edit %(name)s") % {"name": pair.target.name}}
        answer: HttpResponse = self.changeform_view(request, object_id, "", values)
        return answer

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show and save the empty form."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        self._try_connection(request, None)
        values = {"title": _("Add a pair"), **(extra_context or {})}
        answer: HttpResponse = super().add_view(request, form_url, values)
        return answer

    def _try_connection(self, request: HttpRequest, pair: Pair | None) -> None:
        """Test what is about to be saved, before Django opens the transaction that saves it."""
        if request.method == "POST" and isinstance(request.user, User):
            form = self.get_form(request, pair, change=pair is not None)
            draft: Any = form(request.POST, instance=pair)
            setattr(request, LADDER, draft.try_connection(request.user))

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Fill a new pair's form in like the pair that is asked for."""
        pair = alike(request)
        return filled_like(pair) if pair else super().get_changeform_initial_data(request)

    def get_form(
        self,
        request: HttpRequest,
        obj: Pair | None = None,
        change: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> type[forms.ModelForm[Pair]]:
        """Give the form what this person may choose, and how the connection test went."""
        made = super().get_form(request, obj, change, **kwargs)
        return type(
            made.__name__,
            (made,),
            {"rows": rows_of(request), "ladder": getattr(request, LADDER, None)},
        )

    def get_fieldsets(self, request: HttpRequest, obj: Pair | None = None) -> Sequence[Any]:
        """Offer to remove a secret only where one is stored."""
        absent = {f"remove_{name}" for name in SECRETS if not (obj and getattr(obj, name))}
        return [
            (title, {**options, "fields": [f for f in options["fields"] if f not in absent]})
            for title, options in super().get_fieldsets(request, obj)
        ]

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,  # noqa: FBT001, FBT002
        change: bool = False,  # noqa: FBT001, FBT002
        form_url: str = "",
        obj: Pair | None = None,
    ) -> HttpResponse:
        """Put the connection test's ladder above the fields."""
        form = context["adminform"].form
        ladder = getattr(form, "ladder", None)
        context["ladder"] = ladder if ladder and not ladder.ladder.is_ok else None
        context["alike"] = alike(request) if add else None
        answer: HttpResponse = super().render_change_form(
            request, context, add=add, change=change, form_url=form_url, obj=obj
        )
        return answer

    def save_model(self, request: HttpRequest, obj: Pair, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save the pair with its target: paused where it was not tested, else active and due now."""
        target: Target = form.target
        if "_save_paused" in request.POST:
            target.state = Target.State.PAUSED
        elif not change:
            target.state = Target.State.ACTIVE
        put(target, obj, form.secrets_changed)
        check_now([obj.pk], timezone.now())
        for rung in form.ladder.warned if form.ladder else ():
            messages.warning(request, rung.learnt)

    def log_addition(self, *args: Any) -> None:
        """Leave Django's own log empty: the history of the models knows more."""

    def log_change(self, *args: Any) -> None:
        """Leave Django's own log empty: the history of the models knows more."""

    def response_add(
        self, request: HttpRequest, obj: Pair, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Go to the new pair's page."""
        return self._saved(request, obj)

    def response_change(self, request: HttpRequest, obj: Pair) -> HttpResponse:
        """Go back to the pair's page."""
        return self._saved(request, obj)

    def _saved(self, request: HttpRequest, pair: Pair) -> HttpResponse:
        if pair.target.state == Target.State.PAUSED:
            messages.success(request, _("Saved, paused: it is not checked until you resume it."))
        else:
            messages.success(request, _("Saved. A reading is under way."))
        return HttpResponseRedirect(addresses.pair(pair.pk))

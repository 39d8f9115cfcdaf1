"""The one base of every admin class, endpoint and page: nobody sees a row outside their tenants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper, wraps
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

from django.contrib import admin
from django.db.models import ForeignKey, ManyToManyField, Model, QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin, StackedInline, TabularInline

from fleet.alerts.models import Channel, Delivery, Mail, PortalAlarm
from fleet.backups.models import (
    Artefact,
    BackupJob,
    BackupSource,
    CopyGrowth,
    Drill,
    DrillPlan,
    HeartbeatToken,
    PullRoom,
)
from fleet.findings.models import Finding, MaintenanceWindow, Transition, Waiver, WaiverNotice
from fleet.history.models import FleetHour, ScoreDay
from fleet.inspections.models import DryRun, LatestFacts, PairSchedule, PairState
from fleet.people.models import Membership, User
from fleet.people.scopes import scopes_of
from fleet.portal.change_log import of_row
from fleet.portal.models import Pulse
from fleet.portal.search_words import bounded
from fleet.registry.models import (
    Attestation,
    FleetSettings,
    Pair,
    PolicyVersion,
    Target,
    Tenant,
    Worker,
    Zone,
)
from fleet.registry.scoping import EVERYTHING, Scope

M = TypeVar("M", bound=Model)
P = ParamSpec("P")

# How a model's tenant is reached. SHARED: every person signed in may read it.
# FLEET: only who sees the whole fleet may.
SHARED: Final = "*"
FLEET: Final = ""
TENANT_PATHS: dict[type[Model], str] = {
    Tenant: "pk",
    Target: "tenant",
    Pair: "target__tenant",
    PairState: "target__tenant",
    PairSchedule: "target__tenant",
    LatestFacts: "target__tenant",
    Finding: "target__tenant",
    Transition: "finding__target__tenant",
    Waiver: "tenant",
    WaiverNotice: "waiver__tenant",
    MaintenanceWindow: "tenant",  # one without: of every tenant's pairs, for who sees them all
    Zone: SHARED,
    Worker: SHARED,
    User: FLEET,
    Membership: FLEET,
    FleetSettings: FLEET,
    PolicyVersion: FLEET,
    DryRun: FLEET,
    Attestation: "tenant",
    PortalAlarm: FLEET,
    # Those without a tenant are the operators': who sees one tenant sees neither them nor their mail.
    Channel: "tenant",
    Mail: "channel__tenant",
    Delivery: "channel__tenant",
    Pulse: FLEET,
    BackupSource: "target__tenant",
    HeartbeatToken: "source__target__tenant",
    Artefact: "source__target__tenant",
    CopyGrowth: "source__target__tenant",
    Drill: "target__tenant",
    DrillPlan: "target__tenant",
    BackupJob: "target__tenant",
    PullRoom: FLEET,  # how full a disk is tells of every tenant's copies
    FleetHour: FLEET,
    ScoreDay: "tenant",  # the row without one is the fleet's
}
# What only people who may change the whole fleet change, although others may read it.
# A policy decides what "compliant" means: the fleet's operators set it, for tenants too.
FLEET_EDITED = frozenset(
    {Tenant, Zone, Worker, User, Membership, FleetSettings, PolicyVersion, DryRun}
)


def narrow(scope: Scope, rows: QuerySet[M]) -> QuerySet[M]:
    """Keep what the scope holds. A model that TENANT_PATHS does not name raises KeyError."""
    path = TENANT_PATHS[rows.model]
    if path == SHARED:
        return rows
    if path == FLEET:
        return rows if scope == EVERYTHING else rows.none()
    return scope.narrow(rows, path)


def _all(model: type[M]) -> QuerySet[M]:
    return QuerySet(model)


@dataclass(frozen=True)
class Rows:
    """What one person may see, and what they may change: the portal's only way to the models."""

    seen: Scope
    edited: Scope

    def of(self, model: type[M]) -> QuerySet[M]:
        """Return the rows this person may see."""
        return narrow(self.seen, _all(model))

    def editable(self, model: type[M]) -> QuerySet[M]:
        """Return the rows this person may change."""
        scope = self.edited
        if model in FLEET_EDITED and scope != EVERYTHING:
            return _all(model).none()
        return narrow(scope, _all(model))

    def choices(self, model: type[M]) -> QuerySet[M]:
        """Return the rows this person may point to from what they change."""
        return narrow(self.edited, _all(model))

    def get(self, model: type[M], *related: str, **lookup: Any) -> M:
        """Return one row with its relations joined. Http404 where it is not theirs to see."""
        row = self.of(model).select_related(*related).filter(**lookup).first()
        if row is None:
            raise Http404(f"no {model.__name__} here")
        return row

    def may_see(self, model: type[Model]) -> bool:
        """Tell whether this person may see any row of the model."""
        path = TENANT_PATHS[model]
        return self.seen == EVERYTHING or path == SHARED or (path != FLEET and _holds(self.seen))

    def may_edit(self, model: type[Model], row: Model | None = None) -> bool:
        """Tell whether this person may change this row or, without one, add some."""
        if self.edited == EVERYTHING:
            return True
        if model in FLEET_EDITED or not _holds(self.edited):
            return False
        return row is None or self.editable(model).filter(pk=row.pk).exists()


def _holds(scope: Scope) -> bool:
    return scope.tenant_ids is None or bool(scope.tenant_ids)


def rows_of(request: HttpRequest) -> Rows:
    """Return the rows of the person who asks, found once per request."""
    rows = getattr(request, "rows", None)
    if not isinstance(rows, Rows):
        rows = Rows(*scopes_of(request.user))
        request.rows = rows  # type: ignore[attr-defined]
    return rows


class _Scoped:
    """Rows, choices and rights of an admin class or inline, by the person's tenants."""

    model: type[Model]
    may_delete = False  # nothing that has history is deleted: pairs are archived

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        rows: QuerySet[Any] = super().get_queryset(request)  # type: ignore[misc]
        return narrow(rows_of(request).seen, rows)

    def get_field_queryset(
        self,
        db: str | None,
        db_field: ForeignKey[Any, Any] | ManyToManyField[Any, Any],
        request: HttpRequest,
    ) -> QuerySet[Any]:
        return rows_of(request).choices(db_field.remote_field.model)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return rows_of(request).may_see(self.model)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return rows_of(request).may_edit(self.model)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return rows_of(request).may_edit(self.model, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.may_delete and rows_of(request).may_edit(self.model, obj)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return rows_of(request).may_see(self.model)


class ScopedAdmin(_Scoped, ModelAdmin):  # type: ignore[misc]  # Unfold has no types
    """Base of every admin class."""

    change_form_template = "portal/form.html"
    delete_confirmation_template = "portal/remove.html"
    form_lead: Any = ""  # what the form is about, in a sentence
    list_per_page = 50
    show_full_result_count = False  # one COUNT(*) a page is enough
    warn_unsaved_form = True
    list_filter_submit = True

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Look for the words; autocompletion does too."""
        found: tuple[QuerySet[Any], bool] = super().get_search_results(
            request, queryset, bounded(search_term)
        )
        return found

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the changes that the model's own history knows: more than Django's log."""
        row = self.get_object(request, object_id)
        if row is None or not hasattr(row, "history"):
            raise Http404("no history here")
        values = {"opts": self.opts, "original": row, "object": row, "show_back_button": True}
        return page(request, "portal/history.html", str(row), {**values, "changes": of_row(row)})


class ScopedTabular(_Scoped, TabularInline):  # type: ignore[misc]
    """Base of every inline that is a table."""

    extra = 0


class ScopedStacked(_Scoped, StackedInline):  # type: ignore[misc]
    """Base of every inline that is a form."""

    extra = 0


class ScopedChoices:
    """Mixed into a related-field list filter: offers only what the person may see."""

    def field_choices(
        self,
        field: ForeignKey[Any, Any],
        request: HttpRequest,
        model_admin: Any,
    ) -> list[tuple[Any, str]]:
        return [(row.pk, str(row)) for row in rows_of(request).of(field.remote_field.model)]


SCOPED_VIEWS: set[Callable[..., HttpResponseBase]] = (
    set()
)  # what tests/house/ holds the URLs against


def scoped_view(
    view: Callable[Concatenate[HttpRequest, Rows, P], HttpResponseBase],
) -> Callable[Concatenate[HttpRequest, P], HttpResponseBase]:
    """Guard a page or endpoint that no admin class serves: `view(request, rows, …)`.

    Asks for a sign-in first. A poll or JSON call whose session has ended gets 401 (and tells
    htmx to reload), never the sign-in page in place of its answer.
    """

    @wraps(view)
    def signed_in(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        return view(request, rows_of(request), *args, **kwargs)

    guarded = admin.site.admin_view(signed_in)

    def scoped(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if _is_call(request) and not admin.site.has_permission(request):
            return HttpResponse(status=401, headers={"HX-Refresh": "true"})
        return guarded(request, *args, **kwargs)

    update_wrapper(scoped, view)
    SCOPED_VIEWS.add(scoped)
    return scoped


def _is_call(request: HttpRequest) -> bool:
    return "HX-Request" in request.headers or "application/json" in request.headers.get(
        "Accept", ""
    )


def page(
    request: HttpRequest, template: str, title: str, context: dict[str, Any]
) -> TemplateResponse:
    """Answer with a whole page in the portal's shell."""
    shell = admin.site.each_context(request)
    return TemplateResponse(request, template, {**shell, "title": title, **context})

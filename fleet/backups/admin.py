"""Sources in the admin: the form alone; they are listed with their pair and on the fleet's page."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.backups import jobs
from fleet.backups.jobs import Wish
from fleet.backups.models import BackupJob, BackupSource
from fleet.people.models import User
from fleet.portal.backup_form import OF_PLACE, SourceForm
from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import ScopedAdmin, rows_of
from fleet.registry.models import Target

Kind = BackupSource.Kind
LEADS = {
    Kind.DIRECTORY: gettext_lazy(
        "A worker of the pair's zone lists the folder and verifies each new copy, byte by byte."
    ),
    Kind.BUCKET: gettext_lazy(
        "A worker of the pair's zone lists the bucket and verifies each new copy as it streams by."
    ),
    Kind.HEARTBEAT: gettext_lazy(
        "Your own backup job calls a secret address when it is done. What it tells is believed, and "
        "shown as reported: only a directory or a bucket can be verified."
    ),
    Kind.PULL: gettext_lazy(
        "A worker reads the whole dataset as a replica would, and keeps it packed and sealed. Redis "
        "forks for it, as for a save."
    ),
}


ONE_SAVE = {"show_save_and_add_another": False, "show_save_and_continue": False}


@admin.register(BackupSource)
class BackupSourceAdmin(ScopedAdmin):
    """One source; what it is of and its kind are settled when it is made."""

    form = SourceForm

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Send to the fleet's page, which knows more."""
        return HttpResponseRedirect(reverse("portal:backups"))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show and save the empty form of the pair that the tab's link names."""
        number = request.GET.get("target") or request.POST.get("target") or ""
        target = rows_of(request).editable(Target).filter(pk=row_number(number)).first()
        if target is None and request.method != "POST":
            messages.info(request, _("A source is added on the Backups view of its pair."))
            return self.changelist_view(request)
        name = target.name if target else ""
        kind = _kind(request, None).label.lower()
        title = _("%(kind)s: a new source of %(pair)s") % {"kind": kind.capitalize(), "pair": name}
        answer: HttpResponse = super().add_view(request, form_url, {"title": title, **ONE_SAVE})
        return answer

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show and save the form."""
        answer: HttpResponse = super().change_view(request, object_id, form_url, ONE_SAVE)
        return answer

    def get_fieldsets(self, request: HttpRequest, obj: BackupSource | None = None) -> Any:
        """Show what this kind asks for."""
        kind = _kind(request, obj)
        place = list(OF_PLACE[kind])
        found: list[Any] = [
            (None, {"fields": ["target", "kind", "label", ("interval_h", "grace_h")]}),
        ]
        if place:
            found.append((_("Where"), {"fields": place}))
        return [*found, (None, {"fields": ["is_enabled"]})]

    def get_form(
        self,
        request: HttpRequest,
        obj: BackupSource | None = None,
        change: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> type[forms.ModelForm[BackupSource]]:
        """Give the form what this person may choose."""
        made = super().get_form(request, obj, change, **kwargs)
        return type(made.__name__, (made,), {"rows": rows_of(request)})

    def render_change_form(self, request: HttpRequest, context: Any, **kwargs: Any) -> HttpResponse:
        """Say above the fields what the kind does, and whose source it is."""
        source = kwargs.get("obj")
        context["form_lead"] = LEADS[_kind(request, source)]
        if source is not None:
            context["form_of"] = source.target.name
            context["form_of_url"] = _tab_url(source)
        answer: HttpResponse = super().render_change_form(request, context, **kwargs)
        return answer

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with the pair and the kind that the tab's link names."""
        kind = _kind(request, None)
        return {
            "target": request.GET.get("target", ""),
            "kind": kind.value,
            "label": kind.label,
            "is_enabled": kind != Kind.PULL,
            "name_pattern": "*.rdb*" if kind == Kind.DIRECTORY else "",
        }

    def save_model(self, request: HttpRequest, obj: BackupSource, form: Any, change: bool) -> None:  # noqa: FBT001
        """Save the source; one on trial is looked at, at once."""
        obj.save()
        if obj.is_on_trial:
            person = request.user if isinstance(request.user, User) else None
            wish = Wish(BackupJob.Kind.VERIFY, obj.target_id, obj.pk)
            jobs.ask(wish, person.pk if person else None, timezone.now())

    def log_addition(self, *args: Any) -> None:
        """Leave Django's own log empty: the history of the models knows more."""

    def log_change(self, *args: Any) -> None:
        """Leave Django's own log empty: the history of the models knows more."""

    def response_add(
        self, request: HttpRequest, obj: BackupSource, post_url_continue: str | None = None
    ) -> HttpResponse:
        """Go to the pair's backups."""
        return _to_tab(obj)

    def response_change(self, request: HttpRequest, obj: BackupSource) -> HttpResponse:
        """Go to the pair's backups."""
        return _to_tab(obj)


def _kind(request: HttpRequest, obj: BackupSource | None) -> Kind:
    given = obj.kind if obj else request.POST.get("kind") or request.GET.get("kind", "")
    return Kind(given) if given in Kind.values else Kind.DIRECTORY


def _to_tab(source: BackupSource) -> HttpResponse:
    return HttpResponseRedirect(_tab_url(source))


def _tab_url(source: BackupSource) -> str:
    return reverse("admin:registry_pair_backups", args=[source.target_id])

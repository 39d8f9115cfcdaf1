"""The form that makes a maintenance window, and the button that starts one at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.findings import maintenance
from fleet.findings.maintenance import Plan, Refused
from fleet.findings.models import MaintenanceWindow
from fleet.people.models import User
from fleet.portal import addresses, moments
from fleet.portal.maintenance_list import of_scope
from fleet.portal.row_numbers import row_numbers
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.registry.current import fleet_settings
from fleet.registry.models import Pair, Target, Tenant

MOST_PAIRS: Final = 200  # named one by one
AT_ONCE: Final = timedelta(minutes=30)
AT_FIRST: Final = timedelta(hours=1)


class WindowForm(moments.MomentsForm):
    """Whose mail waits and from when to when; every fault is told at its field."""

    tenant = forms.CharField(label=gettext_lazy("Tenant"), max_length=120, required=False)
    label = forms.CharField(
        label=gettext_lazy("Label"),
        max_length=281,
        required=False,
        help_text=gettext_lazy("name=value, such as rack=7. Empty: all pairs of the tenant."),
    )
    starts_at = moments.MomentField(
        label=gettext_lazy("Starts"), required=False, help_text=gettext_lazy("Empty: now.")
    )
    ends_at = moments.MomentField(label=gettext_lazy("Ends"))
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=200, required=False)

    def __init__(self, rows: Rows, targets: Sequence[Target], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows, self.targets = rows, targets
        for name in ("tenant", "label"):
            self.fields[name].widget.attrs["data-pk-preview"] = ""

    def clean(self) -> dict[str, Any]:
        """Find whose mail is meant among what this person may change."""
        cleaned = super().clean()
        if not self.targets:
            cleaned["label_pair"] = self._label(cleaned.get("label", ""))
            cleaned["whose"] = self._tenant(cleaned.get("tenant", ""), cleaned["label_pair"])
        return cleaned

    def _label(self, text: str) -> tuple[str, str] | None:
        if not text.strip():
            return None
        name, sign, value = (part.strip() for part in text.partition("="))
        if not (name and sign and value):
            self.add_error("label", _("Write name=value, such as rack=7."))
            return None
        return name, value

    def _tenant(self, name: str, label: tuple[str, str] | None) -> Tenant | None:
        is_fleet = self.rows.may_edit(Tenant)
        if not name.strip():
            if label is None or not is_fleet:
                self.add_error("tenant", _("Name a tenant."))
            return None
        tenant = self.rows.choices(Tenant).filter(name__iexact=name.strip()).first()
        if tenant is None:
            text = _("There is no tenant %(name)s that you may change.")
            self.add_error("tenant", text % {"name": name})
        return tenant

    def plans(self) -> list[Plan]:
        """Give what is wanted, once it is valid: pairs of several tenants are a window each."""
        found = self.cleaned_data
        starts_at = found["starts_at"] or timezone.now()
        times = {"starts_at": starts_at, "ends_at": found["ends_at"], "reason": found["reason"]}
        if not self.targets:
            tenant = found["whose"]
            return [
                Plan(tenant_id=tenant.pk if tenant else None, label=found["label_pair"], **times)
            ]
        by_tenant: defaultdict[int, set[int]] = defaultdict(set)
        for target in self.targets:
            by_tenant[target.tenant_id].add(target.pk)
        return [
            Plan(target_ids=frozenset(ids), tenant_id=tenant_id, **times)
            for tenant_id, ids in by_tenant.items()
        ]


def address(target_ids: Sequence[int]) -> str:
    """Give the form of a window for these pairs."""
    query = urlencode([("pair", one) for one in target_ids])
    return f"{reverse('admin:findings_maintenancewindow_add')}?{query}"


def add(request: HttpRequest) -> HttpResponse:
    """Show the form, and save it by POST."""
    rows = rows_of(request)
    if not rows.may_edit(MaintenanceWindow):
        raise PermissionDenied
    targets = _targets(rows, request.GET.getlist("pair"))
    if request.method != "POST":
        first = {"ends_at": moments.typed(timezone.now() + AT_FIRST)}
        return _page(request, rows, WindowForm(rows, targets, initial=first))
    form = WindowForm(rows, targets, request.POST)
    person = request.user
    if form.is_valid() and isinstance(person, User):
        try:
            windows = _start(form.plans(), person)
        except Refused as refused:
            form.add_error(refused.field, _told(refused))
        else:
            messages.success(request, _("Saved. Checks go on; mail about them waits."))
            one = len(windows) == 1
            return HttpResponseRedirect(
                addresses.maintenance(windows[0].pk) if one else addresses.maintenances()
            )
    return _page(request, rows, form)


def _start(plans: Sequence[Plan], person: User) -> list[MaintenanceWindow]:
    now = timezone.now()
    with transaction.atomic():
        return [maintenance.start(plan, person.pk, now) for plan in plans]


def _targets(rows: Rows, ids: Sequence[str]) -> list[Target]:
    mine = rows.editable(Target).filter(pk__in=row_numbers(ids[:MOST_PAIRS]))
    return list(mine.select_related("tenant").order_by("name"))


def _told(refused: Refused) -> Any:
    if refused.in_the_way is None:
        return str(refused)
    link = addresses.maintenance(refused.in_the_way.pk)
    return format_html('{} <a class="pk-link" href="{}">{}</a>', str(refused), link, _("Show it"))


def _page(request: HttpRequest, rows: Rows, form: WindowForm) -> HttpResponse:
    typed = {name: str(form[name].value() or "") for name in form.fields}
    context = {
        "form": form,
        "targets": form.targets,
        "now": timezone.now(),
        "most_hours": fleet_settings().maintenance_hours,
        "may_fleet": rows.may_edit(Tenant),
        "count": _count(rows, typed),
        "opts": MaintenanceWindow._meta,
        "show_back_button": True,
    }
    return page(request, "portal/maintenance/form.html", _("Maintenance"), context)


@scoped_view
def preview(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Answer with how many pairs the window holds for now, for htmx."""
    if not rows.may_edit(MaintenanceWindow):
        raise PermissionDenied
    context = {"count": _count(rows, request.GET)}
    return render(request, "portal/maintenance/preview.html", context)


def _count(rows: Rows, typed: Mapping[str, Any]) -> int | None:
    """Count the pairs of what is typed so far; None while nothing is named."""
    tenant_name = str(typed.get("tenant", "")).strip()
    name, _sign, value = (part.strip() for part in str(typed.get("label", "")).partition("="))
    if not tenant_name and not (name and value):
        return None
    mine = rows.editable(Target).exclude(state=Target.State.ARCHIVED)
    tenant = rows.choices(Tenant).filter(name__iexact=tenant_name).first() if tenant_name else None
    if tenant_name and tenant is None:
        return 0
    return of_scope(mine, tenant.pk if tenant else None, name, value).count()


@scoped_view
def start_now(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Start half an hour of maintenance of one pair, by POST; back to its page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    pair = rows.get(Pair, "target", pk=target_id)
    person = request.user
    if not rows.may_edit(Pair, pair) or not isinstance(person, User):
        raise PermissionDenied
    now = timezone.now()
    ids = frozenset([pair.pk])
    try:
        maintenance.start(Plan(now, now + AT_ONCE, ids, pair.target.tenant_id), person.pk, now)
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, _("Checks go on; mail about this pair waits for 30 minutes."))
    return HttpResponseRedirect(addresses.pair(pair.pk))

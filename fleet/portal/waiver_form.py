"""The form that asks for a waiver, and what that waiver would cover now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checks.catalog import RULES
from checks.remedy import title as rule_title
from fleet.findings import cover
from fleet.findings.models import Finding, Waiver
from fleet.findings.waivers import Ask, Refused, longest
from fleet.inspections import waive
from fleet.people.models import User
from fleet.portal import addresses, ceilings, moments
from fleet.portal.finding_list import SEVERITY_RANK
from fleet.portal.row_numbers import row_number, row_numbers
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.portal.waiver_list import LIVE, WAITING
from fleet.portal.waiver_preview import Preview, preview_of, preview_of_several
from fleet.registry.current import fleet_settings
from fleet.registry.models import FleetSettings, Pair, Target, Tenant

AT_FIRST: Final = timedelta(days=14)
WARNING, CRITICAL = Finding.Severity.WARNING.value, Finding.Severity.CRITICAL.value


# What a form about several findings does not ask for: they say it.
OF_ONE: Final = ("tenant", "pair", "rule_id", "ceiling")
MOST_FINDINGS: Final = 100  # at once
# What the preview is made of.
PREVIEWED: Final = ("tenant", "pair", "rule_id", "severity", "ceiling", "expires_at", "zone")


class WaiverForm(moments.MomentsForm):
    """Who, which rule, how bad, why and until when; every fault is told at its field."""

    tenant = forms.CharField(label=gettext_lazy("Tenant"), max_length=120)
    pair = forms.CharField(
        label=gettext_lazy("Pair"),
        max_length=120,
        required=False,
        help_text=gettext_lazy("Empty: all pairs of the tenant, those to come as well."),
    )
    rule_id = forms.ChoiceField(label=gettext_lazy("Rule"))
    severity = forms.ChoiceField(
        label=gettext_lazy("Covers"),
        choices=[(WARNING, gettext_lazy("Warnings")), (CRITICAL, gettext_lazy("Criticals too"))],
        initial=WARNING,
    )
    ceiling = forms.CharField(
        label=gettext_lazy("Up to a worst value of"), max_length=20, required=False
    )
    kind = forms.ChoiceField(label=gettext_lazy("Kind"), choices=Waiver.Kind.choices)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 3}),
        help_text=gettext_lazy("What somebody reads who finds this in a year. No secrets."),
    )
    expires_at = moments.MomentField(label=gettext_lazy("Ends"))

    def __init__(
        self, rows: Rows, *args: Any, findings: Sequence[Finding] = (), **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.rows, self.findings = rows, findings
        if findings:
            for name in OF_ONE:
                del self.fields[name]
            return
        rules = sorted((rule.id, f"{rule_title(rule)} ({rule.id})") for rule in RULES)
        self.fields["rule_id"].choices = [("", ""), *rules]  # type: ignore[attr-defined]
        for name in PREVIEWED:
            self.fields[name].widget.attrs["data-pk-preview"] = ""

    def clean(self) -> dict[str, Any]:
        """Find what is named among what this person may change, and read the ceiling."""
        cleaned = super().clean()
        if self.findings:
            return cleaned
        tenant = self._tenant(cleaned.get("tenant", ""))
        if tenant is None and "tenant" in cleaned:
            text = _("There is no tenant %(name)s that you may change.")
            self.add_error("tenant", text % {"name": cleaned["tenant"]})
        cleaned["scope"] = (tenant, self._target(tenant, cleaned.get("pair", "")))
        if "rule_id" in cleaned:
            try:
                cleaned["measure"] = ceilings.parse(cleaned["ceiling"], cleaned["rule_id"])
            except ValueError as error:
                self.add_error("ceiling", str(error))
        return cleaned

    def _tenant(self, name: str) -> Tenant | None:
        return self.rows.choices(Tenant).filter(name__iexact=name.strip()).first()

    def _target(self, tenant: Tenant | None, name: str) -> Target | None:
        if tenant is None or not name.strip():
            return None
        mine = self.rows.editable(Target).filter(tenant=tenant)
        target = mine.filter(name__iexact=name.strip()).first()
        if target is None:
            text = _("There is no pair %(name)s of %(tenant)s.")
            self.add_error("pair", text % {"name": name, "tenant": tenant.name})
        return target

    def asks(self) -> list[Ask]:
        """Give what is asked for, once it is valid: of several findings, each rule on its own pair."""
        found = self.cleaned_data
        said = {name: found[name] for name in ("severity", "kind", "reason", "expires_at")}
        if self.findings:
            return [
                Ask(one.rule_id, one.target.tenant_id, one.target_id, **said)
                for one in self.findings
            ]
        tenant, target = found["scope"]
        target_id, ceiling = target.pk if target else None, found["measure"]
        return [Ask(found["rule_id"], tenant.pk, target_id, ceiling=ceiling, **said)]


def add(request: HttpRequest) -> HttpResponse:
    """Show the empty form, or one that begins with a finding, a pair or a waiver; save it by POST."""
    rows = rows_of(request)
    if not rows.may_edit(Waiver):
        raise PermissionDenied
    renews, findings = _renewed(rows, request.GET), _several(rows, request.GET)
    if request.method != "POST":
        first = _first(rows, request, renews)
        return _page(request, WaiverForm(rows, initial=first, findings=findings), renews)
    form = WaiverForm(rows, _posted(request.POST, renews), findings=findings)
    person = request.user
    if form.is_valid() and isinstance(person, User):
        try:
            waivers = _request(form.asks(), person, renews)
        except Refused as refused:
            known = refused.field if refused.field in form.fields else None
            form.add_error(known, _told(refused))
        else:
            messages.success(request, _said(waivers[0]))
            one = len(waivers) == 1
            view = LIVE if waivers[0].approved_at else WAITING
            return HttpResponseRedirect(
                addresses.waiver(waivers[0].pk) if one else addresses.waivers(view)
            )
    return _page(request, form, renews)


def _request(asks: Sequence[Ask], person: User, renews: Waiver | None) -> list[Waiver]:
    """Ask for all of them or, where one is refused, for none."""
    now = timezone.now()
    with transaction.atomic():
        return [waive.request(ask, person.pk, now, renews) for ask in asks]


def address(finding_ids: Sequence[int]) -> str:
    """Give the form about these findings."""
    query = urlencode([("finding", one) for one in finding_ids])
    return f"{reverse('admin:findings_waiver_add')}?{query}"


def _several(rows: Rows, query: QueryDict) -> list[Finding]:
    """Find the open findings that the form is about, where there are more than one."""
    ids = row_numbers(query.getlist("finding")[:MOST_FINDINGS])
    if len(ids) < 2:
        return []
    found = rows.editable(Finding).filter(cover.COUNTED, pk__in=ids)
    return list(found.select_related("target__tenant").order_by(SEVERITY_RANK, "rule_id", "pk"))


@scoped_view
def preview(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Answer with what the waiver would cover now, for htmx."""
    if not rows.may_edit(Waiver):
        raise PermissionDenied
    return render(
        request, "portal/waivers/preview.html", {"preview": preview_of(rows, request.GET)}
    )


def preview_of_waiver(rows: Rows, waiver: Waiver) -> Preview | None:
    """Say what a waiver that waits would cover now; None to who may not change its tenant's."""
    return preview_of(rows, _of_waiver(waiver))


def _renewed(rows: Rows, query: QueryDict) -> Waiver | None:
    number = query.get("renew", "")
    if not number:
        return None
    waiver = rows.get(Waiver, "tenant", "target", pk=row_number(number))
    if not rows.may_edit(Waiver, waiver):
        raise PermissionDenied
    return waiver


def _posted(post: QueryDict, renews: Waiver | None) -> QueryDict:
    """Take what was posted; of a renewal, rule and scope are those of what it renews."""
    data = post.copy()
    if renews:
        data["tenant"], data["rule_id"] = renews.tenant.name, renews.rule_id
        data["pair"] = renews.target.name if renews.target else ""
    return data


def _first(rows: Rows, request: HttpRequest, renews: Waiver | None) -> dict[str, Any]:
    """Give what the form begins with."""
    settings, now = fleet_settings(), timezone.now()
    query = request.GET
    if renews:
        first = _of_waiver(renews)
    elif len(query.getlist("finding")) > 1:
        first = {"severity": CRITICAL}
    elif number := row_number(query.get("finding", "")):
        first = _of_finding(rows.get(Finding, "target__tenant", pk=number))
    elif number := row_number(query.get("pair", "")):
        first = _of_pair(rows.get(Pair, "target__tenant", "target__pair_state", pk=number))
    else:
        first = {"tenant": query.get("tenant", ""), "rule_id": query.get("rule", "")}
    cap = longest(first.get("severity", WARNING), settings)
    first["expires_at"] = moments.typed(now + min(AT_FIRST, cap))
    return first


def _of_waiver(waiver: Waiver) -> dict[str, Any]:
    return {
        "tenant": waiver.tenant.name,
        "pair": waiver.target.name if waiver.target else "",
        "rule_id": waiver.rule_id,
        "severity": waiver.severity,
        "ceiling": ceilings.shown(waiver.ceiling, waiver.rule_id),
        "kind": waiver.kind,
        "reason": waiver.reason,
    }


def _of_finding(finding: Finding) -> dict[str, Any]:
    is_critical = finding.severity == CRITICAL
    return {
        "tenant": finding.target.tenant.name,
        "pair": finding.target.name,
        "rule_id": finding.rule_id,
        "severity": CRITICAL if is_critical else WARNING,
    }


def _of_pair(pair: Pair) -> dict[str, Any]:
    state = getattr(pair.target, "pair_state", None)
    return {
        "tenant": pair.target.tenant.name,
        "pair": pair.target.name,
        "rule_id": state.worst_rule_id if state else "",
        "severity": CRITICAL if state and state.critical_count else WARNING,
    }


def _told(refused: Refused) -> Any:
    if refused.in_the_way is None:
        return str(refused)
    link = addresses.waiver(refused.in_the_way.pk)
    words = _("Waiver #%(number)d") % {"number": refused.in_the_way.pk}
    return format_html('{} <a class="pk-link" href="{}">{}</a>', str(refused), link, words)


def _said(waiver: Waiver) -> str:
    if waiver.approved_at is None:
        return _("Asked for: it waits until somebody else approves it.")
    return _("Waived. What it covers is counted apart from now on.")


def _page(request: HttpRequest, form: WaiverForm, renews: Waiver | None) -> HttpResponse:
    settings, now = fleet_settings(), timezone.now()
    chosen = {name: str(form[name].value() or "") for name in form.fields}
    context = {
        "form": form,
        "renews": renews,
        "now": now,
        "caps": _caps(settings, now),
        "second_person": settings.second_person,
        "preview": _preview(form, chosen),
        "opts": Waiver._meta,
        "show_back_button": True,
    }
    title = _("Renew a waiver") if renews else _("Waive a rule")
    return page(request, "portal/waivers/form.html", title, context)


def _caps(settings: FleetSettings, now: datetime) -> list[tuple[str, int, datetime]]:
    """Give each severity's longest time, in days, and the latest instant it allows now."""
    caps = [(one, longest(one, settings)) for one in (WARNING, CRITICAL)]
    return [(severity, cap.days, now + cap) for severity, cap in caps]


def _preview(form: WaiverForm, chosen: Mapping[str, Any]) -> Preview | None:
    if form.findings:
        return preview_of_several(form.findings, str(chosen.get("severity", "")))
    return preview_of(form.rows, chosen)

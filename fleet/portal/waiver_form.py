"""The form that asks for a waiver, and what that waiver would cover now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checks.catalog import BY_ID, RULES
from checks.remedy import title as rule_title
from fleet.findings import cover
from fleet.findings.cover import UP_TO
from fleet.findings.models import Finding, Waiver
from fleet.findings.waivers import Ask, Refused, longest
from fleet.inspections import waive
from fleet.people.models import User
from fleet.portal import addresses, ceilings, moments
from fleet.portal.finding_list import SEVERITY_RANK
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.registry.current import fleet_settings
from fleet.registry.models import FleetSettings, Pair, Target, Tenant

SHOWN: Final = 20
AT_FIRST: Final = timedelta(days=14)
WARNING, CRITICAL = Finding.Severity.WARNING.value, Finding.Severity.CRITICAL.value


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

    def __init__(self, rows: Rows, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows = rows
        rules = sorted((rule.id, f"{rule_title(rule)} ({rule.id})") for rule in RULES)
        self.fields["rule_id"].choices = [("", ""), *rules]  # type: ignore[attr-defined]
        for name in PREVIEWED:
            self.fields[name].widget.attrs["data-pk-preview"] = ""

    def clean(self) -> dict[str, Any]:
        """Find what is named among what this person may change, and read the ceiling."""
        cleaned = super().clean()
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

    @property
    def ask(self) -> Ask:
        """Give what is asked for, once it is valid."""
        found = self.cleaned_data
        tenant, target = found["scope"]
        return Ask(
            rule_id=found["rule_id"],
            tenant_id=tenant.pk,
            target_id=target.pk if target else None,
            severity=found["severity"],
            kind=found["kind"],
            reason=found["reason"],
            expires_at=found["expires_at"],
            ceiling=found["measure"],
        )


@dataclass(frozen=True)
class Match:
    """One finding of the rule and scope, and why it would not be covered ("" where it would)."""

    finding: Finding
    why_not: str


@dataclass(frozen=True)
class Preview:
    """What a waiver would cover now; `words` say what is missing to tell."""

    matches: list[Match]
    covered_count: int
    left_count: int
    pairs_url: str
    ends: str
    unit: str
    worst: str
    is_measured: bool

    @property
    def is_cut(self) -> bool:
        """Tell whether there are more than are listed."""
        return self.covered_count + self.left_count > len(self.matches)


def add(request: HttpRequest) -> HttpResponse:
    """Show the empty form, or one that begins with a finding, a pair or a waiver; save it by POST."""
    rows = rows_of(request)
    if not rows.may_edit(Waiver):
        raise PermissionDenied
    renews = _renewed(rows, request.GET)
    if request.method != "POST":
        return _page(request, rows, WaiverForm(rows, initial=_first(rows, request, renews)), renews)
    form = WaiverForm(rows, _posted(request.POST, renews))
    person = request.user
    if form.is_valid() and isinstance(person, User):
        try:
            waiver = waive.request(form.ask, person.pk, timezone.now(), renews)
        except Refused as refused:
            form.add_error(refused.field or None, _told(refused))
        else:
            messages.success(request, _said(waiver))
            return HttpResponseRedirect(addresses.waiver(waiver.pk))
    return _page(request, rows, form, renews)


@scoped_view
def preview(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Answer with what the waiver would cover now, for htmx."""
    if not rows.may_edit(Waiver):
        raise PermissionDenied
    return render(request, "portal/waivers/preview.html", {"preview": _preview(rows, request.GET)})


def preview_of(rows: Rows, waiver: Waiver) -> Preview | None:
    """Say what a waiver that waits would cover now; None to who may not change its tenant's."""
    return _preview(rows, _of_waiver(waiver))


def _renewed(rows: Rows, query: QueryDict) -> Waiver | None:
    number = query.get("renew", "")
    if not number:
        return None
    pk = int(number) if number.isdecimal() and len(number) < 18 else 0
    waiver = rows.get(Waiver, "tenant", "target", pk=pk)
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
    elif query.get("finding", "").isdecimal():
        first = _of_finding(rows.get(Finding, "target__tenant", pk=int(query["finding"])))
    elif query.get("pair", "").isdecimal():
        first = _of_pair(rows.get(Pair, "target__tenant", "target__pair_state", pk=query["pair"]))
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


def _page(
    request: HttpRequest, rows: Rows, form: WaiverForm, renews: Waiver | None
) -> HttpResponse:
    settings, now = fleet_settings(), timezone.now()
    chosen = {name: str(form[name].value() or "") for name in form.fields}
    context = {
        "form": form,
        "renews": renews,
        "now": now,
        "caps": _caps(settings, now),
        "second_person": settings.second_person,
        "preview": _preview(rows, chosen),
        "opts": Waiver._meta,
        "show_back_button": True,
    }
    title = _("Renew a waiver") if renews else _("Waive a rule")
    return page(request, "portal/waivers/form.html", title, context)


def _caps(settings: FleetSettings, now: datetime) -> list[tuple[str, int, datetime]]:
    """Give each severity's longest time, in days, and the latest instant it allows now."""
    caps = [(one, longest(one, settings)) for one in (WARNING, CRITICAL)]
    return [(severity, cap.days, now + cap) for severity, cap in caps]


def _preview(rows: Rows, typed: Mapping[str, Any]) -> Preview | None:
    """Match what is typed so far with the open findings; None while scope or rule are not known."""
    found = _matching(rows, typed)
    rule_id, severity = str(typed.get("rule_id", "")), str(typed.get("severity", ""))
    if found is None or severity not in UP_TO:
        return None
    try:
        ceiling = ceilings.parse(str(typed.get("ceiling", "")), rule_id)
    except ValueError:
        ceiling = None
    covered_count = found.filter(cover.within(severity, ceiling)).count()
    listed = found.select_related("target__tenant", "waiver").order_by(SEVERITY_RANK, "pk")
    matches = [Match(one, _why_not(one, severity, ceiling)) for one in listed[:SHOWN]]
    one = ceilings.scale_of(rule_id)
    worst = max((m.finding.worst_measure or 0.0 for m in matches), default=None)
    return Preview(
        matches=matches,
        covered_count=covered_count,
        left_count=found.count() - covered_count,
        pairs_url=addresses.findings(rule=rule_id),
        ends=_ends(typed),
        unit=ceilings.unit_of(one) if one else "",
        worst=ceilings.shown(worst, rule_id) if matches else "",
        is_measured=one is not None,
    )


def _matching(rows: Rows, typed: Mapping[str, Any]) -> QuerySet[Finding] | None:
    """Give the open findings of the rule and scope that are typed; None while one is not known."""
    rule_id = str(typed.get("rule_id", ""))
    tenant_name, pair_name = (str(typed.get(name, "")).strip() for name in ("tenant", "pair"))
    tenant = rows.choices(Tenant).filter(name__iexact=tenant_name).first() if tenant_name else None
    if rule_id not in BY_ID or tenant is None:
        return None
    found = rows.of(Finding).filter(
        rule_id=rule_id, target__tenant=tenant, state=Finding.State.OPEN
    )
    if pair_name:
        found = found.filter(target__name__iexact=pair_name)
    return found.exclude(target__state=Target.State.ARCHIVED)


def _ends(typed: Mapping[str, Any]) -> str:
    """Write when it would end, in the person's time zone and in UTC; "" while that is not known."""
    zone = moments.zone_named(str(typed.get("zone", "")))
    try:
        return moments.both(moments.read(str(typed.get("expires_at", "")), zone))
    except forms.ValidationError:
        return ""


def _why_not(finding: Finding, severity: str, ceiling: float | None) -> str:
    if finding.severity not in UP_TO[severity]:
        return _("critical")
    if ceiling is None or (finding.worst_measure is not None and finding.worst_measure <= ceiling):
        return ""
    worst = ceilings.shown(finding.worst_measure, finding.rule_id)
    return _("its worst value is %(worst)s") % {"worst": worst or _("not known")}

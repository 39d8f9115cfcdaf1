"""How a pair, or each pair of a tenant, stood at a past instant: as the record was."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checks.catalog import BY_ID
from checks.remedy import title as title_of
from checks.rule import Severity
from fleet.findings.past import Was
from fleet.history.idle import idle_since, told_from
from fleet.inspections.past import Stood, stood_at
from fleet.portal import addresses, moments
from fleet.portal.chart_answers import cell
from fleet.portal.marks import COMPLIANCE_ORDER
from fleet.portal.moments import MomentField, MomentsForm
from fleet.portal.over_time import frame, tenant_of
from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Target, Tenant
from fleet.registry.past import Known, known_at

AT_FIRST = timedelta(days=7)
MOST_SHOWN = 50
IN_ORDER = [one.value for one in (Severity.CRITICAL, Severity.WARNING, Severity.INFO)]


class InstantForm(MomentsForm):
    """An instant, and the tenant by its name; none where a pair is asked for."""

    at = MomentField(label=gettext_lazy("At"))
    tenant = forms.CharField(label=gettext_lazy("Tenant"), required=False, max_length=120)

    def __init__(self, rows: Rows, target: Target | None, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.rows, self.target = rows, target

    def clean_tenant(self) -> Tenant | None:
        """Find the tenant among those that this person may see."""
        name = self.cleaned_data["tenant"].strip()
        if self.target is not None:
            return None
        found = self.rows.of(Tenant).filter(name__iexact=name).first() if name else None
        if found is None:
            text = (
                _("There is no tenant %(name)s that you may see.") if name else _("Name a tenant.")
            )
            raise forms.ValidationError(text % {"name": name} if name else text)
        return found

    def clean(self) -> dict[str, Any]:
        """Refuse what is still to come."""
        cleaned = super().clean()
        at, now = cleaned.get("at"), timezone.now()
        if at is not None and at > now:
            text = _("%(at)s has not come yet: it is %(now)s.")
            self.add_error("at", text % {"at": moments.both(at), "now": moments.both(now)})
        return cleaned


@dataclass(frozen=True)
class Finding:
    """A finding that was open then."""

    was: Was
    title: str

    @property
    def url(self) -> str:
        """Where it is told in full."""
        return addresses.finding(self.was.finding_id)


@dataclass(frozen=True)
class Line:
    """One pair then. Compliance of "" is not on record."""

    target_id: int
    known: Known
    stood: Stood

    @property
    def is_counted(self) -> bool:
        """Tell whether it counts in shares; a paused one does, as it was read last."""
        return self.known.state != Target.State.ARCHIVED

    @property
    def is_paused(self) -> bool:
        """Tell whether nobody looked at it then."""
        return self.known.state == Target.State.PAUSED

    @property
    def findings(self) -> list[Finding]:
        """What was open, the gravest first."""
        ordered = sorted(
            self.stood.open, key=lambda one: (IN_ORDER.index(one.severity), one.rule_id)
        )
        return [
            Finding(was, title_of(BY_ID[was.rule_id]) if was.rule_id in BY_ID else was.rule_id)
            for was in ordered
        ]

    @property
    def url(self) -> str:
        """Where the pair is told as it is now."""
        return addresses.pair(self.target_id)


@dataclass(frozen=True)
class Told:
    """All that was asked for: lines of the pairs that count, the worst first."""

    at: datetime
    lines: list[Line]
    archived: list[Line]
    idle_since: datetime | None  # the portal visited nobody from then on until that instant
    told_from: datetime | None  # from when on that is on record at all

    @property
    def is_untold(self) -> bool:
        """Tell whether nobody knows any more if anybody looked then: that goes with the days."""
        return self.told_from is not None and self.at < self.told_from

    @property
    def pairs_count(self) -> int:
        """How many count."""
        return len(self.lines)

    @property
    def counts(self) -> list[tuple[str, int]]:
        """How many stood how, the worst first."""
        found = Counter(line.stood.compliance for line in self.lines)
        return [(state, found[state]) for state in COMPLIANCE_ORDER]

    @property
    def unknown_count(self) -> int:
        """How many are not on record."""
        return sum(not line.stood.compliance for line in self.lines)

    @property
    def compliant_count(self) -> int:
        """How many complied, with waivers."""
        return sum(line.stood.compliance == "compliant" for line in self.lines)

    @property
    def raw_count(self) -> int:
        """How many complied as if nothing had been waived."""
        return sum(line.stood.raw_compliance == "compliant" for line in self.lines)


@scoped_view
def show(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Show the form, and what it asks for."""
    target = _target(request, rows)
    tenant = None if target else tenant_of(request, rows)
    form = _form(request, rows, target, tenant)
    told = None
    if form.is_bound and form.is_valid():
        tenant = form.cleaned_data["tenant"] or tenant
        told = _told(rows, form.cleaned_data["at"], target, tenant)
    if told and "csv" in request.GET:
        return _as_csv(told)
    values = {
        **frame(None if target else tenant, "instant"),
        "csv_query": f"{request.GET.urlencode()}&csv=1",
        "form": form,
        "target": target,
        "told": told,
        "shown": told.lines[:MOST_SHOWN] if told else [],
        "now": timezone.now(),
    }
    return page(request, "portal/trends/instant.html", _("Compliance at a past instant"), values)


def _as_csv(told: Told) -> HttpResponse:
    """Answer with a line for each pair that counts, and all that was open on it."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{told.at:%Y-%m-%dT%H%MZ}.csv"'
    writer = csv.writer(answer)
    writer.writerow(
        ["pair", "compliance", "without_waivers", "health", "open", "waived", "not_checked_then"]
    )
    for line in told.lines:
        stood = line.stood
        by_cover = [
            " ".join(
                f"{was.rule_id}:{was.severity}" for was in stood.open if was.is_waived is covered
            )
            for covered in (False, True)
        ]
        health = stood.lamps.health if stood.lamps else ""
        words = [one or "not on record" for one in (stood.compliance, stood.raw_compliance, health)]
        writer.writerow([cell(line.known.name), *words, *by_cover, _unseen(line, told)])
    return answer


def _unseen(line: Line, told: Told) -> str:
    """Say why nobody looked at a pair then, so that it stands as it did before; "": somebody did."""
    if told.idle_since:
        return f"nobody was checked since {told.idle_since:%Y-%m-%dT%H:%MZ}"
    if line.is_paused:
        return "paused"
    return "not on record" if told.is_untold else ""


def _target(request: HttpRequest, rows: Rows) -> Target | None:
    wanted = request.GET.get("pair", "")
    if not wanted:
        return None
    return rows.get(Target, "tenant", pk=row_number(wanted))


def _form(
    request: HttpRequest, rows: Rows, target: Target | None, tenant: Tenant | None
) -> InstantForm:
    asked = request.GET.dict()
    if tenant is not None:
        asked["tenant"] = tenant.name
    elif "name" in asked:
        asked["tenant"] = asked["name"]
    if "at" in asked:
        return InstantForm(rows, target, asked)
    first = {
        "at": moments.typed(timezone.now() - AT_FIRST),
        "tenant": tenant.name if tenant else "",
    }
    return InstantForm(rows, target, initial=first)


def _told(rows: Rows, at: datetime, target: Target | None, tenant: Tenant | None) -> Told:
    """Tell how those pairs stood that were registered then."""
    if target is not None:
        known = known_at(at, [target.pk])
    else:
        mine = rows.of(Target).filter(tenant=tenant)
        known = known_at(at, list(mine.values_list("pk", flat=True)))
    stood = stood_at(at, known.keys())
    lines = sorted((Line(pk, was, stood[pk]) for pk, was in known.items()), key=_worst_first)
    return Told(
        at,
        [line for line in lines if line.is_counted],
        [line for line in lines if not line.is_counted],
        idle_since(at, timezone.now()),
        told_from(),
    )


def _worst_first(line: Line) -> tuple[int, int, str]:
    order = ["non_compliant", "at_risk", "unverified", "", "compliant"]
    return order.index(line.stood.compliance), -len(line.stood.open), line.known.name

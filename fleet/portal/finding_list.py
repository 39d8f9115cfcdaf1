"""The finding list: its cells, its views and its chips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from django.contrib import admin
from django.contrib.admin.views.main import ORDER_VAR
from django.db.models import Case, F, IntegerField, QuerySet, Value, When
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.alerts.models import Mail
from fleet.findings.models import Finding
from fleet.portal import addresses, facets, figures, marks
from fleet.portal.conditions import conditions
from fleet.portal.moves import THIS_WEEK
from fleet.portal.row_list import RowList
from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import Rows, rows_of
from fleet.registry.models import Target

SEVERITY_RANK: Final = Case(
    When(severity=Finding.Severity.CRITICAL, then=Value(0)),
    When(severity=Finding.Severity.WARNING, then=Value(1)),
    default=Value(2),
    output_field=IntegerField(),
)
ORDER: Final = (SEVERITY_RANK.asc(), F("opened_at").desc(nulls_last=True), "-pk")
SEVERITIES: Final = ("critical", "warning", "info")
OPEN: Final = Finding.State.OPEN.value
RESOLVED: Final = Finding.State.RESOLVED.value
# What an empty view means, by ?state= and ?since=.
EMPTY: Final = {
    (OPEN, ""): gettext_lazy("No finding is open."),
    (facets.MINE, ""): gettext_lazy(
        "You have taken on no open finding: none that you acknowledged, no waiver that you asked for."
    ),
    (facets.STALE, ""): gettext_lazy("No finding is stale: every open one was judged lately."),
    (facets.WAIVED, ""): gettext_lazy("No finding is waived."),
    ("pending", ""): gettext_lazy(
        "No finding is pending: all that was seen is confirmed, or gone."
    ),
    (RESOLVED, THIS_WEEK): gettext_lazy("No finding was resolved this week."),
    (RESOLVED, ""): gettext_lazy("No finding was resolved yet."),
}


class FindingList(RowList):
    """One page of findings of pairs that are not archived."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: list[str] | None = None
    ) -> QuerySet[Finding]:
        """Leave out archived pairs: nobody looks at them any more."""
        found: QuerySet[Finding] = super().get_queryset(request, exclude_parameters)
        return found.exclude(target__state=Target.State.ARCHIVED)

    def get_ordering(self, request: HttpRequest, queryset: QuerySet[Finding]) -> list[Any]:
        """Put what was resolved last on top of that view, whatever it was: an index knows the order."""
        if request.GET.get("state") == Finding.State.RESOLVED and ORDER_VAR not in self.params:
            return ["-resolved_at", "-pk"]
        ordering: list[Any] = super().get_ordering(request, queryset)
        return ordering


@admin.display(description=gettext_lazy("Severity"), ordering=SEVERITY_RANK)
def severity_cell(finding: Finding) -> SafeString:
    """Show the severity, and below it what is so of a finding that is not simply open."""
    severity = marks.mark(finding.severity)
    now = finding.now  # type: ignore[attr-defined]
    if finding.state == Finding.State.OPEN and finding.waiver:
        severity = marks.waived(finding.severity, finding.waiver.expires_at)
    states = [] if finding.state == Finding.State.OPEN else [finding.state]
    states += [one.mark for one in conditions(finding, now)]
    if not states:
        return severity
    return format_html(
        '<span class="pk-line1">{}</span><span class="pk-line2">{}</span>',
        severity,
        marks.mark(states[0]),
    )


@admin.display(description=gettext_lazy("Finding"), ordering="rule_id")
def finding_cell(finding: Finding) -> SafeString:
    """Link the message; name the rule below."""
    return format_html(
        '<a class="pk-name pk-line1" href="{}">{}</a><span class="pk-line2 pk-mono">{}</span>',
        addresses.finding(finding.pk),
        finding.message,
        finding.rule_id,
    )


@admin.display(description=gettext_lazy("Pair"), ordering="target__name")
def pair_cell(finding: Finding) -> SafeString:
    """Link the pair; tenant and environment below."""
    target = finding.target
    return format_html(
        '<a class="pk-line1" href="{}">{}</a><span class="pk-line2">{} · {}</span>',
        addresses.pair(target.pk),
        target.name,
        target.tenant.name,
        target.environment,
    )


@admin.display(description=gettext_lazy("Observed, required"))
def values_cell(finding: Finding) -> SafeString:
    """Show observed in the severity's colour, required below."""
    is_counted = finding.state == Finding.State.OPEN and finding.waiver_id is None
    return format_html(
        '<span class="pk-line1"><b class="pk-{}">{}</b></span><span class="pk-line2">{}</span>',
        marks.tone(finding.severity) if is_counted else "note",
        finding.observed,
        _("wanted: %(required)s") % {"required": finding.required},
    )


@admin.display(description=gettext_lazy("Age"), ordering="opened_at")
def age_cell(finding: Finding) -> SafeString:
    """Say how long it has been open; of a resolved one, how long ago it returned."""
    at = finding.resolved_at or finding.opened_at or finding.first_seen_at
    age = figures.age(at, finding.now)  # type: ignore[attr-defined]
    if finding.resolved_at is None:
        return format_html('<span class="pk-line1">{}</span>', age)
    ago = figures.ago(at, finding.now)  # type: ignore[attr-defined]
    return format_html('<span class="pk-line1">{}</span>', ago)


def empty(params: Mapping[str, Sequence[str]]) -> Any:
    """Say what an empty view means; "" where nobody wrote it down."""
    state, since = ((params.get(name) or [""])[-1] for name in ("state", "since"))
    return EMPTY.get((state or OPEN, since), "")


def chips(request: HttpRequest) -> dict[str, Any]:
    """Give the views, a chip for each severity of the one that is open, and the mail a link named."""
    rows = rows_of(request)
    found = facets.finding_facets(rows)
    mail = _mail(rows, request.GET.get("mail") or "")
    state = request.GET.get("state") or ("" if mail else OPEN)
    view = (state, request.GET.get("since") or "")
    narrowed = {name for name in request.GET if name in addresses.FINDING_FILTERS} - {"state"}
    return {
        "views": [_view(one, found, view) for one in _views(view)],
        "mail": mail,
        "mail_url": mail and addresses.mail(mail.pk),
        "severities": [
            {
                "severity": severity,
                "count": found.count(state, severity),
                "url": addresses.findings(state=state, severity=severity),
                "is_current": narrowed == {"severity"} and request.GET["severity"] == severity,
            }
            for severity in SEVERITIES
            if state in COUNTS
        ],
        "is_narrowed": bool(narrowed),
    }


View = tuple[str, str]  # ?state= and ?since=
WORDS: Final[Mapping[View, Any]] = {
    (OPEN, ""): gettext_lazy("Open"),
    (facets.MINE, ""): gettext_lazy("Mine"),
    (facets.STALE, ""): gettext_lazy("Stale"),
    (facets.WAIVED, ""): gettext_lazy("Waived"),
    (Finding.State.PENDING.value, ""): gettext_lazy("Pending"),
    (RESOLVED, THIS_WEEK): gettext_lazy("Resolved this week"),
}
COUNTS: Final = {OPEN, facets.STALE, facets.WAIVED, Finding.State.PENDING.value}


def _views(current: View) -> list[View]:
    """Give the views that are always offered; all that was resolved where somebody looks at it."""
    older = (RESOLVED, "")
    return [*WORDS, older] if current == older else [*WORDS]


def _view(view: View, found: facets.FindingFacets, current: View) -> dict[str, Any]:
    state, since = view
    return {
        "word": WORDS.get(view) or Finding.State(state).label,
        "count": found.count(state) if state in COUNTS else None,
        "url": addresses.findings(state=state, since=since),
        "is_current": view == current,
    }


def _mail(rows: Rows, number: str) -> Mail | None:
    """Give the mail that the list is narrowed to, where this person may see it."""
    return rows.of(Mail).filter(pk=row_number(number)).only("subject", "sent_at", "made_at").first()

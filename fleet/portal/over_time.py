"""The fleet and its tenants over time: the page, and the JSON, tables and CSV of its charts."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final

from django.db.models import Max, Sum
from django.db.models.functions import TruncDay
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from fleet.history.models import FleetHour, ScoreDay
from fleet.history.trend import Pace
from fleet.inspections.terms import terms
from fleet.portal import addresses, fleet_charts, score_charts
from fleet.portal.chart import Chart
from fleet.portal.chart_answers import as_csv, by_instant, drawn, gaps_in_words, told
from fleet.portal.events import Event, policy_events
from fleet.portal.fleet_charts import Worst
from fleet.portal.movers import SPANS, WEEK, movers
from fleet.portal.ranges import BY_NAME, Range, as_kept, kept_words
from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.portal.score_charts import MOST_RULES, Day
from fleet.portal.trends import LEAST_SHOWN
from fleet.registry.models import Tenant
from fleet.registry.policies import FLEET
from fleet.registry.scoping import EVERYTHING

RANGES: Final = tuple(replace(BY_NAME[name], pace=Pace.DAY) for name in ("30d", "90d", "2y"))
CHOSEN: Final = RANGES[1]
COUNTS: Final = tuple(Day.__dataclass_fields__)[1:-1]


@dataclass(frozen=True)
class Shown:
    """The charts of one range, of the whole of what a person sees or of one tenant."""

    tenant: Tenant | None
    range: Range
    since: datetime
    until: datetime
    charts: list[Chart]
    kept: str  # what retention took from the range, in words

    def chart(self, name: str) -> Chart:
        """Give one chart; Http404 for a name that is none."""
        found = next((one for one in self.charts if one.name == name), None)
        if found is None:
            raise Http404(f"no chart {name}")
        return found


@scoped_view
def show(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Show the charts' frame, and what changed since ?since=, one of SPANS."""
    tenant, now = tenant_of(request, rows), timezone.now()
    wanted = request.GET.get("since", "")
    span = next((one for one in SPANS if one.name == wanted), WEEK)
    values = {
        **frame(tenant, "over_time"),
        "ranges": RANGES,
        "chosen": CHOSEN,
        "rule_charts": [f"rule-{number}" for number in range(MOST_RULES)],
        "has_hours": tenant is None and rows.may_see(FleetHour),
        "movers": movers(rows, tenant, now, span),
        "spans": SPANS,
        "now": now,
    }
    return page(request, "portal/trends/over_time.html", title(tenant), values)


@scoped_view
def data(request: HttpRequest, rows: Rows) -> JsonResponse:
    """Answer with the charts of ?range=; with ?only=compliance that one alone."""
    shown = _shown(request, rows)
    happened = _events(rows, shown)
    first = [one.points[0][0] for chart in shown.charts for one in chart.series if one.points]
    latest = (shown.until - LEAST_SHOWN[Pace.DAY]).timestamp()
    return JsonResponse(
        {
            "from": max(shown.since.timestamp(), min([*first, latest])),
            "to": shown.until.timestamp(),
            "pace": shown.range.pace.value,
            "time_zone": "UTC",
            "words": {
                "none": _("No score in this time."),
                "rules": _rules_words(shown),
                "starts": _("Axis starts at"),
                "kept": shown.kept,
            },
            "charts": [drawn(chart, happened) for chart in shown.charts],
            "events": [told(event) for event in reversed(happened)],
        }
    )


@scoped_view
def table(request: HttpRequest, rows: Rows, name: str) -> HttpResponse:
    """Answer with one chart as a table, newest day first, for htmx."""
    shown = _shown(request, rows)
    chart = shown.chart(name)
    lines = [
        (at, ["–" if value is None else chart.write(value) for value in values])
        for at, values in reversed(by_instant(chart.series))
    ]
    values = {"chart": chart, "lines": lines, "gaps": gaps_in_words(chart), "kept": shown.kept}
    return render(request, "portal/trends/day_table.html", values)


def _rules_words(shown: Shown) -> str:
    """Say why no rule has a chart."""
    found = next((one for one in shown.charts if one.name == "severities"), None)
    if found is None or not found.series[0].points:
        return _("What was open in this time is not on record.")
    return _("No rule had an open finding at the end of any of these days.")


@scoped_view
def export(request: HttpRequest, rows: Rows, name: str) -> HttpResponse:
    """Answer with one chart as CSV."""
    shown = _shown(request, rows)
    whose = f"tenant-{shown.tenant.pk}" if shown.tenant else "fleet"
    return as_csv(shown.chart(name), f"{whose}-{name}-{shown.range.name}")


def tenant_of(request: HttpRequest, rows: Rows) -> Tenant | None:
    """Give the tenant of ?tenant=; Http404 for one that is not theirs to see."""
    wanted = request.GET.get("tenant", "")
    if not wanted:
        return None
    return rows.get(Tenant, pk=row_number(wanted))


def title(tenant: Tenant | None) -> str:
    """Name the page."""
    return _("Trends of %(tenant)s") % {"tenant": tenant.name} if tenant else _("Trends")


def frame(tenant: Tenant | None, view: str) -> dict[str, Any]:
    """Give what the head and the tabs of every view of trends need."""
    return {
        "tenant": tenant,
        "query": f"?tenant={tenant.pk}" if tenant else "",
        "pairs_url": addresses.pairs(tenant=tenant.pk) if tenant else "",
        "view": view,
    }


def _shown(request: HttpRequest, rows: Rows) -> Shown:
    tenant = tenant_of(request, rows)
    name = request.GET.get("range", "")
    asked = next((one for one in RANGES if one.name == name), CHOSEN)
    chosen = as_kept(asked, terms().hourly_days, terms().daily_days)
    until = timezone.now()
    since = until - chosen.span
    found = days(rows, tenant, since)
    if request.GET.get("only") == "compliance":
        charts = [score_charts.compliance(found, until.timestamp())]
    else:
        charts = score_charts.charts(found, until.timestamp())
        charts += _of_hours(rows, tenant, since, until)
    return Shown(tenant, chosen, since, until, charts, kept_words(asked, chosen))


def days(rows: Rows, tenant: Tenant | None, since: datetime) -> list[Day]:
    """Give each day's score of a tenant, or of all that this person sees. One query."""
    scores = rows.of(ScoreDay).filter(day__gte=since.astimezone(UTC).date())
    if tenant is not None:
        scores = scores.filter(tenant=tenant)
    elif rows.seen == EVERYTHING:
        scores = scores.filter(tenant=None)  # the fleet's own row: nothing to add up
    else:
        return _added_up(scores)
    return [
        Day(*row) for row in scores.order_by("day").values_list("day", *COUNTS, "open_findings")
    ]


def _of_hours(rows: Rows, tenant: Tenant | None, since: datetime, until: datetime) -> list[Chart]:
    """Draw the fleet's hourly figures, for who sees the fleet: they are of no tenant. One query."""
    if tenant is not None or not rows.may_see(FleetHour):
        return []
    names = Worst._fields[1:]
    hours = rows.of(FleetHour).filter(at__gte=since)
    by_day = hours.annotate(day=TruncDay("at", tzinfo=UTC)).order_by("day").values("day")
    worst = {f"worst_{name}": Max(name) for name in names}
    found: Any = by_day.annotate(**worst).values_list("day", *worst)
    policy = terms().policies.laid((FLEET,))
    return fleet_charts.charts([Worst(*row) for row in found], policy, until.timestamp())


def _added_up(scores: Any) -> list[Day]:
    """Add up the scores of several tenants. Two queries."""
    sums = (
        scores.order_by("day")
        .values("day")
        .annotate(**{f"all_{name}": Sum(name) for name in COUNTS})
    )
    found: dict[Any, dict[str, list[int]]] = {}
    for day, open_findings in scores.values_list("day", "open_findings"):
        if open_findings is None:
            continue
        of_day = found.setdefault(day, {})
        for rule_id, counts in open_findings.items():
            before = of_day.get(rule_id, [0, 0, 0])
            of_day[rule_id] = [one + more for one, more in zip(before, counts, strict=True)]
    return [
        Day(
            day=row["day"],
            open_findings=found.get(row["day"]),
            **{name: row[f"all_{name}"] for name in COUNTS},
        )
        for row in sums
    ]


def _events(rows: Rows, shown: Shown) -> list[Event]:
    return policy_events(rows, shown.tenant, shown.since, shown.until)

"""The trends of one pair: JSON for the charts, and each chart as a table or as CSV."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import inf
from typing import Any, Final

from django.db.models import Q
from django.db.models.functions import Coalesce
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from checks.policy import Policy
from checks.rule import Cadence
from fleet.backups.facts import GOOD
from fleet.backups.models import Artefact
from fleet.history.idle import idle
from fleet.history.trend import Pace, rolled, trend
from fleet.inspections.models import PairState
from fleet.inspections.terms import terms
from fleet.portal.backup_charts import Copied, Kept
from fleet.portal.backup_charts import charts as backup_charts
from fleet.portal.chart import Chart, Points
from fleet.portal.chart_answers import as_csv, drawn, gaps_in_words, told
from fleet.portal.charts import Reading, Rest, charts, columns
from fleet.portal.events import Event, events
from fleet.portal.pair_page import policy_of
from fleet.portal.ranges import BY_NAME, RANGES, Range, as_kept, kept_words
from fleet.portal.scoped_admin import Rows, scoped_view
from fleet.portal.standstills import standstills
from fleet.registry.models import Pair, Target
from fleet.registry.past import Stretch, course_of

HOUR_S: Final = 3600
LEAST_SHOWN: Final = {
    Pace.VISIT: timedelta(minutes=15),
    Pace.HOUR: timedelta(hours=6),
    Pace.DAY: timedelta(days=7),  # fewer would be told in hours
}
BEFORE: Final = 20  # copies before a time, of which the newest content counts


@dataclass(frozen=True)
class Shown:
    """One pair's charts over one range."""

    pair: Pair
    range: Range
    since: datetime
    until: datetime
    charts: list[Chart]
    events: list[Event]
    kept: str  # what retention took from the range, in words

    def chart(self, name: str) -> Chart:
        """Give one chart; Http404 for a name that is none."""
        found = next((one for one in self.charts if one.name == name), None)
        if found is None:
            raise Http404(f"no chart {name}")
        return found


@scoped_view
def data(request: HttpRequest, rows: Rows, target_id: int) -> JsonResponse:
    """Answer with the charts of ?range=, one of RANGES."""
    shown = _shown(request, rows, target_id)
    return JsonResponse(
        {
            "from": _begin(shown),
            "to": shown.until.timestamp(),
            "pace": shown.range.pace.value,
            "time_zone": timezone.get_current_timezone_name(),
            "words": {"none": _nothing(shown), "kept": shown.kept},
            "charts": [drawn(chart, shown.events) for chart in shown.charts],
            "events": [told(event) for event in reversed(shown.events)],
        }
    )


@scoped_view
def table(request: HttpRequest, rows: Rows, target_id: int, name: str) -> HttpResponse:
    """Answer with one chart as a table, newest first, for htmx: visits by the hour, else a point a row."""
    shown = _shown(request, rows, target_id)
    chart = shown.chart(name)
    lines = _lines(chart, HOUR_S if shown.range.pace is Pace.VISIT else 0)
    values = {
        "chart": chart,
        "lines": lines,
        "gaps": gaps_in_words(chart),
        "is_daily": shown.range.pace is Pace.DAY,
        "kept": shown.kept,
    }
    return render(request, "portal/pairs/trend_table.html", values)


@scoped_view
def export(request: HttpRequest, rows: Rows, target_id: int, name: str) -> HttpResponse:
    """Answer with one chart as CSV: an instant (ISO, UTC) and a value per line, as shown."""
    shown = _shown(request, rows, target_id)
    chart = shown.chart(name)
    return as_csv(chart, f"{shown.pair.target_id}-{chart.name}-{shown.range.name}")


def _shown(request: HttpRequest, rows: Rows, target_id: int) -> Shown:
    pair = rows.get(Pair, "target__pair_state", "target__zone", pk=target_id)
    asked = BY_NAME.get(request.GET.get("range", ""), RANGES[0])
    chosen = as_kept(asked, terms().hourly_days, terms().daily_days)
    until = timezone.now()
    since = until - chosen.span
    course, policy = course_of(target_id, until), policy_of(pair.target)
    rests = _rests(course, pair.target.zone.slug, chosen, since, until)
    read = _read(pair, chosen, rests, since, until)
    return Shown(
        pair,
        chosen,
        since,
        until,
        [*charts(read, policy), *_backups(rows, pair, policy, chosen.pace, since, until)],
        events(rows, pair.target, course, since, until),
        kept_words(asked, chosen),
    )


def _rests(
    course: list[Stretch], zone: str, chosen: Range, since: datetime, until: datetime
) -> list[Rest]:
    """Give when this pair was paused or archived, and when nobody could look. Two queries at most."""
    why = {"paused": _("paused"), "archived": _("archived")}
    ends = [*(one.at for one in course[1:]), until]
    rests = [
        Rest(one.at.timestamp(), end.timestamp(), why[one.state])
        for one, end in zip(course, ends, strict=False)
        if one.state in why
    ]
    down = _("portal down, no pair checked")
    found = [(*hours, down) for hours in idle(since, until, chosen.pace)]
    if chosen.pace is not Pace.DAY:  # a day's gap is of days
        found += standstills(zone, since, until)
    return rests + [Rest(begin.timestamp(), end.timestamp(), why) for begin, end, why in found]


def _nothing(shown: Shown) -> str:
    """Say what a chart without a reading says: why, where that is known."""
    state: PairState | None = getattr(shown.pair.target, "pair_state", None)
    if shown.pair.target.state != Target.State.ACTIVE:
        return _("No reading in this time: the pair is not checked now.")
    if state is None or state.checked_at is None:
        return _("Not read yet: its first reading is still to come.")
    return _("No reading in this time.")


def _read(
    pair: Pair, chosen: Range, rests: list[Rest], since: datetime, until: datetime
) -> Reading:
    state: PairState | None = getattr(pair.target, "pair_state", None)
    engine = state.engine if state else ""
    every_s = [terms().interval_s(one, engine) for one in (Cadence.LATENCY, Cadence.STATS)]
    wanted = columns(chosen.pace)
    if chosen.pace is Pace.VISIT:
        found = trend(pair.pk, since, until, wanted)
    else:
        found = rolled(pair.pk, since, until, wanted, chosen.pace)
    return Reading.of(
        found,
        chosen.pace,
        (since.timestamp(), until.timestamp()),
        *every_s,
        zone=pair.target.zone.slug,
        ceiling_bytes=state.ceiling_bytes if state else None,
        rests=rests,
    )


def _backups(
    rows: Rows, pair: Pair, policy: Policy, pace: Pace, since: datetime, until: datetime
) -> list[Chart]:
    """Draw the copies of a time, and the last that lay there when it began; none at all: no chart."""
    good = rows.of(Artefact).filter(source__target=pair.pk, state__in=GOOD)
    before = good.filter(stored_at__lt=since).order_by("-stored_at").values("pk")[:BEFORE]
    found = list(
        good.filter(Q(stored_at__gte=since) | Q(pk__in=before)).values_list(
            "content_at",
            "stored_at",
            Coalesce("size_bytes", "stored_bytes"),
            "gone_at",
            "source__label",
            "source__interval_s",
            "source__grace_s",
        )
    )
    if not found:
        return []
    copies = [
        Copied(
            (content_at or stored_at).timestamp(),
            stored_at.timestamp(),
            size_bytes,
            gone_at.timestamp() if gone_at else inf,
            label,
        )
        for content_at, stored_at, size_bytes, gone_at, label, *_kept in found
        if stored_at is not None
    ]
    sources = {Kept(*row[-2:]) for row in found}
    edges = (since.timestamp(), until.timestamp())
    return backup_charts(copies, sources, policy, edges, pace)


def _begin(shown: Shown) -> float:
    """Begin with the first reading where history is shorter than what was asked for."""
    first = [one.points[0][0] for chart in shown.charts for one in chart.series if one.points]
    latest = (shown.until - LEAST_SHOWN[shown.range.pace]).timestamp()
    return max(shown.since.timestamp(), min([*first, latest]))


def _lines(chart: Chart, period_s: int) -> list[dict[str, Any]]:
    """Give what each line read in a period, newest first; 0 s: each point is one."""
    by_series = [_by_period(one.points, period_s) for one in chart.series]
    band = chart.series[0].band
    highest = _by_period([(at, most) for at, _least, most in band], period_s)
    return [
        _line(chart, at, [found.get(at, []) for found in by_series], highest.get(at, []), period_s)
        for at in sorted(set().union(*by_series), reverse=True)
    ]


def _by_period(points: Points, period_s: int) -> dict[float, list[float]]:
    found: defaultdict[float, list[float]] = defaultdict(list)
    for at, value in points:
        if value is not None:
            found[at // period_s * period_s if period_s else at].append(value)
    return found


def _line(
    chart: Chart, at: float, read: list[list[float]], highest: list[float], period_s: int
) -> dict[str, Any]:
    first, *others = read
    most = max([*first, *highest], default=None)
    return {
        "at": datetime.fromtimestamp(at, tz=UTC),
        "average": _mean(chart, first),
        "highest": _("not read") if most is None else chart.write(most),
        "count": len(first) if period_s else None,
        "others": [_mean(chart, one) for one in others],
    }


def _mean(chart: Chart, values: list[float]) -> str:
    return chart.write(sum(values) / len(values)) if values else _("not read")

"""The trends of one pair: JSON for the charts, and the same as a table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _

from checks.policy import Policy
from checks.render import MIB, THIN, milliseconds, percent
from checks.rule import Cadence, Severity
from fleet.findings.models import Finding, Transition
from fleet.history.trend import Row, trend
from fleet.inspections.models import PairState
from fleet.portal.pair_list import MEMORY, RTT
from fleet.portal.pair_page import policy_of
from fleet.portal.scoped_admin import Rows, scoped_view
from fleet.registry.current import fleet_settings
from fleet.registry.intervals import interval_s
from fleet.registry.models import Pair

RANGES: Final = {"24h": timedelta(hours=24), "3d": timedelta(days=3)}
COLUMNS: Final = ("rtt_median_us", "emailengine_rtt_us", "used_memory_bytes", "maxmemory_bytes")
# A band says "no reading" where more than this many intervals went by without one.
GAP_INTERVALS: Final = 3
# Each opening and each end is marked: a finding that comes back within days is one row.
MARKED: Final = (
    Transition.Cause.OPENED,
    Transition.Cause.RESOLVED,
    Transition.Cause.WITHDRAWN,
    Transition.Cause.ACKNOWLEDGED,
)
HOUR_S: Final = 3600
LEAST_SHOWN: Final = timedelta(minutes=15)
Points = list[tuple[float, float | None]]


@dataclass(frozen=True)
class Series:
    """One line of a chart: points of [Unix time, value], None where the line breaks."""

    label: str
    points: Points

    @property
    def now(self) -> float | None:
        """The newest value."""
        return next((value for _at, value in reversed(self.points) if value is not None), None)


@dataclass(frozen=True)
class Chart:
    """One chart: lines, limits, gaps and findings, in the unit its axis has."""

    name: str
    title: str
    unit: str
    write: Callable[[float], str]
    series: tuple[Series, ...]
    limits: tuple[tuple[float, Severity], ...]
    gaps: tuple[tuple[float, float], ...]
    marks: tuple[dict[str, Any], ...]

    @property
    def now(self) -> str:
        """The newest value in words; "" where there is none."""
        value = self.series[0].now if self.series else None
        return "" if value is None else self.write(value)

    @property
    def sentence(self) -> str:
        """Say what the chart shows, for who cannot see it."""
        values = [value for _at, value in self.series[0].points if value is not None]
        if not values:
            return _("%(title)s: no reading in this time.") % {"title": self.title}
        return _("%(title)s: lowest %(low)s, highest %(high)s, now %(now)s.") % {
            "title": self.title,
            "low": self.write(min(values)),
            "high": self.write(max(values)),
            "now": self.now,
        }


@scoped_view
def data(request: HttpRequest, rows: Rows, target_id: int) -> JsonResponse:
    """Answer with the charts of ?range=24h or 3d."""
    pair, span, now = _asked(request, rows, target_id)
    charts = _charts(rows, pair, now - span, now)
    return JsonResponse(
        {
            "from": _begin(charts, now - span, now),
            "to": now.timestamp(),
            "time_zone": timezone.get_current_timezone_name(),
            "words": {"gap": _("no reading"), "none": _("No reading in this time.")},
            "charts": [_as_json(chart) for chart in charts],
        }
    )


@scoped_view
def table(request: HttpRequest, rows: Rows, target_id: int, name: str) -> HttpResponse:
    """Answer with one chart as a table: an hour a row, for htmx."""
    pair, span, now = _asked(request, rows, target_id)
    chart = next((one for one in _charts(rows, pair, now - span, now) if one.name == name), None)
    lines = [] if chart is None else list(_by_hour(chart))
    return render(request, "portal/pairs/trend_table.html", {"chart": chart, "lines": lines})


def _begin(charts: Sequence[Chart], since: datetime, now: datetime) -> float:
    """Begin with the first reading where history is shorter than what was asked for."""
    first = [one.points[0][0] for chart in charts for one in chart.series if one.points]
    latest = (now - LEAST_SHOWN).timestamp()
    return max(since.timestamp(), min([*first, latest]))


def _asked(request: HttpRequest, rows: Rows, target_id: int) -> tuple[Pair, timedelta, datetime]:
    pair = rows.get(Pair, "target__pair_state", pk=target_id)
    span = RANGES.get(request.GET.get("range", ""), RANGES["24h"])
    return pair, span, timezone.now()


def _charts(rows: Rows, pair: Pair, since: datetime, until: datetime) -> list[Chart]:
    visits = trend(pair.pk, since, until, COLUMNS)
    state: PairState | None = getattr(pair.target, "pair_state", None)
    engine = state.engine if state else ""
    intervals = fleet_settings().intervals
    found = list(
        rows.of(Transition)
        .filter(finding__target=pair.pk, finding__rule_id__in=[RTT, MEMORY], cause__in=MARKED)
        .filter(at__gte=since, at__lte=until)
        .select_related("finding")
        .order_by("at", "pk")
    )
    edges = (since.timestamp(), until.timestamp())
    pace_s = interval_s(intervals, Cadence.LATENCY, engine) * GAP_INTERVALS
    policy = policy_of(pair.target)
    return [
        _rtt(visits, edges, pace_s, _marks(found, RTT), policy),
        _memory(visits, edges, pace_s, _marks(found, MEMORY), policy),
    ]


def _rtt(
    visits: Sequence[Row],
    edges: tuple[float, float],
    pace_s: float,
    marks: tuple[Any, ...],
    policy: Policy,
) -> Chart:
    own = [(_at(row), _ms(row[1])) for row in visits]
    theirs = [(_at(row), _ms(row[2])) for row in visits]
    has_theirs = any(value is not None for _at, value in theirs)
    first = theirs if has_theirs else own
    series = [Series(_("EmailEngine to Redis") if has_theirs else _("probe to Redis"), first)]
    if has_theirs:
        series.append(Series(_("probe to Redis"), own))
    limits = policy[RTT].limits
    return _chart(
        "rtt",
        _("RTT, EmailEngine to Redis") if has_theirs else _("RTT, our probe to Redis"),
        "ms",
        lambda value: milliseconds(value * 1000),
        series,
        _limits(limits, "rtt_ms", 1),
        (edges, pace_s, marks),
    )


def _memory(
    visits: Sequence[Row],
    edges: tuple[float, float],
    pace_s: float,
    marks: tuple[Any, ...],
    policy: Policy,
) -> Chart:
    has_limit = any(row[4] for row in visits)
    if has_limit:
        share = [
            (_at(row), 100 * row[3] / row[4] if row[3] is not None and row[4] else None)
            for row in visits
        ]
        return _chart(
            "memory",
            _("Memory, share of maxmemory"),
            "%",
            lambda value: percent(value / 100),
            [Series(_("used"), share)],
            _limits(policy[MEMORY].limits, "used_ratio", 100),
            (edges, pace_s, marks),
        )
    used = [(_at(row), None if row[3] is None else row[3] / MIB) for row in visits]
    return _chart(
        "memory",
        _("Memory used, no maxmemory set"),
        "MiB",
        lambda value: f"{value:,.0f}{THIN}MiB",
        [Series(_("used"), used)],
        (),
        (edges, pace_s, marks),
    )


def _chart(
    name: str,
    title: str,
    unit: str,
    write: Callable[[float], str],
    series: Sequence[Series],
    limits: tuple[tuple[float, Severity], ...],
    around: tuple[tuple[float, float], float, tuple[Any, ...]],
) -> Chart:
    edges, pace_s, marks = around
    gaps = tuple(_gaps(series[0].points, edges, pace_s))
    broken = tuple(Series(one.label, list(_broken(one.points, gaps))) for one in series)
    return Chart(name, title, unit, write, broken, limits, gaps, marks)


def _at(row: Row) -> float:
    """Give the visit's instant: the first column, never empty."""
    return row[0] or 0.0


def _ms(value_us: float | None) -> float | None:
    return None if value_us is None else value_us / 1000


def _limits(limits: Any, stem: str, factor: float) -> tuple[tuple[float, Severity], ...]:
    """Take the two limits of a rule, `warn_<stem>` and `critical_<stem>`, in the chart's unit."""
    names = ((f"warn_{stem}", Severity.WARNING), (f"critical_{stem}", Severity.CRITICAL))
    return tuple(
        (getattr(limits, name) * factor, severity)
        for name, severity in names
        if hasattr(limits, name)
    )


def _gaps(
    points: Points, edges: tuple[float, float], pace_s: float
) -> Iterable[tuple[float, float]]:
    """Find the stretches without a reading; what lies before the first one ever is none."""
    read = [at for at, value in points if value is not None]
    if not read:
        return
    last = read[0]
    for at in [*read[1:], edges[1]]:
        if at - last > pace_s:
            yield last, at
        last = at


def _broken(
    points: Points, gaps: Iterable[tuple[float, float]]
) -> Iterable[tuple[float, float | None]]:
    """Leave out what was not read, and break the line at each gap."""
    breaks = [(start + 1, None) for start, _end in gaps]
    read = [(at, value) for at, value in points if value is not None]
    return sorted([*read, *breaks], key=lambda point: point[0])


def _marks(moves: Iterable[Transition], rule_id: str) -> tuple[dict[str, Any], ...]:
    """Give where findings opened and resolved."""
    return tuple(
        {
            "at": move.at.timestamp(),
            "tone": move.to_severity if move.to_state == Finding.State.OPEN else "resolved",
            "words": move.finding.short,
        }
        for move in moves
        if move.finding.rule_id == rule_id and move.from_state != move.to_state
    )


def _as_json(chart: Chart) -> dict[str, Any]:
    return {
        "name": chart.name,
        "title": chart.title,
        "unit": chart.unit,
        "now": chart.now,
        "sentence": chart.sentence,
        "series": [
            {
                "label": one.label,
                "at": [at for at, _value in one.points],
                "values": [None if value is None else round(value, 3) for _at, value in one.points],
            }
            for one in chart.series
        ],
        "limits": [
            {
                "value": value,
                "severity": severity.value,
                "label": _limit_words(chart, value, severity),
            }
            for value, severity in chart.limits
        ],
        "gaps": chart.gaps,
        "marks": chart.marks,
    }


def _limit_words(chart: Chart, value: float, severity: Severity) -> str:
    word = _("critical") if severity is Severity.CRITICAL else _("warning")
    number = f"{value:g}%" if chart.unit == "%" else f"{value:g}{THIN}{chart.unit}"
    return f"{number} {word}"


def _by_hour(chart: Chart) -> Iterable[dict[str, Any]]:
    """Give an average and a maximum for each hour that was read, newest first."""
    read = [(at, value) for at, value in chart.series[0].points if value is not None]
    hours = groupby(read, key=lambda point: point[0] // HOUR_S)
    lines = []
    for hour, group in hours:
        values = [value for _at, value in group]
        lines.append(
            {
                "at": datetime.fromtimestamp(hour * HOUR_S, tz=UTC),
                "average": chart.write(sum(values) / len(values)),
                "highest": chart.write(max(values)),
                "count": len(values),
            }
        )
    return reversed(lines)

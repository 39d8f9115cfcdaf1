"""How charts leave the portal: as JSON for the script that draws them, and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from django.http import HttpResponse
from django.utils.translation import gettext as _

from checks.render import THIN
from checks.rule import Severity
from fleet.portal.chart import Chart, Points, Series
from fleet.portal.events import Event

FORMULAS: Final = frozenset("=+-@\t\r")  # what begins one


def drawn(chart: Chart, found: Sequence[Event]) -> dict[str, Any]:
    """Give one chart as trends.js draws it, with the marks of what happened that it shows."""
    return {
        "name": chart.name,
        "title": chart.title,
        "unit": chart.unit,
        "now": chart.now,
        "sentence": chart.sentence,
        "empty": chart.empty,
        "starts_at": chart.starts_at,
        "fits": chart.fits,
        "series": [
            {
                "label": one.label,
                "tone": one.tone,
                "now": chart.newest(one),
                "at": [at for at, _value in one.points],
                "values": [_short(value) for _at, value in one.points],
                "band": [[at, _short(least), _short(most)] for at, least, most in one.band],
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
        "marks": [
            told(event)
            for event in found
            if not event.rule_ids or event.rule_ids.intersection(chart.rule_ids)
        ],
    }


def told(event: Event) -> dict[str, Any]:
    """Give what happened, for the axis and for the list beneath the charts."""
    return {
        "at": event.at.timestamp(),
        "tone": event.tone,
        "words": event.words,
        "url": event.url,
    }


def as_csv(chart: Chart, file: str) -> HttpResponse:
    """Answer with one chart as a file: an instant (ISO, UTC), each line's value and its band; gaps too."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file}.csv"'
    writer = csv.writer(answer)
    lines = [line for one in chart.series for line in (one, *_edges(one))]
    unit = chart.unit or _("count")
    names = [cell(f"{one.label} ({unit})") for one in lines]
    writer.writerow(["at (UTC)", *names, "nothing read until (UTC)", "why"])
    rows: list[tuple[datetime, list[Any]]] = [
        (at, [*("" if value is None else round(value, 6) for value in values), "", ""])
        for at, values in by_instant(lines)
    ]
    for since, until, why in gaps_in_words(chart):
        rows.append((since, [""] * len(lines) + [until.isoformat(timespec="seconds"), why]))
    for at, cells in sorted(rows, key=lambda row: row[0]):
        writer.writerow([at.isoformat(timespec="seconds"), *cells])
    return answer


def cell(text: str) -> str:
    """Write what a person typed so that a spreadsheet takes it for no formula."""
    return f"'{text}" if text[:1] in FORMULAS else text


def _edges(one: Series) -> list[Series]:
    """Give the least and the most of a line's band as lines; none where it has no band."""
    if not one.band:
        return []
    lowest: Points = [(at, least) for at, least, _most in one.band]
    has_lowest = lowest != one.points  # else the band begins at the mean: the least is not kept
    return [
        *([_named(_("%(line)s, lowest"), one, lowest)] if has_lowest else []),
        _named(_("%(line)s, highest"), one, [(at, most) for at, _least, most in one.band]),
    ]


def _named(words: str, one: Series, points: Points) -> Series:
    return Series(words % {"line": one.label}, points)


def by_instant(series: Sequence[Series]) -> list[tuple[datetime, list[float | None]]]:
    """Give a line per instant at which anything was read, oldest first, with a value per series."""
    by_series = [{at: value for at, value in one.points if value is not None} for one in series]
    return [
        (datetime.fromtimestamp(at, tz=UTC), [one.get(at) for one in by_series])
        for at in sorted(set().union(*by_series))
    ]


def gaps_in_words(chart: Chart) -> list[tuple[datetime, datetime, str]]:
    """Give from when to when nothing was read, and why, newest first: what a table says of gaps."""
    found = [
        (datetime.fromtimestamp(one, tz=UTC), datetime.fromtimestamp(other, tz=UTC), why)
        for one, other, why in chart.gaps
    ]
    return found[::-1]


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _limit_words(chart: Chart, value: float, severity: Severity) -> str:
    words = {Severity.CRITICAL: _("critical"), Severity.WARNING: _("warning")}
    number = f"{value:g}%" if chart.unit == "%" else f"{value:g}{THIN}{chart.unit}".rstrip(THIN)
    return f"{number} {words.get(severity, _('info'))}"

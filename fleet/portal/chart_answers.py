"""How charts leave the portal: as JSON for the script that draws them, and as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.http import HttpResponse
from django.utils.translation import gettext as _

from checks.render import THIN
from checks.rule import Severity
from fleet.portal.chart import Chart
from fleet.portal.events import Event


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
                "now": "" if one.now is None else chart.write(one.now),
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
    """Answer with one chart as a file: an instant (ISO, UTC) and a value per line, as shown."""
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="{file}.csv"'
    writer = csv.writer(answer)
    unit = f" ({chart.unit})" if chart.unit else ""
    writer.writerow(["at", *(f"{one.label}{unit}" for one in chart.series)])
    for at, values in by_instant(chart):
        cells = ["" if value is None else round(value, 6) for value in values]
        writer.writerow([at.isoformat(timespec="seconds"), *cells])
    return answer


def by_instant(chart: Chart) -> list[tuple[datetime, list[float | None]]]:
    """Give a line per instant at which anything was read, oldest first, with a value per series."""
    by_series = [
        {at: value for at, value in one.points if value is not None} for one in chart.series
    ]
    return [
        (datetime.fromtimestamp(at, tz=UTC), [one.get(at) for one in by_series])
        for at in sorted(set().union(*by_series))
    ]


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _limit_words(chart: Chart, value: float, severity: Severity) -> str:
    words = {Severity.CRITICAL: _("critical"), Severity.WARNING: _("warning")}
    number = f"{value:g}%" if chart.unit == "%" else f"{value:g}{THIN}{chart.unit}".rstrip(THIN)
    return f"{number} {words.get(severity, _('info'))}"

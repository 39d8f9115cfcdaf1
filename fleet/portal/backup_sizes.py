"""How large a pair's copies are, as time goes by: a line for each source, as the trends draw it."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest
from django.http.response import JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from checks.render import size
from fleet.backups.models import Artefact
from fleet.portal.backup_words import GOOD
from fleet.portal.chart import Chart, Points, Series
from fleet.portal.chart_answers import drawn
from fleet.portal.charts import unit_of
from fleet.portal.scoped_admin import Rows, scoped_view
from fleet.registry.models import Pair

DRAWN: Final = 400


@scoped_view
def data(_request: HttpRequest, rows: Rows, target_id: int) -> JsonResponse:
    """Answer with the sizes of a pair's newest good copies; those that are gone are drawn too."""
    pair = rows.get(Pair, pk=target_id)
    chart = of_pair(rows, pair)
    now = timezone.now().timestamp()
    first = [one.points[0][0] for one in chart.series if one.points]
    return JsonResponse(
        {
            "from": min([*first, now - 86_400]),
            "to": now,
            "pace": "copy",
            "time_zone": timezone.get_current_timezone_name(),
            "words": {"none": _("No good copy with a size yet.")},
            "charts": [drawn(chart, [])],
            "events": [],
        }
    )


def of_pair(rows: Rows, pair: Pair) -> Chart:
    """Give the chart: sizes of the dumps themselves, however they are packed."""
    found = (
        rows.of(Artefact)
        .filter(source__target=pair.pk, state__in=GOOD)
        .select_related("source")
        .order_by("-stored_at", "-pk")[:DRAWN]
    )
    sized = [
        (one.source.label, one.stored_at.timestamp(), taken)
        for one in reversed(found)
        if one.stored_at is not None and (taken := _bytes(one)) is not None
    ]
    unit, factor = unit_of(max((taken for _label, _at, taken in sized), default=0))
    lines: dict[str, Points] = {}
    for label, at, taken in sized:
        lines.setdefault(label, []).append((at, taken / factor))
    series = tuple(Series(label, points) for label, points in sorted(lines.items()))
    return Chart(
        "sizes",
        _("Size of the copies"),
        unit,
        lambda value: size(value * factor),
        series or (Series("", []),),
    )


def _bytes(copy: Artefact) -> int | None:
    return copy.size_bytes if copy.size_bytes is not None else copy.stored_bytes

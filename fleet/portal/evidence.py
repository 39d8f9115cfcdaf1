"""What was read, as the server answered it: loaded only when somebody opens it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from fleet.inspections.models import LatestFacts
from fleet.portal.scoped_admin import Rows, scoped_view
from fleet.registry.models import Pair


@scoped_view
def show(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Answer with the raw replies of the last visits; no secret is ever among them."""
    pair = rows.get(Pair, pk=target_id)
    kept = rows.of(LatestFacts).filter(target=pair.pk).only("cadence", "raw", "raw_at", "worker")
    readings = [row for row in kept.order_by("-raw_at", "cadence") if row.raw]
    return render(request, "portal/pairs/evidence.html", {"readings": readings})

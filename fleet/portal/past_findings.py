"""The findings that one pair had: every episode that ended."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from checks.catalog import BY_ID
from checks.remedy import title
from fleet.findings.models import Finding
from fleet.portal import pair_page
from fleet.portal.scoped_admin import Rows, page, scoped_view

SHOWN = 100


@scoped_view
def show(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponseBase:
    """Answer with the newest of them."""
    pair = pair_page.load(rows, target_id)
    past = rows.of(Finding).filter(target=pair.pk, state=Finding.State.RESOLVED)
    found = [
        {
            "finding": finding,
            "title": title(BY_ID[finding.rule_id]) if finding.rule_id in BY_ID else "",
            "lasted_s": _lasted_s(finding),
        }
        for finding in past.order_by("-resolved_at", "-pk")[: SHOWN + 1]
    ]
    values = {
        **pair_page.shell(rows, pair, "past"),
        "findings": found[:SHOWN],
        "has_more": len(found) > SHOWN,
        "shown": SHOWN,
    }
    return page(request, "portal/pairs/past.html", pair.target.name, values)


def _lasted_s(finding: Finding) -> float | None:
    if finding.opened_at is None or finding.resolved_at is None:
        return None
    return (finding.resolved_at - finding.opened_at).total_seconds()

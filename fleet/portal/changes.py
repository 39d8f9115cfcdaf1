"""Who changed a pair, when and what."""

from __future__ import annotations

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.translation import gettext as _

from fleet.portal import pair_page
from fleet.portal.change_log import SHOWN, compared, merged
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Pair, Target


@scoped_view
def show(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponseBase:
    """Answer with the newest changes of the pair and its target."""
    pair = pair_page.load(rows, target_id)
    found = [
        *compared(pair, Pair, _("Registered")),
        *compared(pair.target, Target, _("Target added")),
    ]
    found.sort(key=lambda change: change.at, reverse=True)
    values = {**pair_page.shell(rows, pair, "changes"), "changes": merged(found)[:SHOWN]}
    return page(request, "portal/pairs/changes.html", pair.target.name, values)

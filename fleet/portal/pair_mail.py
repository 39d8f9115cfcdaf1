"""What would be mailed for a pair, to whom, and why not: every suppression has its sentence."""

from __future__ import annotations

from typing import Any, Final

from django.db.models import Q
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _

from fleet.alerts.explain import by_finding, explain, reason_in_words
from fleet.alerts.models import Channel, Delivery
from fleet.findings.models import Finding
from fleet.portal import pair_page
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.instants import instant

LIVE: Final = (Finding.State.PENDING, Finding.State.OPEN)
SHOWN: Final = 50


@scoped_view
def show(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponseBase:
    """Answer with the pair's live findings, what each channel hears of them, and what it heard."""
    pair = pair_page.load(rows, target_id)
    target = pair.target
    findings = rows.of(Finding).filter(target=target, state__in=LIVE)
    channels = rows.of(Channel).filter(Q(tenant=target.tenant_id) | Q(tenant=None))
    found = explain(
        target,
        list(findings.order_by("severity", "opened_at", "pk")),
        list(channels.select_related("tenant").order_by("tenant", "name", "pk")),
        timezone.now(),
        instant,
    )
    values = {
        **pair_page.shell(rows, pair, "mail"),
        "explained": by_finding(found),
        "has_channels": channels.exists() if not found else True,
        "deliveries": _past(rows, target_id),
        "shown": SHOWN,
    }
    return page(request, "portal/pairs/mail.html", target.name, values)


def _past(rows: Rows, target_id: int) -> list[dict[str, Any]]:
    """Give the newest moves and what became of each, channel by channel. One query."""
    found = rows.of(Delivery).filter(transition__finding__target=target_id)
    newest = found.select_related("transition__finding", "channel", "mail").order_by("-pk")
    return [
        {"delivery": one, "move": one.transition, "words": _became(one)} for one in newest[:SHOWN]
    ]


def _became(delivery: Delivery) -> str:
    if delivery.state == Delivery.State.DROPPED:
        return _("Not mailed: %s.") % reason_in_words(delivery.reason)
    if delivery.mail is None:
        return _("Waits to be grouped with what else happens.")
    if delivery.mail.sent_at:
        return _("Mailed at %s.") % instant(delivery.mail.sent_at)
    return _("In a mail: %s.") % delivery.mail.get_state_display().lower()

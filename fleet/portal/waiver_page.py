"""The page of one waiver: what it covers and why, who signed it; approve, reject, renew, revoke."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any, Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.findings.cover import WAIVED
from fleet.findings.models import Finding, Waiver, WaiverNotice
from fleet.findings.waivers import Refused
from fleet.inspections import waive
from fleet.people.models import User
from fleet.portal import addresses, ceilings, facets, waiver_list
from fleet.portal.fails import title_of
from fleet.portal.finding_list import SEVERITY_RANK
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.portal.waiver_form import preview_of_waiver

SHOWN: Final = 20
RELATED: Final = ("tenant", "target", "requested_by", "approved_by", "ended_by", "renews")


def show(request: HttpRequest, waiver_id: int) -> TemplateResponse:
    """Answer with the page."""
    rows, now = rows_of(request), timezone.now()
    waiver = rows.get(Waiver, *RELATED, pk=waiver_id)
    findings = rows.of(Finding).filter(WAIVED, waiver=waiver.pk).select_related("target__tenant")
    is_waiting = waiver.approved_at is None and not is_over(waiver, now)
    may_edit = rows.may_edit(Waiver, waiver)
    title = title_of(waiver.rule_id)
    context = {
        "now": now,
        "waiver": waiver,
        "state": waiver_list.state_of(waiver, now),
        "title_true": title,
        "reach": waiver_list.reach(waiver),
        "ceiling": ceilings.shown(waiver.ceiling, waiver.rule_id),
        "findings": list(findings.order_by(SEVERITY_RANK, "opened_at", "pk")[:SHOWN]),
        "covered_count": findings.count(),
        "findings_url": addresses.findings(state=facets.WAIVED, waiver=waiver.pk),
        "events": list(_events(rows, waiver)),
        "renewal": rows.of(Waiver).filter(renews=waiver.pk).order_by("-pk").first(),
        "is_waiting": is_waiting,
        "preview": preview_of_waiver(rows, waiver) if is_waiting else None,
        "is_live": waiver.approved_at is not None and not is_over(waiver, now),
        "is_mine": waiver.requested_by_id == request.user.pk,
        "may_edit": may_edit,
        "opts": Waiver._meta,
        "original": waiver,
        "show_back_button": True,
    }
    return page(request, "portal/waivers/page.html", title, context)


def is_over(waiver: Waiver, now: datetime) -> bool:
    """Tell whether it ended or expired."""
    return waiver.ended_at is not None or waiver.expires_at <= now


def _events(rows: Rows, waiver: Waiver) -> Iterator[dict[str, Any]]:
    """Tell what happened, oldest first."""
    yield _event(waiver.requested_at, "pending", _("Asked for"), waiver.requested_by)
    if waiver.approved_at:
        yield _event(waiver.approved_at, "waived", _("In force"), waiver.approved_by)
    for notice in rows.of(WaiverNotice).filter(waiver=waiver.pk).order_by("at"):
        words = _("Notice: it ends in %(days)d days") % {"days": notice.days}
        yield _event(notice.at, "info", words)
    if waiver.ended_at:
        words = waiver.get_end_display()
        yield _event(waiver.ended_at, "withdrawn", words, waiver.ended_by, waiver.end_note)


def _event(
    at: datetime, mark: str, words: str, by: User | None = None, note: str = ""
) -> dict[str, Any]:
    who = _("by %(person)s") % {"person": by} if by else ""
    return {"at": at, "mark": mark, "words": words, "note": " · ".join(filter(None, (note, who)))}


Act = Callable[[int, int, str, datetime], Waiver]
ACTS: Final[dict[str, tuple[Act, Any]]] = {
    "approve": (
        lambda pk, by_id, _note, now: waive.approve(pk, by_id, now),
        gettext_lazy("Approved. What it covers is counted apart from now on."),
    ),
    "reject": (waive.reject, gettext_lazy("Rejected.")),
    "revoke": (waive.revoke, gettext_lazy("Revoked. What it covered counts again.")),
}


@scoped_view
def act(request: HttpRequest, rows: Rows, waiver_id: int, *, what: str) -> HttpResponse:
    """Approve, reject or revoke one waiver, by POST; back to its page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    waiver = rows.get(Waiver, pk=waiver_id)
    person = request.user
    if not rows.may_edit(Waiver, waiver) or not isinstance(person, User):
        raise PermissionDenied
    work, said = ACTS[what]
    try:
        work(waiver.pk, person.pk, request.POST.get("note", ""), timezone.now())
    except Refused as refused:
        messages.error(request, str(refused))
    else:
        messages.success(request, said)
    return HttpResponseRedirect(addresses.waiver(waiver.pk))

"""The form by which a person answers for a finding: known until a time, or accepted and closed."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from fleet.findings.models import Finding
from fleet.inspections.acknowledge import (
    AcknowledgeError,
    acknowledge,
    end_acknowledgement,
    may_accept,
)
from fleet.inspections.schedule import check_now
from fleet.portal.figures import instant
from fleet.portal.scoped_admin import Rows, scoped_view

ACCEPT: Final = "accept"
END: Final = "end"
Choices = dict[str, str | Promise]
# How long one may answer for a finding, by the hours that the form posts.
UNTIL: Final[Choices] = {
    "1": gettext_lazy("for 1 hour"),
    "4": gettext_lazy("for 4 hours"),
    "24": gettext_lazy("for 1 day"),
    "72": gettext_lazy("for 3 days"),
    "168": gettext_lazy("for 7 days"),
}
DEFAULT: Final = "24"


@scoped_view
def answer(request: HttpRequest, rows: Rows, finding_id: int) -> HttpResponse:
    """Acknowledge the finding as posted, with the reason, or end that early; back to its page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    finding = rows.get(Finding, "target", pk=finding_id)
    if not rows.may_edit(Finding, finding):
        raise PermissionDenied
    try:
        said = _acknowledged(request, finding, timezone.now())
    except AcknowledgeError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, said)
    return HttpResponseRedirect(reverse("admin:findings_finding_change", args=[finding.pk]))


def choices(finding: Finding) -> Choices:
    """Give what the form offers: for how long, and to close what closes in no other way."""
    if not may_accept(finding):
        return UNTIL
    return {ACCEPT: gettext_lazy("for good: it is accepted, and closes"), **UNTIL}


def may_answer(rows: Rows, finding: Finding) -> bool:
    """Say whether to offer the form: the finding is open, and this person may change it."""
    return finding.state == Finding.State.OPEN and rows.may_edit(Finding, finding)


def _acknowledged(request: HttpRequest, finding: Finding, now: datetime) -> str:
    """Carry it out and say what was done. Raises AcknowledgeError."""
    reason, chosen = request.POST.get("reason", ""), request.POST.get("until", "")
    if chosen == END:
        end_acknowledgement(finding.pk, request.user.pk, now)
        return _("The acknowledgement is ended: reminders go on.")
    if chosen == ACCEPT:
        acknowledge(finding.pk, reason, request.user.pk, now)
        check_now([finding.target_id], now)
        return _("Accepted, and closed. The pair is checked again.")
    until = until_of(chosen, now)
    acknowledge(finding.pk, reason, request.user.pk, now, until=until)
    return _("Acknowledged until %(until)s, unless it gets worse.") % {"until": instant(until)}


def until_of(chosen: str, now: datetime) -> datetime:
    """Give the end that was chosen, one of UNTIL. Raises AcknowledgeError."""
    if chosen not in UNTIL:
        raise AcknowledgeError(_("Choose for how long."))
    return now + timedelta(hours=int(chosen))

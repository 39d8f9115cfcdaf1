"""The form by which a person accepts what happened, and so closes a finding."""

from __future__ import annotations

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from fleet.findings.models import Finding
from fleet.inspections.acknowledge import AcknowledgeError, acknowledge, may_acknowledge
from fleet.inspections.schedule import check_now
from fleet.portal.scoped_admin import Rows, scoped_view


@scoped_view
def accept(request: HttpRequest, rows: Rows, finding_id: int) -> HttpResponse:
    """Close the finding with the posted reason, and have the pair checked; back to its page."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    finding = rows.get(Finding, "target", pk=finding_id)
    if not rows.may_edit(Finding, finding):
        raise PermissionDenied
    now = timezone.now()
    try:
        acknowledge(finding.pk, request.POST.get("reason", ""), request.user.pk, now)
    except AcknowledgeError as error:
        messages.error(request, str(error))
    else:
        check_now([finding.target_id], now)
        messages.success(request, _("Acknowledged. The pair is checked again."))
    return HttpResponseRedirect(reverse("admin:findings_finding_change", args=[finding.pk]))


def may_accept(rows: Rows, finding: Finding) -> bool:
    """Say whether to offer the form: the finding ends that way, and this person may change it."""
    return may_acknowledge(finding) and rows.may_edit(Finding, finding)

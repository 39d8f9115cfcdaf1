"""Somebody answers for many findings at once: those ticked in the list, with one reason."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from fleet.findings.models import Finding
from fleet.inspections.acknowledge import AcknowledgeError, acknowledge_all, checked_reason
from fleet.portal.acknowledge import DEFAULT, UNTIL, until_of
from fleet.portal.figures import instant
from fleet.portal.row_numbers import row_numbers
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view

LIST = "admin:findings_finding_changelist"


class AcknowledgeAction:
    """The finding list's action: acknowledges each open finding that is ticked, until a time."""

    @admin.action(description=gettext_lazy("Acknowledge …"), permissions=["acknowledge"])
    def acknowledge_chosen(self, request: HttpRequest, findings: QuerySet[Finding]) -> HttpResponse:
        """Ask for the reason and for how long."""
        chosen = _chosen(rows_of(request), findings.values_list("pk", flat=True))
        return _asked(request, chosen)

    def has_acknowledge_permission(self, request: HttpRequest) -> bool:
        """Whoever may change findings of some tenant."""
        return rows_of(request).may_edit(Finding)


@scoped_view
def answer(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Acknowledge the posted findings, as far as they are open and this person may; back to the list."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    chosen = _chosen(rows, row_numbers(request.POST.get("findings", "").split(",")))
    if not chosen:
        return _asked(request, chosen)
    now = timezone.now()
    try:
        until = until_of(request.POST.get("until", ""), now)
        reason = checked_reason(request.POST.get("reason", ""))
    except AcknowledgeError as error:
        return _asked(request, chosen, error=str(error))
    done, _refused = acknowledge_all(
        [one.pk for one in chosen], reason, request.user.pk, now, until=until
    )
    text = ngettext(
        "%(count)s finding is acknowledged until %(until)s, unless it gets worse.",
        "%(count)s findings are acknowledged until %(until)s, unless they get worse.",
        done,
    )
    messages.success(request, text % {"count": f"{done:,}", "until": instant(until)})
    return redirect(LIST)


def _chosen(rows: Rows, ids: Iterable[int]) -> list[Finding]:
    """Keep those that are open and that this person may change, the oldest first. One query."""
    found = rows.editable(Finding).filter(pk__in=list(ids), state=Finding.State.OPEN)
    return list(found.select_related("target").order_by("opened_at", "pk"))


def _asked(request: HttpRequest, chosen: list[Finding], error: str = "") -> HttpResponse:
    if not chosen:
        messages.error(request, _("None of them is open and yours to acknowledge."))
        return redirect(LIST)
    values = {
        "findings": chosen,
        "ids": ",".join(str(one.pk) for one in chosen),
        "until_choices": UNTIL,
        "chosen_until": request.POST.get("until") or DEFAULT,
        "reason": request.POST.get("reason", ""),
        "error": error,
    }
    return page(request, "portal/findings/acknowledge_many.html", _("Acknowledge"), values)

"""The page of one message, and the preview of any: as HTML in a sandbox, as text, and its headers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from fleet.alerts import send
from fleet.alerts.channels import email
from fleet.alerts.items import Wanted, items_of, standing
from fleet.alerts.letter import Alert, Letter, Move, Rendered
from fleet.alerts.models import Delivery, Mail
from fleet.alerts.render import render
from fleet.alerts.samples import AT, BODIES, READER, sample
from fleet.findings.models import Finding
from fleet.portal.channel_list import mail_mark, shown_address, whose
from fleet.portal.row_numbers import row_number
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.registry.current import fleet_settings

VIEWS: Final = {
    "html": gettext_lazy("HTML"),
    "text": gettext_lazy("Text"),
    "headers": gettext_lazy("Headers"),
}
SAMPLES: Final = {
    "opened": gettext_lazy("Pairs left compliance"),
    "warning": gettext_lazy("A warning"),
    "many": gettext_lazy("Many at once, by rule"),
    "update": gettext_lazy("An update"),
    "reminder": gettext_lazy("A reminder"),
    "resolved": gettext_lazy("Pairs are back"),
    "stale": gettext_lazy("No longer verified"),
    "flapping": gettext_lazy("Comes and goes"),
    "storm": gettext_lazy("A fleet storm"),
    "storm-over": gettext_lazy("A storm is over"),
    "portal": gettext_lazy("A portal alarm"),
    "portal-over": gettext_lazy("A portal alarm is over"),
    "digest": gettext_lazy("The daily digest"),
    "report": gettext_lazy("The weekly report"),
    "waivers": gettext_lazy("Waivers that end"),
    "test": gettext_lazy("A test"),
    "verification": gettext_lazy("An address is asked"),
}
# A link that needs no sign-in is its reader's alone: whoever sees the log must not use it.
SIGNED: Final = re.compile(r"(/mail/(?:verify/)?)[0-9]+:[\w:-]+")
MOST: Final = 50  # findings listed


def show(request: HttpRequest, mail_id: int) -> TemplateResponse:
    """Answer with the page of one message of the log."""
    rows = rows_of(request)
    mail = rows.get(Mail, "channel__tenant", "tenant", "root", pk=mail_id)
    kept = Rendered(mail.subject, "", mail.text, mail.html, {}) if mail.text else None
    told = rows.of(Delivery).filter(mail=mail).select_related("transition__finding__target")
    may_retry = mail.state == Mail.State.DEAD and rows.may_edit(Mail, mail)
    context = {
        "mail": mail,
        "now": timezone.now(),
        "state": mail_mark(mail.state),
        "address": shown_address(mail.channel),
        "whose": whose(mail.channel),
        "told": told.order_by("transition__at", "pk")[:MOST],
        "told_count": told.count(),
        "may_retry": may_retry,
        "mail_days": fleet_settings().mail_days,
        **_views(request, kept, _headers(mail)),
    }
    return page(request, "portal/mails/mail.html", mail.subject or str(mail), context)


def _headers(mail: Mail) -> list[tuple[str, str]]:
    """Give the headers of a message that was kept, as far as they are its own."""
    found = [
        ("From", settings.DEFAULT_FROM_EMAIL),
        ("To", shown_address(mail.channel)),
        ("Subject", mail.subject),
        ("Message-ID", mail.message_id),
    ]
    return [*found, ("References", mail.root.message_id)] if mail.root else found


def _views(
    request: HttpRequest, found: Rendered | None, headers: list[tuple[str, str]]
) -> dict[str, Any]:
    """Give the chosen view of a message, without the links that are its reader's alone."""
    chosen = request.GET.get("view", "html")
    query = request.GET.copy()
    tabs = []
    for name, words in VIEWS.items():
        query["view"] = name
        tabs.append({"words": words, "url": f"?{query.urlencode()}", "is_current": name == chosen})
    return {
        "view": chosen if chosen in VIEWS else "html",
        "tabs": tabs,
        "html": SIGNED.sub(r"\1…", found.html) if found else "",
        "text": SIGNED.sub(r"\1…", found.text) if found else "",
        "headers": [(name, SIGNED.sub(r"\1…", value)) for name, value in headers],
    }


@scoped_view
def preview(request: HttpRequest, rows: Rows) -> HttpResponse:
    """Show what a mail looks like: made up, of each kind; or that of a real finding."""
    finding_id = request.GET.get("finding", "")
    name = request.GET.get("kind", "opened")
    if finding_id:
        letter = _of_finding(rows, finding_id)
    elif name in BODIES:
        letter = sample(name)
    else:
        raise Http404("there is no sample of this name")
    zone = getattr(request.user, "time_zone", "UTC")
    letter = replace(letter, reader=replace(letter.reader, time_zone=zone))
    found = render(letter)
    message = email.build(found, to=letter.reader.address, message_id="<…>").message()
    samples = [
        {"name": one, "words": words, "is_current": one == name and not finding_id}
        for one, words in SAMPLES.items()
    ]
    context = {
        "subject": found.subject,
        "preheader": found.preheader,
        "samples": samples,
        "finding_id": finding_id,
        **_views(request, found, _shown(found, list(message.items()))),
    }
    return page(request, "portal/mails/preview.html", _("Preview of a mail"), context)


def _shown(found: Rendered, items: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give a message's headers as they are read, not as they are encoded."""
    own = {"Subject": found.subject}
    hidden = {"Content-Type", "MIME-Version", "Message-ID", "Date"}
    return [(name, own.get(name, value)) for name, value in items if name not in hidden]


def _of_finding(rows: Rows, finding_id: str) -> Letter:
    """Write the mail that would tell of this finding's opening, as it stands."""
    finding = rows.get(Finding, "target__tenant", pk=row_number(finding_id))
    tenant = finding.target.tenant
    items = items_of({finding.pk: Wanted(Move.OPENED)})
    body = Alert(tenant=tenant.name, tenant_id=tenant.pk, standing=standing(tenant.pk), items=items)
    return Letter(reader=READER, at=finding.opened_at or AT, body=body)


@scoped_view
@require_POST
def retry(request: HttpRequest, rows: Rows, mail_id: int, what: str) -> HttpResponse:
    """Take up a message that was given up, or put it away."""
    mail = rows.get(Mail, pk=mail_id)
    if not rows.may_edit(Mail, mail):
        raise PermissionDenied
    if what == "retry" and send.retry(mail.pk, timezone.now()):
        messages.success(request, _("It is sent again within a minute."))
    elif what == "dismiss" and send.dismiss(mail.pk):
        messages.success(request, _("Put away unsent."))
    else:
        messages.error(request, _("It is not among those given up any more."))
    return redirect(reverse("admin:alerts_mail_change", args=[mail_id]))

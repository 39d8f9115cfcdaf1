"""What is done with a channel by its buttons: test it, ask its owner again, stop it, take it up again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from fleet.alerts import ask, consent
from fleet.alerts.models import Channel
from fleet.portal.scoped_admin import Rows, scoped_view


def test(request: HttpRequest, channel: Channel) -> None:
    """Send a test and say what the other side answered."""
    _tell(request, channel, ask.trial(channel, str(request.user), timezone.now()), _("The test"))


def verify(request: HttpRequest, channel: Channel) -> None:
    """Ask the owner of a mail address; a webhook is asked by a test, signed."""
    if channel.kind == Channel.Kind.WEBHOOK:
        test(request, channel)
        return
    asked = ask.verify(channel, str(request.user), timezone.now())
    _tell(request, channel, asked, _("The mail with the link to confirm the address"))


def stop(request: HttpRequest, channel: Channel) -> None:
    """Send nothing more there."""
    consent.stop(channel.pk, timezone.now())
    messages.success(request, _("Stopped. Nothing more goes to %s.") % channel.name)


def resume(request: HttpRequest, channel: Channel) -> None:
    """Send there again."""
    consent.resume(channel.pk)
    messages.success(request, _("Taken up again: %s.") % channel.name)


ACTS: Final[Mapping[str, Callable[[HttpRequest, Channel], None]]] = {
    "test": test,
    "verify": verify,
    "stop": stop,
    "resume": resume,
}


@scoped_view
@require_POST
def act(request: HttpRequest, rows: Rows, channel_id: int, what: str) -> HttpResponse:
    """Do one of ACTS with a channel that this person may change; back to its page."""
    if what not in ACTS:
        raise Http404(f"a channel has no act {what}")
    channel = rows.get(Channel, "tenant", pk=channel_id)
    if not rows.may_edit(Channel, channel):
        raise PermissionDenied
    ACTS[what](request, channel)
    return redirect("admin:alerts_channel_change", channel_id)


def _tell(request: HttpRequest, channel: Channel, asked: ask.Asked, what: str) -> None:
    values = {"what": what, "name": channel.name, "answer": asked.answer}
    if asked.is_taken:
        messages.success(request, _("%(what)s went to %(name)s: %(answer)s") % values)
    else:
        messages.error(request, _("%(what)s did not go to %(name)s: %(answer)s") % values)

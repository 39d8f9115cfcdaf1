"""Pages behind the signed links in mails: no sign-in, the signature is the right to one channel."""

from __future__ import annotations

from typing import Any, ClassVar, Final
from zoneinfo import available_timezones

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from fleet.alerts import consent
from fleet.alerts.models import Channel

GONE: Final = "this link is not valid, or not any more"


class WishesForm(forms.ModelForm):  # type: ignore[type-arg]  # Django's own takes none at run time
    """What the address' owner may change without a sign-in: when and how much, never where to."""

    class Meta:
        model = Channel
        fields = ("min_severity", "has_digest", "digest_hour", "has_weekly", "time_zone")
        widgets: ClassVar[dict[str, Any]] = {
            "digest_hour": forms.Select(choices=[(hour, f"{hour:02}:00") for hour in range(24)]),
            "time_zone": forms.Select(
                choices=[(one, one) for one in sorted(available_timezones())]
            ),
        }


@never_cache
@require_http_methods(["GET", "POST"])
def channel(request: HttpRequest, token: str) -> HttpResponse:
    """Show what is mailed to the address, and let its owner change that."""
    found = _found(token)
    form = WishesForm(request.POST or None, instance=found)
    if request.method == "POST" and form.is_valid():
        form.save()
        return redirect(f"{request.path}?saved=1")
    return _page(request, "mail/channel.html", found, token=token, form=form)


@csrf_exempt  # a mail program posts here by itself (RFC 8058): the signature is the proof
@never_cache
@require_http_methods(["GET", "POST"])
def stop(request: HttpRequest, token: str) -> HttpResponse:
    """Ask before stopping (GET), or stop (POST). A scanner that opens links stops nothing."""
    found = _found(token)
    if request.method == "POST":
        consent.stop(found.pk, timezone.now())
        found.refresh_from_db()
    return _page(request, "mail/stop.html", found, token=token)


@never_cache
@require_http_methods(["POST"])
def resume(_request: HttpRequest, token: str) -> HttpResponse:
    """Take the mails up again."""
    consent.resume(_found(token).pk)
    return redirect("mail:channel", token)


@never_cache
@require_http_methods(["GET", "POST"])
def verify(request: HttpRequest, token: str) -> HttpResponse:
    """Ask before the address is verified (GET), or verify it (POST)."""
    found = consent.channel_to_verify(token)
    if found is None:
        raise Http404(GONE)
    if request.method == "POST":
        consent.verify(found.pk, timezone.now())
        found.refresh_from_db()
    return _page(request, "mail/verify.html", found, token=token)


def _found(token: str) -> Channel:
    found = consent.channel_of(token)
    if found is None:
        raise Http404(GONE)
    return found


def _page(request: HttpRequest, template: str, found: Channel, **more: Any) -> HttpResponse:
    whose = found.tenant.name if found.tenant else _("the whole fleet")
    # Its address holds the token: same-origin, our referrer policy, tells it to no other site.
    return render(request, template, {"channel": found, "whose": whose, **more})

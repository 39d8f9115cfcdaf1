"""Where backup jobs call: no session, no cookie, and no word about why a call was turned away."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from fleet.backups.heartbeat import BadTelling, NoSuchToken, Signal, TooOften, beat

MOST_BYTES: Final = 4096


@csrf_exempt  # the token is the right: no browser with a session calls here
@never_cache
@require_POST
def take(request: HttpRequest, token: str, signal: Signal = "done") -> HttpResponse:
    """Take a call: 204, or 404 for a token that is none, 429 for too many, 400 for what is no number."""
    length = request.headers.get("Content-Length") or "0"  # none: no body is read
    if not (length.isascii() and length.isdigit()) or int(length) > MOST_BYTES:
        return HttpResponse(status=413)
    given = {name: str(value) for name, value in request.POST.items()}
    try:
        beat(token, signal, given, timezone.now())
    except NoSuchToken:
        return HttpResponse(status=404)
    except TooOften:
        return HttpResponse(status=429, headers={"Retry-After": "60"})
    except BadTelling as wrong:
        return HttpResponse(f"{wrong}\n", "text/plain", 400)
    return HttpResponse(status=204)

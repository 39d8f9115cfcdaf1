"""Reason codes in words: why something is not known, and the one act that would tell."""

from __future__ import annotations

from typing import Final

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

Text = str | Promise

# Short enough for a list's second line: "Not verified: memory headroom, not attested".
WORDS: Final[dict[str, Text]] = {
    "dns": _("the name does not resolve"),
    "refused": _("connection refused"),
    "timeout": _("no answer in time"),
    "tls": _("TLS failed"),
    "auth": _("sign-in refused"),
    "no_permission": _("our account may not read it"),
    "command_unavailable": _("command closed by the provider"),
    "protected_mode": _("Redis is in protected mode"),
    "max_clients": _("Redis takes no more clients"),
    "loading": _("Redis is loading its data"),
    "busy": _("Redis is busy with a script"),
    "misconf": _("Redis refuses writes"),
    "cluster": _("the server is a cluster"),
    "http_status": _("unexpected HTTP status"),
    "too_large": _("the answer is too large"),
    "protocol": _("the answer is not the protocol's"),
    "blocked_address": _("the address is not allowed"),
    "not_configured": _("not registered"),
    "not_applicable": _("not applicable"),
    "no_worker": _("no worker in its zone"),
    "starting": _("EmailEngine has just started"),
    "first_visit": _("needs a second reading"),
    "no_history": _("needs more history"),
    "unattested": _("not attested"),
    "probe_blind": _("our own probe was blind"),
    "depends_on": _("Redis does not answer"),
    "undetermined": _("cannot be determined"),
    "stale": _("the last reading is too old"),
    "paused": _("checking is paused"),
}


def in_words(reason: str) -> Text:
    """Say a reason code in a few words; a code of a later version stands for itself."""
    return WORDS.get(reason, reason)

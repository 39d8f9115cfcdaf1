"""Where a message leads: absolute addresses of our pages, and signed ones that need no sign-in."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlencode

from django.conf import settings
from django.core.signing import BadSignature, Signer, TimestampSigner
from django.urls import reverse

from fleet.alerts.writing.tame import tame

STOP: Final = "fleet.alerts.stop"
VERIFY: Final = "fleet.alerts.verify"
VERIFY_WITHIN: Final = timedelta(hours=72)


def absolute(path: str) -> str:
    """Give the whole URL of a path of ours."""
    return settings.BASE_URL + path


def finding(finding_id: int) -> str:
    """Lead to a finding's page, which asks for a sign-in."""
    return absolute(reverse("finding", args=[finding_id]))


def findings(**filters: object) -> str:
    """Lead to the finding list, narrowed by what is not empty."""
    return _list("admin:findings_finding_changelist", filters)


def pairs(**filters: object) -> str:
    """Lead to the pair list, narrowed by what is not empty."""
    return _list("admin:registry_pair_changelist", filters)


def overview() -> str:
    """Lead to the first page."""
    return absolute(reverse("admin:index"))


def acknowledge(finding_id: int) -> str:
    """Lead to where a finding is acknowledged: a form, so that nobody does it by opening a link."""
    return finding(finding_id) + "#pk-accept"


def waiver(waiver_id: int) -> str:
    """Lead to a waiver's page."""
    return absolute(reverse("admin:findings_waiver_change", args=[waiver_id]))


def waivers() -> str:
    """Lead to the waivers in force."""
    return absolute(reverse("admin:findings_waiver_changelist"))


def change(channel_id: int, address: str) -> str:
    """Lead to the page where the address' owner sees and changes its mails, without a sign-in."""
    return absolute(reverse("mail:channel", args=[stop_token(channel_id, address)]))


def stop(channel_id: int, address: str) -> str:
    """Lead to where these mails stop: a GET asks, a POST (by one click, RFC 8058) does it."""
    return absolute(reverse("mail:stop", args=[stop_token(channel_id, address)]))


def verify(channel_id: int, address: str) -> str:
    """Lead to the page where the address' owner agrees to mails; holds for VERIFY_WITHIN."""
    return absolute(reverse("mail:verify", args=[verify_token(channel_id, address)]))


def stop_token(channel_id: int, address: str) -> str:
    """Sign a channel for the owner of its address: another address makes it another token.

    It never expires, since mails are kept for years; the address itself is not in it.
    """
    return Signer(salt=f"{STOP}:{address.lower()}").sign(str(channel_id))


def verify_token(channel_id: int, address: str) -> str:
    """Sign a channel for the address to be verified, with the time."""
    return TimestampSigner(salt=f"{VERIFY}:{address.lower()}").sign(str(channel_id))


def channel_id_of(token: str) -> int | None:
    """Read which channel a token claims to be for; nothing is proved yet."""
    number = token.partition(":")[0]
    return int(number) if number.isascii() and number.isdigit() and len(number) < 19 else None


def may_stop(token: str, address: str) -> bool:
    """Tell whether the token was signed for this address."""
    try:
        Signer(salt=f"{STOP}:{address.lower()}").unsign(token)
    except BadSignature:
        return False
    return True


def may_verify(token: str, address: str) -> bool:
    """Tell whether the token was signed for this address, lately enough."""
    try:
        TimestampSigner(salt=f"{VERIFY}:{address.lower()}").unsign(token, max_age=VERIFY_WITHIN)
    except BadSignature:  # an expired one is one as well
        return False
    return True


def _list(name: str, filters: dict[str, object]) -> str:
    kept = {key: tame(str(value), 80) for key, value in filters.items() if value}
    query = urlencode(kept)
    return absolute(reverse(name)) + (f"?{query}" if query else "")

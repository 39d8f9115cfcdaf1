"""Secrets as tenants give them: none reaches another tenant's, and none goes where it was not meant for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from checks.address import parse_emailengine_url, parse_redis_url
from fleet.backups.models import BackupSource
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Pair
from fleet.registry.scoping import EVERYTHING
from fleet.registry.sealed import SecretError, seal

# Which stored secrets are sent to which address.
SENT_TO: Final = {
    "redis_url": ("redis_password",),
    "emailengine_url": ("metrics_token", "api_token"),
}


def sealed(rows: Rows, typed: str) -> str:
    """Seal what was typed; ValidationError where it names what is not this person's.

    References have one name space for all tenants: who may name one may have its secret sent to an
    address of their own.
    """
    if typed.startswith(("env:", "file:")) and rows.edited != EVERYTHING:
        raise ValidationError(
            _("Only operators may name env: and file: references. Type the secret.")
        )
    try:
        return seal(typed)
    except SecretError as error:
        raise ValidationError(str(error)) from None


def sent_elsewhere(rows: Rows, pair: Pair, values: Mapping[str, Any]) -> dict[str, str]:
    """Say, by field, which stored secrets would go to an address that they were not given for.

    An operator may send them there; `values` are the form's, `pair` is as it is stored. Seen from
    another zone an address may be another server's.
    """
    if not pair.pk or rows.edited == EVERYTHING:
        return {}
    again = _(
        "The address or its zone is another one: give this again, for it would be sent there."
    )
    zone = values.get("zone")
    is_from_elsewhere = zone is not None and zone.pk != pair.target.zone_id
    moved = [
        name
        for name in SENT_TO
        if (to := values.get(name))
        and (is_from_elsewhere or _host(to) != _host(getattr(pair, name)))
    ]
    found = {
        secret: again
        for name in moved
        for secret in SENT_TO[name]
        if getattr(pair, secret) and values.get(secret) == getattr(pair, secret)
    }
    pulls = rows.of(BackupSource).filter(target=pair.pk).exclude(pull_password="")
    if "redis_url" in moved and pulls.exists():
        found["zone" if is_from_elsewhere else "redis_url"] = _(
            "An agentless pull would send its password to this address: remove that source first."
        )
    return found


def _host(url: str) -> tuple[str, int, str, bool]:
    """Give where a connection goes to, and whether in clear; a database or a user is no other place."""
    if not url:
        return "", 0, "", False
    if url.startswith("http"):
        page = parse_emailengine_url(url)
        return page.host, page.port, "", page.scheme == "http"
    server = parse_redis_url(url)
    return server.host, server.port, server.path, not server.is_tls

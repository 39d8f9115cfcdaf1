"""Where may this process connect to? The operator's settings as egress rules."""

from __future__ import annotations

from functools import cache

from django.conf import settings

from checks.egress import EgressRules, networks


@cache
def egress_rules() -> EgressRules:
    """Give this process's rules of where a connection may go."""
    return EgressRules(
        allow_loopback=settings.EGRESS_ALLOW_LOOPBACK,
        allow_unix=settings.PROFILE == "embedded" or bool(settings.EGRESS_UNIX_ROOTS),
        unix_roots=tuple(settings.EGRESS_UNIX_ROOTS),
        allowed_networks=networks(",".join(settings.EGRESS_ALLOW)),
    )

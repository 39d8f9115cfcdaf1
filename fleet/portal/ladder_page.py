"""Test and save: try a draft from its probe zone, and say what was learnt and what to do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from checks.facts import Engine
from checks.probes.acl import acl_line
from fleet.inspections.ladder import Draft, Ladder, Rung, read_test, start_test
from fleet.people.models import User
from fleet.portal.reasons import Text
from fleet.registry.models import Pair, Zone

# How often a waiting page looks for the result. The test itself ends within 20 s.
LOOK_EVERY_S: Final = 0.25
MARKS: Final = {
    "ok": "pass",
    "failed": "critical",
    "warned": "warning",
    "skipped": "not_applicable",
    "not_tried": "not_applicable",
}
# One act per reason code; what was found stands on the rung itself. Source: ui.md §8.
ACTS: Final[dict[str, Text]] = {
    "dns": _("check the name, or choose the probe zone that knows it."),
    "refused": _("check address and port, and the firewall between the probe zone and Redis."),
    "timeout": _("check address and port, and the firewall between the probe zone and Redis."),
    "tls": _(
        "write redis:// where the port speaks no TLS; else give the CA bundle, or the name that"
        " the certificate is for."
    ),
    "auth": _("run this on the server, set the same password below, and test again."),
    "no_permission": _("run this on the server, set the same password below, and test again."),
    "protected_mode": _(
        "set a password on the server: without one it speaks to its own host only."
    ),
    "max_clients": _("raise maxclients, or find out who holds the connections."),
    "loading": _("wait until the server has loaded its data, and test again."),
    "busy": _("wait until the script has ended, or stop it with SCRIPT KILL, and test again."),
    "blocked_address": _("give another address, or ask an operator to list this network."),
    "not_configured": _("give the secret again, or correct the reference."),
    "no_worker": _(
        "start a worker in this zone, or choose another; or save paused, without a test."
    ),
    "http_status": _("check the EmailEngine URL and the token’s scope."),
    "too_large": _("check the address: what answers there is no Redis or EmailEngine."),
    "protocol": _("check the address: what answers there is no Redis or EmailEngine."),
    "cluster": _(
        "EmailEngine needs a Redis that is no cluster; save paused to register it anyway."
    ),
}
WITH_ACCOUNT: Final = frozenset({"auth", "no_permission"})


@dataclass(frozen=True)
class Shown:
    """A ladder as the form shows it."""

    ladder: Ladder
    at: datetime

    @property
    def failed(self) -> Rung | None:
        """The rung that failed."""
        return self.ladder.failed

    @property
    def act(self) -> Text:
        """What to do about it; "" where nothing general can be said."""
        return ACTS.get(self.failed.reason, "") if self.failed else ""

    @property
    def account(self) -> str:
        """The line that makes a fitting account, where the account is what failed."""
        fits = self.failed is not None and self.failed.reason in WITH_ACCOUNT
        return acl_line(Engine.REDIS) if fits else ""

    @property
    def warned(self) -> list[Rung]:
        """Rungs that work, but with less to verify."""
        return [rung for rung in self.ladder.rungs if rung.state == "warned"]


def try_draft(pair: Pair, zone: Zone, person: User) -> Shown:
    """Have a worker of the zone try it, and wait: about 3 s, at most 20 s."""
    test_id = start_test(Draft.of(pair), zone.pk, timezone.now(), person.pk)
    while True:
        found = read_test(test_id, timezone.now(), person.pk)
        if found is not None:
            return Shown(found, timezone.now())
        time.sleep(LOOK_EVERY_S)

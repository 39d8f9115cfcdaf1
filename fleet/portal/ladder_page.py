"""Test and save: try a draft from its probe zone, and say what was learnt and what to do."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from checks.facts import Engine
from checks.probes.acl import acl_line
from fleet.inspections.ladder import (
    WITHIN,
    Draft,
    Ladder,
    Rung,
    Silence,
    read_test,
    start_test,
)
from fleet.inspections.schedule import WORKER_SEEN
from fleet.people.models import User
from fleet.portal.figures import long_age
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
    "http_status": _("check the EmailEngine URL and the token’s scope."),
    "too_large": _("check the address: what answers there is no Redis or EmailEngine."),
    "protocol": _("check the address: what answers there is no Redis or EmailEngine."),
    "cluster": _(
        "EmailEngine needs a Redis that is no cluster; save paused to register it anyway."
    ),
}
# Where a worker's silence is all there was: what happened, and the act.
SILENCES: Final[dict[str, tuple[Text, Text]]] = {
    "no_worker": (
        _("Connection test did not begin. Nothing was saved."),
        _(
            "start a worker with ZONE=%(zone)s, or choose another probe zone; or save paused,"
            " without a test."
        ),
    ),
    "no_answer": (
        _("Connection test got no answer. Nothing was saved."),
        _(
            "test again. If there is no answer then either, restart the worker with ZONE=%(zone)s,"
            " or choose another probe zone; or save paused, without a test."
        ),
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
    def title(self) -> Text:
        """What happened, where no step was learnt of."""
        return SILENCES[self.ladder.silence.reason][0] if self.ladder.silence else ""

    @property
    def why(self) -> str:
        """Why no step was learnt of; "" where one was."""
        silence = self.ladder.silence
        return _why(silence, self.ladder.zone, self.at) if silence else ""

    @property
    def act(self) -> Text:
        """What to do about it; "" where nothing general can be said."""
        if self.ladder.silence:
            return SILENCES[self.ladder.silence.reason][1] % {"zone": self.ladder.zone}
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


def _why(silence: Silence, zone: str, now: datetime) -> str:
    """Say who was silent, and for how long."""
    seen_at = silence.seen_at
    if silence.reason == "no_answer":
        text = gettext(
            "A worker in zone %(zone)s was seen within %(seen_s)d s, but gave no result within"
            " %(within_s)d s."
        )
    elif seen_at is None:
        text = gettext(
            "No worker in zone %(zone)s was seen within %(seen_s)d s. None was ever seen there."
        )
    else:
        text = gettext(
            "No worker in zone %(zone)s was seen within %(seen_s)d s. The last one was seen %(age)s"
            " ago."
        )
    return text % {
        "zone": zone,
        "seen_s": WORKER_SEEN.seconds,
        "within_s": WITHIN.seconds,
        "age": long_age((now - seen_at).total_seconds()) if seen_at else "",
    }


def try_draft(pair: Pair, zone: Zone, person: User) -> Shown:
    """Have a worker of the zone try it, and wait: about 3 s, at most 20 s."""
    test_id = start_test(Draft.of(pair), zone.pk, timezone.now(), person.pk)
    while True:
        found = read_test(test_id, timezone.now(), person.pk)
        if found is not None:
            return Shown(found, timezone.now())
        time.sleep(LOOK_EVERY_S)

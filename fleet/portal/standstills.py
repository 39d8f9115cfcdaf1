"""When nobody could look: the portal stood still, or a zone had no worker. Put on record, and read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from django.db.models import Q
from django.utils.translation import gettext as _

from fleet.alerts.alarms import note_episode
from fleet.alerts.models import PortalAlarm
from fleet.portal.figures import long_age
from fleet.portal.lag import WATCHED_WITHIN
from fleet.portal.manning import SEEN_WITHIN
from fleet.portal.models import Pulse
from fleet.portal.scoped_admin import Rows
from fleet.registry.scoping import EVERYTHING

STOOD_STILL: Final = "portal.stood-still"
NO_WORKER: Final = "zone.{zone}.no-worker"
SEES_ALL: Final = Rows(EVERYTHING, EVERYTHING)
Standstill = tuple[datetime, datetime, str]  # from, to and why


def note_standstill(pulse: Pulse, now: datetime) -> None:
    """Put on record that nobody looked since the last pulse, where that is too long ago."""
    age = now - pulse.watched_at
    if age > WATCHED_WITHIN:
        text = _("The portal stood still for %(age)s.") % {"age": long_age(age.total_seconds())}
        cure = _("Read the logs of beat, of the broker and of the workers of that time.")
        note_episode(STOOD_STILL, text, cure, pulse.watched_at, now)


def standstills(zone: str, since: datetime, until: datetime) -> Iterator[Standstill]:
    """Tell when nobody could look at the pairs of a zone. One query.

    An alarm begins once no worker was seen for SEEN_WITHIN: it tells of that time too.
    """
    unmanned = NO_WORKER.format(zone=zone)
    rows = SEES_ALL.of(PortalAlarm).filter(key__in=[STOOD_STILL, unmanned], since__lt=until)
    rows = rows.filter(Q(ended_at=None) | Q(ended_at__gt=since))
    for key, begin, end in rows.values_list("key", "since", "ended_at"):
        if key == STOOD_STILL:
            yield begin, end or until, _("portal down")
        else:
            why = _("no worker in zone %(zone)s") % {"zone": zone}
            yield begin - SEEN_WITHIN, end or until, why

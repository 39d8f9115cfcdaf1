"""The portal looks at itself: alarms raised and ended, and the dead-man's switch called."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import connection, transaction
from django.utils.translation import gettext

from fleet.alerts.alarms import clear_alarm, raise_alarm
from fleet.alerts.models import PortalAlarm
from fleet.backups.models import PullRoom
from fleet.portal import deadman, faults
from fleet.portal.backup_room import little_room, room_of
from fleet.portal.faults import Fault
from fleet.portal.lag import Lag, read_lag
from fleet.portal.manning import SEEN_WITHIN, zones_seen
from fleet.portal.models import Pulse
from fleet.portal.standstills import SEES_ALL, note_standstill
from fleet.registry.current import fleet_settings
from fleet.registry.egress import egress_rules
from fleet.registry.models import Worker, Zone

logger = logging.getLogger(__name__)

# The alarms that this module begins and ends; the others are their own modules'.
OURS: Final = (
    ".no-worker",
    ".blind",
    ".late",
    "outbox.",
    "history.partitions",
    "disk.",
    "room.",
    "keys.mismatch",
    "deadman.",
)
PING_EVERY: Final = timedelta(seconds=60)
SWITCH: Final = "deadman.unreached"


def watch(now: datetime) -> None:
    """Look once: raise what is wrong, end what is mended, and after a good cycle call the switch.

    Any number of runs may come at once or again.
    """
    with connection.cursor() as cursor:
        lag = read_lag(cursor, fleet_settings().intervals, now)
    found = list(_faults(lag, now))
    for fault in found:
        raise_alarm(fault.key, fault.text, fault.cure, now)
    wrong = {fault.key for fault in found} | {SWITCH}
    for key in SEES_ALL.of(PortalAlarm).filter(ended_at=None).values_list("key", flat=True):
        if key not in wrong and any(ours in key for ours in OURS):
            clear_alarm(key, now)
    # Written last, and in a row of its own: that it can be written is a part of being well.
    pulse = _beat(now)
    if settings.DEADMAN_URL and not lag.complaints(now):
        _call_switch(pulse, now)


def _beat(now: datetime) -> Pulse:
    """Write that somebody looked, and how long nobody had: one run of many does that."""
    with transaction.atomic():
        first = {"watched_at": now}
        pulse, _is_new = SEES_ALL.of(Pulse).select_for_update().get_or_create(id=1, defaults=first)
        note_standstill(pulse, now)
        pulse.watched_at = now
        pulse.save(update_fields=["watched_at"])
    return pulse


def _faults(lag: Lag, now: datetime) -> Iterator[Fault]:
    zones = zones_seen(SEES_ALL)
    yield from faults.unmanned(zones, now)
    yield from faults.blind(SEES_ALL.of(Zone))
    seen = SEES_ALL.of(Worker).filter(last_seen_at__gt=now - SEEN_WITHIN)
    yield from faults.blind_workers(seen.select_related("zone"))
    manned = {zone.slug for zone in zones if zone.is_manned(now)}
    yield from faults.late(lag.zones, manned)
    yield from faults.outbox(lag, now)
    yield from faults.without_partitions(now)
    yield from faults.disk_of(settings.DATA_FOLDER)
    rooms = map(room_of, SEES_ALL.of(PullRoom).select_related("zone"))
    yield from little_room(rooms, manned, now)
    yield from faults.unreadable_secrets(SEES_ALL)
    yield from faults.no_switch(settings.DEADMAN_URL)


def _call_switch(pulse: Pulse, now: datetime) -> None:
    if pulse.pinged_at is not None and now - pulse.pinged_at < PING_EVERY:
        return
    try:
        deadman.call(settings.DEADMAN_URL, egress_rules())
    except deadman.SwitchError as error:
        text = gettext("The dead-man's switch cannot be called: %(error)s.")
        cure = gettext("See that DEADMAN_URL is right and that the workers may connect to it.")
        raise_alarm(SWITCH, text % {"error": error}, cure, now)
        return
    SEES_ALL.of(Pulse).filter(pk=pulse.pk).update(pinged_at=now)
    clear_alarm(SWITCH, now)

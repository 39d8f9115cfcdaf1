"""Reminders of what was told and is still open: critical after 4 h three times, then daily."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import Final, NamedTuple

from django.db import transaction

from fleet.alerts.gather import CAPPED, slots_left
from fleet.alerts.models import Channel, Mail, new_message_id
from fleet.alerts.threads import roots
from fleet.alerts.timing import REMINDER_SLACK, next_reminder
from fleet.findings.maintenance import silenced
from fleet.registry.arrays import rows_of, run

ON_WAY: Final = (Mail.State.WAITING, Mail.State.LEASED)


class Due(NamedTuple):
    """What a channel is to be reminded of."""

    told_id: int
    channel_id: int
    tenant_id: int
    target_id: int
    finding_id: int
    severity: str
    reminders_count: int


# Told, still open, and nobody has taken it on: not acknowledged, waived, flapping or paused.
_DUE: Final = """
SELECT k.id, k.channel_id, g.tenant_id, k.target_id, f.id, f.severity, k.reminders_count
FROM alerts_told k
JOIN findings_finding f ON f.id = k.finding_id
JOIN registry_target g ON g.id = k.target_id
JOIN alerts_channel c ON c.id = k.channel_id
WHERE k.is_open AND k.next_reminder_at <= %b
  AND (%b::int8 IS NULL OR k.channel_id = %b) AND (%b::int8 IS NULL OR g.tenant_id = %b)
  AND f.state = 'open' AND f.waiver_id IS NULL AND f.flapping_since IS NULL
  AND (f.acknowledged_until IS NULL OR f.acknowledged_until <= %b)
  AND f.severity IN ('critical', c.min_severity) AND g.state = 'active'
  AND c.verified_at IS NOT NULL AND c.stopped_at IS NULL
  AND (c.tenant_id IS NULL OR c.tenant_id = g.tenant_id)
ORDER BY f.severity, f.opened_at, k.id
"""
_NEXT: Final = """
UPDATE alerts_told k SET reminders_count = k.reminders_count + 1, next_reminder_at = n.at
FROM (SELECT unnest(%b::int8[]) AS id, unnest(%b::timestamptz[]) AS at) n WHERE k.id = n.id
"""


def due(
    until: datetime, now: datetime, channel_id: int | None = None, tenant_id: int | None = None
) -> list[Due]:
    """Give what is due until then, the worst first; targets in maintenance wait. Two queries."""
    params = [until, channel_id, channel_id, tenant_id, tenant_id, now]
    found = [Due._make(row) for row in rows_of(_DUE, params)]
    quiet = silenced({one.target_id for one in found}, now)
    return [one for one in found if one.target_id not in quiet]


def remind(now: datetime) -> int:
    """Make the reminders that are due, one per reader and tenant; returns how many. Safe to run twice.

    An operators' channel gets one for all tenants. Where another mail is on its way, it comes first.
    """
    found = due(now, now)
    if not found:
        return 0
    whose = _channels({one.channel_id for one in found})
    with transaction.atomic():
        locked = Channel.objects.select_for_update().filter(pk__in=whose).order_by("pk")
        list(locked.values_list("pk"))
        busy = _on_way(whose)
        free = [key for key in _keys(found, whose) if key[0] not in busy]
        keys = list(_within_cap(free, whose, now))
        threads = roots(whose)
        Mail.objects.bulk_create(
            Mail(
                channel_id=channel_id,
                tenant_id=tenant_id,
                kind=Mail.Kind.REMINDER,
                message_id=new_message_id(),
                root_id=threads.get((channel_id, tenant_id)),
                made_at=now,
                next_attempt_at=now,
            )
            for channel_id, tenant_id in keys
        )
    return len(keys)


def _channels(channel_ids: Iterable[int]) -> dict[int, tuple[str, int | None]]:
    rows = Channel.objects.filter(pk__in=list(channel_ids))
    return {
        pk: (address, tenant_id)
        for pk, address, tenant_id in rows.values_list("pk", "address", "tenant_id")
    }


def _keys(
    found: Iterable[Due], whose: dict[int, tuple[str, int | None]]
) -> list[tuple[int, int | None]]:
    """Give (channel, tenant): an operators' channel's reminder of several tenants has none."""
    tenants: defaultdict[int, set[int]] = defaultdict(set)
    for one in found:
        tenants[one.channel_id].add(one.tenant_id)
    return [
        (channel_id, next(iter(of)) if len(of) == 1 else None)
        for channel_id, of in tenants.items()
        if channel_id in whose
    ]


def _on_way(channel_ids: Iterable[int]) -> set[int]:
    """Give the channels to which a mail about findings is on its way."""
    rows = Mail.objects.filter(channel__in=list(channel_ids), kind__in=CAPPED, state__in=ON_WAY)
    return set(rows.values_list("channel_id", flat=True))


def _within_cap(
    keys: Iterable[tuple[int, int | None]],
    whose: dict[int, tuple[str, int | None]],
    now: datetime,
) -> Iterable[tuple[int, int | None]]:
    left = slots_left({address for address, _ in whose.values()}, now)
    for key in keys:
        address = whose[key[0]][0]
        if left[address] > 0:
            left[address] -= 1
            yield key


def of_mail(mail: Mail, now: datetime) -> list[Due]:
    """Give what one reminder is about: what is due, or will be soon after it was made."""
    return due(mail.made_at + REMINDER_SLACK, now, mail.channel_id, mail.tenant_id)


def reminded(found: Iterable[Due], now: datetime) -> None:
    """Write down that these were reminded of, and when next. One query."""
    held = list(found)
    if held:
        at = [next_reminder(one.severity, one.reminders_count + 1, now) for one in held]
        run(_NEXT, [[one.told_id for one in held], at])

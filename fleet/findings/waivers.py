"""What is accepted for a while: asked for, approved, renewed, revoked, expired."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from django.db import connection
from django.db.models import Q, QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checks.catalog import BY_ID
from fleet.findings.cover import UP_TO
from fleet.findings.models import Finding, Waiver
from fleet.registry.arrays import run
from fleet.registry.current import fleet_settings
from fleet.registry.instants import instant
from fleet.registry.models import FleetSettings

End, Severity = Waiver.End, Finding.Severity
LEAST_REASON: Final = 5
NOTICE_DAYS: Final = (14, 3)
# One writer at a time, so that of two waivers of one scope the second sees the first. Recordings
# never take it; whoever does takes it before the rows of any pair.
WRITER_LOCK: Final = 7_214_003


class Refused(ValueError):
    """A waiver that is refused: the field at fault, the text, and the waiver in its way, if any."""

    def __init__(self, name: str, text: str, in_the_way: Waiver | None = None) -> None:
        super().__init__(text)
        self.field = name
        self.in_the_way = in_the_way


@dataclass(frozen=True)
class Ask:
    """What is to be waived: one rule, on one target or on all of a tenant's, for how long and why."""

    rule_id: str
    tenant_id: int
    target_id: int | None
    severity: str
    kind: str
    reason: str
    expires_at: datetime
    ceiling: float | None = None  # as Finding.worst_measure tells it: larger = worse


def longest(severity: str, settings: FleetSettings) -> timedelta:
    """Give how long a waiver of this severity may last."""
    is_critical = severity == Severity.CRITICAL
    return timedelta(
        days=settings.critical_waiver_days if is_critical else settings.warning_waiver_days
    )


def live(now: datetime) -> Q:
    """Say which waivers cover something now."""
    return Q(approved_at__isnull=False, ended_at=None, expires_at__gt=now)


# --- Asked for, approved, ended. The caller holds a transaction, and then settles what it covers.


def request(ask: Ask, by_id: int, now: datetime, renews: Waiver | None = None) -> Waiver:
    """Ask for a waiver; it is live at once where nobody else has to approve it. Raises Refused.

    A renewal takes the place of the one that it renews, once it is live.
    """
    _lock()
    settings = fleet_settings()
    _refuse_faults(ask, settings, now)
    _end(_due(now), End.EXPIRED, now)  # so that none that has expired is in the way
    _refuse_conflict(ask, renews)
    needs_second = settings.second_person and ask.severity == Severity.CRITICAL
    waiver = Waiver.objects.create(
        tenant_id=ask.tenant_id,
        target_id=ask.target_id,
        rule_id=ask.rule_id,
        severity=ask.severity,
        ceiling=ask.ceiling,
        kind=ask.kind,
        reason=ask.reason.strip(),
        requested_by_id=by_id,
        requested_at=now,
        needs_second=needs_second,
        expires_at=ask.expires_at,
        renews=renews,
    )
    return waiver if needs_second else _put_in_force(waiver, by_id, now)


def approve(waiver_id: int, by_id: int, now: datetime) -> Waiver:
    """Put a waiting waiver in force. Raises Refused: not by who asked for it, not once it expired."""
    waiver = _waiting(waiver_id)
    if waiver.requested_by_id == by_id:
        raise Refused("", _("You asked for it: somebody else has to approve it."))
    if waiver.expires_at <= now:
        raise Refused("", _("It would have expired on %s.") % instant(waiver.expires_at))
    return _put_in_force(waiver, by_id, now)


def reject(waiver_id: int, by_id: int, note: str, now: datetime) -> Waiver:
    """Turn a waiting waiver down, or take one's own request back. Raises Refused."""
    waiver = _waiting(waiver_id)
    _refuse_short(note, "note")
    _end(Waiver.objects.filter(pk=waiver.pk), End.REJECTED, now, by_id, note.strip())
    waiver.refresh_from_db()
    return waiver


def revoke(waiver_id: int, by_id: int, note: str, now: datetime) -> Waiver:
    """End a live waiver before its time. Raises Refused."""
    _lock()
    waiver = Waiver.objects.select_for_update(of=("self",), no_key=True).get(pk=waiver_id)
    if waiver.ended_at or waiver.approved_at is None:
        raise Refused("", _("This waiver is not in force."))
    _refuse_short(note, "note")
    _end(Waiver.objects.filter(pk=waiver.pk), End.REVOKED, now, by_id, note.strip())
    waiver.refresh_from_db()
    return waiver


def expire(now: datetime) -> int:
    """End what has expired, waiting requests as well; returns how many. Safe to run twice."""
    _lock()
    return _end(_due(now), End.EXPIRED, now)


NOTICE: Final = """
INSERT INTO findings_waivernotice (waiver_id, days, at)
SELECT w.id, step.days, %b
FROM findings_waiver w, unnest(%b::int2[], %b::int2[]) AS step(days, next_days)
WHERE w.ended_at IS NULL AND w.approved_at < w.expires_at - step.days * interval '1 day'
  AND w.expires_at - step.days * interval '1 day' <= %b
  AND w.expires_at - step.next_days * interval '1 day' > %b
ON CONFLICT (waiver_id, days) DO NOTHING
"""


def give_notice(now: datetime) -> int:
    """Leave a notice of each live waiver that ends in 14 days, and in 3; returns how many are new.

    None for one that was shorter than that from the start; a late run leaves only the later one.
    Safe to run twice.
    """
    days = list(NOTICE_DAYS)
    return run(NOTICE, [now, days, [*days[1:], 0], now, now])


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [WRITER_LOCK])


def _due(now: datetime) -> QuerySet[Waiver]:
    return Waiver.objects.filter(ended_at=None, expires_at__lte=now)


def _waiting(waiver_id: int) -> Waiver:
    _lock()
    waiver = Waiver.objects.select_for_update(of=("self",), no_key=True).get(pk=waiver_id)
    if waiver.approved_at or waiver.ended_at:
        raise Refused("", _("This waiver does not wait for approval any more."))
    return waiver


def _put_in_force(waiver: Waiver, by_id: int, now: datetime) -> Waiver:
    if waiver.renews_id:
        before = Waiver.objects.filter(pk=waiver.renews_id, ended_at=None)
        _end(before, End.RENEWED, now, by_id)
    waiver.approved_by_id, waiver.approved_at = by_id, now
    waiver.save(update_fields=["approved_by", "approved_at"])
    return waiver


def _end(
    rows: QuerySet[Waiver], how: Waiver.End, now: datetime, by_id: int | None = None, note: str = ""
) -> int:
    return rows.filter(ended_at=None).update(
        ended_at=now, ended_by_id=by_id, end=how.value, end_note=note
    )


# --- What is refused


def _refuse_faults(ask: Ask, settings: FleetSettings, now: datetime) -> None:
    if ask.rule_id not in BY_ID:
        raise Refused("rule_id", _("There is no rule %s.") % ask.rule_id)
    if ask.severity not in UP_TO:
        raise Refused("severity", _("Choose warning or critical."))
    if ask.kind not in Waiver.Kind:
        raise Refused("kind", _("Choose a kind."))
    _refuse_short(ask.reason, "reason")
    _refuse_time(ask, settings, now)


def _refuse_short(reason: str, name: str) -> None:
    if len(reason.strip()) < LEAST_REASON:
        text = _("Give a reason of %(least)d letters or more.")
        raise Refused(name, text % {"least": LEAST_REASON})


def _refuse_time(ask: Ask, settings: FleetSettings, now: datetime) -> None:
    if ask.expires_at <= now:
        text = _("%(at)s has passed: it is %(now)s.")
        raise Refused("expires_at", text % {"at": instant(ask.expires_at), "now": instant(now)})
    cap = longest(ask.severity, settings)
    if ask.expires_at > now + cap:
        text = ngettext(
            "A waiver of a %(severity)s lasts %(days)d day at most: until %(at)s.",
            "A waiver of a %(severity)s lasts %(days)d days at most: until %(at)s.",
            cap.days,
        )
        words = {"severity": Severity(ask.severity).label.lower(), "days": cap.days}
        raise Refused("expires_at", text % {**words, "at": instant(now + cap)})


def _refuse_conflict(ask: Ask, renews: Waiver | None) -> None:
    same = Waiver.objects.filter(ended_at=None, rule_id=ask.rule_id, tenant_id=ask.tenant_id)
    whose = Q(target=None) if ask.target_id is None else Q(target=ask.target_id)
    for one in same.filter(whose):
        if one.approved_at is None:
            raise Refused("rule_id", _("One of the same scope waits for approval."), one)
        if renews is None or renews.pk != one.pk:
            text = _("One of the same scope is in force until %s. Renew it.")
            raise Refused("rule_id", text % instant(one.expires_at), one)

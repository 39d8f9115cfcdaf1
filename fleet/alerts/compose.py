"""Writes down what a mail says, as a letter: from the database, in a bounded number of queries."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Final

from django.db.models import Min
from django.utils.translation import gettext as _

from checks.rule import Severity
from fleet.alerts import compose_periodic
from fleet.alerts.decide import RANKS
from fleet.alerts.gather import Say
from fleet.alerts.items import Wanted, items_of, standing
from fleet.alerts.letter import (
    Alert,
    Body,
    Fault,
    Faults,
    Letter,
    Move,
    Reader,
    RuleCount,
    Storm,
    TenantCount,
)
from fleet.alerts.models import Channel, Delivery, Mail, PortalAlarm
from fleet.alerts.revalidate import Still
from fleet.alerts.timing import next_reminder
from fleet.registry.models import Target, Tenant, Zone

OPENINGS: Final = frozenset({Move.OPENED, Move.WORSE, Move.CALM, Move.STILL})


def compose(mail: Mail, still: Still, now: datetime) -> Letter | None:
    """Write a mail's letter as of now; None where nothing is left to say.

    Tests and verifications are not composed: the pages that ask for them send them at once.
    """
    body = BODIES[Mail.Kind(mail.kind)](mail, still, now)
    return Letter(reader=reader(mail.channel), at=now, body=body) if body else None


def reader(channel: Channel) -> Reader:
    """Say who reads and why; the channel comes with its tenant."""
    wanted = Channel.Severity(channel.min_severity).label.lower()
    whose = channel.tenant.name if channel.tenant else _("the operators")
    return Reader(
        channel_id=channel.pk,
        address=channel.address,
        why=f"{channel.name}, {whose}: {wanted}",
        time_zone=channel.time_zone,
    )


def _alert(mail: Mail, still: Still, now: datetime) -> Body | None:
    says = still.says
    wanted = {
        say.news.finding_id: Wanted(say.move, say.news.told.severity if say.news.told else "")
        for say in says
    }
    soonest = [next_reminder(say.news.severity, 0, now) for say in says if say.move in OPENINGS]
    return _alert_of(mail, wanted, min(soonest, default=None))


def _reminder(mail: Mail, still: Still, now: datetime) -> Body | None:
    wanted = {one.finding_id: Wanted(Move.STILL) for one in still.reminds}
    soonest = [next_reminder(one.severity, one.reminders_count + 1, now) for one in still.reminds]
    return _alert_of(mail, wanted, min(soonest, default=None))


def _alert_of(mail: Mail, wanted: Mapping[int, Wanted], reminder_at: datetime | None) -> Alert:
    tenant = mail.tenant
    return Alert(
        tenant=tenant.name if tenant else _("Fleet"),
        tenant_id=tenant.pk if tenant else None,
        standing=standing(tenant.pk if tenant else None),
        items=items_of(wanted, with_tenants=tenant is None),
        reminder_at=reminder_at,
        mail_id=mail.pk,
    )


def _fleet(mail: Mail, still: Still, _now: datetime) -> Body | None:
    says = still.says
    targets = {say.news.target_id for say in says}
    down = {say.news.target_id for say in says if say.move is not Move.RESOLVED}
    zone_ids = {say.news.zone_id for say in says}
    zone = Zone.objects.filter(pk__in=zone_ids).first() if len(zone_ids) == 1 else None
    pairs = Target.objects.filter(state=Target.State.ACTIVE)
    since = Delivery.objects.filter(mail=mail).aggregate(since=Min("transition__at"))["since"]
    return Storm(
        since=since or mail.made_at,
        zone=zone.slug if zone else "",
        changed_count=len(targets),
        recovered_count=len(targets - down),
        pairs_count=(pairs.filter(zone=zone) if zone else pairs).count(),
        rules=_rules(says),
        tenants=_tenants(says),
        mail_id=mail.pk,
    )


def _rules(says: Sequence[Say]) -> tuple[RuleCount, ...]:
    targets: dict[str, set[int]] = {}
    worst: dict[str, str] = {}
    for say in says:
        rule_id, severity = say.news.rule_id, say.news.severity
        targets.setdefault(rule_id, set()).add(say.news.target_id)
        worst[rule_id] = max(worst.get(rule_id, severity), severity, key=RANKS.__getitem__)
    counted = [
        RuleCount(rule_id=rule_id, severity=Severity(worst[rule_id]), pairs_count=len(of))
        for rule_id, of in targets.items()
    ]
    return tuple(sorted(counted, key=lambda one: (-one.pairs_count, one.rule_id)))


def _tenants(says: Sequence[Say]) -> tuple[TenantCount, ...]:
    targets: dict[int, set[int]] = {}
    for say in says:
        targets.setdefault(say.news.tenant_id, set()).add(say.news.target_id)
    names = dict(Tenant.objects.filter(pk__in=targets).values_list("pk", "name"))
    counted = [TenantCount(tenant=names[pk], pairs_count=len(of)) for pk, of in targets.items()]
    return tuple(sorted(counted, key=lambda one: (-one.pairs_count, one.tenant)))


def _portal(mail: Mail, _still: Still, _now: datetime) -> Body | None:
    """Tell of the alarms that this mail was made for, as far as they still hold."""
    rows = PortalAlarm.objects.filter(mailed_at=mail.made_at, ended_at=None).order_by("since")
    faults = tuple(
        Fault(key=one.key, text=one.text, cure=one.cure, since=one.since) for one in rows
    )
    return Faults(faults=faults) if faults else None


def _nothing(_mail: Mail, _still: Still, _now: datetime) -> Body | None:
    return None


BODIES: Final[Mapping[Mail.Kind, Callable[[Mail, Still, datetime], Body | None]]] = {
    Mail.Kind.ALERT: _alert,
    Mail.Kind.FLEET: _fleet,
    Mail.Kind.REMINDER: _reminder,
    Mail.Kind.PORTAL: _portal,
    Mail.Kind.DIGEST: compose_periodic.digest,
    Mail.Kind.WEEKLY: compose_periodic.weekly,
    Mail.Kind.WAIVERS: compose_periodic.waivers,
    Mail.Kind.TEST: _nothing,
    Mail.Kind.VERIFICATION: _nothing,
}

"""What happened to a pair in a time: findings, waivers, maintenance, policies; marks on a chart's axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from fleet.findings.models import Finding, MaintenanceWindow, Waiver
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import PolicyVersion, Target, Tenant


@dataclass(frozen=True)
class Event:
    """One thing that happened: when, how grave, in words, where it is told; the rules it touches.

    `tone` is a severity, "resolved" or "info". No rule: it touches every chart.
    """

    at: datetime
    tone: str
    words: str
    url: str = ""
    rule_ids: frozenset[str] = frozenset()


def events(rows: Rows, target: Target, since: datetime, until: datetime) -> list[Event]:
    """Give what happened, oldest first. Four queries."""
    found = [
        *_of_findings(
            rows.of(Finding)
            .filter(target=target, opened_at__lt=until)
            .exclude(resolved_at__lt=since)
        ),
        *_of_waivers(
            rows.of(Waiver).filter(
                Q(target=target) | Q(target=None, tenant=target.tenant_id), approved_at__lt=until
            )
        ),
        *_of_windows(
            rows.of(MaintenanceWindow).filter(
                Q(targets=target) | Q(scope="tenant", tenant=target.tenant_id), starts_at__lt=until
            )
        ),
        *_of_policies(
            rows.of(PolicyVersion).filter(_layers(target), made_at__range=(since, until))
        ),
    ]
    return sorted((one for one in found if since <= one.at < until), key=lambda one: one.at)


def policy_events(
    rows: Rows, tenant: Tenant | None, since: datetime, until: datetime
) -> list[Event]:
    """Give the changes of the policies that hold for the fleet, and for one tenant. One query.

    They touch every chart: a limit that moved is seen in all scores.
    """
    levels = Q(level__in=[PolicyVersion.Level.FLEET, PolicyVersion.Level.ENVIRONMENT])
    if tenant is not None:
        levels |= Q(level=PolicyVersion.Level.TENANT, tenant=tenant)
    made = rows.of(PolicyVersion).filter(levels, made_at__range=(since, until))
    found = [replace(one, rule_ids=frozenset()) for one in _of_policies(made)]
    return sorted(found, key=lambda one: one.at)


def _of_findings(findings: Iterable[Finding]) -> Iterator[Event]:
    for finding in findings:
        url = reverse("finding", args=[finding.pk])
        rules = frozenset({finding.rule_id})
        if finding.opened_at:
            words = _("Opened: %(what)s") % {"what": finding.short}
            yield Event(finding.opened_at, finding.severity, words, url, rules)
        if finding.resolved_at:
            words = _("Resolved: %(what)s") % {"what": finding.short}
            yield Event(finding.resolved_at, "resolved", words, url, rules)


def _of_waivers(waivers: Iterable[Waiver]) -> Iterator[Event]:
    for waiver in waivers:
        if waiver.approved_at:
            words = _("Waived: %(rule)s") % {"rule": waiver.rule_id}
            yield Event(waiver.approved_at, "info", words, "", frozenset({waiver.rule_id}))


def _of_windows(windows: Iterable[MaintenanceWindow]) -> Iterator[Event]:
    for window in windows:
        ends_at = min(window.ended_at or window.ends_at, window.ends_at)
        if ends_at > window.starts_at:
            yield Event(window.starts_at, "info", _("Maintenance begins"))
            yield Event(ends_at, "info", _("Maintenance ends"))


def _layers(target: Target) -> Q:
    return (
        Q(level=PolicyVersion.Level.FLEET)
        | Q(level=PolicyVersion.Level.ENVIRONMENT, environment=target.environment)
        | Q(level=PolicyVersion.Level.TENANT, tenant=target.tenant_id)
        | Q(level=PolicyVersion.Level.PAIR, target=target)
    )


def _of_policies(versions: Iterable[PolicyVersion]) -> Iterator[Event]:
    for version in versions:
        words = _("Policy changed: %(level)s, version %(number)s") % {
            "level": version.get_level_display(),
            "number": version.number,
        }
        yield Event(
            version.made_at, "info", words, reverse("portal:policies"), frozenset(version.overrides)
        )

"""What happened to a pair in a time: findings, waivers, maintenance, policies; marks on a chart's axis."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise

from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _

from fleet.findings.models import Finding, MaintenanceWindow, Waiver
from fleet.portal import addresses
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import PolicyVersion, Target, Tenant
from fleet.registry.past import Stretch


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


def events(
    rows: Rows, target: Target, course: list[Stretch], since: datetime, until: datetime
) -> list[Event]:
    """Give what happened, oldest first; `course` is how its state and zone went. Four queries."""
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
                Q(targets=target) | Q(scope="tenant", tenant=target.tenant_id) | _labelled(target),
                starts_at__lt=until,
            )
        ),
        *_of_course(course, target),
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
            url, rules = addresses.waiver(waiver.pk), frozenset({waiver.rule_id})
            words = _("Waived: %(rule)s") % {"rule": waiver.rule_id}
            yield Event(waiver.approved_at, "info", words, url, rules)
            words = _("Waiver ends: %(rule)s") % {"rule": waiver.rule_id}
            ends_at = min(waiver.ended_at or waiver.expires_at, waiver.expires_at)
            yield Event(ends_at, "info", words, url, rules)


def _of_windows(windows: Iterable[MaintenanceWindow]) -> Iterator[Event]:
    for window in windows:
        ends_at = min(window.ended_at or window.ends_at, window.ends_at)
        if ends_at > window.starts_at:
            url = addresses.maintenance(window.pk)
            yield Event(window.starts_at, "info", _("Maintenance begins"), url)
            yield Event(ends_at, "info", _("Maintenance ends"), url)


def _labelled(target: Target) -> Q:
    """Hold the windows of a label that this target has, of its tenant or of whoever's pairs."""
    found = Q(pk=None)
    for name, value in target.labels.items():
        found |= Q(label_name=name, label_value=value)
    mine = Q(tenant=None) | Q(tenant=target.tenant_id)
    return Q(scope=MaintenanceWindow.Scope.LABEL) & mine & found


def _of_course(course: list[Stretch], target: Target) -> Iterator[Event]:
    url = reverse("admin:registry_pair_changes", args=[target.pk])
    states = {
        Target.State.ACTIVE.value: _("Resumed: checked again"),
        Target.State.PAUSED.value: _("Paused: checked no more"),
        Target.State.ARCHIVED.value: _("Archived"),
    }
    for before, after in pairwise(course):
        if before.state != after.state:
            yield Event(after.at, "info", states[after.state], url)
        if before.zone != after.zone:
            words = _("Probed from zone %(zone)s from here on") % {"zone": after.zone}
            yield Event(after.at, "info", words, url)


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

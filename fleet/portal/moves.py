"""What changed in the last 24 hours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Func, IntegerField, Q, QuerySet, Subquery
from django.utils.translation import gettext as _

from fleet.findings.cover import COUNTED
from fleet.findings.models import Finding, Transition
from fleet.portal import addresses
from fleet.portal.figures import long_age
from fleet.portal.scoped_admin import Rows

WITHIN, LATELY = timedelta(hours=24), "24h"  # and its name in addresses
WEEK, THIS_WEEK = timedelta(days=7), "7d"
Cause, State = Transition.Cause, Finding.State
SHOWN = (Cause.OPENED, Cause.SEVERITY, Cause.RESOLVED)  # but not each move of what flaps
CAME_AT = {
    State.OPEN.value: "opened_at",
    State.RESOLVED.value: "resolved_at",
    State.PENDING.value: "first_seen_at",
}


@dataclass(frozen=True)
class Move:
    """One line: a finding that opened, changed its severity or was resolved."""

    state: str  # a mark: critical, warning, info or resolved
    pair: str
    text: str
    at: datetime
    url: str


@dataclass(frozen=True)
class Moves:
    """The newest moves, and how many scored findings opened (and still are) or were resolved."""

    newest: list[Move]
    opened_count: int
    resolved_count: int


def moves(rows: Rows, now: datetime, limit: int) -> Moves:
    """Return the newest moves of scored findings. One query."""
    recent = rows.of(Transition).filter(at__gt=now - WITHIN, cause__in=SHOWN, is_quiet=False)
    scored = recent.exclude(to_severity=Finding.Severity.INFO)
    newest = scored.select_related("finding__target").annotate(
        opened_count=_count(lately(rows.of(Finding), State.OPEN, now)),
        resolved_count=_count(lately(rows.of(Finding), State.RESOLVED, now)),
    )
    found = list(newest.order_by("-at", "-pk")[:limit])
    counts = (found[0].opened_count, found[0].resolved_count) if found else (0, 0)
    return Moves([_move(one) for one in found], *counts)


def lately(findings: QuerySet[Finding], state: str, now: datetime) -> QuerySet[Finding]:
    """Keep the scored findings that came into this state in the last 24 hours, are in it and count."""
    counted = COUNTED if state == State.OPEN else Q(state=state)
    moved = findings.filter(counted, **{f"{CAME_AT[state]}__gt": now - WITHIN})
    return moved.exclude(severity=Finding.Severity.INFO)


def this_week(findings: QuerySet[Finding], state: str, now: datetime) -> QuerySet[Finding]:
    """Keep the findings that came into this state in the last seven days."""
    return findings.filter(**{f"{CAME_AT[state]}__gt": now - WEEK})


def _count(findings: QuerySet[Finding]) -> Subquery:
    """Count rows as a column: an aggregate would group the rows around it."""
    count = Func(template="count(*)", output_field=IntegerField())
    return Subquery(findings.order_by().annotate(one=count).values("one"))


def _move(transition: Transition) -> Move:
    finding = transition.finding
    is_resolved = transition.cause == Cause.RESOLVED
    return Move(
        state="resolved" if is_resolved else transition.to_severity or finding.severity,
        pair=finding.target.name,
        text=_past(finding, transition.at) if is_resolved else finding.short,
        at=transition.at,
        url=addresses.finding(finding.pk),
    )


def _past(finding: Finding, resolved_at: datetime) -> str:
    """Write `maxmemory-policy is allkeys-lru, for 3 h 12 min`."""
    if finding.opened_at is None or finding.opened_at > resolved_at:
        return _("was: %(short)s") % {"short": finding.short}  # it has opened again since
    lasted = long_age((resolved_at - finding.opened_at).total_seconds())
    return _("was: %(short)s, for %(age)s") % {"short": finding.short, "age": lasted}

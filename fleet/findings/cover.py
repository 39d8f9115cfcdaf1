"""Which open findings do the waivers in force cover? Settled, with a transition for each change."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final, NamedTuple

from django.db.models import Q
from django.utils.translation import gettext as _

from fleet.findings.models import Finding, Transition, Waiver
from fleet.registry.arrays import rows_of

Cause, Severity = Transition.Cause, Finding.Severity
# An open finding counts where nothing covers it; else it is counted apart.
COUNTED: Final = Q(state=Finding.State.OPEN, waiver=None)
WAIVED: Final = Q(state=Finding.State.OPEN, waiver__isnull=False)
STALE: Final = COUNTED & Q(stale_since__isnull=False)
# What a waiver of this severity accepts.
UP_TO: Final = {
    Severity.WARNING.value: (Severity.INFO.value, Severity.WARNING.value),
    Severity.CRITICAL.value: tuple(Severity.values),
}


class Moved(NamedTuple):
    """A finding whose cover changed."""

    finding_id: int
    target_id: int
    rule_id: str
    severity: str
    before: int | None
    after: int | None


def within(severity: str, ceiling: float | None) -> Q:
    """Say which findings of its rule and scope a waiver of this reach covers.

    A finding whose worst value cannot be told is not below a ceiling.
    """
    covered = Q(severity__in=UP_TO[severity])
    return covered if ceiling is None else covered & Q(worst_measure__lte=ceiling)


def taken_on_by(person_id: int | None, now: datetime) -> Q:
    """Say which open findings somebody takes care of: acknowledged, or under a waiver they asked for."""
    acknowledged = Q(acknowledged_by=person_id, acknowledged_until__gt=now)
    return Q(state=Finding.State.OPEN) & (acknowledged | Q(waiver__requested_by=person_id))


# The waiver that covers finding f of target t now: its own before the tenant's.
COVERING: Final = """
LEFT JOIN LATERAL (
    SELECT w.id FROM findings_waiver w
    WHERE w.rule_id = f.rule_id AND w.tenant_id = t.tenant_id
      AND (w.target_id IS NULL OR w.target_id = t.id)
      AND w.approved_at IS NOT NULL AND w.ended_at IS NULL AND w.expires_at > %b
      AND (w.severity = 'critical' OR f.severity <> 'critical')
      AND (w.ceiling IS NULL OR f.worst_measure <= w.ceiling)
    ORDER BY w.target_id NULLS LAST LIMIT 1
) AS cover ON true
"""
STRAY: Final = f"""
SELECT f.id, f.target_id
FROM findings_finding f JOIN registry_target t ON t.id = f.target_id {COVERING}
WHERE f.state = 'open' AND f.waiver_id IS DISTINCT FROM cover.id
  AND (f.waiver_id IS NOT NULL
       OR f.rule_id IN (SELECT rule_id FROM findings_waiver WHERE ended_at IS NULL))
"""  # noqa: S608  our own condition
SETTLE: Final = f"""
UPDATE findings_finding u SET waiver_id = v.after
FROM (
    SELECT f.id, f.waiver_id AS before, cover.id AS after
    FROM findings_finding f JOIN registry_target t ON t.id = f.target_id {COVERING}
    WHERE f.id = ANY(%b::int8[]) AND f.state = 'open' AND f.waiver_id IS DISTINCT FROM cover.id
) v
WHERE u.id = v.id
RETURNING u.id, u.target_id, u.rule_id, u.severity, v.before, v.after
"""  # noqa: S608  our own condition


def stray(now: datetime, waiver: Waiver | None = None) -> dict[int, int]:
    """Give the open findings that are not covered as the waivers say: {finding: its target}.

    Of one waiver's scope, or of all. Nothing is read where there is no waiver.
    """
    scope, params = "", []
    if waiver is not None:
        scope = "AND f.rule_id = %b AND " + ("t.tenant_id" if waiver.target_id is None else "t.id")
        scope += " = %b"
        params = [waiver.rule_id, waiver.target_id or waiver.tenant_id]
    return dict(rows_of(STRAY + scope, [now, *params]))


def settle(finding_ids: Collection[int], now: datetime, by_id: int | None = None) -> list[Moved]:
    """Cover these open findings as the waivers say, and leave the transitions; returns what moved.

    The caller holds the rows of their pairs, in the transaction that changed findings or waivers.
    One query where nothing moves.
    """
    if not finding_ids:
        return []
    moved = [Moved._make(row) for row in rows_of(SETTLE, [now, list(finding_ids)])]
    ids = {one for move in moved for one in (move.before, move.after) if one is not None}
    known = Waiver.objects.in_bulk(ids) if ids else {}
    Transition.objects.bulk_create(
        _transition(move, known, now, by_id)
        for move in moved
        if (move.before is None) != (move.after is None)
    )
    return moved


def _transition(
    move: Moved, known: dict[int, Waiver], now: datetime, by_id: int | None
) -> Transition:
    return Transition(
        finding_id=move.finding_id,
        at=now,
        cause=Cause.UNWAIVED if move.after is None else Cause.WAIVED,
        from_state=Finding.State.OPEN,
        to_state=Finding.State.OPEN,
        from_severity=move.severity,
        to_severity=move.severity,
        note=_why(move, known),
        actor_id=by_id,
    )


def _why(move: Moved, known: dict[int, Waiver]) -> str:
    """Say what covers the finding now, or why nothing does any more."""
    if move.after is not None:
        one = known[move.after]
        return f"{one.get_kind_display()}: {one.reason}"
    before = known[move.before] if move.before is not None else None
    if before is None:
        return ""
    if before.ended_at:
        return ": ".join(text for text in (before.get_end_display(), before.end_note) if text)
    if move.severity not in UP_TO[before.severity]:
        return _("Its waiver covers warnings only")
    if before.ceiling is not None:
        return _("Its worst value is beyond the waiver's ceiling")
    return _("Its waiver does not hold here any more")

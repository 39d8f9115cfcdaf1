"""A waiver takes effect: findings, transitions and the pairs' lamps change in one transaction."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Final

from django.db import transaction

from checks.catalog import BY_ID
from fleet.findings import cover, waivers
from fleet.findings.models import Waiver
from fleet.findings.record import standing
from fleet.inspections import state
from fleet.inspections.models import PairState
from fleet.registry.arrays import rows_of, run
from fleet.registry.models import Target

# In id order, as recordings lock them: neither can wait for the other in a circle.
LOCK: Final = """
SELECT target_id FROM inspections_pairstate WHERE target_id = ANY(%b::int8[])
ORDER BY target_id FOR UPDATE
"""
LIT: Final = {
    name: state.COLUMNS[name]
    for name in (
        "compliance",
        "health",
        "compliance_since",
        "health_since",
        "rank",
        "critical_count",
        "warning_count",
        "waived_count",
        "pending_count",
        "worst_short",
        "worst_rule_id",
        "oldest_opened_at",
    )
}
UPDATE: Final = f"""
UPDATE inspections_pairstate s SET {", ".join(f"{name} = v.{name}" for name in LIT)}
FROM unnest(%b::int8[], {", ".join(f"%b::{kind}[]" for kind in LIT.values())})
    AS v(target_id, {", ".join(LIT)})
WHERE s.target_id = v.target_id
"""  # noqa: S608  our own column names


def request(ask: waivers.Ask, by_id: int, now: datetime, renews: Waiver | None = None) -> Waiver:
    """Ask for a waiver; where nobody else must approve it, it takes effect. Raises waivers.Refused."""
    with transaction.atomic():
        waiver = waivers.request(ask, by_id, now, renews)
        if waiver.approved_at:
            _take_effect(waiver, now, by_id)
    return waiver


def approve(waiver_id: int, by_id: int, now: datetime) -> Waiver:
    """Approve a waiting waiver, which takes effect. Raises waivers.Refused."""
    with transaction.atomic():
        waiver = waivers.approve(waiver_id, by_id, now)
        _take_effect(waiver, now, by_id)
    return waiver


def reject(waiver_id: int, by_id: int, note: str, now: datetime) -> Waiver:
    """Turn a waiting waiver down. Raises waivers.Refused."""
    with transaction.atomic():
        return waivers.reject(waiver_id, by_id, note, now)


def revoke(waiver_id: int, by_id: int, note: str, now: datetime) -> Waiver:
    """End a waiver before its time: what it covered counts again at once. Raises waivers.Refused."""
    with transaction.atomic():
        waiver = waivers.revoke(waiver_id, by_id, note, now)
        _take_effect(waiver, now, by_id)
    return waiver


def sweep(now: datetime) -> int:
    """End what has expired, give notice of what ends soon; returns the findings whose cover changed.

    Puts right, too, whatever is not covered as the waivers say. Safe to run twice, and
    beside itself.
    """
    with transaction.atomic():
        waivers.expire(now)
        waivers.give_notice(now)
        odd = cover.stray(now)
        if not odd:
            return 0
        _lock(odd.values())
        return _settle(odd, now, None)


def _take_effect(waiver: Waiver, now: datetime, by_id: int) -> None:
    """Settle the waiver's whole scope, behind all recordings of its pairs and before the next."""
    if waiver.target_id is not None:
        _lock([waiver.target_id])
    else:
        _lock(Target.objects.filter(tenant=waiver.tenant_id).values_list("pk", flat=True))
    _settle(cover.stray(now, waiver), now, by_id)


def _lock(target_ids: Collection[int]) -> None:
    rows_of(LOCK, [list(target_ids)])


def _settle(finding_ids: Collection[int], now: datetime, by_id: int | None) -> int:
    moved = cover.settle(finding_ids, now, by_id)
    _relight({one.target_id for one in moved}, now)
    return len(moved)


def _relight(target_ids: Collection[int], now: datetime) -> None:
    """Light the lamps of these pairs anew, from their findings and what is not verified."""
    states = list(PairState.objects.filter(target__in=target_ids))
    live = standing([one.target_id for one in states])
    rows: list[state.Row] = []
    for one in states:
        row: state.Row = {"target_id": one.target_id}
        unknown = [BY_ID[rule_id].kind for rule_id in one.core_unknown if rule_id in BY_ID]
        state.light(row, one, live[one.target_id], unknown, now)
        rows.append(row)
    if rows:
        run(UPDATE, [[row[name] for row in rows] for name in ("target_id", *LIT)])

"""Transitions become deliveries, once: a delivery commits together with its transition's routed mark."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Final, NamedTuple

from django.db import transaction
from django.db.models import Q

from fleet.alerts.decide import TOLD_CAUSES
from fleet.alerts.models import Delivery, Mail, Told
from fleet.alerts.recipients import About, Ears, read_ears
from fleet.registry.arrays import rows_of, run

# As many in one transaction: a storm of 3,000 pairs takes a few. Ours.
BATCH: Final = 1000


class _Unrouted(NamedTuple):
    """A transition that nobody routed yet, and what channels choose by."""

    transition_id: int
    cause: str
    is_quiet: bool
    target_id: int
    rule_id: str
    severity: str
    tenant_id: int
    environment: str

    @property
    def about(self) -> About:
        return About(self.tenant_id, self.environment, self.rule_id, self.severity)


# Not from the highest id seen on: a transaction that commits late has lower ones.
_CLAIM: Final = """
SELECT t.id, t.cause, t.is_quiet, f.target_id, f.rule_id,
    coalesce(nullif(t.to_severity, ''), f.severity), g.tenant_id, g.environment
FROM findings_transition t
JOIN findings_finding f ON f.id = t.finding_id
JOIN registry_target g ON g.id = f.target_id
WHERE t.routed_at IS NULL
ORDER BY t.id LIMIT %b FOR UPDATE OF t SKIP LOCKED
"""
_WRITE: Final = """
INSERT INTO alerts_delivery (transition_id, channel_id, state, reason, made_at)
SELECT unnest(%b::int8[]), unnest(%b::int8[]), 'waiting', '', %b
ON CONFLICT (transition_id, channel_id) DO NOTHING
"""
_MARK: Final = "UPDATE findings_transition SET routed_at = %b WHERE id = ANY(%b::int8[])"


def route(now: datetime) -> int:
    """Route what nobody routed yet; returns how many transitions. Any number may run at once."""
    routed = 0
    while batch := _route_batch(now):
        routed += batch
        if batch < BATCH:
            break
    return routed


@transaction.atomic
def _route_batch(now: datetime) -> int:
    moves = [_Unrouted._make(row) for row in rows_of(_CLAIM, [BATCH])]
    if not moves:
        return 0
    told = [move for move in moves if move.cause in TOLD_CAUSES and not move.is_quiet]
    if told:
        pairs = list(_deliveries(told, read_ears()))
        run(_WRITE, [[one for one, _ in pairs], [one for _, one in pairs], now])
    run(_MARK, [now, [move.transition_id for move in moves]])
    return len(moves)


def _deliveries(moves: Sequence[_Unrouted], ears: Ears) -> Iterator[tuple[int, int]]:
    """Give (transition, channel): who wants to hear of it now, and who may believe that it is open."""
    believing = _believing({move.target_id for move in moves})
    for move in moves:
        channels = ears.told(move.about) | believing.get((move.target_id, move.rule_id), set())
        yield from ((move.transition_id, channel) for channel in sorted(channels))


def _believing(target_ids: Collection[int]) -> dict[tuple[int, str], set[int]]:
    """Give the channels that were told that a rule fails on a target, or are about to be.

    Two queries, in this order: what is told meanwhile is then in the second.
    """
    found: defaultdict[tuple[int, str], set[int]] = defaultdict(set)
    on_way = Delivery.objects.filter(
        Q(state=Delivery.State.WAITING)
        | Q(state=Delivery.State.MAILED, mail__state__in=[Mail.State.WAITING, Mail.State.LEASED]),
        transition__finding__target__in=target_ids,
    )
    columns = ("transition__finding__target_id", "transition__finding__rule_id", "channel_id")
    for target_id, rule_id, channel_id in on_way.values_list(*columns):
        found[target_id, rule_id].add(channel_id)
    told = Told.objects.filter(
        target__in=target_ids,
        is_open=True,
        channel__verified_at__isnull=False,
        channel__stopped_at=None,
    )
    for target_id, rule_id, channel_id in told.values_list("target_id", "rule_id", "channel_id"):
        found[target_id, rule_id].add(channel_id)
    return found

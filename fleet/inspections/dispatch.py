"""What is due, into messages: shards of claims on their zone's queues."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from django.conf import settings
from kombu.exceptions import OperationalError

from fleet.inspections.load import Token
from fleet.inspections.schedule import Claim, claim_due, release

logger = logging.getLogger(__name__)

SHARD: Final = settings.SHARD_PAIRS
CLAIMED_AT_ONCE: Final = 2_000

Kind = Literal["now", "main", "slow"]


class Shard(NamedTuple):
    """One message: the claims of one zone, and the queue it goes to."""

    zone: str
    kind: Kind
    claims: tuple[Claim, ...]

    @property
    def queue(self) -> str:
        return f"zone.{self.zone}.{self.kind}"

    @property
    def tokens(self) -> list[Token]:
        """What the message carries: ids and numbers only."""
        return [(one.target_id, one.claim, one.bits) for one in self.claims]


def dispatch_due(now: datetime, send: Callable[[Shard], None]) -> int:
    """Claim what is due and send it; returns the number of pairs sent.

    Safe at any concurrency. Where a shard cannot be sent, the pairs are due again at once.
    """
    sent = 0
    while claims := claim_due(now, CLAIMED_AT_ONCE, fill=SHARD):
        if not _send_all(list(shards(claims)), send):
            break
        sent += len(claims)
        if len(claims) < CLAIMED_AT_ONCE:
            break
    return sent


def shards(claims: Sequence[Claim]) -> Iterator[Shard]:
    """Sort claims into messages: by zone, and those asked for or slow apart from the others."""
    groups: dict[tuple[str, Kind], list[Claim]] = defaultdict(list)
    for claim in sorted(claims):
        groups[claim.zone, _kind(claim)].append(claim)
    for (zone, kind), mine in groups.items():
        for first in range(0, len(mine), SHARD):
            yield Shard(zone, kind, tuple(mine[first : first + SHARD]))


def _kind(claim: Claim) -> Kind:
    if claim.is_asked:
        return "now"
    return "slow" if claim.is_slow else "main"


def _send_all(unsent: list[Shard], send: Callable[[Shard], None]) -> bool:
    """Send shard by shard; without a broker give the rest back and say so once."""
    while unsent:
        try:
            send(unsent[-1])
        except OperationalError as error:
            release((one.target_id, one.claim) for shard in unsent for one in shard.claims)
            logger.warning("broker not reached, shards given back count=%s: %s", len(unsent), error)
            return False
        unsent.pop()
    return True

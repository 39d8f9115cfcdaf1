"""Which figure of a queue counts? EmailEngine tells them, and so do their keys in Redis."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from checks.facts import EmailEngineFacts, Missing, PairFacts, Queue, RedisFacts

BY_EMAILENGINE = "EmailEngine"
BY_BOTH = "EmailEngine, ages from Redis"
BY_REDIS = "the queues' keys in Redis"


class Queues(NamedTuple):
    """The queues, and who told of them: evidence says which."""

    queues: tuple[Queue, ...]
    told_by: str


def queues_of(facts: PairFacts) -> Queues | Missing:
    """Give the queues as EmailEngine tells them, completed by their keys; else as the keys alone tell."""
    if isinstance(facts.emailengine, Missing):
        return facts.emailengine
    return merged(facts.redis, facts.emailengine)


def merged(redis: RedisFacts | Missing, emailengine: EmailEngineFacts) -> Queues | Missing:
    """Give the queues of one visit, or why EmailEngine told none where the keys are closed too.

    The counts are EmailEngine's. /metrics knows no paused queue and neither it nor /v1/stats the
    age of a job: those come from the keys.
    """
    own = emailengine.queues
    direct = redis if isinstance(redis, Missing) else redis.queues
    if isinstance(direct, Missing):
        return own if isinstance(own, Missing) else Queues(own, BY_EMAILENGINE)
    if isinstance(own, Missing):
        return Queues(direct, BY_REDIS)
    keys = {queue.name: queue for queue in direct}
    return Queues(tuple(_completed(one, keys.get(one.name)) for one in own), BY_BOTH)


def _completed(own: Queue, direct: Queue | None) -> Queue:
    if direct is None:
        return own
    is_told = not isinstance(own.is_paused, Missing)
    has_age = not isinstance(own.oldest_waiting_s, Missing)
    return replace(
        own,
        is_paused=own.is_paused if is_told else direct.is_paused,
        oldest_waiting_s=own.oldest_waiting_s if has_age else direct.oldest_waiting_s,
    )

"""Two visits' counters: what changed between them, and what to remember for the next. Pure.

A server that restarted (another run id, or a shorter uptime than the time between the visits)
counts from zero, and so does a counter that is smaller than it was. The first look compares with
nothing. What rose over a gap between visits is in no window: nobody knows when it came about.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Final

from checks.deltas_of_emailengine import OF_EMAILENGINE, take_emailengine
from checks.deltas_of_redis import OF_REDIS, take_redis
from checks.facts import EmailEngineFacts, Missing, RedisFacts, Since
from checks.look import Look
from checks.look import Memory as Memory


def compare(
    since: Since | Missing,
    before: Memory | None,
    redis: RedisFacts | Missing,
    emailengine: EmailEngineFacts | Missing,
    at_s: float,
    acknowledged_at_s: float = 0.0,
) -> tuple[Since | Missing, Memory]:
    """Complete what the last visits left by what this one read; return it, and what to remember.

    acknowledged_at_s is when somebody last accepted a loss of data: the next look after it takes
    a new baseline. A first visit has nothing to compare and only remembers.
    """
    look = Look(since, before or Memory(began_s=int(at_s)), redis, at_s)
    if isinstance(redis, Missing):
        look.found.update(dict.fromkeys(OF_REDIS, redis))
    else:
        take_redis(look, redis, acknowledged_at_s)
    if isinstance(emailengine, Missing):
        look.found.update(dict.fromkeys(OF_EMAILENGINE, emailengine))
    else:
        take_emailengine(look, emailengine)
    if isinstance(since, Missing):
        return since, look.memory
    return Since(*_left(since), **look.found), look.memory


# What the caller fills of Since, its first fields; the others are found here.
_left: Final = attrgetter(
    *("last_visit_s", "last_answer_s", "is_restarted", "recent_rtt_us", "recent_stall_us"),
    *("rtt_vantage", "last_stats_s", "own_pull"),
)

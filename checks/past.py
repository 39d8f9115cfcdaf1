"""What a pair's past shows: the most memory, copies and replicas of the last weeks. Pure.

Kept as one figure per four days (replicas: per day), and written down only when that figure grew,
so that most visits leave it as it was and that the rest write little.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

from checks.facts import Growth, Missing, RedisFacts, Trend
from checks.quick import quickly_made

DAY_S: Final = 86_400
MEMORY_DAYS: Final = 28
REPLICA_DAYS: Final = 7
# Seven whole steps and the one under way: 28 days at least, 32 at most.
STEP_DAYS: Final = 4
MEMORY_STEPS: Final = MEMORY_DAYS // STEP_DAYS + 1
# A step's figure is written again only when it grew by this share: each visit would write.
GROWTH_RATIO: Final = 0.01
# RSS of the moment, for the neighbours on its host; a drift below this share is not written.
DRIFT_RATIO: Final = 0.05

NO_GROWTH: Final = Missing("no_history", "no daily history of this pair yet")

Steps = tuple[tuple[int, int], ...]  # (number of the step, its highest figure), oldest first


@quickly_made
@dataclass(frozen=True, slots=True)
class Past:
    """One pair's past. Steps and days are counted from 1970; times are Unix times, 0 = not so."""

    used_by_step: Steps = ()
    cow_by_step: Steps = ()
    replicas_by_day: Steps = ()
    no_replica_since_s: int = 0
    rss_bytes: int = 0


def look_back(
    past: Past,
    began_s: int,
    redis: RedisFacts | Missing,
    at_s: float,
    growth: Growth | Missing = NO_GROWTH,
) -> tuple[Trend, Past]:
    """Add what this visit read to the past; return what it shows, and what to remember.

    began_s is when the pair was first visited: figures of 28 and of 7 days are Missing before.
    """
    if not isinstance(redis, Missing):
        past = _with(past, redis, at_s)
    age_s = at_s - began_s
    return (
        Trend(
            highest_used_bytes=_whole(past.used_by_step, age_s, MEMORY_DAYS),
            largest_cow_bytes=_highest(past.cow_by_step) or NO_COPY,
            most_replicas_count=_whole(past.replicas_by_day, age_s, REPLICA_DAYS),
            no_replica_s=at_s - past.no_replica_since_s if past.no_replica_since_s else 0.0,
            growth=growth,
        ),
        past,
    )


NO_COPY: Final = Missing("no_history", "No save has been seen yet that tells how much is copied")


def _with(past: Past, redis: RedisFacts, at_s: float) -> Past:
    """Add one reading; what it lacks stays as it was."""
    step = int(at_s) // (STEP_DAYS * DAY_S)
    used, rss = redis.used_memory_bytes, redis.used_memory_rss_bytes
    used_by_step, rss_bytes = past.used_by_step, past.rss_bytes
    if not isinstance(used, Missing):
        used_by_step = _raised(used_by_step, step, used, MEMORY_STEPS)
    if not isinstance(rss, Missing) and abs(rss - rss_bytes) > DRIFT_RATIO * rss_bytes:
        rss_bytes = rss
    cow_by_step = _raised(past.cow_by_step, step, _copied(redis), MEMORY_STEPS)
    after = Past(used_by_step, cow_by_step, *_replicas(past, redis, at_s), rss_bytes)
    return past if after == past else after


def _copied(redis: RedisFacts) -> int:
    """Return the largest copy-on-write that this reading tells of, 0 where it tells of none."""
    told = (redis.rdb_last_cow_bytes, redis.aof_last_cow_bytes, redis.current_cow_peak_bytes)
    return max([value for value in told if not isinstance(value, Missing)], default=0)


def _replicas(past: Past, redis: RedisFacts, at_s: float) -> tuple[Steps, int]:
    """Return the most replicas by day, and since when there is none."""
    if isinstance(redis.replicas, Missing) or redis.role != "master":
        return past.replicas_by_day, past.no_replica_since_s
    count = sum([one.state == "online" for one in redis.replicas])
    days = _raised(past.replicas_by_day, int(at_s) // DAY_S, count, REPLICA_DAYS)
    return days, 0 if count else past.no_replica_since_s or int(at_s)


def _raised(steps: Steps, step: int, value: int, kept_count: int) -> Steps:
    """Raise the step's figure where the value is notably higher, and drop the steps that are over."""
    kept = steps
    if steps and steps[0][0] <= step - kept_count:
        kept = tuple(one for one in steps if one[0] > step - kept_count)
    if not value:
        return kept
    if not kept or kept[-1][0] != step:
        return (*kept, (step, value))
    highest = kept[-1][1]
    if value <= highest * (1 + GROWTH_RATIO):
        return kept
    return (*kept[:-1], (step, value))


def _highest(steps: Steps) -> int:
    return max([value for _, value in steps], default=0)


def _whole(steps: Steps, age_s: float, wanted_days: int) -> int | Missing:
    """Return the highest figure, once the pair has been watched for all of these days."""
    return _young(wanted_days) if age_s < wanted_days * DAY_S else _highest(steps)


@cache
def _young(wanted_days: int) -> Missing:
    return Missing("no_history", f"watched for less than {wanted_days} days")

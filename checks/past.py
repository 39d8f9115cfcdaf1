"""What a pair's past shows: the most memory, copies and replicas of the last weeks. Pure.

Kept as one figure per day, and written down only when a day's figure grew, so that most visits
leave it as it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from checks.facts import Missing, RedisFacts, Trend

DAY_S: Final = 86_400
MEMORY_DAYS: Final = 28
REPLICA_DAYS: Final = 7
# A day's figure is written again only when it grew by this share: each visit would write.
GROWTH_RATIO: Final = 0.01
# RSS of the moment, for the neighbours on its host; a drift below this share is not written.
DRIFT_RATIO: Final = 0.05

Days = tuple[tuple[int, int], ...]  # (day, its highest figure), oldest first


@dataclass(frozen=True, slots=True)
class Past:
    """One pair's past. Days are counted from 1970; times are Unix times in s, 0 = not so."""

    used_by_day: Days = ()
    cow_by_day: Days = ()
    replicas_by_day: Days = ()
    no_replica_since_s: int = 0
    rss_bytes: int = 0


def look_back(
    past: Past, began_s: int, redis: RedisFacts | Missing, at_s: float
) -> tuple[Trend, Past]:
    """Add what this visit read to the past; return what it shows, and what to remember.

    began_s is when the pair was first visited: figures of 28 and of 7 days are Missing before.
    """
    if not isinstance(redis, Missing):
        past = _with(past, redis, at_s)
    age_s = at_s - began_s
    return (
        Trend(
            highest_used_bytes=_whole(past.used_by_day, age_s, MEMORY_DAYS),
            largest_cow_bytes=_highest(past.cow_by_day) or NO_COPY,
            most_replicas_count=_whole(past.replicas_by_day, age_s, REPLICA_DAYS),
            no_replica_s=at_s - past.no_replica_since_s if past.no_replica_since_s else 0.0,
        ),
        past,
    )


NO_COPY: Final = Missing("no_history", "No save has been seen yet that tells how much is copied")


def _with(past: Past, redis: RedisFacts, at_s: float) -> Past:
    """Add one reading; fields that it lacks stay as they were."""
    day = int(at_s) // DAY_S
    copied = max(
        (
            value
            for value in (
                redis.rdb_last_cow_bytes,
                redis.aof_last_cow_bytes,
                redis.current_cow_peak_bytes,
            )
            if not isinstance(value, Missing)
        ),
        default=0,
    )
    past = replace(past, cow_by_day=_raised(past.cow_by_day, day, copied, MEMORY_DAYS))
    if not isinstance(redis.used_memory_bytes, Missing):
        used = _raised(past.used_by_day, day, redis.used_memory_bytes, MEMORY_DAYS)
        past = replace(past, used_by_day=used)
    rss = redis.used_memory_rss_bytes
    if not isinstance(rss, Missing) and abs(rss - past.rss_bytes) > DRIFT_RATIO * past.rss_bytes:
        past = replace(past, rss_bytes=rss)
    return _with_replicas(past, redis, at_s)


def _with_replicas(past: Past, redis: RedisFacts, at_s: float) -> Past:
    if isinstance(redis.replicas, Missing) or redis.role != "master":
        return past
    count = sum(one.state == "online" for one in redis.replicas)
    days = _raised(past.replicas_by_day, int(at_s) // DAY_S, count, REPLICA_DAYS)
    since_s = 0 if count else past.no_replica_since_s or int(at_s)
    return replace(past, replicas_by_day=days, no_replica_since_s=since_s)


def _raised(days: Days, day: int, value: int, kept_days: int) -> Days:
    """Raise the day's figure where the value is notably higher, and drop the days that are over."""
    kept = tuple(one for one in days if one[0] > day - kept_days)
    if not value:
        return kept
    if not kept or kept[-1][0] != day:
        return (*kept, (day, value))
    highest = kept[-1][1]
    if value <= highest * (1 + GROWTH_RATIO):
        return kept
    return (*kept[:-1], (day, value))


def _highest(days: Days) -> int:
    return max((value for _, value in days), default=0)


def _whole(days: Days, age_s: float, wanted_days: int) -> int | Missing:
    """Return the highest figure, once the pair has been watched for all of these days."""
    if age_s < wanted_days * DAY_S:
        return Missing("no_history", f"watched for less than {wanted_days} days")
    return _highest(days)

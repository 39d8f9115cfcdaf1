"""What changed on a Redis since the last visit: its counters, its identity, its keys. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from checks.counters import add, rise, rises, total
from checks.facts import Missing, RedisFacts
from checks.look import DAY_S, FIRST, HOUR_S, YOUNG_DAY, Look

# A key count's drift below this is not written down: each visit would write.
DRIFT_RATIO: Final = 0.05
# A fall to this share or below may be a loss: the baseline stays until somebody acknowledges it.
KEYS_HELD_BELOW_RATIO: Final = 0.2
# Taken with each health visit and judged with each fifth: those in between must not be lost.
FSYNC_LOOKS: Final = 7

# What is remembered of errorstats: the rest rises with every visit and tells nothing.
WATCHED_ERRORS: Final = frozenset(
    {"NOAUTH", "WRONGPASS", "NOPERM", "OOM", "READONLY", "MISCONF", "NOREPLICAS", "CLUSTERDOWN"}
)
AUTH_ERRORS: Final = ("NOAUTH", "WRONGPASS")
# Refused sign-ins are counted once they come to so many, and to this share of the last hours': some
# are our own, one each time we knock without a password, and each visit would write.
FEW_REFUSED: Final = 3
REFUSED_RATIO: Final = 1 / 8
COUNTERS: Final = {  # what is found of each, by its name
    "evicted_keys": "evicted_keys_rise",
    "rejected_connections": "rejected_connections_rise",
    "output_buffer_disconnections": "output_buffer_disconnections_rise",
    "aof_delayed_fsync": "aof_delayed_fsync_rise",
}
_OF_ERRORS: Final = ("errors_rise", "auth_errors_hour_count", "auth_errors_day_mean_count")
OF_REDIS: Final = (*COUNTERS.values(), "is_failed_over", *_OF_ERRORS)


def take_redis(look: Look, redis: RedisFacts, acknowledged_at_s: float) -> None:
    """Compare the server's counters, and its keys with the baseline."""
    is_restarted = _is_restarted(look, redis)
    _take_identity(look, redis)
    _take_counters(look, redis, is_restarted=is_restarted)
    _take_errors(look, redis, is_restarted=is_restarted)
    if not isinstance(redis.bull_clients, Missing):
        here = any(one.database == redis.database for one in redis.bull_clients)
        look.remember(had_workers=here or look.memory.had_workers is True)
    if not isinstance(redis.config_maxclients, Missing):
        look.remember(config_maxclients=redis.config_maxclients)
    if acknowledged_at_s > look.memory.baseline_at_s:
        look.remember(baseline_at_s=int(look.at_s) + 1, keys_count=FIRST, accounts_count=FIRST)
        look.found.update(baseline_keys_count=FIRST, baseline_accounts_count=FIRST)
    _take_keys(look, redis)


def _is_restarted(look: Look, redis: RedisFacts) -> bool:
    run_id = redis.run_id
    if look.memory.run_id and not isinstance(run_id, Missing):
        return run_id != look.memory.run_id
    if isinstance(redis.uptime_s, Missing) or isinstance(look.answer_s, Missing):
        return False
    return redis.uptime_s < look.answer_s


def _take_identity(look: Look, redis: RedisFacts) -> None:
    """Tell a failover: the new primary remembers the old one's replication id."""
    run_id, replid, replid2 = redis.run_id, redis.master_replid, redis.master_replid2
    memory = look.memory
    if isinstance(run_id, Missing):
        look.found["is_failed_over"] = run_id
        return
    has_moved = bool(memory.run_id) and run_id != memory.run_id
    if memory.run_id:
        is_heir = bool(memory.master_replid) and replid2 == memory.master_replid
        look.found["is_failed_over"] = has_moved and is_heir
    known = {} if isinstance(replid, Missing) else {"master_replid": replid[:64]}
    look.remember(run_id=run_id[:64], **known)


def _take_counters(look: Look, redis: RedisFacts, *, is_restarted: bool) -> None:
    before = look.memory.counters
    known = dict(before)
    for name, rise_name in COUNTERS.items():
        now: int | Missing = getattr(redis, name)
        if isinstance(now, Missing):
            look.found[rise_name] = now
            continue
        if name in before:
            look.found[rise_name] = rise(now, before[name], is_restarted=is_restarted)
        known[name] = now
    look.remember(counters=known)
    slow_fsyncs = look.found.get("aof_delayed_fsync_rise")
    if isinstance(slow_fsyncs, int):
        looks = (*look.memory.slow_fsync_looks, slow_fsyncs > 0)[-FSYNC_LOOKS:]
        look.remember(slow_fsync_looks=looks)
    look.found["slow_fsync_looks"] = look.memory.slow_fsync_looks


def _take_errors(look: Look, redis: RedisFacts, *, is_restarted: bool) -> None:
    errors, before = redis.errors, look.memory.errors
    if isinstance(errors, Missing):
        look.found.update(dict.fromkeys(_OF_ERRORS, errors))
        return
    step, ring = int(look.at_s) // HOUR_S, look.memory.auth_errors
    watched = {name: count for name, count in errors.items() if name in WATCHED_ERRORS}
    refused = 0
    if not isinstance(before, Missing):
        grown = rises(watched, before, is_restarted=is_restarted)
        refused = sum(grown.get(name, 0) for name in AUTH_ERRORS)
        few = max(FEW_REFUSED, total(ring, step - 1, step) * REFUSED_RATIO)
        if 0 < refused < few and not is_restarted:
            refused = 0
            watched = _uncounted(watched, before)
            grown = rises(watched, before, is_restarted=False)
        look.found["errors_rise"] = grown
    look.remember(
        errors=watched,
        auth_errors=add(
            look.memory.auth_errors,
            look.at_s,
            0 if look.is_gap(look.answer_s) else refused,
            step_s=HOUR_S,
            keep_s=DAY_S + 2 * HOUR_S,
        ),
    )
    ring = look.memory.auth_errors
    look.found["auth_errors_hour_count"] = total(ring, step - 1, step)
    is_young = look.at_s - look.memory.began_s < DAY_S + 2 * HOUR_S
    look.found["auth_errors_day_mean_count"] = (
        YOUNG_DAY if is_young else total(ring, step - 25, step - 2) / 24
    )


def _uncounted(watched: Mapping[str, int], before: Mapping[str, int]) -> dict[str, int]:
    """Leave refused sign-ins as they were when they were counted last."""
    others = {name: count for name, count in watched.items() if name not in AUTH_ERRORS}
    return others | {name: before[name] for name in AUTH_ERRORS if name in before}


def _take_keys(look: Look, redis: RedisFacts) -> None:
    """Let the baseline follow the keys, but not a fall that may be a loss."""
    keys = redis.keys_by_database
    if isinstance(keys, Missing) or redis.is_loading is True:
        return
    now, before = keys.get(str(redis.database), 0), look.memory.keys_count
    if isinstance(before, Missing) or (
        now > before * KEYS_HELD_BELOW_RATIO and abs(now - before) > before * DRIFT_RATIO
    ):
        look.remember(keys_count=now)

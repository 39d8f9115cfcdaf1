"""What does Redis do when memory runs out: refuse, or delete? The eviction policy."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from checks.facts import Missing, PairFacts, RedisFacts, known, readable
from checks.render import percent
from checks.rule import (
    JSON,
    Code,
    Effect,
    Group,
    Kind,
    Limits,
    Remediation,
    Severity,
    Steps,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
)
from checks.rules.memory import ceiling_for, ram_of

_EVICTS = (
    "When memory runs out Redis deletes keys of its choice: mailbox indexes, credentials and "
    "queued mail among them, without a word."
)
_ANSWERS = (Code("CONFIG GET maxmemory-policy"), "must answer noeviction.")
_REFUSES = (
    "With noeviction a Redis at its maxmemory refuses writes instead; {room}. Keep it clear of its "
    "ceiling."
)
_ELASTICACHE = (
    Code(
        "aws elasticache modify-cache-parameter-group --cache-parameter-group-name MY-GROUP "
        "--parameter-name-values ParameterName=maxmemory-policy,ParameterValue=noeviction"
    ),
    (
        "A default group cannot be changed: make an own one of the same family first, and let the "
        "replication group use it."
    ),
)
_MEMORYDB = (
    Code(
        "aws memorydb update-parameter-group --parameter-group-name MY-GROUP "
        "--parameter-name-values ParameterName=maxmemory-policy,ParameterValue=noeviction"
    ),
    (
        "A default group cannot be changed: make an own one of the same family first, and let the "
        "cluster use it."
    ),
)
_GROUP_LASTS = (
    "The parameter group is lasting; keep it in the place your infrastructure is built from."
)
_GROUP_UNDO = "Set the parameter back to {maxmemory_policy}."
_DRAGONFLY = Steps(
    do="Switch cache_mode off",
    now="Restart Dragonfly with the argument below, after a snapshot (SAVE): it then refuses writes "
    "instead of evicting.",
    durable="--cache_mode=false as an argument, or in the manifest.",
    verify=(Code("INFO memory"), "must answer maxmemory_policy:noeviction."),
    undo="Restart it with --cache_mode=true.",
    effect=Effect.RESTART,
)
_UPSTASH = Steps(
    do="Switch eviction off in the Upstash console",
    now="In the Upstash console, switch Eviction off for this database.",
    durable="The switch stays until you change it.",
    verify=(Code("INFO memory"), "must no longer answer maxmemory_policy:{maxmemory_policy}."),
    undo="Switch Eviction on again.",
    effect=Effect.CONSOLE,
)
_AWS = Steps(
    now=_ELASTICACHE,
    durable=_GROUP_LASTS,
    undo=_GROUP_UNDO,
    effect=Effect.CONSOLE,
    verify=(Code("INFO memory"), "must answer maxmemory_policy:noeviction."),
)
_AWS_MEMORYDB = Steps(
    now=_MEMORYDB,
    durable=_GROUP_LASTS,
    undo=_GROUP_UNDO,
    effect=Effect.CONSOLE,
    verify=(Code("INFO memory"), "must answer maxmemory_policy:noeviction."),
)
NOEVICTION = Remediation(
    when="keys may be evicted, and memory is not full",
    why=_EVICTS,
    do="Set maxmemory-policy to noeviction",
    now=Code("CONFIG SET maxmemory-policy noeviction"),
    durable=Code("maxmemory-policy noeviction"),
    verify=_ANSWERS,
    risk=_REFUSES,
    undo=Code("CONFIG SET maxmemory-policy {maxmemory_policy}"),
    dragonfly=_DRAGONFLY,
    upstash=_UPSTASH,
    elasticache=_AWS,
    memorydb=_AWS_MEMORYDB,
)
_LARGER_NODE = "Move to a larger node type first, or every write is refused at once. Then:"
_DRAGONFLY_ROOM = replace(
    _DRAGONFLY,
    now=(
        "Give it room first: see that {host} holds {suggested_maxmemory_bytes:size}, and add RAM if "
        "not. Then restart Dragonfly with the arguments below, after a snapshot (SAVE)."
    ),
    durable=(
        "--cache_mode=false --maxmemory={suggested_maxmemory_bytes} as arguments, or in the manifest."
    ),
)
_UPSTASH_ROOM = replace(
    _UPSTASH,
    now="In the Upstash console, choose a plan with a larger data size, then switch Eviction off.",
)
ROOM_FIRST = Remediation(
    when="memory is full, and the host has room",
    why=_EVICTS,
    do="Raise maxmemory, then set maxmemory-policy to noeviction",
    now=(
        "Give it room first, or every write is refused at once; see that {host} holds it:",
        Code("CONFIG SET maxmemory {suggested_maxmemory_bytes}"),
        Code("CONFIG SET maxmemory-policy noeviction"),
    ),
    durable=Code("maxmemory {suggested_maxmemory_bytes}\nmaxmemory-policy noeviction"),
    verify=_ANSWERS,
    risk=_REFUSES,
    undo=(
        Code("CONFIG SET maxmemory-policy {maxmemory_policy}"),
        Code("CONFIG SET maxmemory {maxmemory_bytes}"),
    ),
    dragonfly=_DRAGONFLY_ROOM,
    upstash=_UPSTASH_ROOM,
    elasticache=replace(_AWS, now=(_LARGER_NODE, *_ELASTICACHE)),
    memorydb=replace(_AWS_MEMORYDB, now=(_LARGER_NODE, *_MEMORYDB)),
)
ADD_RAM_FIRST = replace(
    ROOM_FIRST,
    when="memory is full, and the host has no room",
    do="Add RAM and raise maxmemory, then set maxmemory-policy to noeviction",
    now=(
        (
            "Add RAM first, {needed_ram_bytes:size} or more on {host}, and set maxmemory to "
            "{suggested_maxmemory_bytes:size}: without room noeviction refuses every write at once."
        ),
        "Then:",
        Code("CONFIG SET maxmemory-policy noeviction"),
    ),
    effect=Effect.RESTART,
)

VOLATILE: Final = "volatile-"
DELETES_ANY: Final = ("allkeys-", "eviction", "optimistic-volatile")


@dataclass(frozen=True)
class EvictionLimits(Limits):
    """The share of maxmemory from which on the remedy makes room before it switches."""

    room_first_used_ratio: float = 0.90


@rule(
    id="redis.eviction-policy",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis never evicts keys",
    severity=Severity.CRITICAL,
    source="S0, S1, EE",
    observed="{maxmemory_policy}",
    required="noeviction",
    reads="INFO memory, stats: one round trip, part of the visit's INFO",
    limits=EvictionLimits(),
    core=True,
    remediation={
        "policy": NOEVICTION,
        "full": ROOM_FIRST,
        "full-add-ram": ADD_RAM_FIRST,
    },
)
def eviction_policy(facts: PairFacts, limits: EvictionLimits) -> Verdict:
    """Judge maxmemory_policy: noeviction is wanted, volatile-* takes only keys with an expiry.

    Everything else that evicts may take any key. A server without maxmemory evicts nothing yet:
    the policy is judged all the same, for the limit may be set at any time.

    Source: S0 and S1 prefer noeviction and allow volatile-* with a caveat; EmailEngine itself
    warns of every policy but noeviction.
    """
    redis = known(facts.redis)
    policy = known(redis.maxmemory_policy)
    if policy == "noeviction":
        return passed(maxmemory_policy=policy, **_evidence(redis))
    if policy.startswith(VOLATILE):
        severity, which = Severity.WARNING, "keys that have an expiry"
    elif policy.startswith(DELETES_ANY):
        severity, which = Severity.CRITICAL, "any key"
    else:
        return unknown("undetermined", f"{policy} is no eviction policy that we know")
    return _evicting(facts, redis, limits, policy, severity, which)


def _evicting(
    facts: PairFacts,
    redis: RedisFacts,
    limits: EvictionLimits,
    policy: str,
    severity: Severity,
    which: str,
) -> Verdict:
    ratio, room = _used_ratio(redis), ceiling_for(_used_bytes(redis), ram_of(facts))
    is_full = ratio is not None and ratio >= limits.room_first_used_ratio
    told = _memory_told(redis, ratio)
    return failed(
        f"maxmemory-policy is {policy}: Redis may evict {which}, {_harm(redis)}{told}; "
        "it must be noeviction",
        short=f"maxmemory-policy is {policy}",
        severity=severity,
        cause=("full" if room.fits else "full-add-ram") if is_full else "policy",
        maxmemory_policy=policy,
        room=told,
        suggested_maxmemory_bytes=room.size_bytes,
        needed_ram_bytes=room.needed_ram_bytes,
        **_evidence(redis),
    )


def _evidence(redis: RedisFacts) -> dict[str, JSON]:
    ratio = _used_ratio(redis)
    return {
        **readable(evicted_keys_count=redis.evicted_keys, maxmemory_bytes=redis.maxmemory_bytes),
        **({} if ratio is None else {"used_ratio": ratio}),
    }


def _used_bytes(redis: RedisFacts) -> int:
    return 0 if isinstance(redis.used_memory_bytes, Missing) else redis.used_memory_bytes


def _used_ratio(redis: RedisFacts) -> float | None:
    """Return the used share of maxmemory, or None where there is no limit or it was not read."""
    maxmemory = redis.maxmemory_bytes
    if isinstance(maxmemory, Missing) or not maxmemory:
        return None
    return None if isinstance(redis.used_memory_bytes, Missing) else _used_bytes(redis) / maxmemory


def _harm(redis: RedisFacts) -> str:
    evicted = redis.evicted_keys
    if isinstance(evicted, Missing):
        return ""
    return f"and has evicted {evicted:,} since it started: " if evicted else "nothing is lost yet: "


def _memory_told(redis: RedisFacts, ratio: float | None) -> str:
    if ratio is not None:
        return f"memory is at {percent(ratio)} of maxmemory"
    return "no maxmemory is set" if redis.maxmemory_bytes == 0 else "its memory was not read"


# --- What was evicted

EVICTED = Remediation(
    why=_EVICTS,
    do="Stop eviction, then find out what is missing",
    now=(
        "Stop it first, with room for the data (see redis.eviction-policy and redis.memory-headroom):",
        Code("CONFIG SET maxmemory-policy noeviction"),
        (
            "Then see in EmailEngine whether accounts and queued messages are all there. What is missing "
            "comes back only from a backup, or by adding the account anew."
        ),
        "Last, acknowledge this finding with what you found.",
    ),
    durable=Code("maxmemory-policy noeviction"),
    verify=(Code("INFO stats"), "must show an evicted_keys that no longer rises."),
    risk="Where memory is full, noeviction refuses every write at once: make room first.",
    undo=Code("CONFIG SET maxmemory-policy {maxmemory_policy}"),
    dragonfly=_DRAGONFLY,
    upstash=_UPSTASH,
    elasticache=_AWS,
    memorydb=_AWS_MEMORYDB,
)


@rule(
    id="redis.evicted-keys",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="Redis has evicted no key",
    severity=Severity.CRITICAL,
    source="S1, EE",
    observed="{new_evicted_count:count} evicted",
    required="none",
    reads="INFO stats, memory: one round trip, part of the visit's INFO",
    event=True,
    resolves_by_acknowledgement=True,
    remediation=EVICTED,
)
def evicted_keys(facts: PairFacts, _: Limits) -> Verdict:
    """Judge the keys evicted since the last look; at first sight, since the server started.

    Source: S1 and what EmailEngine does: a key evicted is mail state lost. Under volatile-* only
    keys with an expiry go.
    """
    redis = known(facts.redis)
    total = known(redis.evicted_keys)
    since = facts.since
    risen = since if isinstance(since, Missing) else since.evicted_keys_rise
    if isinstance(risen, Missing) and risen.reason == "first_visit":
        risen = total
    new, policy = known(risen), known(redis.maxmemory_policy)
    numbers: dict[str, JSON] = {
        "new_evicted_count": new,
        "evicted_keys_count": total,
        "maxmemory_policy": policy,
    }
    if not new:
        return passed(**numbers)
    is_mild = policy.startswith(VOLATILE)
    return failed(
        f"Redis has evicted {new:,} keys under {policy}; it must evict none",
        short=f"{new:,} keys evicted",
        severity=Severity.WARNING if is_mild else Severity.CRITICAL,
        **numbers,
    )

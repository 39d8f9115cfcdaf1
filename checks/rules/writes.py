"""Does Redis take EmailEngine's writes? Judged without writing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from checks.facts import Missing, PairFacts, Reason, RedisFacts, known, or_else, readable
from checks.render import size
from checks.rule import (
    JSON,
    Confirm,
    Group,
    Kind,
    Limits,
    Severity,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
    unread,
)
from checks.rules.memory import ceiling_for, ram_of
from checks.rules.reach import ANSWERED
from checks.rules.unblocking import (
    CLUSTER_DOWN,
    MISCONF_AOF,
    MISCONF_RDB,
    NOREPLICAS,
    OOM,
    OOM_ADD_RAM,
    QUOTA,
    REPLICA,
)

# How Upstash refuses every command once its plan's quota is used up. Source: its documents; read,
# not run.
USED_UP: Final = ("ERR max requests limit exceeded", "ERR max daily request limit exceeded")
# The words with which Redis refuses a write; PING repeats some of them.
REFUSALS: Final = ("MISCONF", "OOM", "READONLY", "NOREPLICAS", "CLUSTERDOWN", "MASTERDOWN")


@dataclass(frozen=True, slots=True)
class Block:
    """One thing that keeps Redis from taking writes."""

    cause: str
    short: str
    message: str


READONLY = Block(
    "readonly",
    "READONLY: endpoint is a replica",
    "This Redis is a replica and refuses writes; EmailEngine needs the primary",
)
RDB = Block(
    "misconf-rdb",
    "MISCONF: Redis refuses writes",
    "Redis refuses writes because its last RDB snapshot failed; it must be able to save",
)
AOF = Block(
    "misconf-aof",
    "MISCONF: Redis refuses writes",
    "Redis refuses writes because it cannot write its AOF; it must be able to",
)
CLUSTERDOWN = Block(
    "clusterdown",
    "CLUSTERDOWN: writes are refused",
    "The cluster does not serve all its slots and refuses writes; EmailEngine needs a standalone Redis",
)
FULL = Block(
    "oom",
    "OOM: memory is full",
    "Redis is full and refuses writes: {used} of {limit}; it must stay clear of maxmemory",
)
BRIM = Block(
    "oom",
    "OOM: writes were refused",
    "Redis has refused {refused:,} writes since {since}, and uses {used} of {limit}; it must "
    "stay clear of maxmemory",
)
SPENT = Block(
    "quota",
    "Command quota is used up",
    "Redis refuses every command because the plan's quota is used up; the plan must last",
)
LONELY = Block(
    "noreplicas",
    "NOREPLICAS: too few replicas",
    "Redis refuses writes: {good} good replicas, of which it wants at least {wanted}",
)


@dataclass(frozen=True)
class WriteLimits(Limits):
    """The share of maxmemory (0 to 1) from which on writes refused since the last look count."""

    brim_used_ratio: float = 0.95


@rule(
    id="redis.accepts-writes",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="Redis takes writes",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{state}",
    required="nothing blocks writes",
    reads="PING, INFO, CONFIG GET stop-writes-on-bgsave-error and min-replicas-to-write: one batch",
    limits=WriteLimits(),
    resolves=Confirm(2, 2),
    core=True,
    remediation={
        "oom": OOM,
        "oom-add-ram": OOM_ADD_RAM,
        "misconf-rdb": MISCONF_RDB,
        "misconf-aof": MISCONF_AOF,
        "noreplicas": NOREPLICAS,
        "readonly": REPLICA,
        "clusterdown": CLUSTER_DOWN,
        "quota": QUOTA,
    },
)
def accepts_writes(facts: PairFacts, limits: WriteLimits) -> Verdict:
    """Judge what would make Redis refuse a write, without writing.

    Role, memory against maxmemory as Redis itself compares them, the status of saves and of the
    AOF, good replicas, cluster state, and PING, which Redis answers with MISCONF or MASTERDOWN
    while these hold. A hidden setting counts as its default, which blocks. EmailEngine's /health
    writes too: its 500 settles what Redis alone leaves open. Memory at the brim swings about
    maxmemory: refusals since the last look tell what this look just misses.

    Source: S1, EmailEngine needs to write at all times. Redis refuses as its processCommand() does.
    """
    redis = known(facts.redis)
    if or_else(redis.mode, "") == "sentinel":
        text = "A Sentinel takes no data commands"
        return unread(Missing("depends_on", text, "redis.endpoint-role"))
    if isinstance(redis.ping, Missing) and redis.ping.reason not in ANSWERED:
        return unread(Missing("depends_on", redis.ping.text, "redis.reachable"))
    if redis.is_loading is True:  # it may refuse us PING and yet tell this
        return unread(Missing("depends_on", "Redis is loading its dataset", "redis.reachable"))
    blocks = list(blocks_of(redis)) or _at_the_brim(redis, facts, limits)
    if blocks:
        return _refused(redis, blocks, facts)
    doubt = _doubtful(redis, facts)
    if doubt is not None:
        return doubt
    _require_what_decides(redis)
    return passed(state="nothing blocks writes")


def refuses_writes(facts: PairFacts) -> bool:
    """Tell whether Redis shows something that blocks writes (other rules then look no further)."""
    return not isinstance(facts.redis, Missing) and any(blocks_of(facts.redis))


def blocks_of(redis: RedisFacts) -> Iterator[Block]:
    """Yield what blocks writes, the plainest cause first."""
    if isinstance(redis.ping, Missing) and redis.ping.text.startswith(USED_UP):
        yield SPENT
    if redis.role == "slave" and or_else(redis.replica_read_only, default=True):
        yield READONLY
        return
    if _is_cluster(redis) and redis.cluster_state == "fail":
        yield CLUSTERDOWN
    yield from _disk_blocks(redis)
    if _lacks_replicas(redis):
        yield LONELY
    if _is_full(redis) and redis.maxmemory_policy == "noeviction":
        yield FULL


def _at_the_brim(redis: RedisFacts, facts: PairFacts, limits: WriteLimits) -> list[Block]:
    """Tell of writes refused for memory since the last look, where as good as none is left now."""
    used, maxmemory = or_else(redis.used_memory_bytes, 0), or_else(redis.maxmemory_bytes, 0)
    is_brim = bool(maxmemory) and used >= limits.brim_used_ratio * maxmemory
    return [BRIM] if is_brim and _refusals(redis, facts).refused_count else []


class Refusals(NamedTuple):
    """How many commands were refused for want of memory, and since when."""

    refused_count: int
    since: str


def _refusals(redis: RedisFacts, facts: PairFacts) -> Refusals:
    """Count since the last look; at first sight since Redis started, as evicted keys are."""
    since = facts.since
    risen = since if isinstance(since, Missing) else since.errors_rise
    if not isinstance(risen, Missing):
        return Refusals(risen.get("OOM", 0), "the last look")
    total = or_else(redis.errors, {}) if risen.reason == "first_visit" else {}
    return Refusals(total.get("OOM", 0), "it started")


def _is_cluster(redis: RedisFacts) -> bool:
    return redis.cluster_enabled is True or redis.mode == "cluster"


def _disk_blocks(redis: RedisFacts) -> Iterator[Block]:
    ping = redis.ping.text if isinstance(redis.ping, Missing) else ""
    if ping.startswith("MISCONF"):
        yield AOF if "AOF" in ping else RDB
    elif redis.aof_enabled is True and redis.aof_last_write_status == "err":
        yield AOF
    elif redis.rdb_last_bgsave_status == "err" and _a_failed_save_blocks(redis):
        yield RDB


def _a_failed_save_blocks(redis: RedisFacts) -> bool:
    """Tell whether the settings make a failed save block writes; hidden ones count as default.

    What had to be assumed yields to PING: Redis answers it MISCONF as long as a failed save
    blocks, so a PONG says that it does not.
    """
    stops, save = redis.stop_writes_on_bgsave_error, redis.save
    if stops is False or save == ():
        return False
    is_assumed = isinstance(stops, Missing) or isinstance(save, Missing)
    return not (is_assumed and redis.ping == "PONG")


def _lacks_replicas(redis: RedisFacts) -> bool:
    """Tell whether too few good replicas are attached.

    INFO tells their number only where a least number is set, so a hidden setting is at least 1.
    """
    good = redis.min_replicas_good
    return not isinstance(good, Missing) and good < or_else(redis.min_replicas_to_write, 1)


def _is_full(redis: RedisFacts) -> bool:
    """Compare as Redis does: without replication and AOF buffers, at or above maxmemory."""
    maxmemory, used = redis.maxmemory_bytes, redis.used_memory_bytes
    if isinstance(maxmemory, Missing) or isinstance(used, Missing) or maxmemory == 0:
        return False
    return used - or_else(redis.not_counted_for_evict_bytes, 0) >= maxmemory


def _refused(redis: RedisFacts, blocks: list[Block], facts: PairFacts) -> Verdict:
    worst = blocks[0]
    used, maxmemory = or_else(redis.used_memory_bytes, 0), or_else(redis.maxmemory_bytes, 0)
    good = or_else(redis.min_replicas_good, 0)
    wanted = or_else(redis.min_replicas_to_write, 1)
    room, refusals = ceiling_for(used, ram_of(facts)), _refusals(redis, facts)
    return failed(
        worst.message.format(
            used=size(used),
            limit=size(maxmemory),
            good=good,
            wanted=wanted,
            refused=refusals.refused_count,
            since=refusals.since,
        ),
        short=worst.short,
        severity=Severity.CRITICAL,
        cause="oom-add-ram" if worst.cause == "oom" and not room.fits else worst.cause,
        state=worst.short,
        blocked_by=[block.cause for block in blocks],
        used_memory_bytes=used,
        maxmemory_bytes=maxmemory,
        suggested_maxmemory_bytes=room.size_bytes,
        needed_ram_bytes=room.needed_ram_bytes,
        min_replicas_good_count=good,
        min_replicas_to_write_count=wanted,
        **_support(redis, facts),
    )


def _doubtful(redis: RedisFacts, facts: PairFacts) -> Verdict | None:
    """Judge what Redis alone leaves open; EmailEngine's 500 settles it."""
    for block, reason, text in _doubts(redis):
        if _health_status(facts) == 500:
            return _refused(redis, [block], facts)
        return unknown(reason, text, **_support(redis, facts))
    return None


def _doubts(redis: RedisFacts) -> Iterator[tuple[Block, Reason, str]]:
    if _is_cluster(redis) and isinstance(redis.cluster_state, Missing):
        text = "Cluster mode is on, and whether every slot is served was not read"
        yield CLUSTERDOWN, "cluster", text
    policy = or_else(redis.maxmemory_policy, "")
    if _is_full(redis) and "volatile" in policy:
        text = f"Memory is full, and whether {policy} finds anything to evict cannot be told"
        yield FULL, "undetermined", text


def _require_what_decides(redis: RedisFacts) -> None:
    """End as unknown where a fact is missing that a pass would rest on.

    A PONG alone rules out refusals for the disk's sake, so their status is needed without it.
    """
    known(redis.role)
    if known(redis.maxmemory_bytes):
        known(redis.used_memory_bytes)
        known(redis.maxmemory_policy)
    if redis.ping != "PONG":
        known(redis.rdb_last_bgsave_status)
        if known(redis.aof_enabled):
            known(redis.aof_last_write_status)


def _health_status(facts: PairFacts) -> int | None:
    emailengine = facts.emailengine
    if isinstance(emailengine, Missing) or isinstance(emailengine.health_status, Missing):
        return None
    return emailengine.health_status


def _support(redis: RedisFacts, facts: PairFacts) -> dict[str, JSON]:
    """Gather what else speaks of refused writes: Redis' counts since its start, EmailEngine's 500."""
    errors = or_else(redis.errors, {})
    refused = {name: errors[name] for name in REFUSALS if name in errors}
    status = _health_status(facts)
    return {
        **({"refused": refused} if refused else {}),
        **({} if status is None else {"emailengine_health_status": status}),
        **readable(master_link_status=redis.master_link_status),
    }

"""Can Redis copy itself to save, and does it give memory back? Copy-on-write, fragmentation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from checks.facts import (
    NO_FLEET,
    NO_TREND,
    Engine,
    Missing,
    PairFacts,
    RedisFacts,
    known,
    or_else,
    readable,
)
from checks.render import MIB, size
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
    not_applicable,
    passed,
    rule,
    unknown,
)
from checks.rules.memory import Ram, ram_of, told_of

# --- Room to save

_PURGE = (
    "Memory that was freed but not given back returns to the system with:",
    Code("MEMORY PURGE"),
)
SAVE_ROOM = Remediation(
    why="To save, Redis forks and copies every page that changes meanwhile. Without room for the "
    "copies the save fails, or the system ends Redis with all that was not saved.",
    do="Give {host} {missing_ram_bytes:size} more RAM",
    now=(
        "Add {missing_ram_bytes:size} of RAM or more to {host}, or move other programs off it.",
        *_PURGE,
    ),
    durable="Keep the size of the host in the place that your infrastructure is built from.",
    verify=(
        Code("INFO memory"),
        "must show used_memory_rss at least {wanted_room_bytes:size} below RAM.",
    ),
    risk="Do not cure it by switching snapshots off: they are what survives a crash. "
    "Where vm.overcommit_memory is 0 the fork itself may be refused: set it to 1.",
    undo="Nothing to undo.",
    effect=Effect.RESTART,
)


@dataclass(frozen=True)
class SnapshotLimits(Limits):
    """The share of RAM (0 to 1) that must be left whatever the copies need."""

    critical_left_ratio: float = 0.10


@rule(
    id="redis.snapshot-headroom",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="RAM is left for the copies that saving makes",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{left_bytes:size} left of {ram_bytes:size}",
    required="≥ {wanted_room_bytes:size}",
    reads="INFO memory, persistence: part of the visit's INFO; the largest copy-on-write of 28 days",
    limits=SnapshotLimits(),
    not_on=(Engine.DRAGONFLY, Engine.UPSTASH, Engine.ELASTICACHE, Engine.MEMORYDB),
    remediation=SAVE_ROOM,
)
def snapshot_headroom(facts: PairFacts, limits: SnapshotLimits) -> Verdict:
    """Judge the RAM that Redis leaves free against the largest copy-on-write seen (bytes).

    RSS of other registered servers on the host is taken off too. RAM as INFO tells it is the
    host's, not the container's: an estimate, which proves a fail but no pass.

    Source: S0 and S1, room for the copy that a snapshot makes. The least share is ours.
    """
    redis = known(facts.redis)
    if redis.save == () and redis.aof_enabled is False:
        return not_applicable("Neither RDB nor AOF is on: nothing forks (see redis.durability)")
    rss = known(redis.used_memory_rss_bytes)
    ram = ram_of(facts)
    if ram is None:
        return unknown("unattested", "The host's RAM is not known: attest ram_bytes")
    left = max(0, ram.size_bytes - rss - or_else(facts.fleet, NO_FLEET).other_rss_bytes)
    least = int(limits.critical_left_ratio * ram.size_bytes)
    copied = max(_copies(facts, redis), default=0)
    if left < least:
        return _no_room(ram, left, max(least, copied), Severity.CRITICAL)
    if left < copied:
        return _no_room(ram, left, copied, Severity.WARNING)
    return _enough(ram, left, copied)


def _enough(ram: Ram, left: int, copied: int) -> Verdict:
    """Pass, where a save has been seen and a person vouches for the RAM."""
    if not copied:
        return unknown("no_history", "No save has been seen yet that tells how much is copied")
    numbers = _room(ram, left, copied)
    if ram.is_attested:
        return passed(**numbers)
    text = told_of(ram) or "INFO tells at most the host's RAM: attest ram_bytes"
    return unknown("undetermined" if told_of(ram) else "unattested", text, **numbers)


def _copies(facts: PairFacts, redis: RedisFacts) -> Iterator[int]:
    """List the copy-on-write sizes known: of the last save and rewrite, of one running, of the past."""
    trend = or_else(facts.trend, NO_TREND)
    known_ones = (
        trend.largest_cow_bytes,
        redis.rdb_last_cow_bytes,
        redis.aof_last_cow_bytes,
        redis.current_cow_peak_bytes,
    )
    return (value for value in known_ones if not isinstance(value, Missing))


def _no_room(ram: Ram, left: int, wanted: int, severity: Severity) -> Verdict:
    return failed(
        f"{size(left)} of {size(ram.size_bytes)} RAM are left; saving wants {size(wanted)}",
        short=f"{size(left)} RAM left to save with",
        severity=severity,
        missing_ram_bytes=wanted - left,
        **_room(ram, left, wanted),
    )


def _room(ram: Ram, left: int, wanted: int) -> dict[str, JSON]:
    return {
        "left_bytes": left,
        "ram_bytes": ram.size_bytes,
        "wanted_room_bytes": wanted,
        "is_estimate": not ram.is_attested,
    }


# --- Memory not given back

FRAGMENTED = Remediation(
    why="Redis holds more of the RAM than its data needs: the difference is lost to the copies that "
    "saving makes, and to the data to come.",
    do="Let Redis give back the memory it freed",
    now=(
        Code("MEMORY PURGE"),
        "If that gives little back, move the data together while Redis runs:",
        Code("CONFIG SET activedefrag yes"),
    ),
    durable=Code("activedefrag yes"),
    verify=(
        Code("INFO memory"),
        "must answer a mem_fragmentation_ratio below {limits.most_fragmentation_times}.",
    ),
    risk="Active defragmentation takes some CPU, leaves up to 100 MB alone (active-defrag-ignore-bytes), "
    "and is refused where Redis was built without its own jemalloc, as Debian's is; a restart at a "
    "quiet hour, after BGSAVE, does the same.",
    undo=Code("CONFIG SET activedefrag no"),
    dragonfly=Steps(
        now="Restart Dragonfly at a quiet hour, after a snapshot (SAVE).",
        durable="Nothing to set: Dragonfly has no active defragmentation that is switched on.",
        undo="Nothing to undo.",
        effect=Effect.RESTART,
    ),
    upstash=Steps(
        now="Nothing to do: the provider runs the memory.",
        durable="Nothing to set.",
        undo="Nothing to undo.",
        effect=Effect.NONE,
    ),
    elasticache=Steps(
        now="Set activedefrag to yes in the parameter group of this replication group.",
        durable="The parameter group is lasting.",
        undo="Set activedefrag back to no.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="Set activedefrag to yes in the parameter group of this cluster.",
        durable="The parameter group is lasting.",
        undo="Set activedefrag back to no.",
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class FragmentationLimits(Limits):
    """How many times its data Redis may hold, and the data from which on it is judged."""

    most_fragmentation_times: float = 1.5
    judged_above_bytes: int = 100 * MIB


@rule(
    id="redis.fragmentation",
    kind=Kind.OPERATION,
    group=Group.PERSISTENCE,
    title="Redis gives back the memory it frees",
    severity=Severity.INFO,
    source="ours",
    observed="{fragmentation_times:.2f} × the data",
    required="< {limits.most_fragmentation_times} ×",
    reads="INFO memory: one round trip, part of the visit's INFO",
    limits=FragmentationLimits(),
    remediation=FRAGMENTED,
)
def fragmentation(facts: PairFacts, limits: FragmentationLimits) -> Verdict:
    """Judge mem_fragmentation_ratio: what Redis holds of RAM, in times of its data.

    A small server always holds many times its data, and is not judged by it.

    Source: ours; the vendor's newer pages warn from the same figure.
    """
    redis = known(facts.redis)
    used, times = known(redis.used_memory_bytes), known(redis.fragmentation_ratio)
    numbers = {
        "fragmentation_times": times,
        "used_memory_bytes": used,
        **readable(
            used_memory_rss_bytes=redis.used_memory_rss_bytes,
            allocator_frag_times=redis.allocator_frag_ratio,
        ),
    }
    if used <= limits.judged_above_bytes or times < limits.most_fragmentation_times:
        return passed(**numbers)
    return failed(
        f"Redis holds {times:.2f} times the memory of its data ({size(used)}); "
        f"it should be below {limits.most_fragmentation_times:g}",
        short=f"Memory {times:.2f} × the data",
        severity=Severity.INFO,
        **numbers,
    )

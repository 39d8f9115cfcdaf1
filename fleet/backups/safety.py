"""May this server be asked for a copy now? A pure answer: every reason against it, with its numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from checks.facts import Engine, Missing, RedisFacts, Unknown, known
from checks.missing import Reason
from checks.render import size

# Those that hand a copy to whoever asks as a replica. Source: engines/README.md §10; a make that we
# do not know is asked, and says no itself.
PULLABLE: Final = frozenset(
    {Engine.REDIS, Engine.VALKEY, Engine.KEYDB, Engine.REDICT, Engine.MEMURAI, Engine.UNKNOWN}
)
ONLINE: Final = "online"


@dataclass(frozen=True)
class SafetyLimits:
    """What a pull must leave free. Ours, but for the copies: EmailEngine's docs, Memory sizing.

    A fork copies the pages that change while it runs: `copies_times` the most that a save of this
    server was seen to copy, at least `least_copied_ratio` of its memory; all of it where no save
    was ever seen. `spare_disk_bytes` stay free at the destination beside the copy.
    """

    copies_times: int = 2
    least_copied_ratio: float = 0.10
    spare_disk_bytes: int = 1024**3


class Others(NamedTuple):
    """The other registered servers on a host: what those that answered hold, and how many did not."""

    held_bytes: int = 0
    asked: int = 0
    unasked: int = 0


class Room(NamedTuple):
    """RAM of the server's host and what other registered servers there hold, and free disk.

    `disk_free_bytes` is the destination's; None: a bucket, which has no end.
    """

    ram_bytes: int | Missing
    is_ram_attested: bool = False
    others: Others = Others()
    disk_free_bytes: int | None = None


class Refusal(NamedTuple):
    """One reason against a pull now."""

    reason: Reason
    text: str


def refusals(redis: RedisFacts, room: Room, limits: SafetyLimits) -> tuple[Refusal, ...]:
    """List what speaks against a pull now; empty where nothing does. What is not known speaks against."""
    if redis.engine not in PULLABLE:
        text = f"{redis.engine.label} gives no copy to a replica of ours: use its own snapshots"
        return (Refusal("command_unavailable", text),)
    return (
        *_state(redis),
        *_replication(redis),
        *_memory(redis, room, limits),
        *_disk(redis, room, limits),
    )


def _state(redis: RedisFacts) -> Iterator[Refusal]:
    if redis.cluster_enabled is True:
        yield Refusal("cluster", "this is one node of a cluster: its copy would be a part only")
    if redis.is_loading is True:
        yield Refusal("loading", "the server is loading its dataset")
    if redis.rdb_bgsave_in_progress is True:
        yield Refusal("busy", "a background save is running: one fork at a time")
    if redis.aof_rewrite_in_progress is True:
        yield Refusal("busy", "an append-only rewrite is running: one fork at a time")
    unread = (redis.is_loading, redis.rdb_bgsave_in_progress, redis.aof_rewrite_in_progress)
    for fact in unread:
        if isinstance(fact, Missing):
            yield Refusal(fact.reason, f"whether a save is running is not known: {fact.text}")
            return


def _replication(redis: RedisFacts) -> Iterator[Refusal]:
    if redis.role == "slave" and redis.master_link_status != "up":
        yield Refusal("misconf", "this replica has lost its primary: its copy would be an old one")
    if isinstance(redis.replicas, Missing):
        return
    syncing = [one for one in redis.replicas if one.state != ONLINE]
    if syncing:
        named = ", ".join(f"{one.host}:{one.port} ({one.state})" for one in syncing)
        yield Refusal("busy", f"a replica is being synchronised: {named}")


def _memory(redis: RedisFacts, room: Room, limits: SafetyLimits) -> Iterator[Refusal]:
    """Compare what a fork may copy with the RAM that is left."""
    try:
        used, rss = known(redis.used_memory_bytes), known(redis.used_memory_rss_bytes)
        ram = known(room.ram_bytes)
    except Unknown as unknown:
        missing = unknown.missing
        yield Refusal(missing.reason, f"free RAM is not known ({missing.text}): attest ram_bytes")
        return
    free = ram - max(used, rss) - room.others.held_bytes
    need, why = _copied(redis, used, limits)
    if free < need:
        of = "attested" if room.is_ram_attested else "estimated"
        yield Refusal(
            "busy",
            f"{size(max(free, 0))} of {size(ram)} RAM ({of}) are left, "
            f"and a fork may copy {size(need)} ({why}){_beside(room.others)}",
        )


def _beside(others: Others) -> str:
    """Say what was counted beside the server itself, and what could not be."""
    told = []
    if others.asked:
        told.append(f"{others.asked} hold {size(others.held_bytes)} of it")
    if others.unasked:
        told.append(f"{others.unasked} did not answer, not counted")
    return f"; other registered servers there: {', '.join(told)}" if told else ""


def _copied(redis: RedisFacts, used: int, limits: SafetyLimits) -> tuple[int, str]:
    told = (redis.rdb_last_cow_bytes, redis.aof_last_cow_bytes, redis.current_cow_peak_bytes)
    seen = max((fact for fact in told if not isinstance(fact, Missing)), default=0)
    if not seen:
        return used, "all of its memory: no save of it has been seen yet"
    least = int(used * limits.least_copied_ratio)
    if limits.copies_times * seen > least:
        return limits.copies_times * seen, f"{limits.copies_times} times what its last save copied"
    return least, f"{limits.least_copied_ratio:.0%} of its memory"


def _disk(redis: RedisFacts, room: Room, limits: SafetyLimits) -> Iterator[Refusal]:
    """Compare free disk with the dataset in memory, which is larger than its copy."""
    used = redis.used_memory_bytes
    if room.disk_free_bytes is None or isinstance(used, Missing):
        return
    need = used + limits.spare_disk_bytes
    if room.disk_free_bytes < need:
        yield Refusal(
            "too_large",
            f"{size(room.disk_free_bytes)} are free in the portal's folder; a copy may take "
            f"{size(used)}, and {size(limits.spare_disk_bytes)} stay free",
        )

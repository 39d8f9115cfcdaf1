"""Does the disk keep up? The append-only file, and what it lies on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from checks.facts import (
    NOTHING_ATTESTED,
    Engine,
    Missing,
    PairFacts,
    known,
    or_else,
    readable,
)
from checks.rule import (
    JSON,
    Code,
    Effect,
    Group,
    Kind,
    Limits,
    Remediation,
    Severity,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
)
from checks.rules.unblocking import AFTER_REWRITE

PROVIDED: Final = (Engine.UPSTASH, Engine.ELASTICACHE, Engine.MEMORYDB)

# --- The disk under the AOF

_WAITS = (
    "Redis writes every change to the AOF, and waits for the disk when it is slow: all of "
    "EmailEngine then waits, and jobs stall."
)
EVERYSEC = Remediation(
    when="appendfsync is always",
    why=_WAITS,
    do="Set appendfsync to everysec",
    now=Code("CONFIG SET appendfsync everysec"),
    durable=Code("appendfsync everysec"),
    verify=(Code("CONFIG GET appendfsync"), "must answer everysec."),
    risk="A crash of the host may then lose the last second of changes.",
    undo=Code("CONFIG SET appendfsync {appendfsync}"),
)
FASTER_DISK = Remediation(
    when="the disk is slow",
    why=_WAITS,
    do="Put the AOF on a disk with {limits.least_iops:count} IOPS or more",
    now=(
        (
            "Move Redis' data directory to a local NVMe or provisioned SSD volume: save with BGSAVE, "
            "stop EmailEngine and Redis, copy the directory, start Redis on it, then EmailEngine."
        ),
        "Then attest disk_iops of the new volume.",
    ),
    durable="Keep the volume's kind and IOPS in the place that your infrastructure is built from.",
    verify=(
        Code("INFO persistence"),
        "must show an aof_delayed_fsync that no longer rises.",
    ),
    risk="Redis is down while the directory is copied. An RDB schedule without AOF needs no fast "
    "disk: that is the vendor's preferred set-up.",
    undo="Start Redis on the former directory; what was written since stays on the new one.",
    effect=Effect.RESTART,
)


SLOW_LOOKS: Final = 3


@dataclass(frozen=True)
class AofDiskLimits(Limits):
    """Operations per second wanted of the disk, and how many looks in a row with slow fsync are bad."""

    least_iops: int = 10_000
    slow_looks_times: int = SLOW_LOOKS


@rule(
    id="redis.aof-disk",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="The disk keeps up with the AOF",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="AOF {aof}",
    required="off, or a disk of {limits.least_iops:count} IOPS",
    reads="INFO persistence, part of the visit's INFO; CONFIG GET appendfsync",
    limits=AofDiskLimits(),
    not_on=(Engine.DRAGONFLY, *PROVIDED),
    remediation={"always": EVERYSEC, "slow": FASTER_DISK},
)
def aof_disk(facts: PairFacts, limits: AofDiskLimits) -> Verdict:
    """Judge the disk under the AOF: by the IOPS attested, and by fsyncs that came late.

    aof_delayed_fsync counts the writes that had to wait for the disk. One rise is a warning,
    rises at several looks in a row are what an attested figure cannot talk away. Looks are
    taken with every health visit, so the last ones cover the time since this was judged before.

    Source: S0 and S1, AOF only with a disk of 10,000 IOPS; appendfsync always is advised against.
    """
    redis = known(facts.redis)
    if not known(redis.aof_enabled):
        return passed(aof="off")
    attested = or_else(facts.attested, NOTHING_ATTESTED)
    since = facts.since
    # A first visit has seen no rise yet; what it reads and what is attested counts all the same.
    looks = () if isinstance(since, Missing) else since.slow_fsync_looks
    numbers = {
        "aof": "on",
        "slow_looks_count": sum(looks),
        **readable(disk_iops=attested.disk_iops, appendfsync=redis.appendfsync),
    }
    iops = attested.disk_iops
    if isinstance(iops, int) and iops < limits.least_iops:
        return _too_slow(iops, limits, numbers)
    if any(looks):
        return _late(looks, iops, limits, numbers)
    if known(redis.appendfsync) == "always":
        return _always(numbers)
    if not isinstance(iops, int):
        text = f"AOF is on: attest disk_iops, {limits.least_iops:,} or more"
        return unknown("unattested", text, **numbers)
    return passed(**numbers)


def _too_slow(iops: int, limits: AofDiskLimits, numbers: Mapping[str, JSON]) -> Verdict:
    return failed(
        f"AOF is on, on a disk of {iops:,} IOPS; it needs {limits.least_iops:,}",
        short=f"AOF on a disk of {iops:,} IOPS",
        severity=Severity.CRITICAL,
        cause="slow",
        **numbers,
    )


def _always(numbers: Mapping[str, JSON]) -> Verdict:
    return failed(
        "appendfsync is always: every write waits for the disk; it should be everysec",
        short="appendfsync is always",
        severity=Severity.WARNING,
        cause="always",
        **numbers,
    )


def _late(
    looks: tuple[bool, ...], iops: int | Missing, limits: AofDiskLimits, numbers: Mapping[str, JSON]
) -> Verdict:
    is_lasting = is_slow_for_long(looks, limits.slow_looks_times)
    told = "" if isinstance(iops, Missing) else f", although {iops:,} IOPS are attested"
    return failed(
        f"Writes to the AOF had to wait for the disk at {sum(looks)} of the last {len(looks)} "
        f"looks{told}; they must not",
        short=f"AOF disk slow {sum(looks)} of {len(looks)} times",
        severity=Severity.CRITICAL if is_lasting else Severity.WARNING,
        cause="slow",
        **numbers,
    )


def is_slow_for_long(looks: tuple[bool, ...], times: int = SLOW_LOOKS) -> bool:
    """Tell whether writes had to wait for the disk at that many looks in a row."""
    runs = (looks[start : start + times] for start in range(len(looks) - times + 1))
    return any(map(all, runs))


# --- What the AOF's last work came to

WRITE_FAILED = Remediation(
    when="the AOF cannot be written",
    why="Redis could not write to the AOF: it refuses EmailEngine's writes until it can, and what is "
    "not on the disk is lost in a crash.",
    do="Free the disk that holds the AOF",
    now=(
        (
            "Read the log of {engine} on {host} for the reason: most often the disk is full, or the "
            "directory is not writable."
        ),
        (
            "Free space or mend the rights; Redis tries again by itself each second. A rewrite then makes "
            "the file small:"
        ),
        Code("BGREWRITEAOF"),
        *AFTER_REWRITE,
    ),
    durable="Watch the free space of that disk, and keep at least the size of the data free on it.",
    verify=(Code("INFO persistence"), "must answer aof_last_write_status:ok."),
    risk="Do not delete the AOF to free space: Redis starts empty without it.",
    undo="Nothing to undo.",
)
REWRITE_FAILED = Remediation(
    when="the AOF cannot be rewritten",
    why="The last rewrite of the AOF failed: the file grows until the disk is full, and a start from "
    "it takes ever longer.",
    do="Let the AOF be rewritten",
    now=(
        (
            "Read the log of {engine} on {host} for the reason: most often the disk is full, or there is "
            "no memory for the fork (vm.overcommit_memory must be 1)."
        ),
        "Mend that, then:",
        Code("BGREWRITEAOF"),
    ),
    durable="Watch the free space of that disk, and keep at least the size of the data free on it.",
    verify=(Code("INFO persistence"), "must answer aof_last_bgrewrite_status:ok."),
    risk="A rewrite forks: it wants RAM for the copies, and disk for the new file beside the old.",
    undo="Nothing to undo.",
)


@rule(
    id="redis.aof-last-status",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="The AOF is written and rewritten without error",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{aof}",
    required="ok, or AOF off",
    reads="INFO persistence: one round trip, part of the visit's INFO",
    not_on=(Engine.DRAGONFLY, *PROVIDED),
    remediation={"write": WRITE_FAILED, "rewrite": REWRITE_FAILED},
)
def aof_last_status(facts: PairFacts, _: Limits) -> Verdict:
    """Judge how the last write and the last rewrite of the AOF ended; without AOF there is none.

    Source: S1, persistence must work; Redis refuses writes after a failed one.
    """
    redis = known(facts.redis)
    if not known(redis.aof_enabled):
        return passed(aof="off")
    if known(redis.aof_last_write_status) != "ok":
        return failed(
            "Redis cannot write to the AOF; it refuses writes until it can",
            short="AOF write failed",
            severity=Severity.CRITICAL,
            cause="write",
            aof="write failed",
        )
    if known(redis.aof_last_bgrewrite_status) != "ok":
        return failed(
            "The last rewrite of the AOF failed; the file grows until one works",
            short="AOF rewrite failed",
            severity=Severity.CRITICAL,
            cause="rewrite",
            aof="rewrite failed",
        )
    return passed(aof="ok")


# --- What the data lies on

MEDIUM = Remediation(
    why="Saving and the AOF write in bursts: a spinning or network disk makes them slow, saves then "
    "overlap and Redis waits.",
    do="Put Redis' data on an SSD or NVMe disk",
    now=(
        (
            "Save with BGSAVE, stop EmailEngine and Redis, copy the data directory to a volume on SSD or "
            "NVMe, start Redis on it, then EmailEngine."
        ),
        "Then attest storage_medium anew.",
    ),
    durable="Keep the volume's kind in the place that your infrastructure is built from.",
    verify="The next check must pass: the attestation stands with the pair.",
    risk="Redis is down while the directory is copied.",
    undo="Start Redis on the former directory; what was written since stays on the new one.",
    effect=Effect.RESTART,
)


FAST: Final = frozenset({"ssd", "ssds", "nvme"})
# "HDD with SSD cache": a slow word makes a fast one worth nothing.
SLOW: Final = frozenset({"hdd", "hdds", "spinning", "rotating", "magnetic"})


@rule(
    id="redis.storage-medium",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis' data lies on SSD or NVMe",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{storage_medium}",
    required="SSD or NVMe",
    reads="The attestation storage_medium: no protocol tells it",
    remediation=MEDIUM,
)
def storage_medium(facts: PairFacts, _: Limits) -> Verdict:
    """Judge the medium that is attested for the data directory.

    Source: S1, SSD or NVMe storage.
    """
    known(facts.redis)
    medium = known(or_else(facts.attested, NOTHING_ATTESTED).storage_medium)
    words = set(re.findall(r"[a-z]+", medium.lower()))
    if words & FAST and not words & SLOW:
        return passed(storage_medium=medium)
    return failed(
        f"Redis' data lies on {medium}, as attested; it must be SSD or NVMe",
        short=f"Data on {medium[:20]}",
        severity=Severity.CRITICAL,
        storage_medium=medium,
    )

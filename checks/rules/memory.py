"""Has Redis room? Ceilings, RAM, and what a larger ceiling would need."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from typing import Final, NamedTuple

from checks.facts import (
    NO_FLEET,
    NOTHING_ATTESTED,
    Missing,
    PairFacts,
    RedisFacts,
    known,
    or_else,
)
from checks.render import MIB, percent, size
from checks.rule import (
    JSON,
    Code,
    Confirm,
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
from checks.rules.contradicted import ANEW, CONTRADICTED

# A fork that saves copies the pages that change meanwhile: maxmemory may take this share of RAM.
# Source: engines, remediation: 50 to 60 % on nodes that write much.
MAXMEMORY_SHARE: Final = 0.6
# The kernel keeps some of a machine's RAM to itself: a machine of 16 GiB tells 15.5.
NOMINAL_SHARE: Final = 0.85
# A raised ceiling should be at most this full, clear of the threshold at which a finding leaves.
WANTED_FILL, MOST_FILL = 0.5, 0.7


class Ram(NamedTuple):
    """What the host holds, and whether a person vouches for it; else it is an estimate.

    refuted_bytes is what a person vouches for although the host has far less; 0 where none does.
    """

    size_bytes: int
    is_attested: bool
    refuted_bytes: int = 0


class Ceiling(NamedTuple):
    """A maxmemory that gives the data room, and whether the known RAM holds it."""

    size_bytes: int
    needed_ram_bytes: int
    fits: bool


def ram_of(facts: PairFacts) -> Ram | None:
    """Return the RAM that Redis may count on.

    A server never has more than its host: where INFO shows less than was attested, less counts,
    and where it shows far less the attestation counts for nothing.
    """
    attested = or_else(facts.attested, NOTHING_ATTESTED).ram_bytes
    seen = or_else(known(facts.redis).system_memory_bytes, 0)
    if isinstance(attested, Missing):
        return Ram(seen, is_attested=False) if seen else None
    if seen and seen < attested * NOMINAL_SHARE:
        return Ram(seen, is_attested=False, refuted_bytes=attested)
    return Ram(min(attested, seen or attested), is_attested=True)


def told_of(ram: Ram | None) -> str:
    """Say what was attested against what INFO shows; "" where nothing speaks against it."""
    if ram is None or not ram.refuted_bytes:
        return ""
    return f"ram_bytes is attested as {size(ram.refuted_bytes)}, INFO shows {size(ram.size_bytes)}"


def ceiling_for(used_bytes: int, ram: Ram | None) -> Ceiling:
    """Work out a maxmemory that leaves `used_bytes` room and that the RAM holds while saving."""
    wanted, least = _mebibytes(used_bytes / WANTED_FILL), _mebibytes(used_bytes / MOST_FILL)
    most = wanted if ram is None else int(ram.size_bytes * MAXMEMORY_SHARE) // MIB * MIB
    fits = most >= least
    best = min(wanted, most) if fits else least
    return Ceiling(best, _mebibytes(best / MAXMEMORY_SHARE), fits)


def _mebibytes(value_bytes: float) -> int:
    """Round up to whole MiB: a figure people can copy."""
    return max(1, ceil(value_bytes / MIB)) * MIB


_DIES = (
    "A full Redis refuses writes, or is ended by the system while it forks to save: mail then "
    "waits, and unsaved mail state is lost."
)
_ROOM = (
    Code("INFO memory"),
    "must show used_memory below {limits.warn_used_ratio:percent} of maxmemory.",
)
_LARGER_NODE = Steps(
    do="Move to a larger node type",
    now="Move to a larger node type: maxmemory follows it.",
    durable="Keep the node type in the place that your infrastructure is built from.",
    risk="A change of node type fails over: EmailEngine reconnects, and this version of its queue "
    "workers may need a restart.",
    undo="Move back to the former node type.",
    effect=Effect.CONSOLE,
)
_LARGER_PLAN = Steps(
    do="Choose a plan with a larger data size",
    now="In the Upstash console, choose a plan with a larger data size.",
    durable="The plan stays until you change it.",
    undo="Choose the former plan.",
    effect=Effect.CONSOLE,
)
RAISE = Remediation(
    when="maxmemory is too small, and the host has room",
    why=_DIES,
    do="Raise maxmemory to {suggested_maxmemory_bytes:size}",
    now=(
        "First see that {host} holds it, with room for the copies that saving makes.",
        Code("CONFIG SET maxmemory {suggested_maxmemory_bytes}"),
    ),
    durable=Code("maxmemory {suggested_maxmemory_bytes}"),
    verify=_ROOM,
    risk="Add RAM first where a container or virtual machine allows less than its host has: a "
    "ceiling that RAM cannot hold only moves the crash.",
    undo=Code("CONFIG SET maxmemory {maxmemory_bytes}"),
    dragonfly=Steps(
        durable="--maxmemory={suggested_maxmemory_bytes} as an argument, or in the manifest.",
        risk="Add RAM first where the container allows less: Dragonfly ends where RAM ends.",
    ),
    upstash=_LARGER_PLAN,
    elasticache=_LARGER_NODE,
    memorydb=_LARGER_NODE,
)
ADD_RAM = Remediation(
    when="maxmemory is too small, and the host has no room",
    why=_DIES,
    do="Add RAM, then raise maxmemory",
    now=(
        "Add RAM first: give {host} {needed_ram_bytes:size} or more.",
        (
            "Only then set maxmemory to {suggested_maxmemory_bytes:size}. Until then, let EmailEngine "
            "keep fewer finished jobs, and move other programs off this host."
        ),
    ),
    durable="Once the RAM is there, maxmemory {suggested_maxmemory_bytes} in {conf}.",
    verify=_ROOM,
    risk="Setting it before the RAM is there lets the system end Redis while it saves.",
    undo=Code("CONFIG SET maxmemory {maxmemory_bytes}"),
    effect=Effect.RESTART,
    dragonfly=Steps(
        durable="Once the RAM is there, --maxmemory={suggested_maxmemory_bytes} as an argument."
    ),
    upstash=_LARGER_PLAN,
    elasticache=_LARGER_NODE,
    memorydb=_LARGER_NODE,
)
ADD_RAM_ONLY = Remediation(
    when="no maxmemory, and the host’s RAM is too small",
    why=_DIES,
    do="Add RAM to the Redis host",
    now=(
        "Add RAM first: give {host} {needed_ram_bytes:size} or more, or move other programs off.",
        "Until then, let EmailEngine keep fewer finished jobs.",
        "Memory that was freed but not given back returns to the system with:",
        Code("MEMORY PURGE"),
    ),
    durable="Keep the size of the host in the place that your infrastructure is built from.",
    verify=(
        Code("INFO memory"),
        "must show used_memory and used_memory_rss below {limits.warn_used_ratio:percent} of RAM.",
    ),
    risk="Do not cure it with a maxmemory below used_memory: Redis would refuse every write at once.",
    undo="Nothing to undo.",
    effect=Effect.RESTART,
    dragonfly=Steps(
        now="Add RAM first: give {host} {needed_ram_bytes:size} or more, or move other programs off."
    ),
    upstash=_LARGER_PLAN,
    elasticache=_LARGER_NODE,
    memorydb=_LARGER_NODE,
)


@dataclass(frozen=True)
class HeadroomLimits(Limits):
    """Shares of the ceiling (0 to 1). An open finding leaves its step `leave_gap_ratio` below it."""

    warn_used_ratio: float = 0.80
    critical_used_ratio: float = 0.90
    leave_gap_ratio: float = 0.05


class View(NamedTuple):
    """One way to look at memory: what is used, of which ceiling. An estimate may only prove a fail."""

    ceiling: str
    used_bytes: int
    ceiling_bytes: int
    is_estimate: bool
    cause: str

    @property
    def ratio(self) -> float:
        return self.used_bytes / self.ceiling_bytes


@rule(
    id="redis.memory-headroom",
    kind=Kind.REQUIREMENT,
    group=Group.HEALTH,
    title="Redis stays clear of its memory ceiling",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{used_ratio:percent} of {ceiling_bytes:size}",
    required="< {limits.warn_used_ratio:percent}",
    reads="INFO memory: one round trip, part of the visit's INFO",
    limits=HeadroomLimits(),
    opens=Confirm(3, 3),
    resolves=Confirm(3, 3),
    core=True,
    remediation={
        "maxmemory": RAISE,
        "add-ram": ADD_RAM,
        "ram": ADD_RAM_ONLY,
        CONTRADICTED: ANEW,
    },
)
def memory_headroom(facts: PairFacts, limits: HeadroomLimits) -> Verdict:
    """Judge used memory as a share of what Redis may use, the worst of two views (ratio, 0 to 1).

    used_memory against maxmemory, or against RAM where none is set; and RSS against RAM, with the
    RSS of the other registered servers on the host. Saving an RDB snapshot forks and copies pages
    as they change; a full server ends there. RAM as INFO tells it is the host's, not the
    container's: an estimate, which proves a fail but no pass. RAM that is attested beyond what
    the host has is a warning by itself.

    Source: S0 and S1, memory below 80 % in normal load. The step to critical and the gap between
    entering and leaving are ours.
    """
    redis = known(facts.redis)
    ram = ram_of(facts)
    fleet = or_else(facts.fleet, NO_FLEET)
    views = list(_views(redis, ram, fleet.other_rss_bytes))
    counted = [v for v in views if not v.is_estimate or v.ratio >= limits.warn_used_ratio]
    worst = max(counted, key=lambda view: view.ratio, default=None)
    if worst is not None and worst.ratio >= limits.warn_used_ratio:
        return _tight(redis, ram, worst, limits)
    if ram is not None and ram.refuted_bytes:
        return _refuted(ram, views)
    if worst is None:
        return _unattested(views)
    leaves = worst.ratio < limits.warn_used_ratio - limits.leave_gap_ratio
    return passed(keeps=None if leaves else Severity.WARNING, **_numbers(worst))


def _views(redis: RedisFacts, ram: Ram | None, others_rss_bytes: int) -> Iterator[View]:
    maxmemory, used = known(redis.maxmemory_bytes), known(redis.used_memory_bytes)
    if maxmemory:
        yield View("maxmemory", used, maxmemory, is_estimate=False, cause="maxmemory")
    if ram is None:
        return
    if not maxmemory:
        yield View("RAM", used, ram.size_bytes, not ram.is_attested, "ram")
    rss = redis.used_memory_rss_bytes
    if not isinstance(rss, Missing):
        held = rss + others_rss_bytes
        yield View("RAM, by RSS", held, ram.size_bytes, not ram.is_attested, "ram")


def _unattested(views: list[View]) -> Verdict:
    numbers = _numbers(max(views, key=lambda view: view.ratio)) if views else {}
    return unknown(
        "unattested",
        "Redis has no maxmemory, and INFO tells at most the host's RAM: set maxmemory, or attest "
        "ram_bytes",
        **numbers,
    )


def _refuted(ram: Ram, views: list[View]) -> Verdict:
    return failed(
        f"{told_of(ram)}; what is attested must be what the server has",
        short=f"{size(ram.refuted_bytes)} RAM attested, {size(ram.size_bytes)} seen",
        severity=Severity.WARNING,
        cause=CONTRADICTED,
        claim="ram_bytes",
        attested_ram_bytes=ram.refuted_bytes,
        system_memory_bytes=ram.size_bytes,
        **_numbers(max(views, key=lambda view: view.ratio)),
    )


def _tight(redis: RedisFacts, ram: Ram | None, worst: View, limits: HeadroomLimits) -> Verdict:
    ratio = worst.ratio
    is_critical = ratio >= limits.critical_used_ratio
    leaves = ratio < limits.critical_used_ratio - limits.leave_gap_ratio
    room = ceiling_for(worst.used_bytes, ram)
    told = f" ({told_of(ram)})" if told_of(ram) else ""
    return failed(
        f"Redis uses {percent(ratio)} of {size(worst.ceiling_bytes)} {worst.ceiling}{told}; "
        f"keep it below {percent(limits.warn_used_ratio)}",
        short=f"Memory at {percent(ratio)}",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        cause="add-ram" if worst.cause == "maxmemory" and not room.fits else worst.cause,
        keeps=None if is_critical or leaves else Severity.CRITICAL,
        suggested_maxmemory_bytes=room.size_bytes,
        needed_ram_bytes=room.needed_ram_bytes,
        maxmemory_bytes=known(redis.maxmemory_bytes),
        **_numbers(worst),
    )


def _numbers(view: View) -> dict[str, JSON]:
    return {
        "used_ratio": view.ratio,
        "used_bytes": view.used_bytes,
        "ceiling_bytes": view.ceiling_bytes,
        "ceiling": f"{view.ceiling}, estimated" if view.is_estimate else view.ceiling,
    }

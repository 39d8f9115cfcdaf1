"""How far is Redis, and does it keep up? Round trips and stalls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import median
from typing import Final, NamedTuple

from checks.facts import (
    NOT_READ,
    NOTHING_ATTESTED,
    Missing,
    PairFacts,
    RoundTrips,
    Since,
    known,
    or_else,
)
from checks.render import milliseconds
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

VISITS: Final = 5  # a figure is the median over this many visits
EMAILENGINE: Final = "EmailEngine"


class Sample(NamedTuple):
    """One visit's round trip between EmailEngine and its Redis, and who measured it."""

    rtt_us: float
    vantage: str
    clock: str


def rtt_sample(facts: PairFacts) -> Sample | Missing:
    """Return what this visit adds to pair.rtt; recording keeps the last ones in `since`.

    EmailEngine's own figure counts; ours stands in where the probe zone is declared to stand
    where EmailEngine stands. NOT_READ means that EmailEngine was not asked in this visit: keep
    what is there. Any other Missing means that there is no figure (any more): forget it.
    """
    emailengine = facts.emailengine
    if not isinstance(emailengine, Missing):
        own_us = emailengine.redis_ping_us
        if not isinstance(own_us, Missing):
            return Sample(own_us, EMAILENGINE, "EmailEngine")
        if own_us == NOT_READ and _last_vantage(facts) == EMAILENGINE:
            return NOT_READ
    return _our_sample(facts)


def stall_sample(facts: PairFacts) -> float | Missing:
    """Return this visit's server stall (PING p95 - network), in microseconds, or why not to count it."""
    trips = known_trips(facts)
    if isinstance(trips, Missing):
        return trips
    if isinstance(trips.network_us, Missing):
        return trips.network_us
    if or_else(trips.retransmits, 0) > 0:
        return Missing("undetermined", "packets were lost and sent again in this visit")
    return max(0.0, trips.p95_us - trips.network_us)


def known_trips(facts: PairFacts) -> RoundTrips | Missing:
    """Return the round trips of this visit, or what they are missing for."""
    return facts.redis if isinstance(facts.redis, Missing) else facts.redis.round_trips


def _our_sample(facts: PairFacts) -> Sample | Missing:
    vantage = facts.vantage
    if isinstance(vantage, Missing):
        return vantage
    ours, theirs = vantage.zone_location, vantage.emailengine_location
    if isinstance(theirs, Missing):
        theirs = or_else(facts.attested, NOTHING_ATTESTED).emailengine_location
    if isinstance(ours, Missing) or isinstance(theirs, Missing):
        return _undeclared(vantage.zone)
    if ours != theirs:
        return Missing(
            "unattested",
            f"Zone {vantage.zone} stands in {ours}, EmailEngine in {theirs}: give the pair a metrics "
            "token of EmailEngine, or probe it from there",
        )
    trips = known_trips(facts)
    if isinstance(trips, Missing):
        return trips
    name = "here" if vantage.zone == "here" else f"probe {vantage.zone}"
    return Sample(trips.median_us, name, trips.clock)


@lru_cache(maxsize=256)
def _undeclared(zone: str) -> Missing:
    return Missing(
        "unattested",
        f"Measured from zone {zone} only: give the pair a metrics token of EmailEngine, "
        "or declare the locations of the zone and of EmailEngine",
    )


def _last_vantage(facts: PairFacts) -> str:
    return "" if isinstance(facts.since, Missing) else facts.since.rtt_vantage


# --- Round trip

FAR = Remediation(
    why=(
        "EmailEngine asks Redis many times for every message: each millisecond between them slows "
        "the whole mailbox down."
    ),
    do="Bring EmailEngine and its Redis together",
    now=(
        "On EmailEngine's host, {cli} -h {host} --latency shows what the path costs.",
        (
            "Move one of them into the other's network and availability zone, and let EmailEngine use "
            "the private address."
        ),
    ),
    durable="Keep both in one zone in the place your infrastructure is built from.",
    verify="The median of the next visits must be below {limits.warn_rtt_ms:g}\u202fms.",
    risk="Moving Redis means stopping EmailEngine while the data is copied: plan a window.",
    undo="Move it back the same way.",
    effect=Effect.NONE,
    upstash=Steps(
        now="Make the database in the region where EmailEngine runs, and copy the keys over.",
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        now="Run EmailEngine in the VPC and availability zone of the primary node.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="Run EmailEngine in the VPC and availability zone of the primary node.",
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class RttLimits(Limits):
    """Milliseconds; an open finding leaves its step at `leave_at_ratio` of it."""

    warn_rtt_ms: float = 1.0
    critical_rtt_ms: float = 5.0
    leave_at_ratio: float = 0.9


@rule(
    id="pair.rtt",
    kind=Kind.REQUIREMENT,
    group=Group.LATENCY,
    title="Redis is less than {limits.warn_rtt_ms:g}\u202fms from EmailEngine",
    severity=Severity.CRITICAL,
    source="S1, EE",
    observed="{rtt_us:ms} from {vantage}",
    required="< {limits.warn_rtt_ms:g}\u202fms",
    reads="EmailEngine's redisPing from stats or metrics; else 10 PINGs, one round trip each",
    limits=RttLimits(),
    opens=Confirm(3, 3),
    resolves=Confirm(3, 3),
    core=True,
    remediation=FAR,
)
def rtt(facts: PairFacts, limits: RttLimits) -> Verdict:
    """Judge the round trip between EmailEngine and Redis, median of the last visits (µs).

    Evidence names who measured: EmailEngine itself, or our probe where it stands in the same
    place. Ours is stamped by the kernel; clock `user` means that it was not.

    Source: S1, preferably below 1 ms, advised against from 5 ms; EmailEngine's own limit is 5 ms.
    """
    known(facts.redis)
    series = _series(facts)
    rtt_us = median(series.figures_us)
    seen: dict[str, JSON] = {
        "rtt_us": rtt_us,
        "vantage": series.vantage,
        "clock": series.clock,
        "visits_count": len(series.figures_us),
    }
    warn_us, critical_us = limits.warn_rtt_ms * 1000, limits.critical_rtt_ms * 1000
    if rtt_us < warn_us:
        leaves = rtt_us < warn_us * limits.leave_at_ratio
        return passed(keeps=None if leaves else Severity.WARNING, **seen)
    is_critical = rtt_us >= critical_us
    leaves = is_critical or rtt_us < critical_us * limits.leave_at_ratio
    return failed(
        f"Redis is {milliseconds(rtt_us)} away, measured from {series.vantage}; "
        f"it must be below {milliseconds(warn_us)}",
        short=f"RTT is {milliseconds(rtt_us)}",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        keeps=None if leaves else Severity.CRITICAL,
        **seen,
    )


class Series(NamedTuple):
    """The figures of the last visits, all from one vantage, newest last."""

    figures_us: list[float]
    vantage: str
    clock: str


def _series(facts: PairFacts) -> Series:
    """Return the last figures with this visit's; those of another vantage are left behind."""
    since = facts.since
    last = Since(NOT_READ, NOT_READ) if isinstance(since, Missing) else since
    sample = rtt_sample(facts)
    if sample == NOT_READ and last.rtt_vantage == EMAILENGINE and last.recent_rtt_us:
        return Series([*last.recent_rtt_us][-VISITS:], EMAILENGINE, EMAILENGINE)
    measured = known(sample)
    before = last.recent_rtt_us if last.rtt_vantage in ("", measured.vantage) else ()
    return Series([*before, measured.rtt_us][-VISITS:], measured.vantage, measured.clock)


# --- Stall

SLOW = Remediation(
    why=(
        "Redis answers one command at a time: whatever holds it up holds up every message of "
        "EmailEngine."
    ),
    do="Find what holds Redis up",
    now=(
        "See which commands took long:",
        Code("SLOWLOG GET"),
        "Have stalls of forks and the disk recorded, and read them after the next:",
        Code("CONFIG SET latency-monitor-threshold {limits.warn_stall_ms:.0f}"),
        Code("LATENCY LATEST"),
        "Then move other users of this Redis elsewhere, and give {host} a processor of its own.",
    ),
    durable=Code("latency-monitor-threshold {limits.warn_stall_ms:.0f}"),
    verify="The median of the next visits must be below {limits.warn_stall_ms:g}\u202fms.",
    risk="SLOWLOG shows the arguments of commands, so mail addresses: do not share it.",
    undo=Code("CONFIG SET latency-monitor-threshold 0"),
    dragonfly=Steps(
        now=(
            "See which commands took long:",
            Code("SLOWLOG GET"),
            "Then give Dragonfly more processors, or move other users elsewhere.",
        ),
        durable="Keep the processors in the manifest.",
        undo="Nothing to undo.",
    ),
    upstash=Steps(
        now="See the latency page of the database in the Upstash console; another plan, or an own "
        "Redis, gives it processors of its own.",
        durable="The plan stays until you change it.",
        undo="Choose the former plan.",
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        now="See EngineCPUUtilization and the slow log of the node; then move to a larger node type.",
        durable="Keep the node type in the place your infrastructure is built from.",
        undo="Move back to the former node type.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="See EngineCPUUtilization and the slow log of the node; then move to a larger node type.",
        durable="Keep the node type in the place your infrastructure is built from.",
        undo="Move back to the former node type.",
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class StallLimits(Limits):
    """Milliseconds; beyond `most_network_ms` the path hides the server. Leaves at a share of a step."""

    warn_stall_ms: float = 20.0
    critical_stall_ms: float = 200.0
    most_network_ms: float = 10.0
    leave_at_ratio: float = 0.75


@rule(
    id="redis.stall",
    kind=Kind.OPERATION,
    group=Group.LATENCY,
    title="Redis answers without stalling",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{stall_us:ms} beyond the network",
    required="< {limits.warn_stall_ms:g}\u202fms",
    reads="10 PINGs, one round trip each; TCP connect time and min_rtt",
    limits=StallLimits(),
    opens=Confirm(3, 3),
    resolves=Confirm(3, 3),
    remediation=SLOW,
)
def stall(facts: PairFacts, limits: StallLimits) -> Verdict:
    """Judge how long Redis itself keeps a PING waiting: p95 less the network's share (µs).

    Median of the last visits; those in which packets were sent again are dropped, and over a
    long path (`most_network_ms`) the difference says too little.

    Source: ours.
    """
    network_us = known(known(known_trips(facts)).network_us)
    if network_us > limits.most_network_ms * 1000:
        return unknown(
            "undetermined",
            f"The network takes {milliseconds(network_us)}: too far away to see the server's share",
        )
    sample = stall_sample(facts)
    before = () if isinstance(facts.since, Missing) else facts.since.recent_stall_us
    figures = [*before, *(() if isinstance(sample, Missing) else (sample,))][-VISITS:]
    if not figures:
        known(sample)
    return _stalling(median(figures), len(figures), network_us, limits)


def _stalling(
    stall_us: float, visits_count: int, network_us: float, limits: StallLimits
) -> Verdict:
    seen: dict[str, JSON] = {
        "stall_us": stall_us,
        "network_us": network_us,
        "visits_count": visits_count,
    }
    warn_us, critical_us = limits.warn_stall_ms * 1000, limits.critical_stall_ms * 1000
    if stall_us < warn_us:
        leaves = stall_us < warn_us * limits.leave_at_ratio
        return passed(keeps=None if leaves else Severity.WARNING, **seen)
    is_critical = stall_us >= critical_us
    leaves = is_critical or stall_us < critical_us * limits.leave_at_ratio
    return failed(
        f"Redis keeps a PING waiting for {milliseconds(stall_us)} beyond the network; "
        f"it must stay below {milliseconds(warn_us)}",
        short=f"Redis stalls for {milliseconds(stall_us)}",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        keeps=None if leaves else Severity.CRITICAL,
        **seen,
    )

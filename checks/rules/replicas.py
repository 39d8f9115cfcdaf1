"""Is there a second copy of the data that keeps up? Replicas, and the Sentinels that watch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from checks.facts import (
    NO_FLEET,
    NO_TREND,
    Missing,
    PairFacts,
    Replica,
    Sentinels,
    known,
    or_else,
    readable,
)
from checks.render import duration
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
    not_applicable,
    passed,
    rule,
)

_ONE_COPY = (
    "With one server its host's end is the end of all mail state since the last backup; a replica "
    "holds a copy of seconds ago."
)
_ON_PRIMARY = (
    Code("INFO replication"),
    "must list {expected_count} replicas with state=online.",
)
_CONSOLE = Steps(
    now="See the replicas in the provider's console, and its events for why one left.",
    durable="Keep the number of replicas in the place that your infrastructure is built from.",
    undo="Remove the replica there.",
    effect=Effect.CONSOLE,
)
ATTACH = Remediation(
    when="a replica is missing",
    why=_ONE_COPY,
    do="Bring the missing replica back",
    now=(
        "On the replica's host see why it left: its log, and",
        Code("INFO replication"),
        (
            "If master_link_status is down, see that it reaches {host} and that masterauth is right. If it "
            "no longer is a replica of this server, run on the replica, never here:"
        ),
        Code("REPLICAOF {host} {port}"),
    ),
    durable="In the replica's {conf}: replicaof {host} {port}, and masterauth where a password is set.",
    verify=_ON_PRIMARY,
    risk="A replica throws its own data away when it attaches: make sure which server is which. The "
    "first copy makes this server fork and save.",
    undo="On the replica: REPLICAOF NO ONE.",
    effect=Effect.NONE,
    upstash=_CONSOLE,
    elasticache=_CONSOLE,
    memorydb=_CONSOLE,
)
LAG = replace(
    ATTACH,
    when="a replica lags",
    why="A replica far behind has lost that much when it has to take over.",
    do="Let the replica keep up",
    now=(
        "See how far each replica is behind:",
        Code("INFO replication"),
        (
            "Most often the network between them or the replica's disk or CPU is at its end. A larger "
            "backlog spares full copies after short breaks; note the size it has, then set it:"
        ),
        Code("CONFIG GET repl-backlog-size"),
        Code("CONFIG SET repl-backlog-size {limits.backlog_bytes}"),
    ),
    durable=Code("repl-backlog-size {limits.backlog_bytes}"),
    verify=(Code("INFO replication"), "must show a small lag for every replica."),
    risk="The backlog takes that much memory, beside maxmemory.",
    undo="Set repl-backlog-size back to the size that was noted.",
    effect=Effect.NO_RESTART,
    dragonfly=Steps(
        now="Most often the network between them or the replica's CPU is at its end.",
        durable="Give the replica what this server has.",
        undo="Nothing to undo.",
        effect=Effect.NONE,
    ),
)
ADD = replace(
    ATTACH,
    when="no replica",
    do="Consider a replica",
    now=(
        "Set up a second server of the same make and version, and run on it:",
        Code("REPLICAOF {host} {port}"),
        "Then register the number of replicas expected with the pair.",
    ),
    verify=(Code("INFO replication"), "must list a replica with state=online."),
)
QUORUM = Remediation(
    when="the Sentinels have no quorum",
    why="Without a quorum the Sentinels cannot make a replica the primary when this server ends.",
    do="Bring the Sentinels back to a quorum",
    now=(
        "On each registered Sentinel see whom it sees:",
        Code("SENTINEL MASTERS"),
        "Start those that are down, and see that they reach one another and this server.",
    ),
    durable="Run three Sentinels or more, on hosts that do not fail together.",
    verify="SENTINEL CKQUORUM with the primary's name must answer OK on each of them.",
    risk="SENTINEL RESET makes them forget the replicas that are down: use it last.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class ReplicationLimits(Limits):
    """Seconds a replica may lag, seconds without any before it is critical, and the backlog advised."""

    most_lag_s: int = 10
    critical_none_s: int = 600
    backlog_bytes: int = 64 * 1024 * 1024


@rule(
    id="redis.replication",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="The replicas expected are attached and keep up",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{replicas_count} of {expected_count} replicas",
    required="all expected, lag ≤ {limits.most_lag_s:duration}",
    reads="INFO replication, part of the visit's INFO; the number registered, or the most of 7 days; "
    "SENTINEL CKQUORUM where Sentinels are registered",
    limits=ReplicationLimits(),
    # A replica that restarts is back at the next look, and is no news.
    opens=Confirm(2, 2),
    remediation={"missing": ATTACH, "lag": LAG, "none": ADD, "quorum": QUORUM},
)
def replication(facts: PairFacts, limits: ReplicationLimits) -> Verdict:
    """Judge the replicas online at this primary against those expected, and how far they lag (s).

    Expected is the registered number, or else the most that were attached in 7 days.

    Source: S1, replicas for high availability. The lag and the ten minutes are ours.
    """
    redis = known(facts.redis)
    if known(redis.role) != "master":
        return not_applicable("Replicas are judged at the primary (see redis.endpoint-role)")
    attached = known(redis.replicas)
    online = [one for one in attached if one.state == "online"]
    expected = _expected(facts, len(online))
    numbers: dict[str, JSON] = {
        "replicas_count": len(online),
        "expected_count": expected,
        "port": redis.port,
        "replicas": [f"{one.host}:{one.port} {one.state}" for one in attached],
    }
    if len(online) < expected:
        return _missing(facts, limits, numbers)
    return (
        _quorum(redis.sentinels, numbers) or _lagging(online, limits, numbers) or _enough(numbers)
    )


def _expected(facts: PairFacts, online: int) -> int:
    registered = or_else(facts.fleet, NO_FLEET).expected_replicas_count
    if not isinstance(registered, Missing):
        return registered
    most = or_else(facts.trend, NO_TREND).most_replicas_count
    return max(online, or_else(most, online) if online else known(most))


def _missing(facts: PairFacts, limits: ReplicationLimits, numbers: Mapping[str, JSON]) -> Verdict:
    none_s = or_else(facts.trend, NO_TREND).no_replica_s
    count, expected = numbers["replicas_count"], numbers["expected_count"]
    is_long = isinstance(none_s, int | float) and none_s >= limits.critical_none_s
    is_critical = count == 0 and is_long
    since = f", for {duration(none_s)}" if is_critical and not isinstance(none_s, Missing) else ""
    return failed(
        f"{count} of {expected} replicas are attached{since}; all must be",
        short=f"{count} of {expected} replicas",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        cause="missing",
        **numbers,
        **readable(no_replica_s=none_s),
    )


def _quorum(sentinels: Sentinels | Missing, numbers: Mapping[str, JSON]) -> Verdict | None:
    """Judge the Sentinels, where some are registered: most of them must reach a quorum."""
    if isinstance(sentinels, Missing):
        if sentinels.reason != "not_configured":
            known(sentinels)
        return None
    good, registered = sentinels.with_quorum_count, sentinels.registered_count
    if 2 * good > registered:
        return None
    return failed(
        f"{good} of {registered} registered Sentinels reach a quorum; most must",
        short="Sentinel quorum lost",
        severity=Severity.WARNING,
        cause="quorum",
        sentinels_count=registered,
        with_quorum_count=good,
        answering_count=sentinels.answering_count,
        **numbers,
    )


def _lagging(
    online: list[Replica], limits: ReplicationLimits, numbers: Mapping[str, JSON]
) -> Verdict | None:
    if not online:
        return None
    worst_s = max(known(one.lag_s) for one in online)
    if worst_s <= limits.most_lag_s:
        return None
    return failed(
        f"A replica lags {duration(worst_s)} behind; it should be {duration(limits.most_lag_s)} or less",
        short=f"Replica lags {duration(worst_s)}",
        severity=Severity.WARNING,
        cause="lag",
        lag_s=worst_s,
        **numbers,
    )


def _enough(numbers: Mapping[str, JSON]) -> Verdict:
    if numbers["expected_count"] or numbers["replicas_count"]:
        return passed(**numbers)
    return failed(
        "Redis has no replica, and none is expected; a second copy would outlive its host",
        short="No replica",
        severity=Severity.INFO,
        cause="none",
        **numbers,
    )

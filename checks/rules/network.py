"""Are the connections between EmailEngine and Redis well kept? Keepalive."""

from __future__ import annotations

from dataclasses import dataclass

from checks.facts import PairFacts, known
from checks.render import duration
from checks.rule import (
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
)

KEEPALIVE = Remediation(
    why=(
        "Without probes a connection that died unseen, behind a firewall or a proxy, stays open: "
        "EmailEngine waits on it, and Redis keeps its place taken."
    ),
    do="Set tcp-keepalive to {limits.wanted_keepalive_s}",
    now=(
        Code("CONFIG SET tcp-keepalive {limits.wanted_keepalive_s}"),
        "It holds for new connections only: restart EmailEngine when it suits you.",
    ),
    durable=Code("tcp-keepalive {limits.wanted_keepalive_s}"),
    verify=(Code("CONFIG GET tcp-keepalive"), "must answer {limits.wanted_keepalive_s}."),
    risk="Next to none: a probe is one empty packet per connection in that time.",
    undo=Code("CONFIG SET tcp-keepalive {tcp_keepalive_s}"),
    dragonfly=Steps(
        now="Restart Dragonfly with the argument below, after a snapshot.",
        durable="--tcp_keepalive={limits.wanted_keepalive_s} as an argument, or in the manifest.",
        undo="Restart it with the former value.",
        effect=Effect.RESTART,
    ),
    upstash=Steps(
        now="Upstash does not offer it: let EmailEngine's host send the probes.",
        durable="Set net.ipv4.tcp_keepalive_time on EmailEngine's host.",
        undo="Set it back.",
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        now=(
            Code(
                "aws elasticache modify-cache-parameter-group --cache-parameter-group-name MY-GROUP "
                "--parameter-name-values "
                "ParameterName=tcp-keepalive,ParameterValue={limits.wanted_keepalive_s}"
            ),
            "A default group cannot be changed: make an own one of the same family first.",
        ),
        durable="The parameter group is lasting.",
        undo="Set the parameter back to {tcp_keepalive_s}.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now=(
            Code(
                "aws memorydb update-parameter-group --parameter-group-name MY-GROUP "
                "--parameter-name-values "
                "ParameterName=tcp-keepalive,ParameterValue={limits.wanted_keepalive_s}"
            ),
            "A default group cannot be changed: make an own one of the same family first.",
        ),
        durable="The parameter group is lasting.",
        undo="Set the parameter back to {tcp_keepalive_s}.",
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class KeepaliveLimits(Limits):
    """The seconds between probes that are wanted."""

    wanted_keepalive_s: int = 300


@rule(
    id="redis.tcp-keepalive",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis probes idle connections every {limits.wanted_keepalive_s}\u202fs",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{tcp_keepalive_s}\u202fs",
    required="{limits.wanted_keepalive_s}\u202fs",
    reads="CONFIG GET tcp-keepalive: part of the visit's batch",
    limits=KeepaliveLimits(),
    remediation=KEEPALIVE,
)
def tcp_keepalive(facts: PairFacts, limits: KeepaliveLimits) -> Verdict:
    """Judge tcp-keepalive in seconds: the wanted value; shorter is noted, longer warns, 0 is off.

    Source: S0 and S1, tcp-keepalive 300.
    """
    found_s, wanted_s = known(known(facts.redis).tcp_keepalive_s), limits.wanted_keepalive_s
    if found_s == wanted_s:
        return passed(tcp_keepalive_s=found_s)
    severity = Severity.WARNING if found_s > wanted_s else Severity.INFO
    told = (
        f"probes idle connections every {duration(found_s)}"
        if found_s
        else "never probes idle connections"
    )
    return failed(
        f"Redis {told} (tcp-keepalive is {found_s}); it must be {wanted_s}",
        short=f"tcp-keepalive is {found_s}",
        severity=severity if found_s else Severity.CRITICAL,
        tcp_keepalive_s=found_s,
    )

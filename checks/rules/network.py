"""Do connections lead to the right server, and are they kept well? Endpoint, keepalive."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checks.facts import PairFacts, known, or_else, readable
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
    unknown,
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


# --- Endpoint

ROLES: Final = {"master": "primary", "slave": "replica"}
_READS_ONLY = (
    "A replica refuses writes, and what it accepts by exception is lost at its next "
    "synchronisation."
)
PROVIDERS_PRIMARY = Steps(
    now="Register the primary endpoint that the provider's console names, not the reader endpoint.",
    durable="Set EENGINE_REDIS of EmailEngine to the primary endpoint and restart EmailEngine.",
    effect=Effect.CONSOLE,
)
REPLICA = Remediation(
    when="the endpoint is a replica",
    why=_READS_ONLY,
    do="Point EmailEngine and the pair at the primary",
    now=(
        "See which server is the primary:",
        Code("INFO replication"),
        "Set master_host and master_port from there in EmailEngine's Redis URL and in the pair.",
    ),
    durable="Put a stable address in front (DNS name, proxy, virtual IP) that follows the primary.",
    verify=(Code("INFO replication"), "must answer role:master at the registered address."),
    risk="REPLICAOF NO ONE here would make a second primary beside the first: their data part ways.",
    undo="Put the former address back in EmailEngine and in the pair.",
    effect=Effect.NONE,
    elasticache=PROVIDERS_PRIMARY,
    memorydb=PROVIDERS_PRIMARY,
    upstash=PROVIDERS_PRIMARY,
)
SENTINEL = Remediation(
    when="the endpoint is a Sentinel",
    why="A Sentinel holds no data and knows no data command; EmailEngine supports no Sentinel URL.",
    do="Register the primary that the Sentinel watches",
    now=(
        "Ask the Sentinel for its primaries:",
        Code("SENTINEL MASTERS"),
        "Set ip and port from there in EmailEngine's Redis URL and in the pair.",
    ),
    durable="Put a stable address in front (DNS name, proxy, virtual IP) that follows the primary.",
    verify=(Code("INFO replication"), "must answer role:master at the registered address."),
    risk="A fixed address does not follow a failover: change it, or the proxy behind it, with one.",
    undo="Put the former address back in the pair.",
    effect=Effect.NONE,
)


@rule(
    id="redis.endpoint-role",
    kind=Kind.REQUIREMENT,
    group=Group.HEALTH,
    title="The endpoint is a primary",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{role}",
    required="primary",
    reads="INFO replication, server: one round trip, part of the visit's INFO",
    remediation={"replica": REPLICA, "sentinel": SENTINEL},
)
def endpoint_role(facts: PairFacts, _: Limits) -> Verdict:
    """Judge the role that the registered endpoint tells of itself.

    Source: S1, EmailEngine writes all the time and needs the primary; its command line
    documentation says that Sentinel URLs are not supported.
    """
    redis = known(facts.redis)
    if or_else(redis.mode, "") == "sentinel":
        return failed(
            "The registered endpoint is a Sentinel, which holds no data; it must be the primary",
            short="A Sentinel is no data endpoint",
            severity=Severity.CRITICAL,
            cause="sentinel",
            role="Sentinel",
        )
    role = ROLES.get(known(redis.role))
    if role is None:
        return unknown("undetermined", f"The server calls its role {redis.role}")
    if role == "primary":
        return passed(role=role)
    return failed(
        "The registered endpoint is a replica; it must be the primary",
        short="Endpoint is a replica",
        severity=Severity.CRITICAL,
        cause="replica",
        role=role,
        **readable(master_link_status=redis.master_link_status),
    )

"""Is there room for connections, and are they left alone? Clients, buffers, idle timeout."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from checks.facts import NOT_READ, Engine, Missing, PairFacts, RedisFacts, Since, known, readable
from checks.render import MIB, duration, percent, size
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

# --- Room for connections

_FULL = (
    "At maxclients Redis refuses every new connection: EmailEngine cannot reconnect, and ends or "
    "stalls."
)
_RAISED = Steps(
    now="The node type sets maxclients here: find what holds the connections open.",
    durable="Mend the program that opens them.",
    undo="Nothing to undo.",
    effect=Effect.CONSOLE,
)
MORE_CLIENTS = Remediation(
    when="nearly all connections are taken",
    why=_FULL,
    do="Find what holds the connections, then raise maxclients",
    now=(
        "See who holds the connections, by address and name:",
        Code("CLIENT LIST"),
        "If they are all wanted:",
        Code("CONFIG SET maxclients {suggested_clients_count}"),
    ),
    durable=Code("maxclients {suggested_clients_count}"),
    verify=(Code("INFO clients"), "must show connected_clients well below maxclients."),
    risk="Each connection takes a file and some memory: CONFIG SET is refused where the system allows "
    "fewer files (ulimit -n, LimitNOFILE).",
    undo=Code("CONFIG SET maxclients {maxclients_count}"),
    dragonfly=Steps(
        now="Restart Dragonfly with the argument below, after a snapshot (SAVE).",
        durable="--maxclients={suggested_clients_count} as an argument, or in the manifest.",
        undo="Restart it with the former value.",
        effect=Effect.RESTART,
    ),
    upstash=_RAISED,
    elasticache=_RAISED,
    memorydb=_RAISED,
)
REJECTED = replace(MORE_CLIENTS, when="connections were rejected")


@dataclass(frozen=True)
class ClientsLimits(Limits):
    """The share of maxclients (0 to 1) that warns."""

    warn_clients_ratio: float = 0.80


@rule(
    id="redis.clients-headroom",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="Redis has room for more connections",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{connected_clients_count:count} of {maxclients_count:count}",
    required="< {limits.warn_clients_ratio:percent}, none rejected",
    reads="INFO clients, stats: one round trip, part of the visit's INFO; before 6.2 CONFIG GET "
    "maxclients with the persistence group",
    limits=ClientsLimits(),
    event=frozenset({"rejected"}),
    opens=Confirm(3, 3),
    resolves=Confirm(3, 3),
    remediation={"crowded": MORE_CLIENTS, "rejected": REJECTED},
)
def clients_headroom(facts: PairFacts, limits: ClientsLimits) -> Verdict:
    """Judge connected clients as a share of maxclients, and connections rejected since the last look.

    Source: ours. A rejected connection is one that EmailEngine may have needed.
    """
    redis = known(facts.redis)
    connected = known(redis.connected_clients)
    most, source = _most(redis, facts.since)
    if not most:
        return unknown("undetermined", f"{source} tells maxclients as 0")
    rejected = _risen(facts, "rejected_connections_rise")
    ratio = connected / most
    numbers: dict[str, JSON] = {
        "connected_clients_count": connected,
        "maxclients_count": most,
        "maxclients_source": source,
        "clients_ratio": ratio,
        "suggested_clients_count": 2 * most,
        **readable(rejected_count=rejected),
    }
    if isinstance(rejected, int) and rejected:
        return failed(
            f"Redis has rejected {rejected:,} connections since the last look; none may be rejected",
            short=f"{rejected:,} connections rejected",
            severity=Severity.CRITICAL,
            cause="rejected",
            **numbers,
        )
    if ratio >= limits.warn_clients_ratio:
        return failed(
            f"{connected:,} of {most:,} connections are taken; keep it below "
            f"{percent(limits.warn_clients_ratio)}",
            short=f"Connections at {percent(ratio)}",
            severity=Severity.WARNING,
            cause="crowded",
            **numbers,
        )
    known(rejected)
    return passed(**numbers)


def _most(redis: RedisFacts, since: Since | Missing) -> tuple[int, str]:
    """Return maxclients and who told it; raises Unknown where nobody does.

    INFO tells it from 6.2 on. Before, CONFIG does: read with the persistence group, and remembered
    for the visits between.
    """
    if not isinstance(redis.maxclients, Missing):
        return redis.maxclients, "INFO"
    asked = redis.config_maxclients
    if asked == NOT_READ and not isinstance(since, Missing):
        asked = since.config_maxclients
    return known(asked), "CONFIG GET"


def _risen(facts: PairFacts, name: str) -> int | Missing:
    """Return what a counter grew by since the last look; the first look has nothing to compare."""
    if isinstance(facts.since, Missing):
        return facts.since
    found: int | Missing = getattr(facts.since, name)
    return found


# --- Buffers of subscribers

_CUT_OFF = (
    "EmailEngine's processes tell each other through Pub/Sub: a subscriber whose buffer runs over is "
    "cut off and misses what was told."
)
BUFFERS = Remediation(
    when="the limit is not the default",
    why=_CUT_OFF,
    do="Set the Pub/Sub buffer to its default",
    now=Code('CONFIG SET client-output-buffer-limit "{suggested_limit}"'),
    durable=Code("client-output-buffer-limit {suggested_limit}"),
    verify=(
        Code("CONFIG GET client-output-buffer-limit"),
        "must answer {suggested_limit} among its parts.",
    ),
    risk="Next to none: the limit holds for each subscriber, and memory is taken only when needed.",
    undo=Code('CONFIG SET client-output-buffer-limit "{pubsub_limit}"'),
    elasticache=Steps(
        now="Set the client-output-buffer-limit-pubsub parameters of the parameter group to "
        "{suggested_limit}.",
        durable="The parameter group is lasting.",
        undo="Set them back.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="Set the client-output-buffer-limit-pubsub parameters of the parameter group to "
        "{suggested_limit}.",
        durable="The parameter group is lasting.",
        undo="Set them back.",
        effect=Effect.CONSOLE,
    ),
    upstash=Steps(
        now="Upstash does not offer it: ask its support.",
        durable="Nothing to set.",
        undo="Nothing to undo.",
        effect=Effect.CONSOLE,
    ),
)
CUT_OFF = Remediation(
    when="subscribers were disconnected",
    why=_CUT_OFF,
    do="Find what was slow to read",
    now=(
        "See which connections hold large buffers (omem), and what they are (name, cmd):",
        Code("CLIENT LIST"),
        (
            "Most often EmailEngine's host is short of CPU, or a program that is no EmailEngine subscribes "
            "and does not read."
        ),
    ),
    durable="Give EmailEngine's host the CPU it needs, or mend the other program.",
    verify=(
        Code("INFO stats"),
        "must show client_output_buffer_limit_disconnections that no longer rises.",
    ),
    risk="Lifting the limit instead lets one slow reader take all memory of Redis.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)


class Buffer(NamedTuple):
    """One class of client-output-buffer-limit; 0 bytes means without limit."""

    hard_bytes: int
    soft_bytes: int
    soft_s: int


@dataclass(frozen=True)
class BufferLimits(Limits):
    """The least buffer of a subscriber: what Redis gives by default."""

    least_hard_bytes: int = 32 * MIB
    least_soft_bytes: int = 8 * MIB
    least_soft_s: int = 60


@rule(
    id="redis.pubsub-buffers",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Subscribers have a buffer of their default size or more",
    severity=Severity.WARNING,
    source="S1, S2",
    observed="{pubsub_limit}",
    required="≥ {limits.least_hard_bytes:size}, {limits.least_soft_bytes:size} for "
    "{limits.least_soft_s:duration}",
    reads="CONFIG GET client-output-buffer-limit; INFO stats (Redis 7.4, Valkey 8 and newer)",
    limits=BufferLimits(),
    not_on=(Engine.DRAGONFLY,),
    event=frozenset({"disconnected"}),
    remediation={"limit": BUFFERS, "disconnected": CUT_OFF},
)
def pubsub_buffers(facts: PairFacts, limits: BufferLimits) -> Verdict:
    """Judge the output buffer of subscribers, and clients cut off by one since the last look.

    Servers that do not count who was cut off are judged by the limit alone.

    Source: S1 and S2, the default of 32 MB, 8 MB for 60 s, or more.
    """
    found = pubsub_limit(known(known(facts.redis).client_output_buffer_limit))
    if found is None:
        return unknown("undetermined", "client-output-buffer-limit has no part for pubsub")
    cut_off = _risen(facts, "output_buffer_disconnections_rise")
    numbers: dict[str, JSON] = {
        "pubsub_limit": f"pubsub {found.hard_bytes} {found.soft_bytes} {found.soft_s}",
        "suggested_limit": f"pubsub {limits.least_hard_bytes} {limits.least_soft_bytes} "
        f"{limits.least_soft_s}",
        **readable(disconnected_count=cut_off),
    }
    why = _wrong(found, limits)
    if why:
        return failed(
            f"The buffer of subscribers is {why}; it should be {size(limits.least_hard_bytes)} or more",
            short=f"Pub/Sub buffer {why}",
            severity=Severity.WARNING,
            cause="limit",
            **numbers,
        )
    if cut_off and isinstance(cut_off, int):
        return failed(
            f"{cut_off:,} clients were cut off since the last look, their buffer full; none should be",
            short=f"{cut_off:,} clients cut off",
            severity=Severity.WARNING,
            cause="disconnected",
            **numbers,
        )
    if isinstance(known(facts.redis).output_buffer_disconnections, int):
        known(cut_off)
    return passed(**numbers)


def pubsub_limit(text: str) -> Buffer | None:
    """Read the pubsub part of client-output-buffer-limit; None where it has none."""
    words = text.split()
    for name, *numbers in zip(words[::4], words[1::4], words[2::4], words[3::4], strict=False):
        if name == "pubsub" and all(one.isascii() and one.isdigit() for one in numbers):
            hard, soft, seconds = (int(one[:18]) for one in numbers)
            return Buffer(hard, soft, seconds)
    return None


def _wrong(found: Buffer, limits: BufferLimits) -> str:
    """Say what is wrong with the limit, "" where nothing is."""
    if not found.hard_bytes and not found.soft_bytes:
        return "unlimited"
    is_short = bool(found.soft_bytes) and (
        found.soft_bytes < limits.least_soft_bytes or found.soft_s < limits.least_soft_s
    )
    is_small = bool(found.hard_bytes) and found.hard_bytes < limits.least_hard_bytes
    if is_small:
        return f"only {size(found.hard_bytes)}"
    return f"only {size(found.soft_bytes)} for {duration(found.soft_s)}" if is_short else ""


# --- Idle connections

IDLE = Remediation(
    why="Redis closes connections that are idle for that long: EmailEngine reconnects each time, and a "
    "call in between fails.",
    do="Set timeout to 0",
    now=Code("CONFIG SET timeout 0"),
    durable=Code("timeout 0"),
    verify=(Code("CONFIG GET timeout"), "must answer 0."),
    risk="Connections whose client died unseen stay open: tcp-keepalive ends those.",
    undo=Code("CONFIG SET timeout {timeout_s}"),
    dragonfly=Steps(
        now="Restart Dragonfly with the argument below, after a snapshot.",
        durable="--timeout=0 as an argument, or in the manifest.",
        undo="Restart it with the former value.",
        effect=Effect.RESTART,
    ),
    upstash=Steps(
        now="Upstash does not offer it: its proxy closes idle connections.",
        durable="Nothing to set.",
        undo="Nothing to undo.",
        effect=Effect.NONE,
    ),
    elasticache=Steps(
        now="Set timeout to 0 in the parameter group of this replication group.",
        durable="The parameter group is lasting.",
        undo="Set the parameter back to {timeout_s}.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="Set timeout to 0 in the parameter group of this cluster.",
        durable="The parameter group is lasting.",
        undo="Set the parameter back to {timeout_s}.",
        effect=Effect.CONSOLE,
    ),
)
NEVER: Final = 0


@rule(
    id="redis.idle-timeout",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis does not close idle connections",
    severity=Severity.INFO,
    source="ours",
    observed="timeout {timeout_s}",
    required="timeout 0",
    reads="CONFIG GET timeout: part of the visit's batch",
    remediation=IDLE,
)
def idle_timeout(facts: PairFacts, _: Limits) -> Verdict:
    """Judge timeout in seconds: 0 leaves idle connections open. Subscribers are exempt from it.

    Source: ours. EmailEngine reconnects by itself, so it is noted only.
    """
    timeout_s = known(known(facts.redis).timeout_s)
    if timeout_s == NEVER:
        return passed(timeout_s=timeout_s)
    return failed(
        f"Redis closes connections that are idle for {duration(timeout_s)}; timeout should be 0",
        short=f"Idle connections close: {timeout_s} s",
        severity=Severity.INFO,
        timeout_s=timeout_s,
    )

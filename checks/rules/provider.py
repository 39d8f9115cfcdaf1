"""What may the server refuse? Scripts on Dragonfly, large commands, a plan's quota."""

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
    RedisFacts,
    known,
    or_else,
)
from checks.render import MIB, percent, size
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
    passed,
    rule,
    unknown,
)
from checks.rules.writes import USED_UP

# --- Scripts

LUA_FLAGS = Remediation(
    why="EmailEngine's scripts name some keys only while they run; Dragonfly refuses that unless it "
    "is told otherwise, and EmailEngine cannot list or delete accounts.",
    do="Allow undeclared keys in scripts",
    now="Restart Dragonfly with the argument below, after a snapshot (SAVE).",
    durable="--default_lua_flags=allow-undeclared-keys as an argument, or "
    "DFLY_default_lua_flags=allow-undeclared-keys in its environment.",
    verify=(
        Code("EVAL \"return redis.call('EXISTS', 'pairkeeper:probe:' .. ARGV[1])\" 0 x"),
        "must answer a number.",
    ),
    risk="Scripts that name no keys run alone, across all of Dragonfly's threads: other commands "
    "wait for them.",
    undo="Restart it without the argument.",
    effect=Effect.RESTART,
)


@rule(
    id="redis.dragonfly-lua-flags",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Dragonfly lets scripts use undeclared keys",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{undeclared_keys}",
    required="allowed",
    reads="EVAL of one EXISTS on a key that nobody has, sent to Dragonfly alone",
    only_on=(Engine.DRAGONFLY,),
    remediation=LUA_FLAGS,
)
def dragonfly_lua_flags(facts: PairFacts, _: Limits) -> Verdict:
    """Judge whether a script of ours that declares no key was run.

    A probe, no proof: Dragonfly can allow or refuse single scripts by their hash.

    Source: S0 and S1, --default_lua_flags=allow-undeclared-keys.
    """
    if known(known(facts.redis).allows_undeclared_keys):
        return passed(undeclared_keys="allowed")
    return failed(
        "Dragonfly refuses scripts that use undeclared keys; EmailEngine's do",
        short="Undeclared keys are refused",
        severity=Severity.CRITICAL,
        undeclared_keys="refused",
    )


# --- Size of a command

# What Redis takes by default, and more than any mail server passes on.
DEFAULT_BULK: Final = 512 * MIB
# Where CONFIG is closed: Upstash's plans decide, and AWS fixes what Redis gives by default.
# Source: the providers' documents; read, not run.
PLAN_BYTES: Final[Mapping[Engine, int]] = {
    Engine.UPSTASH: 10_000_000,
    Engine.ELASTICACHE: DEFAULT_BULK,
    Engine.MEMORYDB: DEFAULT_BULK,
}
SIZE_LIMIT = Remediation(
    why="A message is put into the queue in one command: one larger than the server takes is refused, "
    "and its sender gets an error.",
    do="Raise the size of a command to {suggested_limit_bytes:size}",
    now=Code("CONFIG SET proto-max-bulk-len {suggested_limit_bytes}"),
    durable=Code("proto-max-bulk-len {suggested_limit_bytes}"),
    verify=(Code("CONFIG GET proto-max-bulk-len"), "must answer {suggested_limit_bytes}."),
    risk="One client may then ask Redis for that much memory at once.",
    undo=Code("CONFIG SET proto-max-bulk-len {limit_bytes}"),
    dragonfly=Steps(
        now="Restart Dragonfly with the argument below, after a snapshot (SAVE).",
        durable="--max_bulk_len={suggested_limit_bytes} as an argument, or in the manifest.",
        verify="Send a test message of the largest size.",
        undo="Restart it with the former value.",
        effect=Effect.RESTART,
    ),
    upstash=Steps(
        do="Choose a plan with larger requests",
        now="In the Upstash console, choose a plan whose requests hold {suggested_limit_bytes:size}, or "
        "let EmailEngine take no larger messages than {limit_bytes:size}.",
        durable="The plan stays until you change it.",
        verify="Send a test message of the largest size.",
        undo="Choose the former plan.",
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        now="Raise proto-max-bulk-len in the parameter group of this replication group, where the "
        "engine version lets you.",
        durable="The parameter group is lasting.",
        verify="Send a test message of the largest size.",
        undo="Set the parameter back.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="Raise proto-max-bulk-len in the parameter group of this cluster, where the engine "
        "version lets you.",
        durable="The parameter group is lasting.",
        verify="Send a test message of the largest size.",
        undo="Set the parameter back.",
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class SizeLimits(Limits):
    """Bytes: a limit at or below this warns whatever the messages are; also Redis' own least."""

    too_small_bytes: int = 1 * MIB


@rule(
    id="redis.command-size-limit",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis takes commands as large as the largest message",
    severity=Severity.WARNING,
    source="S0, S1",
    observed="{limit_bytes:size}",
    required="≥ the largest message",
    reads="CONFIG GET proto-max-bulk-len; the attestation largest_message_bytes",
    limits=SizeLimits(),
    remediation=SIZE_LIMIT,
)
def command_size_limit(facts: PairFacts, limits: SizeLimits) -> Verdict:
    """Judge the largest command the server takes against the largest message (bytes).

    Redis' own default passes without an attestation: it holds more than mail servers pass on.

    Source: S0 and S1, services that limit a request to 1 MB cannot queue larger messages.
    """
    redis = known(facts.redis)
    limit = _limit_bytes(redis)
    need = or_else(facts.attested, NOTHING_ATTESTED).largest_message_bytes
    wanted = max(or_else(need, 0), DEFAULT_BULK)
    numbers: dict[str, JSON] = {"limit_bytes": limit}
    if not isinstance(need, Missing):
        numbers["largest_message_bytes"] = need
    if limit <= limits.too_small_bytes or limit < or_else(need, 0):
        told = "" if isinstance(need, Missing) else f"; the largest message has {size(need)}"
        return failed(
            f"Redis takes commands up to {size(limit)}{told}; it must take the largest message",
            short=f"Commands end at {size(limit)}",
            severity=Severity.WARNING,
            suggested_limit_bytes=wanted,
            **numbers,
        )
    if isinstance(need, Missing) and limit < DEFAULT_BULK:
        text = f"Commands may have {size(limit)}: attest largest_message_bytes"
        return unknown("unattested", text, **numbers)
    return passed(**numbers)


def _limit_bytes(redis: RedisFacts) -> int:
    plan = PLAN_BYTES.get(redis.engine)
    if plan is not None and isinstance(redis.proto_max_bulk_len_bytes, Missing):
        return plan
    return known(redis.proto_max_bulk_len_bytes)


# --- Plan

FREE: Final = "free"
MONTH_S: Final = 30 * 86_400
PLAN = Remediation(
    why="A plan with a quota of commands ends in the middle of a month: from then on every command "
    "of EmailEngine is refused.",
    do="Choose a plan without a quota of commands",
    now="In the Upstash console, choose a fixed plan or pay as you go, then attest plan anew.",
    durable="The plan stays until you change it.",
    verify="The console's usage page must show no quota that is near.",
    risk="Pay as you go bills each command: EmailEngine sends about five a second while idle.",
    undo="Choose the former plan.",
    effect=Effect.CONSOLE,
)


def _used_up(redis: RedisFacts) -> str:
    """Return how PING was refused because the plan's quota of commands is used up; "" where not."""
    ping = redis.ping
    return ping.text if isinstance(ping, Missing) and ping.text.startswith(USED_UP) else ""


@dataclass(frozen=True)
class PlanLimits(Limits):
    """Commands per month that the paid plan allows (0 = no quota), and the share that warns."""

    monthly_quota_count: int = 0
    warn_quota_ratio: float = 0.80


@rule(
    id="redis.upstash-plan",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="The Upstash plan bears EmailEngine's commands",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{plan}",
    required="a paid plan, its quota less than {limits.warn_quota_ratio:percent} used",
    reads="The attestation plan; INFO stats where a quota is set in the policy",
    limits=PlanLimits(),
    only_on=(Engine.UPSTASH,),
    remediation=PLAN,
)
def upstash_plan(facts: PairFacts, limits: PlanLimits) -> Verdict:
    """Judge the attested plan, and the commands of 30 days at the present pace against its quota.

    A quota that is used up shows in every answer, and beats whatever plan is attested.

    Source: S0 and S1, paid plans only; the share of the quota is theirs too.
    """
    redis = known(facts.redis)
    attested = or_else(facts.attested, NOTHING_ATTESTED).plan
    if _used_up(redis):
        plan = "not attested" if isinstance(attested, Missing) else f"attested as {attested}"
        return failed(
            f"The plan is {plan}, and its quota of commands is used up; EmailEngine needs a plan "
            "that lasts",
            short="Command quota is used up",
            severity=Severity.CRITICAL,
            plan=plan,
            answer=_used_up(redis),
        )
    plan = known(attested)
    if FREE in re.findall(r"[a-z]+", plan.lower()):
        return failed(
            f"The plan is {plan}, as attested; EmailEngine needs a paid one",
            short="A free plan",
            severity=Severity.CRITICAL,
            plan=plan,
        )
    return _paced(redis, plan, limits)


def _paced(redis: RedisFacts, plan: str, limits: PlanLimits) -> Verdict:
    """Judge the pace of commands against the plan's quota, where a policy names one."""
    if not limits.monthly_quota_count:
        return passed(plan=plan)
    pace = known(redis.total_commands_processed) / max(1, known(redis.uptime_s)) * MONTH_S
    ratio = pace / limits.monthly_quota_count
    if ratio < limits.warn_quota_ratio:
        return passed(plan=plan, quota_ratio=ratio)
    return failed(
        f"At this pace 30 days take {percent(ratio)} of the plan's commands; keep it below "
        f"{percent(limits.warn_quota_ratio)}",
        short=f"Command quota at {percent(ratio)}",
        severity=Severity.WARNING,
        plan=plan,
        quota_ratio=ratio,
    )

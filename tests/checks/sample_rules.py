"""A few rules of our own, so that the machinery is tested apart from the catalogue."""

from dataclasses import dataclass

from checks.evaluate import REACHABLE
from checks.facts import NOT_CONFIGURED, Engine, Missing, PairFacts, RedisFacts, Vantage, known
from checks.policy import Layer, Policy, lay, parse
from checks.rule import (
    Cadence,
    Code,
    Confirm,
    Effect,
    Group,
    Kind,
    Limits,
    Remediation,
    Rule,
    Severity,
    Steps,
    Verdict,
    failed,
    not_applicable,
    passed,
    rule,
)

THREE = Confirm(3, 3)


@dataclass(frozen=True)
class MemoryLimits(Limits):
    leave_used_ratio: float = 0.75
    warn_used_ratio: float = 0.80
    critical_used_ratio: float = 0.90


@dataclass(frozen=True)
class LicenceLimits(Limits):
    warn_remaining_days: int = 30
    critical_remaining_days: int = 7
    is_strict: bool = False
    least_version: tuple[int, ...] = (6, 2)
    points: tuple[tuple[int, int], ...] = ((900, 1), (300, 10))
    policy_name: str = "noeviction"
    patience_s: float = 1.5


REMEDY = Remediation(
    why="{engine} {version} on {host} may use {limits.warn_used_ratio:percent}.",
    do="Set maxmemory to {wanted_bytes:size}",
    now=Code("CONFIG SET maxmemory {wanted_bytes}"),
    durable=Code("maxmemory {wanted_bytes}"),
    verify=(Code("{cli} CONFIG GET maxmemory"), "must answer {wanted_bytes}, as in {conf}"),
    risk="None.",
    undo="",
    elasticache=Steps(
        now="Choose a larger node type.",
        durable=Code("aws elasticache modify-cache-cluster"),
        effect=Effect.CONSOLE,
    ),
)
RESTART = Remediation(
    why="Workers died.",
    do="Restart EmailEngine",
    now=Code("systemctl restart emailengine"),
    durable="Nothing more.",
    verify="The workers come back.",
    risk="Mail waits meanwhile.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)
RENEW = Remediation(
    why="Without a licence work stops after {limits.critical_remaining_days:count} days.",
    do="Renew the licence",
    now="Buy one.",
    durable="Note its end.",
    verify="It shows.",
    risk="It costs.",
    undo="",
    effect=Effect.CONSOLE,
)


@rule(
    id=REACHABLE,
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="Redis answers",
    severity=Severity.CRITICAL,
    source="S1",
    observed="answers",
    required="answers",
    reads="PING",
    remediation=RESTART,
    opens=Confirm(3, 5),
    resolves=Confirm(2, 2),
    core=True,
)
def reachable(facts: PairFacts, _limits: Limits) -> Verdict:
    if isinstance(facts.redis, Missing):
        return failed(facts.redis.text, short="Down", severity=Severity.CRITICAL)
    return passed()


@rule(
    id="redis.sample-memory",
    kind=Kind.REQUIREMENT,
    group=Group.HEALTH,
    title="Memory stays below {limits.warn_used_ratio:percent}",
    severity=Severity.CRITICAL,
    source="S0",
    observed="{used_ratio:percent}",
    required="< {limits.warn_used_ratio:percent}",
    reads="INFO",
    remediation=REMEDY,
    limits=MemoryLimits(),
    opens=THREE,
    resolves=THREE,
    core=True,
    formerly=("redis.old-memory",),
)
def memory(facts: PairFacts, limits: MemoryLimits) -> Verdict:
    redis = known(facts.redis)
    used_ratio = known(redis.used_memory_bytes) / known(redis.maxmemory_bytes)
    if used_ratio < limits.warn_used_ratio:
        keeps = Severity.WARNING if used_ratio >= limits.leave_used_ratio else None
        return passed(used_ratio=used_ratio, keeps=keeps)
    severe = used_ratio >= limits.critical_used_ratio
    return failed(
        f"Redis uses {used_ratio:.0%}",
        short=f"Memory at {used_ratio:.0%}",
        severity=Severity.CRITICAL if severe else Severity.WARNING,
        used_ratio=used_ratio,
        wanted_bytes=4 * 1024**3,
    )


@rule(
    id="redis.sample-licence",
    kind=Kind.OPERATION,
    group=Group.PERSISTENCE,
    title="The licence lasts",
    severity=Severity.WARNING,
    source="EE",
    observed="{days:count} days",
    required="as {wanted} wants",
    reads="INFO",
    remediation={"": RESTART, "unpaid": RENEW},
    limits=LicenceLimits(),
)
def licence(_facts: PairFacts, _limits: LicenceLimits) -> Verdict:
    return not_applicable("no licence here")


@rule(
    id="emailengine.sample-health",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="EmailEngine answers",
    severity=Severity.CRITICAL,
    source="EE",
    observed="HTTP {status}",
    required="HTTP 200",
    reads="/health",
    remediation=RESTART,
    core=True,
)
def emailengine(facts: PairFacts, _limits: Limits) -> Verdict:
    return passed(status=known(known(facts.emailengine).health_status))


@rule(
    id="redis.sample-evictions",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="No key was evicted",
    severity=Severity.CRITICAL,
    source="S1",
    observed="none",
    required="none",
    reads="INFO",
    remediation=RESTART,
    event=True,
)
def evictions(facts: PairFacts, _limits: Limits) -> Verdict:
    evicted = known(known(facts.redis).evicted_keys)
    if evicted:
        return failed("Keys were evicted", short="Evicted", severity=Severity.WARNING)
    return passed()


RULES: tuple[Rule, ...] = (reachable, memory, licence, emailengine, evictions)
BY_ID = {name: one for one in RULES for name in (one.id, *one.formerly)}
ALL = frozenset(Cadence)


def policy(*layers: dict) -> Policy:
    """Lay plain data over these rules."""
    return lay(*(layer(data) for data in layers), rules=RULES)


def layer(data: object) -> Layer:
    return parse(data, BY_ID)


def redis_facts(**known_facts) -> RedisFacts:
    values = {"used_memory_bytes": 50, "maxmemory_bytes": 100, "evicted_keys": 0, **known_facts}
    return RedisFacts(
        host="10.0.0.7",
        port=6379,
        database=8,
        is_tls=False,
        path="private",
        engine=Engine.VALKEY,
        ping="PONG",
        **values,
    )


def pair_facts(redis=None, emailengine=NOT_CONFIGURED, **others) -> PairFacts:
    return PairFacts(redis or redis_facts(), emailengine, Vantage("eu-1"), **others)

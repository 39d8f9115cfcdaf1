"""Is it a Redis that EmailEngine supports? Make, version, cluster mode."""

from __future__ import annotations

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
    unread,
)

_MOVE_RISK = (
    "Stop EmailEngine while the data moves, and keep the old server until the new one has worked "
    "for a day: what is written to the old one meanwhile is lost."
)
_MOVE_BACK = (
    "Point EmailEngine back at the old server; what was written since stays on the new one."
)
_MOVE = (
    "Set up a standalone Redis or Valkey with the settings this portal asks for.",
    "Stop EmailEngine, copy its keys over, point EENGINE_REDIS at the new server, start EmailEngine.",
)
_MOVED = "Register the new address in the pair, and take the old server out of service."
_INFO_SERVER = Code("INFO server")

# --- Cluster mode

_NOT_SWITCHED = "Cluster mode is decided when a server is first set up; it cannot be switched off."
STANDALONE = Remediation(
    why=(
        "EmailEngine's scripts touch several keys at once and name some only while they run: a "
        "cluster refuses that as soon as the keys lie in different slots."
    ),
    do="Move to a standalone Redis",
    now=(
        "Set up a Redis with cluster-enabled no, and the settings this portal asks for.",
        (
            "Stop EmailEngine, copy the keys of every shard over (an RDB file of one shard holds only "
            "its own), point EENGINE_REDIS at the new server, start EmailEngine."
        ),
    ),
    durable="In the new server's {conf}, cluster-enabled no, which is the default.",
    verify=(Code("INFO cluster"), "must answer cluster_enabled:0."),
    risk=_MOVE_RISK,
    undo=_MOVE_BACK,
    effect=Effect.RESTART,
    elasticache=Steps(
        now="Make a replication group with cluster mode disabled (node-based, not serverless), or a "
        "Redis of your own, and copy the keys over while EmailEngine is stopped.",
        durable=_NOT_SWITCHED,
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="MemoryDB always runs as a cluster: copy the keys to a standalone Redis or Valkey while "
        "EmailEngine is stopped.",
        durable=_NOT_SWITCHED,
        effect=Effect.CONSOLE,
    ),
    dragonfly=Steps(
        durable="Leave --cluster_mode out of the arguments.",
    ),
    upstash=Steps(durable=_NOT_SWITCHED, effect=Effect.CONSOLE),
)


@rule(
    id="redis.standalone",
    kind=Kind.REQUIREMENT,
    group=Group.HEALTH,
    title="Redis runs standalone, not as a cluster",
    severity=Severity.CRITICAL,
    source="S1, EE",
    observed="{mode}",
    required="standalone",
    reads="INFO server, cluster: one round trip, part of the visit's INFO",
    core=True,
    remediation=STANDALONE,
)
def standalone(facts: PairFacts, _: Limits) -> Verdict:
    """Judge whether cluster mode is off, by cluster_enabled or the mode the server tells.

    A cluster of one node takes most writes and is still a cluster. A Sentinel tells its own mode,
    which says nothing of the server that holds the data.

    Source: S1, clusters are not supported; EmailEngine itself warns in red of cluster_enabled.
    """
    redis = known(facts.redis)
    if redis.cluster_enabled is True or redis.mode == "cluster":
        return failed(
            "Redis runs in cluster mode, which EmailEngine does not support; it must be standalone",
            short="Cluster mode is on",
            severity=Severity.CRITICAL,
            mode="cluster",
        )
    if redis.mode == "sentinel":
        text = "A Sentinel answers here, not the server that holds the data"
        return unread(Missing("depends_on", text, "redis.endpoint-role"))
    if redis.cluster_enabled is False:
        return passed(mode=or_else(redis.mode, "standalone"))
    return passed(mode=known(redis.mode))


# --- Version

_UPGRADE_RISK = (
    "Newer versions read older files, never the reverse: keep a copy of dump.rdb from before. After "
    "the restart see that EmailEngine's queue workers came back; if not, restart EmailEngine."
)
VERSION = Remediation(
    why=(
        "EmailEngine and its queues are written for newer servers: commands they use are missing or "
        "behave otherwise on old ones."
    ),
    do="Upgrade to version {limits.preferred_version} or newer",
    now=(
        "Save, so that the new version starts with all data:",
        Code("BGSAVE"),
        "Then upgrade {engine} on {host} from its package or image, and restart it.",
    ),
    durable="Pin the new version in your packages or images.",
    verify=(_INFO_SERVER, "must answer redis_version at or above {limits.preferred_version}."),
    risk=_UPGRADE_RISK,
    undo="Restart the old version with the dump.rdb copied before the upgrade.",
    effect=Effect.RESTART,
    keydb=Steps(
        durable="Pin the new version; or move to Redis or Valkey, which the vendor supports better.",
    ),
    dragonfly=Steps(now="Upgrade Dragonfly's image or package after a snapshot, and restart it."),
    upstash=Steps(
        now="Make a new database in the Upstash console (new ones run a current version) and copy the "
        "keys over.",
        durable="The provider keeps it current.",
        undo=_MOVE_BACK,
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        now="Raise the engine version of the replication group in its console.",
        durable="Keep the version in the place your infrastructure is built from.",
        undo="A version cannot be lowered: restore a snapshot into a new group.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="Raise the engine version of the cluster in its console.",
        durable="Keep the version in the place your infrastructure is built from.",
        undo="A version cannot be lowered: restore a snapshot into a new cluster.",
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class VersionLimits(Limits):
    """Versions of Redis, as text: below the least is critical, below the preferred a warning."""

    least_version: str = "6.0"
    preferred_version: str = "6.2"


@rule(
    id="redis.version",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis is {limits.preferred_version} or newer",
    severity=Severity.CRITICAL,
    source="S1, EE",
    observed="{compatibility_version}",
    required="≥ {limits.preferred_version}",
    reads="INFO server: one round trip, part of the visit's INFO",
    limits=VersionLimits(),
    remediation=VERSION,
)
def version(facts: PairFacts, limits: VersionLimits) -> Verdict:
    """Judge the version of Redis that this server is compatible with.

    Makes with numbers of their own are compared by the Redis version they claim to be.

    Source: S1, Redis 6.0 or newer; EmailEngine's queue library recommends 6.2.
    """
    redis = known(facts.redis)
    text = known(redis.compatibility_version)
    found, preferred = _numbers(text), _numbers(limits.preferred_version)
    if not found or not preferred:
        odd = limits.preferred_version if found else text
        return unknown("undetermined", f"{odd} is no version number that we can compare")
    if found >= preferred:
        return passed(compatibility_version=text)
    return failed(
        f"The server is compatible with Redis {text}; it must be {limits.preferred_version} or newer",
        short=f"Redis {text} is too old",
        severity=Severity.CRITICAL if found < _numbers(limits.least_version) else Severity.WARNING,
        compatibility_version=text,
    )


def _numbers(text: str) -> tuple[int, ...]:
    """Read `6.2.14` or `7.2.4-rc1` as numbers to compare; () where there are none."""
    parts = []
    for part in text.split("-", maxsplit=1)[0].split("."):
        if not (part.isascii() and part.isdigit()):
            break
        parts.append(int(part))
    return tuple(parts)


# --- Make

# What the vendor's table says of each make; whoever is not in it is recognised and only noted.
STANDINGS: Final[Mapping[Engine, tuple[str, Severity]]] = {
    Engine.KEYDB: ("experimental", Severity.WARNING),
    Engine.MEMURAI: ("experimental", Severity.WARNING),
    Engine.DRAGONFLY: ("experimental", Severity.WARNING),
    Engine.UPSTASH: ("supported within constraints", Severity.WARNING),
    Engine.ELASTICACHE: ("not supported", Severity.CRITICAL),
    Engine.MEMORYDB: ("not supported", Severity.CRITICAL),
}
OUTSIDE = Remediation(
    when="the vendor does not name it",
    why="The vendor's table does not name this make: what works is found out by using it.",
    do="Note that the vendor does not name {engine}",
    now="Nothing need be changed. Ask the vendor before you rely on help with {engine}.",
    durable="Keep an own test of sending and receiving mail on this make for upgrades.",
    verify=(_INFO_SERVER, "names the make and its version."),
    risk="An upgrade of either side may meet a difference that nobody has tried.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)
EXPERIMENTAL = Remediation(
    when="the vendor calls it experimental",
    why="The vendor calls this make experimental: EmailEngine may meet commands that behave otherwise.",
    do="Move to Redis or Valkey",
    now=_MOVE,
    durable=_MOVED,
    verify=(_INFO_SERVER, "must no longer name {engine}."),
    risk=_MOVE_RISK,
    undo=_MOVE_BACK,
    dragonfly=Steps(
        do="Try EmailEngine on Dragonfly, then attest dragonfly_validated",
        now=(
            (
                "Start Dragonfly with --default_lua_flags=allow-undeclared-keys, without which "
                "EmailEngine's scripts fail."
            ),
            "Send and receive test mail on it, then attest dragonfly_validated for this pair.",
        ),
        durable="--default_lua_flags=allow-undeclared-keys as an argument, or in the manifest.",
        verify="The next check must pass: the attestation stands with the pair.",
        risk="An attestation ends on its date, and a new version of either side needs a new trial.",
        undo="Withdraw the attestation.",
        effect=Effect.RESTART,
    ),
    memurai=Steps(
        risk="The Developer edition is reported to stop after ten days: use the Enterprise edition "
        "if you stay. " + _MOVE_RISK
    ),
)
CONSTRAINED = Remediation(
    when="a service with constraints",
    why=(
        "The provider limits commands and the size of a request: beyond them EmailEngine's calls "
        "fail, and large messages cannot be queued."
    ),
    do="Keep {engine} within EmailEngine's needs, or move to Redis or Valkey",
    now=(
        (
            "Choose a plan without a daily or monthly command limit, and with requests as large as your "
            "largest message."
        ),
        "Or move to a standalone Redis or Valkey of your own.",
    ),
    durable="The plan stays until you change it.",
    verify="Compare the plan's limits with the provider's usage page after a busy day.",
    risk="A free plan ends at its limits without notice to EmailEngine.",
    undo="Choose the former plan.",
    effect=Effect.CONSOLE,
)
UNSUPPORTED = Remediation(
    when="the vendor rules it out",
    why=(
        "The vendor declares this service incompatible with EmailEngine: it may lose what it has "
        "confirmed, or refuse EmailEngine's scripts."
    ),
    do="Move to Redis or Valkey",
    now=_MOVE,
    durable=_MOVED,
    verify=(_INFO_SERVER, "must no longer name {engine}."),
    risk=_MOVE_RISK,
    undo=_MOVE_BACK,
    effect=Effect.CONSOLE,
    elasticache=Steps(
        do="Move to Redis or Valkey, or attest managed_durability",
        now=(
            *_MOVE,
            (
                "If you stay: have it confirmed that this group keeps every write (snapshots, Multi-AZ), "
                "and attest managed_durability for this pair: it then counts as a warning."
            ),
        ),
    ),
)


@rule(
    id="redis.engine-support",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="The vendor supports this make of Redis",
    severity=Severity.CRITICAL,
    source="S0, S1, EE",
    observed="{make}: {standing}",
    required="Redis",
    reads="INFO server, or HELLO where INFO is refused: one round trip, part of the visit's INFO",
    core=True,
    remediation={
        "outside": OUTSIDE,
        "experimental": EXPERIMENTAL,
        "constrained": CONSTRAINED,
        "unsupported": UNSUPPORTED,
    },
)
def engine_support(facts: PairFacts, _: Limits) -> Verdict:
    """Judge what the vendor's table says of the detected make.

    Two makes can be vouched for: Dragonfly after a trial, ElastiCache with durability attested.
    A Dragonfly that refuses EmailEngine's kind of scripts passed no trial, whoever says so.

    Source: S0 and S1, the table of Redis-compatible services; EmailEngine itself warns of
    ElastiCache in red. Makes outside the table are noted, never scored.
    """
    redis = known(facts.redis)
    attested = or_else(facts.attested, NOTHING_ATTESTED)
    if redis.engine is Engine.UNKNOWN:
        return unknown("undetermined", "The make of this server could not be recognised")
    if redis.engine is Engine.REDIS:
        return passed(standing="supported", **_make(redis))
    is_tried = redis.engine is Engine.DRAGONFLY and attested.dragonfly_validated is True
    if is_tried and redis.allows_undeclared_keys is not False:
        return passed(standing="experimental, validated", **_make(redis))
    contrary = ", attested as validated although it refuses undeclared keys" if is_tried else ""
    return _standing(redis, contrary, is_durable=attested.managed_durability is True)


def _standing(redis: RedisFacts, contrary: str, *, is_durable: bool) -> Verdict:
    label = redis.engine.label
    standing, severity = STANDINGS.get(redis.engine, ("not named by the vendor", Severity.INFO))
    if redis.engine is Engine.ELASTICACHE and is_durable:
        standing, severity = "not supported, durability attested", Severity.WARNING
    return failed(
        f"{label} is {standing}{contrary}; the vendor supports Redis",
        short=f"{label}: {_SHORT.get(standing, standing)}",
        severity=severity,
        cause=_cause(standing),
        standing=standing,
        **_make(redis),
    )


_SHORT: Final = {
    "supported within constraints": "within constraints",
    "not named by the vendor": "not named by vendor",
    "not supported, durability attested": "durability attested",
}


def _cause(standing: str) -> str:
    causes = {"supported within constraints": "constrained", "experimental": "experimental"}
    return causes.get(standing) or ("unsupported" if "supported" in standing else "outside")


def _make(redis: RedisFacts) -> dict[str, JSON]:
    named = f"{redis.engine.label} {or_else(redis.version, '')}".strip()
    return {"make": f"{named} {redis.edition}".strip()}

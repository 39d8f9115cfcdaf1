"""Which account does the probe want? One line per engine, made from the commands it really sends."""

from collections.abc import Mapping

from checks.facts import Engine
from checks.probes.redis_commands import ACL_RIGHT, CLIENT_NAME, PROBE_KEYS, RIGHTS
from checks.probes.redis_queues import RIGHTS as QUEUE_RIGHTS
from checks.probes.replica import CLIENT_NAME as PULL_NAME
from checks.probes.replica import RIGHTS as PULL_RIGHTS

# What a provider keeps to itself; naming it in a rule makes the provider refuse the rule.
CLOSED: Mapping[Engine, frozenset[str]] = {
    Engine.DRAGONFLY: frozenset({ACL_RIGHT}),  # +acl would allow to change accounts too
    Engine.ELASTICACHE: frozenset({"config|get"}),
    Engine.MEMORYDB: frozenset({"config|get"}),
    Engine.UPSTASH: frozenset({"config|get"}),
}
# Dragonfly knows no rights for single subcommands of these. Source: its ACL documentation.
DRAGONFLY_WHOLE = ("config", "cluster", "client")
ACL_NOTES: Mapping[Engine, str] = {
    Engine.DRAGONFLY: "Dragonfly cannot grant CONFIG GET or CLIENT LIST alone: +config and"
    " +client allow their other subcommands too.",
    Engine.ELASTICACHE: "CONFIG is closed on ElastiCache: what it would tell stays not verified.",
    Engine.MEMORYDB: "CONFIG is closed on MemoryDB: what it would tell stays not verified.",
    Engine.UPSTASH: "CONFIG is closed on Upstash: what it would tell stays not verified.",
}


def acl_rules(engine: Engine) -> str:
    """List the rights that the probe uses on this engine, and no other, as ACL rules."""
    rights = [right for right in RIGHTS if right not in CLOSED.get(engine, ())]
    keys = ""
    if engine is Engine.DRAGONFLY:
        # It alone is asked to run a script, on a key of our own name that nobody has.
        rights = sorted({*(_whole(right) for right in rights), "eval", "exists"})
        keys = f"~{PROBE_KEYS}* "
    # No word on channels: who may neither publish nor subscribe reaches none, and Redis 6.0 and
    # KeyDB refuse the whole line for it.
    return f"resetkeys {keys}-@all " + " ".join(f"+{right}" for right in rights)


def acl_line(engine: Engine, user: str = CLIENT_NAME) -> str:
    """Write the one line that creates our account with the least rights; paste it into the CLI.

    On ElastiCache and MemoryDB it is a line for the provider's own command line.
    """
    rules = acl_rules(engine)
    if engine is Engine.ELASTICACHE:
        return (
            f"aws elasticache create-user --user-id {user} --user-name {user} --engine redis"
            f' --passwords "CHOOSE-A-PASSWORD" --access-string "on {rules}"'
        )
    if engine is Engine.MEMORYDB:
        return (
            f"aws memorydb create-user --user-name {user} --authentication-mode"
            f' Type=password,Passwords="CHOOSE-A-PASSWORD" --access-string "on {rules}"'
        )
    return f"ACL SETUSER {user} on >CHOOSE-A-PASSWORD {rules}"


def queues_line(key_prefix: str = "", user: str = CLIENT_NAME) -> str:
    """Write the line that opens EmailEngine's queues to our account as well: reading them, no more.

    Their keys hold mail. Nothing of a job but its times is read; delivery times hang on it.
    """
    bull = f"{key_prefix.rstrip(':')}:bull" if key_prefix.rstrip(":") else "bull"
    return f"ACL SETUSER {user} ~{bull}:* " + " ".join(f"+{right}" for right in QUEUE_RIGHTS)


def pull_line(user: str = PULL_NAME) -> str:
    """Write the line for the account of agentless pulls: it exports everything, and can do nothing else.

    Never the monitoring account.
    """
    rights = " ".join(f"+{right}" for right in PULL_RIGHTS)
    return f"ACL SETUSER {user} on >CHOOSE-A-PASSWORD resetkeys -@all {rights}"


def _whole(right: str) -> str:
    container, _, _ = right.partition("|")
    return container if container in DRAGONFLY_WHOLE else right


ACL_LINES: Mapping[Engine, str] = {engine: acl_line(engine) for engine in Engine}

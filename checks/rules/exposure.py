"""Who can reach Redis, and with which rights? Endpoint, password, our own account."""

from __future__ import annotations

from typing import Final

from checks.facts import (
    NOTHING_ATTESTED,
    Account,
    Engine,
    PairFacts,
    known,
    or_else,
    readable,
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
)

# --- Endpoint

_READABLE = (
    "Redis holds mail credentials and queued mail. On a public address everybody can try it, and "
    "without TLS everybody on the way can read it."
)
_PRIVATE_ADDRESS = (
    "Give Redis a private address that EmailEngine reaches (same network, VPN or private link), and "
    "register it in the pair and in EmailEngine."
)
_STEPS_PROVIDED = Steps(
    now="Use the endpoint inside your own network (VPC), or the provider's private link, and register "
    "it in the pair and in EmailEngine.",
    durable="Keep the endpoint in the place that your infrastructure is built from.",
    verify="The next check must see a private address.",
    undo="Register the former address.",
    effect=Effect.CONSOLE,
)
EXPOSED = Remediation(
    why=_READABLE,
    do="Take Redis off the public network",
    now=(
        _PRIVATE_ADDRESS,
        "Until then let the firewall admit EmailEngine and this portal only, to port {port} of {host}.",
    ),
    durable="bind in {conf} with the private address alone.",
    verify="The next check must see a private address.",
    risk="Both sides must reach the new address before the old one goes; EmailEngine restarts once.",
    undo="Register the former address.",
    effect=Effect.RESTART,
    upstash=_STEPS_PROVIDED,
    elasticache=_STEPS_PROVIDED,
    memorydb=_STEPS_PROVIDED,
)


@rule(
    id="redis.private-endpoint",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis is reached over a private network",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{path} address",
    required="a private one",
    reads="The address that was connected to; a PING without signing in; the attestation private_link",
    remediation=EXPOSED,
)
def private_endpoint(facts: PairFacts, _: Limits) -> Verdict:
    """Judge the address that was connected to: unix socket, loopback, private or public.

    Networks that the operator declares as their own count as private. A private link can be
    vouched for: its address may look public.

    Source: S1, a private network; TLS and a password where that cannot be.
    """
    redis = known(facts.redis)
    if redis.path != "public":
        return passed(path=redis.path)
    if or_else(facts.attested, NOTHING_ATTESTED).private_link is True:
        return passed(path="public", private_link=True)
    protected = redis.is_tls and not known(redis.is_open)
    lacks = [
        *([] if redis.is_tls else ["TLS"]),
        *(["a password"] if redis.is_open is True else []),
    ]
    told = "with TLS and a password" if protected else f"without {' and '.join(lacks)}"
    return failed(
        f"Redis is reached at a public address, {told}; it should have a private one",
        short="Public address" if protected else f"Public, no {' and '.join(lacks)}",
        severity=Severity.WARNING if protected else Severity.CRITICAL,
        path="public",
        port=redis.port,
        is_tls=redis.is_tls,
        **readable(is_open=redis.is_open),
    )


# --- Password and TLS

_ANYBODY = (
    "Whoever reaches the port reads every mailbox credential and can delete all mail state: no "
    "password is asked for."
)
PASSWORD = Remediation(
    when="no password is asked for",
    why=_ANYBODY,
    do="Ask for a password",
    now=(
        "Make EmailEngine's account first, with a password of your own:",
        Code(
            "ACL SETUSER emailengine on >CHOOSE-A-PASSWORD ~* &* -@all +@read +@write +@connection "
            "+@transaction +@scripting +@pubsub +@blocking +@keyspace -@dangerous -@admin +info"
        ),
        (
            "Put emailengine and the password into EENGINE_REDIS, restart EmailEngine, and see that its "
            "connections name that user:"
        ),
        Code("CLIENT LIST"),
        (
            "Give this portal its own account (the pair's form shows the line), then let the default one "
            "want another password:"
        ),
        Code("CONFIG SET requirepass CHOOSE-ANOTHER-PASSWORD"),
        "From then on you sign in with that password yourself.",
    ),
    durable="ACL SAVE where {conf} names an aclfile; else CONFIG REWRITE, which writes the user lines.",
    verify=(Code("PING"), "without signing in must answer NOAUTH."),
    risk="Closing the default account first locks EmailEngine out: it stops at its next connection. "
    "Switching it off instead locks you out too. Redis 6.0 does not know &*: leave it out there.",
    undo=Code('CONFIG SET requirepass ""'),
    dragonfly=Steps(
        now="Restart Dragonfly with the argument below, after a snapshot, and put the password into "
        "EENGINE_REDIS and into the pair.",
        durable="--requirepass=CHOOSE-A-PASSWORD as an argument, or DFLY_requirepass in its environment.",
        undo="Restart it without the argument.",
        effect=Effect.RESTART,
    ),
    upstash=Steps(
        now="Upstash always asks for a password: see in its console whose server this address is.",
        durable="Nothing to set.",
        undo="Nothing to undo.",
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        now="Make a user group with a password for EmailEngine and one for this portal, and let the "
        "replication group use it; it needs TLS.",
        durable="Keep the user group in the place that your infrastructure is built from.",
        undo="Take the user group off the replication group.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now="Make an ACL with a user for EmailEngine and one for this portal, and let the cluster use "
        "it in place of open-access.",
        durable="Keep the ACL in the place that your infrastructure is built from.",
        undo="Let the cluster use open-access.",
        effect=Effect.CONSOLE,
    ),
)
_IN_CONSOLE = Steps(
    now="Switch encryption in transit on in the provider's console, and use rediss:// in the pair and "
    "in EmailEngine.",
    durable="Keep it in the place that your infrastructure is built from.",
    undo="Use redis:// again.",
    effect=Effect.CONSOLE,
)
TLS = Remediation(
    when="no TLS",
    why="Without TLS whoever listens on the way reads the password, credentials and mail.",
    do="Switch TLS on",
    now=(
        "Give {host} a certificate, and open a TLS port beside the plain one:",
        Code("CONFIG SET tls-port 6380"),
        (
            "Use rediss:// and that port in the pair and in EmailEngine, then close the plain port with "
            "port 0."
        ),
    ),
    durable="In {conf}: tls-port, tls-cert-file, tls-key-file, tls-ca-cert-file, tls-auth-clients no.",
    verify="The next check must connect over TLS.",
    risk="CONFIG SET tls-port is refused until certificate and key are set; EmailEngine restarts once.",
    undo="Use redis:// and the plain port again.",
    dragonfly=Steps(
        now="Restart Dragonfly with the arguments below, after a snapshot, and use rediss://.",
        durable="--tls, --tls_cert_file= and --tls_key_file= as arguments.",
        effect=Effect.RESTART,
    ),
    upstash=_IN_CONSOLE,
    elasticache=_IN_CONSOLE,
    memorydb=_IN_CONSOLE,
)


@rule(
    id="redis.access-control",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis asks for a password",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{access}",
    required="a password, and TLS",
    reads="One PING without signing in; on a second short connection where we sign in ourselves",
    remediation={"open": PASSWORD, "plain": TLS},
)
def access_control(facts: PairFacts, _: Limits) -> Verdict:
    """Judge whether a PING is answered without signing in, and whether the path is encrypted.

    A unix socket and loopback need no TLS.

    Source: ours.
    """
    redis = known(facts.redis)
    is_public = redis.path == "public" and not _is_vouched(facts)
    numbers: dict[str, JSON] = {
        "path": redis.path,
        "is_tls": redis.is_tls,
        "is_open": known(redis.is_open),
    }
    if redis.is_open:
        return failed(
            f"Redis answers without a password, at a {redis.path} address; it must ask for one",
            short="No password is asked for",
            severity=Severity.CRITICAL if is_public else Severity.WARNING,
            cause="open",
            access="no password",
            **numbers,
        )
    if redis.is_tls or redis.path in ("unix", "loopback"):
        return passed(access="password, TLS" if redis.is_tls else "password", **numbers)
    return failed(
        f"Redis asks for a password but speaks without TLS at a {redis.path} address; "
        "it should use TLS",
        short="No TLS",
        severity=Severity.WARNING if is_public else Severity.INFO,
        cause="plain",
        access="password, no TLS",
        **numbers,
    )


def _is_vouched(facts: PairFacts) -> bool:
    return or_else(facts.attested, NOTHING_ATTESTED).private_link is True


# --- Our own account

# What the account of the pair's form may do, and what of its kind is harmless besides.
NEEDED: Final = frozenset(
    {
        *("ping", "info", "hello", "time", "auth", "select", "echo", "quit", "reset", "readonly"),
        *("config|get", "client|list", "client|setname", "client|id", "client|getname"),
        *("client|setinfo", "client|no-evict", "client|info", "cluster|info", "acl|whoami"),
        *("acl|getuser", "latency|latest", "latency|history", "slowlog|len", "memory|stats"),
        *("memory|doctor", "role", "lastsave", "dbsize", "module|list", "command|count"),
        *("command|info", "command|docs", "sentinel|ckquorum", "sentinel|get-master-addr-by-name"),
        # Reading EmailEngine's queues where that was granted.
        *("llen", "lindex", "lrange", "zcard", "zrange", "hget", "hmget", "get", "type"),
        *("xlen", "xrange", "xrevrange", "scard", "exists"),
    }
)
# Dragonfly knows no rights for subcommands; it alone is asked to run a script.
WHOLE: Final = frozenset({"config", "client", "cluster", "acl", "eval", "exists"})
LEAST_RIGHTS = Remediation(
    why="This portal only reads: with more rights, who takes over a worker could change Redis, or read "
    "the mail state.",
    do="Give this portal an account of its own",
    now=(
        (
            "The pair's form shows the one line that makes an account with exactly the rights needed. Run "
            "it on {host}, and register its user and password in the pair."
        ),
        "What the present account {account} has too much: {excess}.",
    ),
    durable="ACL SAVE where {conf} names an aclfile; else CONFIG REWRITE, which writes the user lines.",
    verify=(Code("ACL GETUSER pairkeeper"), "must list the rights of that line, and no others."),
    risk="EmailEngine keeps its own account and notices nothing.",
    undo=Code("ACL DELUSER pairkeeper"),
    upstash=Steps(
        now="Make a read-only account in the Upstash console, and register it in the pair.",
        durable="The account stays until you delete it.",
        undo="Register the former account.",
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        durable="Keep the user in the place that your infrastructure is built from.",
        undo="Register the former account.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        durable="Keep the user in the place that your infrastructure is built from.",
        undo="Register the former account.",
        effect=Effect.CONSOLE,
    ),
)


@rule(
    id="redis.probe-privilege",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="This portal's account has no more rights than it needs",
    severity=Severity.INFO,
    source="ours",
    observed="{account}: {excess}",
    required="only what the portal reads",
    reads="ACL GETUSER of our own account; its passwords' hashes are thrown away unread",
    remediation=LEAST_RIGHTS,
)
def probe_privilege(facts: PairFacts, _: Limits) -> Verdict:
    """Judge what our account may do: only what the portal sends, and of keys only the queues'.

    Source: ours.
    """
    redis = known(facts.redis)
    account = known(redis.account)
    excess = _excess(account, redis.engine)
    if not excess:
        return passed(account=account.name, excess="nothing more")
    told = ", ".join(excess[:5]) + (" …" if len(excess) > 5 else "")
    return failed(
        f"Our account {account.name} may do more than the portal needs: {told}",
        short="Our account has too many rights",
        severity=Severity.INFO,
        account=account.name,
        excess=told,
    )


def _excess(account: Account, engine: Engine) -> list[str]:
    allowed = NEEDED | WHOLE if engine is Engine.DRAGONFLY else NEEDED
    commands = [right for right in account.rights if right.removeprefix("+") not in allowed]
    keys = [pattern for pattern in account.keys if not _is_narrow(pattern)]
    return commands + keys


def _is_narrow(pattern: str) -> bool:
    return "bull:" in pattern or "pairkeeper:probe:" in pattern or pattern.endswith("~stats:*")

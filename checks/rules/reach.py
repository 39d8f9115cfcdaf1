"""Does Redis answer? Every way in which it may not, told apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checks.facts import Missing, PairFacts, RedisFacts
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
    passed,
    rule,
    unknown,
)

# A PING that is refused for these reasons was answered all the same, with our credentials.
ANSWERED: Final = frozenset({"misconf", "no_permission", "command_unavailable", "cluster"})
# What it does, what it has been doing for a while, and a list's words for it.
WAITING: Final = {
    "loading": (
        "Redis is loading its dataset",
        "Redis has been loading its dataset for",
        "LOADING: Redis does not serve yet",
    ),
    "busy": (
        "A script blocks Redis",
        "A script has been blocking Redis for",
        "BUSY: a script blocks Redis",
    ),
}
# Here EmailEngine may well reach what we cannot.
UNCONNECTED: Final = frozenset({"dns", "refused", "timeout", "tls"})


@dataclass(frozen=True, slots=True)
class Fault:
    """How a class of refusal is told."""

    cause: str
    short: str
    lead: str


FAULTS: Final = {
    "dns": Fault("connection", "Name of Redis does not resolve", "Redis is not reached from"),
    "refused": Fault("connection", "Connection refused by Redis", "Redis is not reached from"),
    "timeout": Fault("connection", "No answer from Redis", "Redis is not reached from"),
    "tls": Fault("tls", "TLS to Redis fails", "Redis is not reached over TLS from"),
    "auth": Fault("auth", "Account refused by Redis", "Redis refuses our account from"),
    "protected_mode": Fault(
        "protected-mode", "DENIED: protected mode", "Redis serves its own host only, not"
    ),
    "max_clients": Fault("max-clients", "maxclients reached", "Redis takes no more clients from"),
    "protocol": Fault("protocol", "Not Redis: another protocol", "Something else answers to"),
    "too_large": Fault("protocol", "Not Redis: endless answer", "Something else answers to"),
}

_STOPS = "Without its Redis EmailEngine stands still: mail is neither sent nor read."
_PING = (Code("PING"), "must answer PONG, asked from {origin} with the stored account.")
_NOTHING_LASTING = "Nothing lasting to set: this is a state, not a setting."

CONNECTION = Remediation(
    when="nothing answers",
    why=_STOPS,
    do="Bring Redis back, or open the way to it from {origin}",
    now=(
        "On {host}: see that Redis runs and listens on the registered address and port.",
        "From {origin}: see that the name resolves and that no firewall drops the connection.",
        (
            "If it takes connections and says nothing, read its log: it loads a large dataset, or its "
            "disk or a long command holds it up."
        ),
    ),
    durable="Let the system start Redis at boot and after a crash, and keep the firewall rule.",
    verify=_PING,
    risk="Do not start a second server on an empty data folder: EmailEngine would find no accounts.",
    undo="Nothing was changed on the server.",
    effect=Effect.NONE,
    upstash=Steps(
        now="In the Upstash console, see that the database is active, not paused or deleted."
    ),
    elasticache=Steps(
        now="See the replication group's status, and let its security group admit {origin}."
    ),
    memorydb=Steps(now="See the cluster's status, and let its security group admit {origin}."),
)
ONLY_FROM_HERE = Remediation(
    when="only our probe cannot reach it",
    why="EmailEngine reaches its Redis, so mail flows; but nothing of this Redis is checked.",
    do="Open the way to Redis from {origin}",
    now=(
        "Let the firewall admit {origin} to the registered port of {host}.",
        "Or move the pair to a probe zone that stands in EmailEngine's network.",
    ),
    durable="Keep the firewall rule in the place that your network is built from.",
    verify=_PING,
    risk="Admit our workers only: a Redis open to everyone is read by everyone.",
    undo="Take the firewall rule back.",
    effect=Effect.NONE,
)
TLS = Remediation(
    when="TLS fails",
    why=_STOPS,
    do="Make the TLS settings of pair and server agree",
    now=(
        "If the port speaks no TLS, register the address as redis:// instead of rediss://.",
        "If the certificate is not trusted, give the pair the CA that signed it.",
        "If it is for another name, register that name, or set the TLS name of the pair.",
    ),
    durable="Renew certificates before they end, under the same name and CA.",
    verify=_PING,
    risk="Switching verification off hides whoever answers in the server's place.",
    undo="Put the pair's former address and TLS settings back.",
    effect=Effect.NONE,
)
AUTH = Remediation(
    when="the account is refused",
    why=(
        "EmailEngine keeps its open connections, but it ends at its next reconnect if its account "
        "is refused as ours is."
    ),
    do="Store the account that Redis accepts",
    now="Type the account's name and password again in the pair, or create the account on the server.",
    durable="Keep accounts in an aclfile or as user lines in {conf}, so that they outlive a restart.",
    verify=_PING,
    risk="Change EmailEngine's own password on both sides before its next reconnect, or it ends.",
    undo="Store the former account again.",
    effect=Effect.NONE,
    upstash=Steps(now="Copy the password from the Upstash console into the pair."),
    elasticache=Steps(
        now="Compare with the user group, or the AUTH token, of the replication group."
    ),
    memorydb=Steps(now="Compare with the ACL that the cluster uses."),
)
PROTECTED_MODE = Remediation(
    when="Redis is in protected mode",
    why="In protected mode Redis serves its own host only, because it has no password.",
    do="Give Redis a password",
    now=(
        "Add the password to EmailEngine's Redis URL first and restart EmailEngine.",
        "Then on {host} itself set it with CONFIG SET requirepass, and store it in the pair.",
    ),
    durable="Keep the password in {conf}, or an aclfile, so that it outlives a restart.",
    verify=_PING,
    risk="Switching protected mode off instead leaves the server open to everyone who reaches it.",
    undo="On {host} itself, set an empty requirepass: protected mode then closes it again.",
)
MAX_CLIENTS = Remediation(
    when="Redis takes no more connections",
    why="New connections are refused: EmailEngine cannot reconnect when it loses one.",
    do="Free connections of Redis, or allow more",
    now=(
        "Stop clients that leak connections; each EmailEngine needs about 50.",
        "On a connection that is still open, raise the limit with CONFIG SET maxclients.",
    ),
    durable="Set maxclients in {conf} to what all clients need together, with room to spare.",
    verify=_PING,
    risk="The server must be allowed that many open files (LimitNOFILE in its service).",
    undo="Set maxclients to its former value.",
)
LOADING = Remediation(
    when="Redis is loading its data",
    why="Until the dataset is loaded Redis refuses every command of EmailEngine.",
    do="Wait until Redis has loaded its dataset",
    now=(
        "Watch how far it is; a large dataset takes its time:",
        Code("INFO persistence"),
    ),
    durable="If it restarts again and again, read its log: the system may be ending it for memory.",
    verify=_PING,
    risk="Do not restart it to hurry: loading begins anew.",
    undo=_NOTHING_LASTING,
    effect=Effect.NONE,
)
BUSY = Remediation(
    when="a script blocks Redis",
    why="A script runs and Redis answers nobody else until it ends.",
    do="End the script that blocks Redis",
    now=(Code("SCRIPT KILL"), "It is refused once the script has written: then wait for its end."),
    durable="Find who sends the script: EmailEngine's own end in milliseconds.",
    verify=_PING,
    risk="SHUTDOWN NOSAVE, which the error offers, throws away what was not saved.",
    undo=_NOTHING_LASTING,
)
PROTOCOL = Remediation(
    when="what answers is not Redis",
    why=_STOPS,
    do="Register the address where Redis listens",
    now="Compare host and port of the pair with EmailEngine's own Redis URL.",
    durable="Keep the pair's address in step with EmailEngine's configuration.",
    verify=_PING,
    risk="Secrets of the pair have been offered to whatever listens there: change them if in doubt.",
    undo="Nothing was changed on the server.",
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class ReachableLimits(Limits):
    """How long Redis may load or be busy before it counts as down."""

    critical_waiting_s: int = 300


@rule(
    id="redis.reachable",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="Redis answers with the stored credentials",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{state}",
    required="answers with the stored credentials",
    reads="connect, AUTH, PING: one round trip each",
    limits=ReachableLimits(),
    opens=Confirm(3, 5),
    resolves=Confirm(2, 2),
    core=True,
    remediation={
        "connection": CONNECTION,
        "only-from-here": ONLY_FROM_HERE,
        "tls": TLS,
        "auth": AUTH,
        "protected-mode": PROTECTED_MODE,
        "max-clients": MAX_CLIENTS,
        "loading": LOADING,
        "busy": BUSY,
        "protocol": PROTOCOL,
    },
)
def reachable(facts: PairFacts, limits: ReachableLimits) -> Verdict:
    """Judge whether Redis takes our connection and account and answers PING.

    A PING answered MISCONF, or refused for want of a right, is an answer: what it says is
    judged by other rules. Loading and busy scripts pass by themselves, so they warn for
    `critical_waiting_s` seconds. What our own side prevents (an address we must not dial, no
    worker) is unknown.

    Source: S1, EmailEngine needs a Redis that it can reach at all times. The grace is ours.
    """
    missing = facts.redis if isinstance(facts.redis, Missing) else _answer(facts.redis)
    if not isinstance(missing, Missing):
        return passed(state=missing)
    if missing.reason in WAITING:
        return _waiting(facts, missing, limits)
    fault = FAULTS.get(missing.reason)
    if fault is None:
        return unknown(missing.reason, missing.text)
    return _unanswered(facts, missing, fault)


def _answer(redis: RedisFacts) -> str | Missing:
    """Return what a connected server answered to PING, or why that is no service."""
    if not isinstance(redis.ping, Missing) or redis.ping.reason not in ANSWERED:
        return redis.ping
    if redis.is_loading is True:  # it may refuse us PING and yet tell this
        return Missing("loading", "INFO tells loading:1")
    return redis.ping.text.partition(" ")[0]  # MISCONF, NOPERM


def _unanswered(facts: PairFacts, missing: Missing, fault: Fault) -> Verdict:
    origin = _origin(facts)
    seen: dict[str, JSON] = {"state": fault.short, "reason": missing.reason, "origin": origin}
    if missing.reason in UNCONNECTED and _emailengine_reaches_it(facts):
        return failed(
            f"Redis is unreachable from {origin}, EmailEngine reaches it: {missing.text}; "
            f"it must answer {origin} too",
            short=f"Unreachable only from {origin}",
            severity=Severity.WARNING,
            cause="only-from-here",
            **seen,
        )
    return failed(
        f"{fault.lead} {origin}: {missing.text.rstrip('.')}; "
        "it must answer PING with the stored credentials",
        short=fault.short,
        severity=Severity.CRITICAL,
        cause=fault.cause,
        **seen,
    )


def _emailengine_reaches_it(facts: PairFacts) -> bool:
    """Tell whether EmailEngine's /health, which writes to Redis, has just answered 200."""
    emailengine = facts.emailengine
    return not isinstance(emailengine, Missing) and emailengine.health_status == 200


def _waiting(facts: PairFacts, missing: Missing, limits: ReachableLimits) -> Verdict:
    waited_s = _waited_s(facts, missing)
    is_long = waited_s is not None and waited_s > limits.critical_waiting_s
    now, lasting, short = WAITING[missing.reason]
    waited: dict[str, JSON] = {} if waited_s is None else {"waited_s": waited_s}
    state = now if waited_s is None else f"{lasting} {duration(waited_s)}"
    return failed(
        f"{state}, and it answers no command; that may take "
        f"{duration(limits.critical_waiting_s)} at most",
        short=short,
        severity=Severity.CRITICAL if is_long else Severity.WARNING,
        cause=missing.reason,
        state=state,
        reason=missing.reason,
        origin=_origin(facts),
        **waited,
    )


def _waited_s(facts: PairFacts, missing: Missing) -> float | None:
    """Return for how long it has not answered, or None at first sight."""
    redis = facts.redis
    if missing.reason == "loading" and not isinstance(redis, Missing):
        started_s, now_s = redis.loading_since_s, redis.server_time_s
        if not isinstance(started_s, Missing) and not isinstance(now_s, Missing):
            return max(0.0, now_s - started_s)
    if isinstance(facts.since, Missing) or isinstance(facts.since.last_answer_s, Missing):
        return None
    return facts.since.last_answer_s


def _origin(facts: PairFacts) -> str:
    """Name the place we look from: `zone eu-1`, or `here` for a reading from a shell."""
    if isinstance(facts.vantage, Missing):
        return "this worker"
    return "here" if facts.vantage.zone == "here" else f"zone {facts.vantage.zone}"

"""Does EmailEngine answer, and quickly? Its /health, as far as that goes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checks.facts import EmailEngineFacts, Missing, PairFacts, Unknown, known, or_else
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
    Verdict,
    failed,
    passed,
    rule,
    unread,
)
from checks.rules.writes import refuses_writes

# These readings of /health mean that EmailEngine did not answer us as it should.
UNANSWERED: Final = {
    "dns": "its name does not resolve",
    "refused": "connection refused",
    "timeout": "no answer in time",
    "tls": "TLS fails",
    "protocol": "no HTTP",
    "too_large": "an endless answer",
    "http_status": "an error",
}
# Until its threads run, EmailEngine answers 200 but does nothing yet. Source: measured, 60 s.
STARTING_S: Final = 60
QUEUE_PREFIX: Final = "bull:"
REACHABLE: Final = "emailengine.reachable"


def started(facts: PairFacts) -> EmailEngineFacts:
    """Return EmailEngine's facts, or end as unknown: not read, or started less than a minute ago."""
    emailengine = known(facts.emailengine)
    uptime_s = or_else(emailengine.uptime_s, STARTING_S)
    if uptime_s < STARTING_S:
        text = f"EmailEngine started {duration(uptime_s)} ago: its first minute is not judged"
        raise Unknown(Missing("starting", text))
    return emailengine


def answering(facts: PairFacts) -> EmailEngineFacts:
    """Return the facts of an EmailEngine that answers 200, or end as unknown(emailengine.reachable)."""
    emailengine = started(facts)
    if emailengine.health_status != 200:
        raise Unknown(Missing("depends_on", "EmailEngine does not answer 200", REACHABLE))
    return emailengine


# --- Reachable

_HEALTH = (
    "GET /health must answer 200: curl it from EmailEngine's host, then from here.",
    "The next check closes this by itself.",
)
DOWN = Remediation(
    when="EmailEngine does not answer",
    why="While EmailEngine does not answer, nobody can send through it and no mailbox is watched.",
    do="Bring EmailEngine back",
    now=(
        "On EmailEngine's host see that the process runs and read the end of its log.",
        "Restart it. A process that ends at once mostly cannot sign in to its Redis.",
    ),
    durable="Let the system restart EmailEngine when it ends (systemd: Restart=always).",
    verify=_HEALTH,
    risk="Jobs under way are taken up again after a restart; messages may be delivered twice.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)
NOT_FROM_HERE = Remediation(
    when="only our probe cannot reach EmailEngine",
    why="EmailEngine works on its queues, so mail flows; but whether it answers is not seen.",
    do="Open the way to EmailEngine's port",
    now=(
        "Let the firewall admit our workers to the registered address and port.",
        "Or correct the address: it must be the one EmailEngine listens on (EENGINE_HOST, EENGINE_PORT).",
    ),
    durable="Keep the firewall rule in the place that your network is built from.",
    verify=_HEALTH,
    risk="Admit our workers only: the port also serves the administration pages.",
    undo="Take the firewall rule back.",
    effect=Effect.NONE,
)


@rule(
    id=REACHABLE,
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="EmailEngine answers 200 on /health",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{state}",
    required="200",
    reads="GET /health: six Redis commands on its side; INFO clients",
    opens=Confirm(3, 5),
    resolves=Confirm(2, 2),
    core=True,
    remediation={"down": DOWN, "not-from-here": NOT_FROM_HERE},
)
def reachable(facts: PairFacts, _: Limits) -> Verdict:
    """Judge the HTTP status of /health, asked only after Redis answered.

    Where Redis shows that it refuses writes, an error of /health is that fault, not a second one.
    Live queue connections (CLIENT LIST, or blocked clients where it was not read) show an
    EmailEngine that works and is only out of our reach.

    Source: ours; /health answers 200 when a write to Redis succeeded.
    """
    known(facts.redis)
    emailengine = facts.emailengine
    status = emailengine if isinstance(emailengine, Missing) else emailengine.health_status
    if isinstance(status, Missing):
        if status.reason not in UNANSWERED:
            return unread(status)
        return _unreachable(facts, UNANSWERED[status.reason], status.text)
    started(facts)
    if status == 200:
        return passed(state="200", health_status=status)
    if refuses_writes(facts):
        text = f"EmailEngine answers {status} because Redis refuses writes"
        return unread(Missing("depends_on", text, "redis.accepts-writes"))
    return _unreachable(facts, f"HTTP {status}", f"it answers {status}", health_status=status)


def _unreachable(facts: PairFacts, state: str, text: str, **evidence: JSON) -> Verdict:
    live = _live_connections(facts)
    told = f"EmailEngine is not well: {text}" if evidence else f"EmailEngine is not reached: {text}"
    if live and not evidence:
        return failed(
            f"{told}; its queue connections live ({live}). It must answer 200 on /health",
            short="EmailEngine unreached from here only",
            severity=Severity.WARNING,
            cause="not-from-here",
            state=state,
            live=live,
        )
    return failed(
        f"{told}, while Redis is fine; it must answer 200 on /health",
        short=f"EmailEngine: {state}",
        severity=Severity.CRITICAL,
        cause="down",
        state=state,
        **evidence,
    )


def _live_connections(facts: PairFacts) -> str:
    """Tell what shows that EmailEngine works on its queues, or nothing.

    CLIENT LIST is read with the persistence group alone. Between its readings blocked clients
    stand in: a queue worker waits in a blocking call.
    """
    redis = known(facts.redis)
    if not isinstance(redis.bull_clients, Missing):
        here = [one for one in redis.bull_clients if one.database == redis.database]
        return f"{len(here)} named {QUEUE_PREFIX}…" if here else ""
    blocked = or_else(redis.blocked_clients, 0)
    return f"{blocked} clients wait in blocking calls, as its workers do" if blocked else ""


# --- Response time

SLOW = Remediation(
    why="Whoever sends through EmailEngine waits that long for each call, and may give up.",
    do="Find what slows EmailEngine down",
    now=(
        "Look at its Redis first: a slow Redis is the usual cause (rules redis.stall and pair.rtt).",
        Code("SLOWLOG GET"),
        (
            "Then at the processor and memory of EmailEngine's host, and at how many accounts it "
            "synchronises at once."
        ),
    ),
    durable="Give EmailEngine's host more processors, or spread accounts over more instances.",
    verify="The next checks must show it below {limits.warn_response_s:g}\u202fs.",
    risk="A restart makes every account synchronise anew, which slows it down for a while.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class ResponseLimits(Limits):
    """Seconds from request to first byte; an open finding leaves a step at a share of it."""

    warn_response_s: float = 1.0
    critical_response_s: float = 3.0
    leave_at_ratio: float = 0.8


@rule(
    id="emailengine.api-response",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="EmailEngine answers within {limits.warn_response_s:g}\u202fs",
    severity=Severity.CRITICAL,
    source="S3",
    observed="{response_us:ms}",
    required="< {limits.warn_response_s:g}\u202fs",
    reads="GET /health: six Redis commands on its side",
    limits=ResponseLimits(),
    opens=Confirm(3, 3),
    resolves=Confirm(3, 3),
    remediation=SLOW,
)
def api_response(facts: PairFacts, limits: ResponseLimits) -> Verdict:
    """Judge /health from request sent to first byte, less the network's round trip (s).

    Where the path to EmailEngine was not measured the whole time counts.

    Source: S3, below 1 s; 1 to 3 s warns; above 3 s is critical.
    """
    emailengine = started(facts)
    network_us = or_else(emailengine.network_us, 0.0)
    response_s = max(0.0, _health_s(emailengine) - network_us / 1_000_000)
    seen: dict[str, JSON] = {"response_us": response_s * 1_000_000, "network_us": network_us}
    if response_s < limits.warn_response_s:
        leaves = response_s < limits.warn_response_s * limits.leave_at_ratio
        return passed(keeps=None if leaves else Severity.WARNING, **seen)
    is_critical = response_s > limits.critical_response_s
    leaves = is_critical or response_s <= limits.critical_response_s * limits.leave_at_ratio
    return failed(
        f"EmailEngine answers /health after {duration(response_s)}; "
        f"it must answer within {duration(limits.warn_response_s)}",
        short=f"EmailEngine takes {duration(response_s)}",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        keeps=None if leaves else Severity.CRITICAL,
        **seen,
    )


def _health_s(emailengine: EmailEngineFacts) -> float:
    """Return the time of an answer; an EmailEngine that gives none is emailengine.reachable's."""
    took_s = emailengine.health_s
    if isinstance(took_s, Missing) and took_s.reason in UNANSWERED:
        raise Unknown(Missing("depends_on", took_s.text, REACHABLE))
    return known(took_s)

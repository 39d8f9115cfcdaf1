"""Is EmailEngine itself in order? Its version, licence and threads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from checks.facts import Missing, PairFacts, known, readable
from checks.rule import (
    JSON,
    Cadence,
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
)
from checks.rules.emailengine import started

THRICE: Final = Confirm(3, 3)
_NOTHING = "Nothing to undo."

# --- Version

# Versions with a fault that mail suffers from. Source: measured on a real EmailEngine 2.79.2.
KNOWN_FAULTS: Final[Mapping[str, str]] = {
    "2.79.2": "after any restart of its Redis its queue workers stay dead until it is restarted",
}
FAULTY = Remediation(
    why="This version has a known fault: {fault}. Mail is then accepted and never sent.",
    do="Upgrade EmailEngine when a version without the fault is out",
    now=(
        "Until then restart EmailEngine after every restart or failover of its Redis.",
        "Rule emailengine.queue-workers tells when that was forgotten.",
    ),
    durable="Put the restart into the procedure, or the unit, that restarts Redis.",
    verify="/v1/stats must show another version, and the queues have workers after a restart of Redis.",
    risk="Read the release notes first: an upgrade may change settings and the API.",
    undo="Install the former version again; keep a backup of Redis from before.",
    effect=Effect.NONE,
)


@rule(
    id="emailengine.version",
    kind=Kind.OPERATION,
    group=Group.PERSISTENCE,
    title="EmailEngine's version has no known fault",
    severity=Severity.INFO,
    source="EE",
    observed="{emailengine_version}",
    required="a version without a known fault",
    reads="GET /v1/stats or /metrics: about 40 or 25 Redis commands on its side",
    remediation=FAULTY,
)
def emailengine_version(facts: PairFacts, _: Limits) -> Verdict:
    """Tell whether the version is one that a fault is known of; never more than an information.

    Source: EE, measured: the workers of 2.79.2 do not come back after a restart of Redis.
    """
    version = known(started(facts).version)
    fault = KNOWN_FAULTS.get(version)
    if fault is None:
        return passed(emailengine_version=version)
    return failed(
        f"EmailEngine {version} has a known fault: {fault}; a later version is wanted",
        short=f"EmailEngine {version}: known fault",
        severity=Severity.INFO,
        emailengine_version=version,
        fault=fault,
    )


# --- Licence

LICENCE = Remediation(
    why="Without a licence EmailEngine stops its workers some 20 minutes after a start: it still "
    "answers, but sends nothing and watches no mailbox.",
    do="Renew EmailEngine's licence",
    now=(
        "Enter a valid key in EmailEngine under License, or in EENGINE_PREPARED_LICENSE.",
        "Where the workers have stopped already, restart EmailEngine afterwards.",
    ),
    durable="Renew it before it ends; let somebody be told in time.",
    verify=(
        Code("curl -H 'Authorization: Bearer METRICS-TOKEN' {url}/metrics"),
        "must show license_days_remaining above {limits.warn_left_days_count}, or -1.",
    ),
    risk="A restart without a licence only buys another 20 minutes.",
    undo=_NOTHING,
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class LicenceLimits(Limits):
    """Days that a licence must still run."""

    warn_left_days_count: int = 30
    critical_left_days_count: int = 7


@rule(
    id="emailengine.license",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="EmailEngine's licence runs for more than {limits.warn_left_days_count} days",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{state}",
    required="> {limits.warn_left_days_count} days, or without an end",
    reads="GET /metrics: about 25 Redis commands on its side",
    limits=LicenceLimits(),
    remediation=LICENCE,
)
def licence(facts: PairFacts, limits: LicenceLimits) -> Verdict:
    """Judge the days the licence still runs; -1 is one without an end, 0 is none.

    Source: ours; EmailEngine without a licence stops working about 20 minutes after its start.
    """
    emailengine = started(facts)
    days = known(emailengine.license_days_remaining)
    seen: dict[str, JSON] = {
        "state": "without an end" if days < 0 else f"{days:,} days left" if days else "none",
        "left_days_count": days,
        "url": emailengine.url,
        **readable(threads_alive_count=emailengine.threads_alive),
    }
    if days < 0 or days > limits.warn_left_days_count:
        return passed(**seen)
    is_critical = days <= limits.critical_left_days_count
    found = f"ends in {days} days" if days else "is missing or has ended"
    return failed(
        f"EmailEngine's licence {found}; it must run for more than "
        f"{limits.warn_left_days_count} days",
        short=f"Licence: {days} days left" if days else "No licence",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        **seen,
    )


# --- Worker threads

UNRESPONSIVE = Remediation(
    why="A worker thread that does not answer serves no mailbox and no queue.",
    do="Restart EmailEngine's unresponsive workers",
    now=(
        (
            "In EmailEngine under Internals see which thread does not answer, and end it there: "
            "EmailEngine starts another."
        ),
        "Where that does not help, restart EmailEngine.",
    ),
    durable="Give its host more processors or memory when this returns; see its log for the cause.",
    verify=(
        Code("curl -H 'Authorization: Bearer METRICS-TOKEN' {url}/metrics"),
        "must show unresponsive_workers 0.",
    ),
    risk="Accounts of an ended thread synchronise anew.",
    undo=_NOTHING,
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class WorkerLimits(Limits):
    """Threads that do not answer, and their share of all."""

    warn_unresponsive_count: int = 1
    critical_unresponsive_ratio: float = 0.5


@rule(
    id="emailengine.workers",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="All of EmailEngine's worker threads answer",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{state}",
    required="none unresponsive",
    reads="GET /metrics: about 25 Redis commands on its side",
    limits=WorkerLimits(),
    opens=THRICE,
    resolves=THRICE,
    remediation=UNRESPONSIVE,
)
def workers(facts: PairFacts, limits: WorkerLimits) -> Verdict:
    """Judge the worker threads that EmailEngine itself calls unresponsive.

    All are threads started less threads stopped. In the first minute after a start two or three
    are falsely called so: it is not judged.

    Source: ours; the figures are EmailEngine's own.
    """
    emailengine = started(facts)
    count = known(emailengine.unresponsive_workers)
    alive = emailengine.threads_alive
    of = "" if isinstance(alive, Missing) else f" of {alive}"
    seen: dict[str, JSON] = {
        "state": f"{count}{of} unresponsive",
        "unresponsive_count": count,
        "url": emailengine.url,
        **readable(threads_count=alive),
    }
    if count < limits.warn_unresponsive_count:
        return passed(**seen)
    is_half = not isinstance(alive, Missing) and count >= alive * limits.critical_unresponsive_ratio
    return failed(
        f"{count}{of} worker threads of EmailEngine do not answer; all must",
        short=f"{count}{of} threads unresponsive",
        severity=Severity.CRITICAL if is_half else Severity.WARNING,
        **seen,
    )

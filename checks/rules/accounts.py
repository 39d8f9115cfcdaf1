"""Which accounts fail? And what EmailEngine itself warns of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from checks.facts import Missing, PairFacts, known
from checks.render import percent
from checks.rule import (
    JSON,
    Cadence,
    Code,
    Confirm,
    Effect,
    Group,
    Kind,
    Limits,
    Outcome,
    Remediation,
    Rule,
    Severity,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
)
from checks.rules import engine, eviction
from checks.rules.emailengine import started

THRICE: Final = Confirm(3, 3)
_NOTHING = "Nothing to undo."

# --- Accounts

ACCOUNTS = Remediation(
    why="Nothing is sent from, or read of, an account that cannot sign in or connect.",
    do="Mend the accounts in error",
    now=(
        "In EmailEngine under Accounts filter for errors: the last error of each tells the cause.",
        "Many at one provider: its address, its TLS certificate or the OAuth application is at fault.",
        (
            "Single ones: the person changed the password, or took the permission back; let them sign in "
            "again."
        ),
    ),
    durable="Watch the webhooks authenticationError and connectError, and ask the person at once.",
    verify="The share in error must fall below {limits.warn_error_ratio:percent}, or to its usual height.",
    risk="Signing in again and again with a wrong password makes providers lock the account.",
    undo=_NOTHING,
    effect=Effect.NONE,
)
# States in which an account does not work. Source: EmailEngine 2.79.2, /v1/stats.
IN_ERROR: Final = ("authenticationError", "connectError")


@dataclass(frozen=True)
class AccountLimits(Limits):
    """Shares of the accounts, above what is usual here, and the least number to judge by."""

    warn_error_ratio: float = 0.05
    warn_above_usual_ratio: float = 0.05
    critical_error_ratio: float = 0.20
    critical_above_usual_ratio: float = 0.15
    least_accounts_count: int = 20


@rule(
    id="emailengine.accounts",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="Fewer than {limits.warn_error_ratio:percent} of EmailEngine's accounts are in error, or no "
    "more than usual",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{state}",
    required="< {limits.warn_error_ratio:percent}, or within "
    "{limits.warn_above_usual_ratio:percent} of the usual share",
    reads="GET /v1/stats or /metrics: about 40 or 25 Redis commands on its side",
    limits=AccountLimits(),
    opens=THRICE,
    resolves=THRICE,
    remediation=ACCOUNTS,
)
def accounts(facts: PairFacts, limits: AccountLimits) -> Verdict:
    """Judge the share of accounts in error (0 to 1) by the median of the last seven days.

    Accounts that people have left in error for weeks are no fault of today. Of few accounts one
    is a large share: those are counted, not judged.

    Source: ours; the states are EmailEngine's own.
    """
    states = known(started(facts).accounts)
    count = sum(states.values())
    bad = sum(states.get(state, 0) for state in IN_ERROR)
    share = bad / count if count else 0.0
    seen: dict[str, JSON] = {
        "state": f"{bad:,} of {count:,} in error",
        "error_ratio": share,
        "accounts": {state: number for state, number in states.items() if number},
    }
    if share < limits.warn_error_ratio:
        return passed(**seen)
    if count < limits.least_accounts_count:
        text = f"{bad} of {count} accounts are in error: too few accounts to judge a share by"
        return unknown("undetermined", text, **seen)
    usual = known(known(facts.since).accounts_error_median_ratio)
    above = share - usual
    seen["usual_ratio"] = usual
    if above <= limits.warn_above_usual_ratio + 1e-9:
        return passed(**seen)
    is_critical = (
        share >= limits.critical_error_ratio and above >= limits.critical_above_usual_ratio - 1e-9
    )
    return failed(
        f"{bad:,} of {count:,} accounts ({percent(share)}) are in error, usually {percent(usual)}; "
        f"it must stay below {percent(limits.warn_error_ratio)}, or within "
        f"{percent(limits.warn_above_usual_ratio)} of the usual share",
        short=f"{percent(share)} of accounts in error",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        **seen,
    )


# --- EmailEngine's own warnings

WARNED = Remediation(
    when="EmailEngine warns of what no rule here judges",
    why="EmailEngine itself warns of its Redis: {warned}.",
    do="Do what EmailEngine's warning says",
    now=(
        "Open EmailEngine's dashboard: the warning stands there in full, with what it advises.",
        "Where it concerns a setting, compare it with the rules of this pair's Redis.",
    ),
    durable="Keep the setting in {conf}, so that it outlives a restart.",
    verify=(
        Code("curl -H 'Authorization: Bearer TOKEN' {url}/v1/stats"),
        'must show no "{key}" in redisWarnings.',
    ),
    risk="Never empty the database, whatever a page advises: mailbox state is in it.",
    undo="Set the former value again.",
)
DIFFERENT = Remediation(
    when="EmailEngine and our reading differ",
    why="EmailEngine and we read the same Redis and say different things: {warned}. One of us looks "
    "at another server, or at another time.",
    do="Compare what EmailEngine sees with what we see",
    now=(
        "Check now: a setting that has just changed is read anew by both.",
        "See rule pair.same-redis: EmailEngine may use another server than is registered.",
        "evicted-keys stays with EmailEngine until Redis restarts or its statistics are reset.",
    ),
    durable="Keep the pair's Redis address in step with EmailEngine's own.",
    verify=(
        Code("curl -H 'Authorization: Bearer TOKEN' {url}/v1/stats"),
        "must show the warnings that the rules of this pair confirm, and no other.",
    ),
    risk="Looking changes nothing.",
    undo=_NOTHING,
    effect=Effect.NONE,
)
RED: Final = frozenset({"danger", "red", "error"})
# The rules of ours that judge what a warning of EmailEngine's is about.
OURS: Final[Mapping[str, Rule]] = {
    "maxmemory-policy": eviction.eviction_policy,
    "cluster": engine.standalone,
    "elasticache": engine.engine_support,
}
EVICTED: Final = "evicted-keys"


@rule(
    id="emailengine.redis-warnings",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="EmailEngine warns of nothing in its Redis that our rules do not know",
    severity=Severity.CRITICAL,
    source="EE",
    observed="{state}",
    required="none, or what our rules say too",
    reads="GET /v1/stats: about 40 Redis commands on its side",
    remediation={"unknown-key": WARNED, "difference": DIFFERENT},
)
def redis_warnings(facts: PairFacts, _: Limits) -> Verdict:
    """Show EmailEngine's own warnings of its Redis beside our verdicts.

    A warning that a rule of ours confirms is that rule's finding, not a second one. A key that no
    rule knows counts by its colour; where we disagree both are shown.

    Source: EE, redisWarnings of /v1/stats: elasticache, cluster, evicted-keys, maxmemory-policy.
    """
    emailengine = started(facts)
    warnings = dict(known(emailengine.redis_warnings))
    ours = {key: _ours(key, facts) for key in warnings}
    seen: dict[str, JSON] = {
        "state": ", ".join(f"{key} ({colour})" for key, colour in warnings.items()) or "none",
        "warnings": warnings,
        "ours": {key: said for key, said in ours.items() if said},
        "url": emailengine.url,
    }
    strange = {key: colour for key, colour in warnings.items() if ours[key] is None}
    if strange:
        return _strange(strange, seen)
    different = [key for key, said in ours.items() if said == Outcome.PASS]
    if different:
        names = " and ".join(different)
        return failed(
            f"EmailEngine warns of {names}, our own rule passes; both must say the same",
            short=f"Only EmailEngine warns: {different[0]}"[:42],
            severity=Severity.INFO,
            cause="difference",
            warned=names,
            key=different[0],
            **seen,
        )
    doubtful = [key for key, said in ours.items() if said == Outcome.UNKNOWN]
    if doubtful:
        text = (
            f"EmailEngine warns of {' and '.join(doubtful)}, and our own rule could not be judged"
        )
        return unknown("undetermined", text, **seen)
    return passed(**seen)


def _strange(strange: Mapping[str, str], seen: dict[str, JSON]) -> Verdict:
    is_red = any(colour in RED for colour in strange.values())
    names = ", ".join(strange)
    return failed(
        f"EmailEngine warns of its Redis: {names}; no such warning must stand",
        short=f"EmailEngine warns: {names}"[:42],
        severity=Severity.CRITICAL if is_red else Severity.WARNING,
        cause="unknown-key",
        warned=names,
        key=next(iter(strange)),
        **seen,
    )


def _ours(key: str, facts: PairFacts) -> str | None:
    """Return the outcome of our own rule about a warning's subject; None where we have none."""
    if key == EVICTED:
        evicted = known(facts.redis).evicted_keys
        if isinstance(evicted, Missing):
            return Outcome.UNKNOWN
        return Outcome.FAIL if evicted else Outcome.PASS
    own = OURS.get(key)
    return None if own is None else own.judge(facts).outcome

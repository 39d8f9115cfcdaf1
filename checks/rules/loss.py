"""Is the data still there, and would EmailEngine be let in again? Losses and credentials."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checks.facts import (
    Missing,
    PairFacts,
    RedisFacts,
    Since,
    Unknown,
    known,
    readable,
)
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
    unread,
)

_NOTHING = "Nothing to undo."
_CLIENTS = Code("CLIENT LIST")

# --- Data intact

LOST = Remediation(
    why="Accounts or mailbox state are gone. EmailEngine starts them anew as if they were new: "
    "webhooks come twice, queued mail and credentials are lost.",
    do="Bring the lost data back, or confirm that it was meant to go",
    now=(
        "Stop EmailEngine at once: what it writes now is in the way of what comes back.",
        "Find the newest good snapshot: keep the present file aside before you touch anything.",
        "With Redis stopped put it in place of its own file, start Redis, then EmailEngine.",
        "If accounts were removed on purpose, acknowledge this finding with that as its reason.",
    ),
    durable="Back up the snapshot file, and EENGINE_SECRET apart from it, every day.",
    verify=(
        Code("INFO keyspace"),
        "must show about {baseline_keys_count:count} keys in db{database} again.",
    ),
    risk="With AOF on Redis reads its AOF at the start, not the snapshot: switch it off first, and "
    "on again with CONFIG SET once the data is there.",
    undo="Put the file that was kept aside back in place.",
    effect=Effect.RESTART,
    upstash=Steps(
        now=(
            "Stop EmailEngine at once.",
            "Restore a backup in the Upstash console, under Backups, then start EmailEngine.",
            "If accounts were removed on purpose, acknowledge this finding with that as its reason.",
        ),
        effect=Effect.CONSOLE,
    ),
    elasticache=Steps(
        now=(
            "Stop EmailEngine at once.",
            "Make a new replication group from the newest snapshot, and point EmailEngine at it.",
            "If accounts were removed on purpose, acknowledge this finding with that as its reason.",
        ),
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now=(
            "Stop EmailEngine at once.",
            "Make a new cluster from the newest snapshot, and point EmailEngine at it.",
            "If accounts were removed on purpose, acknowledge this finding with that as its reason.",
        ),
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class IntactLimits(Limits):
    """How much may go between two visits: shares of what was there, and least amounts.

    An emptied database, and one whose fall took EmailEngine's own token along, count from
    `least_small_keys_count` keys on.
    """

    critical_accounts_lost_ratio: float = 0.5
    least_accounts_lost_count: int = 5
    critical_keys_lost_ratio: float = 0.8
    least_keys_lost_count: int = 1000
    least_small_keys_count: int = 10


@rule(
    id="pair.data-intact",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="EmailEngine's accounts and keys are all there",
    severity=Severity.CRITICAL,
    source="S1, EE",
    observed="{state}",
    required="about as before",
    reads="INFO keyspace; GET /v1/stats or /metrics where they are due",
    limits=IntactLimits(),
    event=True,
    resolves_by_acknowledgement=True,
    remediation=LOST,
)
def data_intact(facts: PairFacts, limits: IntactLimits) -> Verdict:
    """Compare accounts and this database's keys with what was last known to be well.

    A baseline follows every visit, so slow shrinking is no loss; it stays while a fall may be
    one, until somebody acknowledges it. A restart excuses nothing. EmailEngine's own signs mislead:
    its /health says 200 over an emptied database, and its token is then refused with 401.

    Source: S1, the data must survive restarts; EE, measured on a database that came back empty.
    The shares and least amounts are ours.
    """
    redis = known(facts.redis)
    if redis.is_loading is True:
        return unread(Missing("loading", "Redis loads its dataset: its keys are not all there yet"))
    since = known(facts.since)
    keys, before = (
        known(redis.keys_by_database).get(str(redis.database), 0),
        since.baseline_keys_count,
    )
    accounts = _accounts(facts)
    seen = {
        "database": redis.database,
        "keys_count": keys,
        **readable(
            baseline_keys_count=before,
            accounts_count=accounts,
            baseline_accounts_count=since.baseline_accounts_count,
        ),
    }
    lost = _lost_accounts(accounts, since, limits) or _lost_keys(facts, keys, known(before), limits)
    if not lost:
        return passed(state=f"{keys:,} keys", **seen)
    return failed(
        f"Data is gone: {lost}; it must all be there",
        short=f"Data lost: {lost}"[:42],
        severity=Severity.CRITICAL,
        state=lost,
        **seen,
    )


def _accounts(facts: PairFacts) -> int | Missing:
    emailengine = facts.emailengine
    if isinstance(emailengine, Missing):
        return emailengine
    states = emailengine.accounts
    return states if isinstance(states, Missing) else sum(states.values())


def _lost_accounts(now: int | Missing, since: Since, limits: IntactLimits) -> str:
    before = since.baseline_accounts_count
    if isinstance(now, Missing) or isinstance(before, Missing):
        return ""
    lost = before - now
    if lost < max(1, limits.least_accounts_lost_count):
        return ""
    is_great = lost >= before * limits.critical_accounts_lost_ratio
    return f"{before:,} accounts → {now:,}" if is_great else ""


def _lost_keys(facts: PairFacts, now: int, before: int, limits: IntactLimits) -> str:
    lost = before - now
    if lost <= 0 or lost < before * limits.critical_keys_lost_ratio:
        return ""
    is_small_loss = before >= limits.least_small_keys_count and (now == 0 or _token_is_gone(facts))
    is_great = lost >= limits.least_keys_lost_count
    return f"{before:,} keys → {now:,}" if is_great or is_small_loss else ""


def _token_is_gone(facts: PairFacts) -> bool:
    """Tell whether EmailEngine refuses the registered token, whose record lies in this database."""
    emailengine = facts.emailengine
    if isinstance(emailengine, Missing):
        return False
    accounts = emailengine.accounts
    return isinstance(accounts, Missing) and accounts.reason == "auth"


# --- Credentials

DRIFT: Final = "redis.credentials-drift"
REFUSED = Remediation(
    when="sign-ins were refused",
    why="EmailEngine lives on connections that are already signed in. At its next reconnect it is "
    "refused as we are, and its process ends.",
    do="Let Redis accept EmailEngine's account before it reconnects",
    now=(
        (
            "Create the account on the server again as it was, or set the former password beside the "
            "new one: an account may have several (ACL SETUSER, with > and the password)."
        ),
        "Then give EmailEngine the new password (EENGINE_REDIS) and restart it at a quiet time.",
        "Store the new credentials in the pair as well.",
    ),
    durable="Rotate in three steps: add the new password, move every client over, take the old away.",
    verify=(Code("PING"), "with the stored credentials must answer PONG."),
    risk="Restarting EmailEngine before Redis accepts its password ends it at once.",
    undo="Take the password that is not used away again (ACL SETUSER, with < and the password).",
    effect=Effect.NO_RESTART,
)
MANY_REFUSED = Remediation(
    when="many sign-ins were refused",
    why="Somebody signs in with wrong credentials again and again: a client that was forgotten in a "
    "rotation, or someone who guesses.",
    do="Find who signs in with wrong credentials",
    now=(
        "On Redis the latest refused sign-ins stand in the ACL log, with account and address:",
        Code("ACL LOG"),
        "Give that client its present password, or close the way to Redis for it.",
    ),
    durable="Let only EmailEngine's host and our workers reach the port of Redis.",
    verify=(Code("INFO errorstats"), "must show NOAUTH and WRONGPASS no longer rising."),
    risk="Do not change the password in a hurry: EmailEngine ends at its next reconnect.",
    undo=_NOTHING,
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class DriftLimits(Limits):
    """Refused sign-ins of up to two hours beyond twice the hourly mean of the day before."""

    warn_above_usual_count: int = 30


@rule(
    id=DRIFT,
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="Redis accepts the stored credentials, and refuses no more sign-ins than usual",
    severity=Severity.CRITICAL,
    source="EE",
    observed="{state}",
    required="accepted, and no more refusals than usual",
    reads="AUTH, INFO errorstats; GET /health",
    limits=DriftLimits(),
    opens=Confirm(2, 3),
    resolves=Confirm(2, 2),
    remediation={"refused": REFUSED, "many-refused": MANY_REFUSED},
)
def credentials_drift(facts: PairFacts, limits: DriftLimits) -> Verdict:
    """Judge whether credentials that worked are still accepted, and how many others are refused.

    EmailEngine keeps its open connections when a password changes; it ends at its next reconnect.
    Refused sign-ins of the last hour or two are held against the day before; a few are our own
    (we knock without a password to see whether the door is shut).

    Source: EE, measured: NOAUTH or WRONGPASS at a reconnect ends the process.
    """
    refusal = _refusal(facts)
    if refusal is not None:
        return _refused(facts, refusal)
    redis, since = known(facts.redis), known(facts.since)
    known(redis.errors)
    count = known(since.auth_errors_hour_count)
    seen: dict[str, JSON] = {"refused_count": count}
    if count <= limits.warn_above_usual_count:
        return passed(state=f"accepted; {count:,} refusals", **seen)
    usual = known(since.auth_errors_day_mean_count)
    seen["usual_per_hour_count"] = usual
    if count <= 2 * usual + limits.warn_above_usual_count:
        return passed(state=f"accepted; {count:,} refusals", **seen)
    is_gone = _has_gone(redis, since)
    tail = ", and EmailEngine's connections are gone" if is_gone else ""
    return failed(
        f"Redis refused {count:,} sign-ins in the last hours, usually {usual:.0f} an hour{tail}; "
        "it must not be more than usual",
        short=f"{count:,} refused sign-ins",
        severity=Severity.CRITICAL if is_gone else Severity.WARNING,
        cause="refused" if is_gone else "many-refused",
        keeps=Severity.CRITICAL if is_gone is None else None,
        state=f"{count:,} refusals{tail}",
        **seen,
    )


def _refusal(facts: PairFacts) -> Missing | None:
    """Return how Redis refused our sign-in; None where it did not, or was not reached."""
    redis = facts.redis
    answer = redis if isinstance(redis, Missing) else redis.ping
    return answer if isinstance(answer, Missing) and answer.reason == "auth" else None


def _refused(facts: PairFacts, refusal: Missing) -> Verdict:
    """Judge a refusal: critical where the credentials worked once and EmailEngine still lives."""
    behind = Missing(
        "depends_on", f"Redis refuses the stored credentials: {refusal.text}", REACHABLE
    )
    since = facts.since
    if isinstance(since, Missing) or isinstance(since.last_answer_s, Missing):
        raise Unknown(behind)
    emailengine = facts.emailengine
    if isinstance(emailengine, Missing) or emailengine.health_status != 200:
        raise Unknown(behind)
    return failed(
        f"Redis accepted the stored credentials {duration(since.last_answer_s)} ago and refuses them "
        "now, while EmailEngine still answers: it will end at its next reconnect; they must be accepted",
        short="Credentials refused, EmailEngine lives",
        severity=Severity.CRITICAL,
        cause="refused",
        state="refused, while EmailEngine answers",
        last_answer_s=since.last_answer_s,
    )


REACHABLE: Final = "redis.reachable"


def _has_gone(redis: RedisFacts, since: Since) -> bool | None:
    """Tell whether EmailEngine's connections were here and are gone; None where they were not read."""
    clients = redis.bull_clients
    if isinstance(clients, Missing):
        return None
    is_here = any(one.database == redis.database for one in clients)
    return since.had_workers is True and not is_here

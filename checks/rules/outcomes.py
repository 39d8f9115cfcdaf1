"""How does what was sent end? Bounces and webhooks."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from checks.facts import Missing, PairFacts, known
from checks.render import percent
from checks.rule import (
    JSON,
    Cadence,
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
    unknown,
)
from checks.rules.emailengine import started

THRICE: Final = Confirm(3, 3)
MOST_WAITING: Final = 10_000  # more jobs change no percentile
_NEXT = "The next checks close this by themselves."
_NOTHING = "Nothing to undo."

# --- Bounces

BOUNCES = Remediation(
    why="Mail providers count bounces: a sender with many is slowed down, then refused altogether.",
    do="Find and stop the mail that bounces",
    now=(
        (
            "In EmailEngine look at the webhooks messageBounce and messageFailed: which accounts, which "
            "recipients, which answers."
        ),
        (
            "Take addresses that do not exist out of the lists; stop an account that sends what nobody "
            "asked for."
        ),
        "Answers that name SPF, DKIM or a blocklist are the sending domain's fault: mend it there.",
    ),
    durable="Let the application take an address out at its first permanent bounce.",
    verify="The share of the last day must fall below {limits.warn_bounce_ratio:percent}.",
    risk="Pausing the whole queue stops the good mail too: stop single accounts.",
    undo=_NOTHING,
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class BounceLimits(Limits):
    """Share of a day's messages, the least number of them to judge by, where a finding leaves."""

    warn_bounce_ratio: float = 0.01
    critical_bounce_ratio: float = 0.03
    least_messages_count: int = 100


@rule(
    id="emailengine.bounce-rate",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="Fewer than {limits.warn_bounce_ratio:percent} of a day's messages bounce",
    severity=Severity.CRITICAL,
    source="S3",
    observed="{state}",
    required="< {limits.warn_bounce_ratio:percent} over a day",
    reads="GET /metrics: about 25 Redis commands on its side",
    limits=BounceLimits(),
    opens=THRICE,
    resolves=THRICE,
    remediation=BOUNCES,
)
def bounce_rate(facts: PairFacts, limits: BounceLimits) -> Verdict:
    """Judge messages that bounced or failed for good, as a share of a day's (0 to 1).

    A bounce is seen only where EmailEngine watches the sender's mailbox: until one was seen on
    this pair nobody knows whether it would be.

    Source: S3, below 1 %; 1 to 3 % warns; above 3 % is critical.
    """
    known(started(facts).events)
    since = known(facts.since)
    day = known(since.events_day)
    if not known(since.has_seen_bounce):
        return unknown(
            "undetermined", "no bounce was ever seen here: EmailEngine may not watch for them"
        )
    gone, lost = day.get("messageSent", 0), day.get("messageFailed", 0)
    bad, count = day.get("messageBounce", 0) + lost, gone + lost
    if count < max(1, limits.least_messages_count):
        return unknown(
            "no_history",
            f"{count} messages in a day: too few to judge a share by",
            messages_count=count,
            bounced_count=bad,
        )
    share = bad / count
    seen: dict[str, JSON] = {
        "state": f"{_fine(share)} of {count:,}",
        "bounce_ratio": share,
        "messages_count": count,
        "bounced_count": day.get("messageBounce", 0),
        "failed_count": lost,
    }
    return _bounced(share, count, limits, seen)


def _bounced(share: float, count: int, limits: BounceLimits, seen: dict[str, JSON]) -> Verdict:
    if share < limits.warn_bounce_ratio:
        return passed(**seen)
    is_critical = share > limits.critical_bounce_ratio
    return failed(
        f"{_fine(share)} of a day's {count:,} messages bounced or failed; "
        f"it must be below {percent(limits.warn_bounce_ratio)}",
        short=f"{_fine(share)} bounce",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        **seen,
    )


def _fine(share: float) -> str:
    """Write a small share with a decimal, rounded down."""
    return f"{math.floor(share * 1000 + 1e-9) / 10:.1f}%"


# --- Webhooks

WEBHOOKS = Remediation(
    why="The tenant's application misses what EmailEngine tells it; jobs that fail are tried again "
    "and fill Redis meanwhile.",
    do="Mend the webhook's endpoint",
    now=(
        (
            "In EmailEngine under Webhooks see the last error and the address; call it by hand from "
            "EmailEngine's host."
        ),
        "Tell the tenant: it is their endpoint that refuses, or answers too late.",
    ),
    durable="Let the endpoint answer at once with 200 and work on the event afterwards.",
    verify="The share of failed deliveries must fall below {limits.warn_failed_ratio:percent}.",
    risk="Do not empty the notify queue: the events in it are lost for the application.",
    undo=_NOTHING,
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class WebhookLimits(Limits):
    """Share of an hour's webhooks, and the least number of them to judge by."""

    warn_failed_ratio: float = 0.01
    least_webhooks_count: int = 100


@rule(
    id="emailengine.webhooks",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="Fewer than {limits.warn_failed_ratio:percent} of EmailEngine's webhooks fail",
    severity=Severity.WARNING,
    source="ours",
    observed="{state}",
    required="< {limits.warn_failed_ratio:percent} over an hour",
    reads="GET /v1/stats or /metrics: about 40 or 25 Redis commands on its side",
    limits=WebhookLimits(),
    opens=THRICE,
    resolves=THRICE,
    remediation=WEBHOOKS,
)
def webhooks(facts: PairFacts, limits: WebhookLimits) -> Verdict:
    """Judge failed webhook deliveries of an hour as a share of all (0 to 1).

    Where none failed there is nothing to judge a share for; a few failures among few are no share.

    Source: ours; the endpoint is the tenant's, so it never weighs more than a warning.
    """
    emailengine = started(facts)
    hour = emailengine.webhooks_hour
    if isinstance(hour, Missing):
        known(emailengine.webhooks)
        hour = known(known(facts.since).webhooks_hour)
    lost = hour.get("fail", 0)
    count = hour.get("success", 0) + lost
    seen: dict[str, JSON] = {"webhooks_count": count, "failed_count": lost}
    if lost and count < limits.least_webhooks_count:
        text = f"{lost} of {count} webhooks failed in an hour: too few to judge a share by"
        return unknown("no_history", text, **seen)
    share = lost / count if count else 0.0
    seen |= {"state": f"{_fine(share)} of {count:,}", "failed_ratio": share}
    if share < limits.warn_failed_ratio:
        return passed(**seen)
    return failed(
        f"{_fine(share)} of an hour's {count:,} webhooks failed; "
        f"it must be below {percent(limits.warn_failed_ratio)}",
        short=f"{_fine(share)} of webhooks fail",
        severity=Severity.WARNING,
        **seen,
    )

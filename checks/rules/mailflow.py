"""Does mail flow as it should? Paused queues, pace and delivery time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from checks.facts import Deliveries, Missing, PairFacts, Queue, Since, known
from checks.jobs import queues_of
from checks.render import duration
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
    unknown,
)
from checks.rules.emailengine import started
from checks.rules.queues import SUBMIT, WORK

THRICE: Final = Confirm(3, 3)
MOST_WAITING: Final = 10_000  # more jobs change no percentile
_NEXT = "The next checks close this by themselves."
_NOTHING = "Nothing to undo."

# --- Paused

PAUSED = Remediation(
    why="A paused queue takes jobs in and works on none: {harm}. People pause one and forget it.",
    do="Resume the {queue} queue",
    now=(
        "See who paused it and why; then resume it in EmailEngine under Tools, Queues.",
        "Over the API, with a token of the admin group:",
        Code(
            "curl -X PUT -H 'Authorization: Bearer TOKEN' -H 'Content-Type: application/json' "
            "-d '{{\"paused\":false}}' {url}/v1/settings/queue/{queue}"
        ),
    ),
    durable="Let whoever pauses a queue set a reminder: the pause survives restarts.",
    verify=(
        Code("curl -H 'Authorization: Bearer TOKEN' {url}/v1/stats"),
        'must show "isPaused":false for {queue}.',
    ),
    risk="What waits goes out at once: warn whoever receives it, when it waited for long.",
    undo="Pause it again in the same place.",
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class PausedLimits(Limits):
    """How long a queue may stay paused."""

    warn_paused_s: int = 3600


@rule(
    id="emailengine.queue-paused",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="No EmailEngine queue stays paused for more than {limits.warn_paused_s:duration}",
    severity=Severity.WARNING,
    source="ours",
    observed="{state}",
    required="none paused for more than {limits.warn_paused_s:duration}",
    reads="GET /v1/stats: about 40 Redis commands on its side",
    limits=PausedLimits(),
    remediation=PAUSED,
)
def queue_paused(facts: PairFacts, limits: PausedLimits) -> Verdict:
    """Judge for how long looks have seen a queue paused (s), the longest counting.

    Source: ours; EmailEngine never resumes a queue by itself.
    """
    emailengine = started(facts)
    queues, told_by = known(queues_of(facts))
    if not queues:
        return unknown("undetermined", "EmailEngine tells no queue")
    paused = [queue.name for queue in queues if known(queue.is_paused)]
    if not paused:
        return passed(state="none paused", paused_s=0.0, told_by=told_by)
    since_s = known(known(facts.since).paused_s)
    worst = max(paused, key=lambda name: since_s.get(name, 0.0))
    paused_s = since_s.get(worst, 0.0)
    seen: dict[str, JSON] = {
        "state": f"{worst} paused for {duration(paused_s)}",
        "queue": worst,
        "paused_s": paused_s,
        "paused": sorted(paused),
        "url": emailengine.url,
        "told_by": told_by,
        "harm": WORK.get(worst, "nothing of it is done"),
    }
    if paused_s <= limits.warn_paused_s:
        return passed(**seen)
    return failed(
        f"{worst} has been paused for {duration(paused_s)}; "
        f"resume it within {duration(limits.warn_paused_s)}",
        short=f"{worst} paused for {duration(paused_s)}",
        severity=Severity.WARNING,
        **seen,
    )


# --- Pace

SLOW = Remediation(
    why="Mail waits, and EmailEngine sends too little of it per minute to catch up.",
    do="Let EmailEngine send faster",
    now=(
        "See whether the mail servers answer slowly or refuse: each job waits for its server.",
        "Raise the number of senders (EENGINE_WORKERS_SUBMIT, EENGINE_SUBMIT_QC) and restart.",
        "Look at its Redis too: a slow one holds every job up (rules redis.stall and pair.rtt).",
    ),
    durable="Keep the numbers in EmailEngine's configuration.",
    verify="The queue must fall, or {limits.warn_per_minute_count:count} and more a minute be sent.",
    risk="More senders send faster: mail providers may refuse what exceeds their rate.",
    undo="Set the former numbers and restart EmailEngine.",
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class RateLimits(Limits):
    """Messages a minute, and the backlog from which on they matter."""

    warn_per_minute_count: int = 100
    critical_per_minute_count: int = 50
    least_waiting_count: int = 100


@rule(
    id="emailengine.processing-rate",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="With a backlog, EmailEngine sends {limits.warn_per_minute_count:count} messages a minute",
    severity=Severity.CRITICAL,
    source="S3",
    observed="{state}",
    required="≥ {limits.warn_per_minute_count:count} a minute, while a backlog waits",
    reads="GET /v1/stats and /metrics: about 65 Redis commands on its side",
    limits=RateLimits(),
    opens=THRICE,
    resolves=THRICE,
    remediation=SLOW,
)
def processing_rate(facts: PairFacts, limits: RateLimits) -> Verdict:
    """Judge completed submit jobs a minute, while submit held a backlog at both ends of the window.

    An idle tenant is none: with less waiting, or the queue paused, there is nothing to judge.

    Source: S3, 100 and more a minute; 50 to 100 warns; below 50 is critical.
    """
    started(facts)
    submit = submit_of(known(queues_of(facts)).queues)
    waiting = submit.waiting_count
    state = _unpaced(submit, facts, limits)
    if state:
        return passed(state=state, waiting_count=waiting)
    done, over_s = _completed(known(facts.since))
    if over_s <= 0:
        return unknown("no_history", "no time has passed since the last look")
    per_minute = int(done * 60 / over_s)
    seen: dict[str, JSON] = {
        "state": f"{per_minute:,} a minute",
        "per_minute_count": per_minute,
        "waiting_count": waiting,
        "window_s": over_s,
    }
    if per_minute >= limits.warn_per_minute_count:
        return passed(**seen)
    if not done and isinstance(submit.is_paused, Missing):
        text = "Nothing was sent, and whether the submit queue is paused was not told"
        return unknown("undetermined", text, **seen)
    is_critical = per_minute < limits.critical_per_minute_count
    return failed(
        f"EmailEngine sends {per_minute:,} messages a minute while {waiting:,} wait; "
        f"it must send at least {limits.warn_per_minute_count:,}",
        short=f"Only {per_minute:,} messages a minute",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        **seen,
    )


def _unpaced(submit: Queue, facts: PairFacts, limits: RateLimits) -> str:
    """Say why there is no pace to judge: no backlog, none all the while, a pause; "" = there is."""
    if submit.waiting_count < limits.least_waiting_count:
        return "keeping up"
    if submit.is_paused is True:
        return "paused"
    since = known(facts.since)
    before = known(since.submit_waiting_count)
    is_new = before < limits.least_waiting_count or since.submit_was_paused is True
    return "the backlog is new" if is_new else ""


def submit_of(queues: tuple[Queue, ...]) -> Queue:
    """Return the submit queue, or end the rule as unknown."""
    found = next((queue for queue in queues if queue.name == SUBMIT), None)
    return known(found or Missing("undetermined", "EmailEngine tells no submit queue"))


def _completed(since: Since) -> tuple[int, float]:
    return known(since.processed_rise).get("submit/completed", 0), known(since.processed_over_s)


# --- Delivery time

LATE = Remediation(
    why="Recipients wait: a sign-in code or an invoice that comes late is as good as lost.",
    do="Let EmailEngine's mail leave sooner",
    now=(
        (
            "See whether the queue is paused or has no worker (rules emailengine.queue-paused and "
            "emailengine.queue-workers)."
        ),
        "See whether one mail server answers slowly and holds the others up; mend or leave it out.",
        "Raise the number of senders (EENGINE_WORKERS_SUBMIT, EENGINE_SUBMIT_QC) and restart.",
    ),
    durable="Keep the number of senders in EmailEngine's configuration.",
    verify="The next checks must show a p95 below {limits.warn_p95_s:duration}.",
    risk="More senders send faster: mail providers may refuse what exceeds their rate.",
    undo="Set the former numbers and restart EmailEngine.",
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class DeliveryLimits(Limits):
    """Seconds from due to sent, the least number of jobs a p95 wants, where a finding leaves."""

    warn_p95_s: int = 300
    critical_p95_s: int = 900
    least_jobs_count: int = 20
    leave_at_ratio: float = 0.9


@rule(
    id="emailengine.delivery-time",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="EmailEngine's mail leaves within {limits.warn_p95_s:duration}",
    severity=Severity.CRITICAL,
    source="S3",
    observed="{taken_s:duration} ({basis})",
    required="< {limits.warn_p95_s:duration}",
    reads="LLEN, LINDEX, HGET and one bounded XREVRANGE on the keys of EmailEngine's queues",
    limits=DeliveryLimits(),
    opens=THRICE,
    resolves=THRICE,
    remediation=LATE,
)
def delivery_time(facts: PairFacts, limits: DeliveryLimits) -> Verdict:
    """Judge the p95 of how long mail took from due to sent (s), with what still waits so far.

    Where too few jobs ended lately the age of the oldest waiting job stands in. Jobs put off
    after a failed attempt are counted apart: their delay is the mail server's.

    Source: S3, below 5 min; 5 to 15 min warns; above 15 min is critical.
    """
    started(facts)
    redis = known(facts.redis)
    submit = submit_of(known(redis.queues))
    oldest_s = known(submit.oldest_waiting_s)
    deliveries = redis.deliveries
    taken_s, basis, count, retried = oldest_s, "the oldest waiting job", 0, 0
    if not isinstance(deliveries, Missing):
        jobs_s = sorted((*deliveries.finished_s, *_waiting_s(submit, oldest_s, deliveries)))
        count, retried = len(jobs_s), deliveries.retried_count
        if count >= limits.least_jobs_count:
            taken_s, basis = p95(jobs_s), f"p95 of {count:,}"
    seen: dict[str, JSON] = {
        "taken_s": taken_s,
        "basis": basis,
        "jobs_count": count,
        "oldest_waiting_s": oldest_s,
        "retried_count": retried,
        "read_from": "the queue's own keys in Redis",
    }
    return _taken(taken_s, limits, deliveries, seen)


def _taken(
    taken_s: float,
    limits: DeliveryLimits,
    deliveries: Deliveries | Missing,
    seen: dict[str, JSON],
) -> Verdict:
    if taken_s < limits.warn_p95_s:
        known(deliveries)  # no old job waits, but how long mail took is not known
        leaves = taken_s < limits.warn_p95_s * limits.leave_at_ratio
        return passed(keeps=None if leaves else Severity.WARNING, **seen)
    is_critical = taken_s > limits.critical_p95_s
    leaves = is_critical or taken_s <= limits.critical_p95_s * limits.leave_at_ratio
    return failed(
        f"Mail takes {duration(taken_s)} ({seen['basis']}); it must leave within "
        f"{duration(limits.warn_p95_s)}",
        short=f"Mail takes {duration(taken_s)}",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        keeps=None if leaves else Severity.CRITICAL,
        **seen,
    )


def _waiting_s(submit: Queue, oldest_s: float, deliveries: Deliveries) -> list[float]:
    """List how long each waiting job has waited; those the stream does not reach back to wait longer."""
    seen = list(deliveries.waiting_s[: submit.waiting_count])
    unseen = min(submit.waiting_count, MOST_WAITING) - len(seen)
    if unseen <= 0:
        return seen
    return [*seen, *[max(seen, default=oldest_s)] * (unseen - 1), oldest_s]


def p95(ordered: list[float]) -> float:
    """Return the 95th percentile, nearest rank, of what is in ascending order."""
    return ordered[math.ceil(0.95 * len(ordered)) - 1]

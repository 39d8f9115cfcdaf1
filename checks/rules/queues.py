"""Is EmailEngine's mail on its way? Queue workers and backlog."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from checks.facts import EmailEngineFacts, Missing, PairFacts, Queue, RedisFacts, known, or_else
from checks.jobs import queues_of
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
    unread,
)
from checks.rules.emailengine import STARTING_S, answering, started

SUBMIT, NOTIFY, DOCUMENTS = "submit", "notify", "documents"
# What a queue does, for whoever reads a finding.
WORK: Final = {SUBMIT: "mail is accepted and not sent", NOTIFY: "webhooks are not delivered"}

_CLIENTS = Code("CLIENT LIST")
DEAD = Remediation(
    when="the workers are gone",
    why=(
        "EmailEngine takes messages in and answers as if all were well, but nobody works on its "
        "queues: they only grow. Some versions lose their workers when Redis restarts."
    ),
    do="Restart EmailEngine to get its queue workers back",
    now=(
        "Restart EmailEngine on its host: the waiting jobs are then worked off.",
        (
            "If it uses another database or key prefix than registered ({expected_names}, database "
            "{database}), correct the pair instead."
        ),
    ),
    durable="Upgrade EmailEngine when a version that keeps its workers is out; until then restart it "
    "after every restart of Redis.",
    verify=(_CLIENTS, "must show a client named {missing_names} within a minute of the restart."),
    risk="Never empty the queues or the database to clean up: the waiting mail is in them.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)
NO_LICENCE = Remediation(
    when="EmailEngine has no licence",
    why=(
        "Without a licence EmailEngine stops its workers some 20 minutes after a start: it still "
        "answers, but sends nothing."
    ),
    do="Renew EmailEngine's licence",
    now=(
        "Enter a valid licence key in EmailEngine under License, or in EENGINE_PREPARED_LICENSE.",
        "Then restart EmailEngine: the waiting jobs are worked off.",
    ),
    durable="Renew the licence in time, and let somebody be told before it ends.",
    verify=(_CLIENTS, "must show a client named {missing_names} within a minute of the restart."),
    risk="A restart without a licence only buys another 20 minutes.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)


@rule(
    id="emailengine.queue-workers",
    kind=Kind.OPERATION,
    group=Group.PERSISTENCE,
    title="EmailEngine's submit and notify queues have a worker each",
    severity=Severity.CRITICAL,
    source="EE",
    observed="{state}",
    required="a worker for submit and one for notify",
    reads="CLIENT LIST: one command, its answer grows with the clients; GET /health",
    core=True,
    remediation={"dead-workers": DEAD, "no-licence": NO_LICENCE},
)
def queue_workers(facts: PairFacts, _: Limits) -> Verdict:
    """Judge whether each queue's worker connection is there, by its name and database.

    Workers name their connection `bull:` and the queue's name in base64, behind the key prefix.
    Event readers (`:qe`) say nothing: they vanish at a reconnect. Judged while EmailEngine
    answers 200 and both it and Redis have been up for a minute.

    Source: EE, after a Redis restart or without a licence its workers stay away.
    """
    redis, emailengine = known(facts.redis), answering(facts)
    if or_else(redis.uptime_s, STARTING_S) < STARTING_S:
        return unread(Missing("starting", "Redis has just started: workers may still come back"))
    names = {queue: worker_name(queue, emailengine.key_prefix) for queue in (SUBMIT, NOTIFY)}
    here = {one.name for one in known(redis.bull_clients) if one.database == redis.database}
    missing = [queue for queue, name in names.items() if name not in here]
    if not missing:
        return passed(state="submit and notify have workers", workers=sorted(names.values()))
    return _workless(redis, emailengine, names, missing)


def worker_name(queue: str, key_prefix: str) -> str:
    """Return the connection name of a queue's worker: `bull:c3VibWl0`, `p:bull:c3VibWl0`."""
    prefix = key_prefix.rstrip(":")
    encoded = b64encode(queue.encode()).decode()
    return f"{prefix}:bull:{encoded}" if prefix else f"bull:{encoded}"


def _workless(
    redis: RedisFacts, emailengine: EmailEngineFacts, names: dict[str, str], missing: list[str]
) -> Verdict:
    no_licence = emailengine.license_days_remaining == 0
    which = " and ".join(missing)
    harm = "; ".join(WORK[queue] for queue in missing)
    elsewhere = _elsewhere(redis, names)
    seen = f" (workers were seen on {', '.join(elsewhere)})" if elsewhere else ""
    why = "it has no licence" if no_licence else "its workers are gone"
    return failed(
        f"EmailEngine answers, but {why}: no worker for {which}, so {harm}{seen}; "
        "each queue must have one",
        short=_short(missing),
        severity=Severity.CRITICAL,
        cause="no-licence" if no_licence else "dead-workers",
        state=f"no worker for {which}",
        missing_names=" and ".join(names[queue] for queue in missing),
        expected_names=" and ".join(names.values()),
        database=redis.database,
        seen_elsewhere=elsewhere,
        **_support(redis),
    )


def _short(missing: list[str]) -> str:
    if SUBMIT in missing:
        return "No submit worker: mail is never sent"
    return "No notify worker: no webhooks are sent"


def _elsewhere(redis: RedisFacts, names: dict[str, str]) -> list[str]:
    """List where workers of these queues are: another database or prefix, mostly another instance."""
    queues = tuple(name.rpartition("bull:")[2] for name in names.values())
    seen = {
        f"database {one.database} as {one.name}"
        for one in known(redis.bull_clients)
        if one.name.rpartition("bull:")[2] in queues
        and not (one.database == redis.database and one.name in names.values())
    }
    return sorted(seen)


def _support(redis: RedisFacts) -> dict[str, JSON]:
    blocked = redis.blocked_clients
    return {} if isinstance(blocked, Missing) else {"blocked_clients_count": blocked}


# --- Backlog

BACKLOG = Remediation(
    why="Messages are accepted faster than they leave: those at the end wait longer and longer.",
    do="Let EmailEngine work off its {queue} queue",
    now=(
        "See whether the queue is paused, and resume it in EmailEngine under Tools, Queues.",
        "See whether the mail servers or the webhook's endpoint answer slowly or refuse, and mend that.",
        "Raise the number of workers (EENGINE_WORKERS_SUBMIT, EENGINE_WORKERS_WEBHOOKS) and restart.",
    ),
    durable="Keep the number of workers in EmailEngine's configuration.",
    verify="The queue must hold fewer than {limits.warn_waiting_count:count} waiting jobs and go on falling.",
    risk="More workers send faster: mail providers may refuse what exceeds their rate.",
    undo="Set the former number of workers and restart EmailEngine.",
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class QueueLimits(Limits):
    """Jobs that wait; seconds from which on notify and documents count; where a finding leaves."""

    warn_waiting_count: int = 100
    critical_waiting_count: int = 500
    least_age_s: int = 60
    leave_at_ratio: float = 0.75


@rule(
    id="emailengine.queue-size",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    cadence=Cadence.STATS,
    title="Fewer than {limits.warn_waiting_count:count} jobs wait in EmailEngine's queues",
    severity=Severity.CRITICAL,
    source="S3",
    observed="{waiting_count:count} in {queue}",
    required="< {limits.warn_waiting_count:count}",
    reads="GET /v1/stats or /metrics: about 40 or 25 Redis commands on its side; LLEN, LINDEX, HMGET "
    "on its queues where the account may",
    limits=QueueLimits(),
    opens=Confirm(3, 3),
    resolves=Confirm(3, 3),
    remediation=BACKLOG,
)
def queue_size(facts: PairFacts, limits: QueueLimits) -> Verdict:
    """Judge the jobs that wait, in the queue that holds most of those that count.

    Submit always counts; notify and documents while their oldest job is known to have waited
    long: they come in bursts. Delayed jobs are scheduled mail and do not wait.

    Source: S3, below 100; 100 to 500 warns; above 500 is critical.
    """
    started(facts)
    found, told_by = known(queues_of(facts))
    queues = {queue.name: queue for queue in found}
    if SUBMIT not in queues:
        return unknown("undetermined", "EmailEngine tells no submit queue")
    counted = [one for one in queues.values() if _counts(one, limits)]
    worst = max(counted, key=lambda queue: queue.waiting_count)
    waiting = worst.waiting_count
    seen: dict[str, JSON] = {
        "queue": worst.name,
        "waiting_count": waiting,
        "queues": [_row(queue) for queue in queues.values()],
        "told_by": told_by,
    }
    if waiting < limits.warn_waiting_count:
        _refuse_unknown_ages(queues.values(), limits)
        leaves = waiting < limits.warn_waiting_count * limits.leave_at_ratio
        return passed(keeps=None if leaves else Severity.WARNING, **seen)
    is_critical = waiting > limits.critical_waiting_count
    leaves = is_critical or waiting <= limits.critical_waiting_count * limits.leave_at_ratio
    paused = ", which is paused" if worst.is_paused is True else ""
    return failed(
        f"{waiting:,} jobs wait in {worst.name}{paused}; "
        f"keep them below {limits.warn_waiting_count:,}",
        short=f"{waiting:,} jobs wait in {worst.name}",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        keeps=None if leaves else Severity.CRITICAL,
        **seen,
    )


def _counts(queue: Queue, limits: QueueLimits) -> bool:
    if queue.name == SUBMIT:
        return True
    age_s = queue.oldest_waiting_s
    return (
        queue.name in (NOTIFY, DOCUMENTS)
        and not isinstance(age_s, Missing)
        and age_s > limits.least_age_s
    )


def _refuse_unknown_ages(queues: Iterable[Queue], limits: QueueLimits) -> None:
    """End as unknown where a backlog would count if its oldest job is old, which is not told."""
    for queue in queues:
        is_backlog = queue.waiting_count >= limits.warn_waiting_count
        if is_backlog and queue.name in (NOTIFY, DOCUMENTS):
            known(queue.oldest_waiting_s)


def _row(queue: Queue) -> dict[str, JSON]:
    age = queue.oldest_waiting_s
    return {
        "name": queue.name,
        "waiting_count": queue.waiting_count,
        "active_count": queue.active_count,
        "delayed_count": queue.delayed_count,
        **({} if isinstance(age, Missing) else {"oldest_waiting_s": age}),
    }

"""Do the RDB snapshots come as they should? Overdue, failed and hung saves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from checks.facts import Engine, Missing, OwnPull, PairFacts, RedisFacts, Since, known, or_else
from checks.render import duration
from checks.rule import (
    JSON,
    Code,
    Group,
    Kind,
    Limits,
    Remediation,
    Severity,
    Steps,
    Verdict,
    failed,
    not_applicable,
    passed,
    rule,
    unknown,
)

SECOND_S: Final = 1  # INFO tells the last save in whole seconds
PROVIDERS: Final = (Engine.UPSTASH, Engine.ELASTICACHE, Engine.MEMORYDB)

_READ_LOG = (
    "Read the server's log for the reason: a full disk, a folder it may not write, or no memory to "
    "fork (then set vm.overcommit_memory on {host}). Mend that, then save:"
)
_DISK = "Watch free disk and RAM of {host}: a snapshot needs as much disk as the dataset."
_SAVE_RISK = "A save forks: it needs free RAM for the pages that change while it runs."
_NO_UNDO = "Nothing to undo: a snapshot was written."
OVERDUE = Remediation(
    why="Changes since the last snapshot are lost if Redis or its host stops now.",
    do="Find out why Redis does not save, then save",
    now=(_READ_LOG, Code("BGSAVE")),
    durable=_DISK,
    verify=(
        Code("INFO persistence"),
        "must show rdb_last_bgsave_status:ok and a rdb_changes_since_last_save near zero.",
    ),
    risk=_SAVE_RISK,
    undo=_NO_UNDO,
    dragonfly=Steps(
        now=(
            (
                "Read the server's log for the reason: a full disk, or a folder it may not write. Mend "
                "that, then save:"
            ),
            Code("BGSAVE"),
        ),
        verify=(Code("INFO persistence"), "must show a new last_success_save."),
    ),
)


@dataclass(frozen=True)
class FreshLimits(Limits):
    """Seconds of grace after a save point is due; times its period until it is critical."""

    grace_s: int = 60
    critical_overdue_times: int = 3


class Due(NamedTuple):
    """A save point whose changes have come together, and the age of the last snapshot."""

    period_s: int
    changes: int
    age_s: float


@rule(
    id="redis.rdb-fresh",
    kind=Kind.OPERATION,
    group=Group.PERSISTENCE,
    title="RDB snapshots come as scheduled",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{saved} {age_s:duration} ago, {changes_count:count} changes since",
    required="no save point overdue",
    reads="INFO server, persistence, CONFIG GET save: one batch",
    limits=FreshLimits(),
    not_on=PROVIDERS,
    remediation=OVERDUE,
)
def rdb_fresh(facts: PairFacts, limits: FreshLimits) -> Verdict:
    """Judge whether a save is overdue by the server's own schedule and clock (ages in seconds).

    Overdue is a save point whose changes have come together and whose time, with grace, has
    passed since the last snapshot, while none is being taken. Without changes none is due. A
    restarted server tells its start as its last save: it counts from there and says so. Changes
    include the few that our own calls to EmailEngine cause. A save that our own pull made says
    nothing of the server's: unknown until it saves by itself, or is overdue all the same.

    Source: S1, snapshots as configured; Redis' serverCron() for when a save is due. Grace and the
    step to critical are ours.
    """
    redis = known(facts.redis)
    if redis.is_loading is True:
        return unknown("loading", "Redis is loading its dataset")
    save = known(redis.save)
    if not save:
        return not_applicable("RDB snapshots are off, which redis.durability judges")
    age_s = max(0.0, known(redis.server_time_s) - known(redis.rdb_last_save_time_s))
    changes = known(redis.rdb_changes_since_last_save)
    seen: dict[str, JSON] = {
        "saved": _saved(redis, age_s),
        "age_s": age_s,
        "changes_count": changes,
    }
    due = [Due(s, c, age_s) for s, c in save if changes >= c and age_s > s + limits.grace_s]
    if not due or known(redis.rdb_bgsave_in_progress):
        return _after_our_pull(facts) or passed(**seen)
    worst = min(due, key=lambda point: point.period_s)
    is_critical = age_s > limits.critical_overdue_times * worst.period_s + limits.grace_s
    return failed(
        f"{changes:,} changes are unsaved for {duration(age_s)}; they were due after "
        f"{duration(worst.period_s)}",
        short=f"Snapshot overdue: {duration(age_s)} old",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        period_s=worst.period_s,
        **seen,
    )


def _after_our_pull(facts: PairFacts) -> Verdict | None:
    """Tell where the last save may be our pull's, by the server's clock, which counts whole seconds."""
    pull = facts.since.own_pull if isinstance(facts.since, Since) else None
    if not isinstance(pull, OwnPull):
        return None
    saved_at_s = known(known(facts.redis).rdb_last_save_time_s)
    if not pull.began_s - SECOND_S <= saved_at_s <= pull.ended_s + SECOND_S:
        return None
    return unknown(
        "undetermined",
        "The last save came with our own pull of a copy: the server has not saved by itself since",
    )


def _saved(redis: RedisFacts, age_s: float) -> str:
    """Tell whether Redis saved since it started: a server that never did shows its start instead."""
    saves, uptime = redis.rdb_saves, redis.uptime_s
    if not isinstance(saves, Missing):
        return "saved" if saves else "not saved since its start"
    if isinstance(uptime, Missing) or age_s < uptime - 2:
        return "saved"
    return "not saved since its start"


# --- The last save

FAILED = Remediation(
    when="the last save failed",
    why=(
        "Redis could not write its last snapshot: what changed since the one before is on no disk, "
        "and by default Redis refuses writes until one succeeds."
    ),
    do="Make Redis able to save, then save once",
    now=(_READ_LOG, Code("BGSAVE")),
    durable=_DISK,
    verify=(Code("INFO persistence"), "must answer rdb_last_bgsave_status:ok."),
    risk="Letting Redis write on in spite of failed saves only hides that nothing is kept.",
    undo=_NO_UNDO,
)
HUNG = Remediation(
    when="a save does not end",
    why="While a save hangs no other begins: changes pile up unsaved, and its copies fill the RAM.",
    do="See why the save does not end",
    now=(
        "See how far it is, and whether its numbers move:",
        Code("INFO persistence"),
        (
            "On {host} see whether the disk is full or slow. If the saving process (redis-rdb-bgsave) "
            "stands still, end that process alone, never the server. Then save:"
        ),
        Code("BGSAVE"),
    ),
    durable="Give the data folder a disk that takes the dataset within a few minutes.",
    verify=(Code("INFO persistence"), "must show rdb_bgsave_in_progress:0, and then a new save."),
    risk="SHUTDOWN waits for the save or loses it: free the disk first.",
    undo="Nothing to undo.",
)


@dataclass(frozen=True)
class LastStatusLimits(Limits):
    """When a running save counts as hung: both seconds and times its last duration are passed."""

    warn_running_s: int = 600
    warn_running_times: int = 3


@rule(
    id="redis.rdb-last-status",
    kind=Kind.OPERATION,
    group=Group.HEALTH,
    title="The last RDB snapshot succeeded",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{state}",
    required="ok",
    reads="INFO persistence: one round trip, part of the visit's INFO",
    limits=LastStatusLimits(),
    not_on=PROVIDERS,
    remediation={"failed": FAILED, "hung": HUNG},
)
def rdb_last_status(facts: PairFacts, limits: LastStatusLimits) -> Verdict:
    """Judge the last background save, and one that runs unusually long (seconds).

    The status stays `err` until the next success, and is `ok` after a start. A running save is
    compared with the last one's duration; where none has ended since the start, with seconds alone.

    Source: S1, snapshots must succeed. The bounds of a hung one are ours.
    """
    redis = known(facts.redis)
    status = known(redis.rdb_last_bgsave_status)
    if status == "err":
        return failed(
            "The last RDB snapshot failed; it must succeed",
            short="Last RDB snapshot failed",
            severity=Severity.CRITICAL,
            cause="failed",
            state="failed",
        )
    if status != "ok":
        return unknown("undetermined", f"The server calls its last save {status}")
    running_s = _running_s(redis)
    last_s = max(0, or_else(redis.rdb_last_bgsave_time_s, 0))
    if running_s > limits.warn_running_s and running_s > limits.warn_running_times * last_s:
        return _hung(running_s, last_s, limits)
    return passed(state=status, running_s=running_s, last_duration_s=last_s)


def _running_s(redis: RedisFacts) -> int:
    """Return for how long a save has been running; 0 where none does."""
    if not known(redis.rdb_bgsave_in_progress):
        return 0
    return max(0, known(redis.rdb_current_bgsave_time_s))


def _hung(running_s: int, last_s: int, limits: LastStatusLimits) -> Verdict:
    usual = f"; the last took {duration(last_s)}" if last_s else ""
    return failed(
        f"An RDB snapshot has been running for {duration(running_s)}{usual}; it should end within "
        f"{duration(max(limits.warn_running_s, limits.warn_running_times * last_s))}",
        short=f"Snapshot running for {duration(running_s)}",
        severity=Severity.WARNING,
        cause="hung",
        state=f"running for {duration(running_s)}",
        running_s=running_s,
        last_duration_s=last_s,
    )

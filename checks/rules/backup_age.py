"""How old is the newest good copy? By its content, against its source's rhythm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from checks.facts import BackupFacts, Missing, PairFacts, Unknown
from checks.render import duration
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
from checks.rules.backup import (
    ATTEST,
    CONFIGURED,
    DAY_S,
    ELASTICACHE_SNAPSHOTS,
    HOUR_S,
    MEMORYDB_SNAPSHOTS,
    NEXT_CHECK,
    NO_COPY,
    snapshot_hours,
    why_not,
    with_source,
)

BAD: Final = ("truncated", "corrupt", "empty")

LATE = Remediation(
    why="What was written since the newest good copy is lost when Redis' disk is: the older the "
    "copy, the more mail state, and the more accounts that must sign in anew.",
    do="Find out why no new copy comes, and make one now",
    now=(
        (
            "See the pair's Backups page: the source says what it last met, and copies that could not "
            "be verified say why."
        ),
        "Run the backup job by hand on {host}, and read what it says. First a fresh save:",
        Code("BGSAVE"),
        "Then Verify now, beside the source.",
    ),
    durable="Let the job's own errors reach a person, and end it with the heartbeat: a job that does "
    "not run says nothing by itself.",
    verify=NEXT_CHECK,
    risk="Do not delete the last good copy to make room for the new one.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
    dragonfly=Steps(
        now=(
            "See the pair's Backups page: the source says what it last met.",
            "Run the backup job by hand on {host}, and read what it says. First a fresh save:",
            Code("SAVE RDB"),
            "Then Verify now, beside the source.",
        )
    ),
    elasticache=Steps(
        now=(
            "See when the last snapshot was taken, and take snapshots more often:",
            Code("aws elasticache describe-snapshots --replication-group-id MY-GROUP"),
            ELASTICACHE_SNAPSHOTS,
            ATTEST,
        ),
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now=(
            "See when the last snapshot was taken, and take snapshots more often:",
            Code("aws memorydb describe-snapshots --cluster-name MY-CLUSTER"),
            MEMORYDB_SNAPSHOTS,
            ATTEST,
        ),
        effect=Effect.CONSOLE,
    ),
    upstash=Steps(
        now=(
            "See in the Upstash console, under Backups, when the last one was made, and make one.",
            "Switch daily backups on there. " + ATTEST,
        ),
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class AgeLimits(Limits):
    """How many intervals late is critical; interval and grace of the provider's snapshots, in seconds.

    A registered source has its own interval and grace.
    """

    critical_interval_times: int = 2
    managed_interval_s: int = DAY_S
    managed_grace_s: int = 3 * HOUR_S


class Newest(NamedTuple):
    """The newest copy of one source, by its rank (0 in time, 1 late, 2 very late) and age."""

    rank: int
    age_s: float
    allowed_s: int
    label: str
    state: str


@rule(
    id="backup.age",
    kind=Kind.REQUIREMENT,
    group=Group.BACKUP,
    title="The newest good backup is no older than its source promises",
    severity=Severity.CRITICAL,
    source="S1",
    observed="{state}",
    required="at most {allowed_s:duration}",
    reads="The last verified copies: no command to Redis",
    limits=AgeLimits(),
    core=True,
    remediation=LATE,
)
def age(facts: PairFacts, limits: AgeLimits) -> Verdict:
    """Judge the age of the newest good copy by its content's time, against its source's interval and grace.

    Of several sources the one that is best in time decides; those that are late, or have no good
    copy, are told of beside it and fail nothing: one fresh copy is what is required. A copy that a
    job only reported counts by the time it told. The provider's snapshots count by the hours that
    are attested to lie between two of them, the age they may reach.

    Source: S1, a daily copy; that twice the interval is critical is ours.
    """
    backup = with_source(facts)
    found = sorted([*_newest(backup, limits), *_attested(snapshot_hours(facts), limits)])
    if not found:
        return _none_good(backup)
    best = found[0]
    late = _late(backup, found[1:])
    numbers: dict[str, JSON] = {
        "state": best.state + _beside(late),
        "source": best.label,
        "age_s": best.age_s,
        "allowed_s": best.allowed_s,
        "late_sources": [*late],
    }
    if best.rank == 0:
        return passed(**numbers)
    return failed(
        f"The newest good backup is {best.state}; it must be at most {duration(best.allowed_s)} old",
        short=f"Backup {best.state}",
        severity=Severity.CRITICAL if best.rank > 1 else Severity.WARNING,
        **numbers,
    )


def _late(backup: BackupFacts, others: Sequence[Newest]) -> list[str]:
    """List the other sources that are late, and those that have no good copy, each with its state."""
    return [
        *(f"{one.label}: {one.state}" for one in others if one.rank),
        *(f"{one.label}: no good copy" for one in backup.sources if isinstance(one.good, Missing)),
    ]


def _beside(late: Sequence[str]) -> str:
    if not late:
        return ""
    return f"; {len(late)} other source{'s' if len(late) > 1 else ''} late"


def _newest(backup: BackupFacts, limits: AgeLimits) -> list[Newest]:
    return [
        _ranked(
            copy.age_s,
            (one.interval_s, one.grace_s),
            limits,
            one.label,
            f"{duration(copy.age_s)} old{', as reported' if copy.state == 'reported' else ''}",
        )
        for one in backup.sources
        if not isinstance(copy := one.good, Missing)
    ]


def _attested(hours: int | Missing, limits: AgeLimits) -> list[Newest]:
    if isinstance(hours, Missing) or not hours:
        return []
    rhythm = (limits.managed_interval_s, limits.managed_grace_s)
    state = f"up to {duration(hours * HOUR_S)} old, as attested"
    return [_ranked(float(hours * HOUR_S), rhythm, limits, "the provider", state)]


def _ranked(
    age_s: float, rhythm: tuple[int, int], limits: AgeLimits, label: str, state: str
) -> Newest:
    interval_s, grace_s = rhythm
    allowed_s = interval_s + grace_s
    is_very_late = age_s > limits.critical_interval_times * interval_s + grace_s
    return Newest((age_s > allowed_s) + is_very_late, age_s, allowed_s, label, state)


def _none_good(backup: BackupFacts) -> Verdict:
    """Answer where no copy is good: some are bad, or none could be judged yet."""
    looked_at = [one.newest for one in backup.sources if not isinstance(one.newest, Missing)]
    if not looked_at:
        raise Unknown(_first_trouble(backup) or NO_COPY)
    bad = [copy for copy in looked_at if copy.state in BAD]
    if not bad:
        raise Unknown(why_not(looked_at[0]))
    allowed_s = min(one.interval_s + one.grace_s for one in backup.sources)
    return failed(
        f"No copy is good: the newest, {bad[0].name}, is {bad[0].state}; one must be at most "
        f"{duration(allowed_s)} old",
        short="No good backup",
        severity=Severity.CRITICAL,
        state=f"none good, the newest is {bad[0].state}",
        allowed_s=allowed_s,
        late_sources=[f"{one.label}: no good copy" for one in backup.sources],
    )


def _first_trouble(backup: BackupFacts) -> Missing | None:
    troubles: Sequence[str] = [one.trouble for one in backup.sources if one.trouble]
    return Missing("depends_on", f"no copy yet: {troubles[0]}", CONFIGURED) if troubles else None

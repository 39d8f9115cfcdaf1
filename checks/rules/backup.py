"""A fresh copy that lies elsewhere, and the secret that opens it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from checks.facts import Attested, BackupFacts, Copy, Missing, PairFacts, Unknown, known, or_else
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
    unknown,
)

HOUR_S, DAY_S = 3600, 86_400
CONFIGURED: Final = "backup.configured"
NO_SOURCE: Final = Missing("depends_on", "no source of copies is registered", CONFIGURED)
NO_COPY: Final = Missing("depends_on", "its sources have shown no copy yet", CONFIGURED)
BAD: Final = ("truncated", "corrupt", "empty")
_NEXT: Final = "The next check of this pair must pass."

# --- A copy elsewhere

_ELSEWHERE = (
    "Everything that Redis writes to its own disk goes with that disk: accounts, their credentials, "
    "indexes and queued mail. A mistyped FLUSH or a bad upgrade is saved like anything else."
)
_ATTEST = "Then attest managed_snapshot_hours: how many hours lie between two of them."
_ELASTICACHE_SNAPSHOTS = Code(
    "aws elasticache modify-replication-group --replication-group-id MY-GROUP "
    "--snapshot-retention-limit 7 --snapshot-window 03:00-04:00 --apply-immediately"
)
_MEMORYDB_SNAPSHOTS = Code(
    "aws memorydb update-cluster --cluster-name MY-CLUSTER "
    "--snapshot-retention-limit 7 --snapshot-window 03:00-04:00"
)
_UPSTASH_SNAPSHOTS = Code(
    "curl -X PATCH -u MY-EMAIL:MY-API-KEY "
    "https://api.upstash.com/v2/redis/enable-dailybackup/MY-DATABASE-ID"
)
SNAPSHOTS = Remediation(
    why=_ELSEWHERE,
    do="Copy dump.rdb to another machine each day, and register where",
    now=(
        "On {host}, save and wait for the end of the save, then copy the file to another machine:",
        Code("BGSAVE"),
        Code("LASTSAVE"),
        (
            "Register on the pair's Backups page where the copies lie: a directory that the worker sees, "
            "a bucket, or a heartbeat that the job sends when it is done."
        ),
    ),
    durable="Put the job into cron or a timer: the pair's Backups page has a line to paste.",
    verify=_NEXT,
    risk="A save forks: it needs free RAM for the pages that change meanwhile. A copy of dump.rdb "
    "that is made while Redis replaces it is still whole: it is renamed, never rewritten.",
    undo="Switch the source off on the pair's Backups page.",
    effect=Effect.NONE,
    dragonfly=Steps(
        now=(
            "On {host}, write a snapshot in the RDB format, then copy the file to another machine:",
            Code("SAVE RDB"),
            "Register on the pair's Backups page where the copies lie.",
        ),
        risk="Dragonfly's own format (.dfs) cannot be verified here: let it write RDB.",
    ),
    elasticache=Steps(
        do="Switch automatic snapshots on, and attest them",
        now=(_ELASTICACHE_SNAPSHOTS, _ATTEST),
        durable="Keep it in the place your infrastructure is built from.",
        verify=(
            Code("aws elasticache describe-snapshots --replication-group-id MY-GROUP"),
            "must show a snapshot that is available.",
        ),
        risk="The snapshots stay with the provider: copy one to a bucket of your own now and then.",
        undo="Set the retention back to 0.",
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        do="Switch automatic snapshots on, and attest them",
        now=(_MEMORYDB_SNAPSHOTS, _ATTEST),
        durable="Keep it in the place your infrastructure is built from.",
        verify=(
            Code("aws memorydb describe-snapshots --cluster-name MY-CLUSTER"),
            "must show a snapshot that is available.",
        ),
        risk="The snapshots stay with the provider: copy one to a bucket of your own now and then.",
        undo="Set the retention back to 0.",
        effect=Effect.CONSOLE,
    ),
    upstash=Steps(
        do="Switch daily backups on, and attest them",
        now=(_UPSTASH_SNAPSHOTS, _ATTEST),
        durable="The setting stays with the database.",
        verify="The Upstash console shows a backup of today under Backups.",
        risk="The backups stay with the provider, and only paid plans keep them.",
        undo="Switch them off in the Upstash console, under Backups.",
        effect=Effect.CONSOLE,
    ),
)


@dataclass(frozen=True)
class ConfiguredLimits(Limits):
    """For how long after its registration a pair may be without a source."""

    grace_s: int = 14 * DAY_S


@rule(
    id=CONFIGURED,
    kind=Kind.REQUIREMENT,
    group=Group.BACKUP,
    title="Redis is copied to somewhere else",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{state}",
    required="a source of copies, or the provider's snapshots attested",
    reads="What is registered, and the attestation managed_snapshot_hours",
    limits=ConfiguredLimits(),
    core=True,
    remediation=SNAPSHOTS,
)
def configured(facts: PairFacts, limits: ConfiguredLimits) -> Verdict:
    """Judge whether anything copies this pair, by what is registered and attested.

    A pair that was registered lately is not judged yet, unless it is attested that nothing does.

    Source: S0 and S1, regular backups that are kept apart; the days of grace are ours.
    """
    backup = known(facts.backup)
    count = len(backup.sources)
    hours = snapshot_hours(facts)
    registered: dict[str, JSON] = {"sources_count": count, "registered_s": backup.registered_s}
    if count:
        return passed(state=f"{count} source{'s' if count > 1 else ''}", **registered)
    if isinstance(hours, int) and hours:
        return passed(state=f"snapshots every {hours} h, attested", **registered)
    if isinstance(hours, Missing) and backup.registered_s < limits.grace_s:
        text = (
            f"no source of copies is registered; judged {duration(limits.grace_s)} after the pair"
        )
        return unknown("no_history", text, **registered)
    told = "" if isinstance(hours, Missing) else ", as attested"
    return failed(
        f"Nothing copies this Redis to anywhere else{told}; a source of copies must be registered",
        short="No backup",
        severity=Severity.CRITICAL,
        state=f"none{told}",
        **registered,
    )


def snapshot_hours(facts: PairFacts) -> int | Missing:
    """Give the hours between the provider's snapshots, as attested; 0 where it takes none."""
    return or_else(facts.attested, Attested()).managed_snapshot_hours


def with_source(facts: PairFacts) -> BackupFacts:
    """Give what is known of the copies, or end the rule: without a source there is one finding, not six."""
    backup = known(facts.backup)
    hours = snapshot_hours(facts)
    if not backup.sources and not (isinstance(hours, int) and hours):
        raise Unknown(NO_SOURCE)
    return backup


# --- Its age

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
    verify=_NEXT,
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
            _ELASTICACHE_SNAPSHOTS,
            _ATTEST,
        ),
        effect=Effect.CONSOLE,
    ),
    memorydb=Steps(
        now=(
            "See when the last snapshot was taken, and take snapshots more often:",
            Code("aws memorydb describe-snapshots --cluster-name MY-CLUSTER"),
            _MEMORYDB_SNAPSHOTS,
            _ATTEST,
        ),
        effect=Effect.CONSOLE,
    ),
    upstash=Steps(
        now=(
            "See in the Upstash console, under Backups, when the last one was made, and make one.",
            "Switch daily backups on there. " + _ATTEST,
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

    Of several sources the one that is best in time decides; the others' lateness is evidence. A copy
    that a job only reported counts by the time it told. The provider's snapshots count by the
    hours that are attested to lie between two of them, the age they may reach.

    Source: S1, a daily copy; that twice the interval is critical is ours.
    """
    backup = with_source(facts)
    found = sorted([*_newest(backup, limits), *_attested(snapshot_hours(facts), limits)])
    if not found:
        return _none_good(backup)
    best = found[0]
    numbers: dict[str, JSON] = {
        "state": best.state,
        "source": best.label,
        "age_s": best.age_s,
        "allowed_s": best.allowed_s,
        "late_sources": [one.label for one in found if one.rank],
    }
    if best.rank == 0:
        return passed(**numbers)
    return failed(
        f"The newest good backup is {best.state}; it must be at most {duration(best.allowed_s)} old",
        short=f"Backup {best.state}",
        severity=Severity.CRITICAL if best.rank > 1 else Severity.WARNING,
        **numbers,
    )


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
        late_sources=[one.label for one in backup.sources],
    )


def why_not(copy: Copy) -> Missing:
    """Say why a copy has no verdict."""
    if copy.state == "unreadable":
        return copy.why
    return Missing("undetermined", f"{copy.name} is not verified yet")


def _first_trouble(backup: BackupFacts) -> Missing | None:
    troubles: Sequence[str] = [one.trouble for one in backup.sources if one.trouble]
    return Missing("depends_on", f"no copy yet: {troubles[0]}", CONFIGURED) if troubles else None


# --- The secret that opens it

KEEP = Remediation(
    why="Credentials in Redis are sealed with EENGINE_SECRET. A backup without it brings back "
    "accounts that nobody can sign in to; a backup with it beside lets whoever finds it read them all.",
    do="Keep EENGINE_SECRET in a vault, apart from the backups",
    now=(
        (
            "Copy the value of EENGINE_SECRET, or of the settings file it stands in, into a password "
            "vault that a restore can reach when {host} is gone."
        ),
        "See that it lies in no folder or bucket that holds copies of Redis. Then attest secret_kept.",
    ),
    durable="Say in your restore instructions where it is, and try it in a restore now and then.",
    verify=_NEXT,
    risk="Whoever has both a copy and the secret can read every mailbox: keep two people's eyes on it.",
    undo="Withdraw the attestation.",
    effect=Effect.NONE,
)


@rule(
    id="backup.secret-kept",
    kind=Kind.REQUIREMENT,
    group=Group.BACKUP,
    title="EENGINE_SECRET is kept apart from the backups",
    severity=Severity.CRITICAL,
    source="EE",
    observed="{state}",
    required="kept apart, attested",
    reads="The attestation secret_kept: no protocol tells it",
    remediation=KEEP,
)
def secret_kept(facts: PairFacts, _: Limits) -> Verdict:
    """Judge what is attested of EENGINE_SECRET: without it a restored Redis opens no mailbox.

    Source: EmailEngine seals credentials with this secret; a copy alone does not hold it.
    """
    with_source(facts)
    if known(or_else(facts.attested, Attested()).secret_kept):
        return passed(state="kept apart, attested")
    return failed(
        "EENGINE_SECRET is not kept apart from the backups, as attested; it must be",
        short="EENGINE_SECRET is not kept apart",
        severity=Severity.CRITICAL,
        state="not kept apart, attested",
    )

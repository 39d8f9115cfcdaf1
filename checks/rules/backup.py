"""Does anything copy Redis to somewhere else? What is registered, and what is attested."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

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
NEXT_CHECK: Final = "The next check of this pair must pass."

_ELSEWHERE = (
    "Everything that Redis writes to its own disk goes with that disk: accounts, their credentials, "
    "indexes and queued mail. A mistyped FLUSH or a bad upgrade is saved like anything else."
)
ATTEST = "Then attest managed_snapshot_hours: how many hours lie between two of them."
ELASTICACHE_SNAPSHOTS = Code(
    "aws elasticache modify-replication-group --replication-group-id MY-GROUP "
    "--snapshot-retention-limit 7 --snapshot-window 03:00-04:00 --apply-immediately"
)
MEMORYDB_SNAPSHOTS = Code(
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
    verify=NEXT_CHECK,
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
        now=(ELASTICACHE_SNAPSHOTS, ATTEST),
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
        now=(MEMORYDB_SNAPSHOTS, ATTEST),
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
        now=(_UPSTASH_SNAPSHOTS, ATTEST),
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


def why_not(copy: Copy) -> Missing:
    """Say why a copy has no verdict."""
    if copy.state == "unreadable":
        return copy.why
    return Missing("undetermined", f"{copy.name} is not verified yet")

"""Does Redis keep what it was told? Whether it saves at all, by whatever means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from checks.facts import (
    NOTHING_ATTESTED,
    Attested,
    Missing,
    PairFacts,
    RedisFacts,
    Since,
    known,
    or_else,
)
from checks.render import duration, pairs
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
from checks.rules.contradicted import ANEW, CONTRADICTED
from checks.rules.disk import is_slow_for_long
from checks.rules.save_points import (
    FIRST_SAVE,
    SAVE_ANSWERS,
    SAVE_LINES,
    SAVE_UNDO,
    SET_SAVE,
    WANTED_SAVE,
    listed,
)

# What a crash may lose with the AOF, in seconds. Source: redis.conf on appendfsync; with "no" the
# kernel writes when it likes, on Linux within about 30 s.
FSYNC_LOSS_S: Final = {"always": 0, "everysec": 1, "no": 30}
# A restart after which most keys are gone. The shares are those of pair.data-intact.
LOST_RATIO, LEAST_LOST_COUNT = 0.8, 1000

_LOST = (
    "What Redis has not written to disk is gone after a crash or a restart: accounts, their "
    "credentials, indexes and queued mail."
)
_DRAGONFLY = Steps(
    do="Let Dragonfly take snapshots",
    now=Code('CONFIG SET snapshot_cron "*/5 * * * *"'),
    durable='--snapshot_cron="*/5 * * * *" as an argument, or in the manifest.',
    verify=(Code("INFO persistence"), "must show a last_success_save that moves on."),
    risk="Each snapshot writes the whole dataset: choose the minutes so that one ends first.",
    undo=Code('CONFIG SET snapshot_cron ""'),
)
_UPSTASH = Steps(
    now="Upstash stores every write by itself; read your plan's terms on durability and backups, and "
    "attest managed_durability.",
    durable="The attestation stands until its date.",
    verify="The next check must pass.",
    risk="An attestation that does not hold is worse than none.",
    undo="Withdraw the attestation.",
    effect=Effect.CONSOLE,
)
_ELASTICACHE = Steps(
    do="Switch automatic snapshots on, and attest managed_durability",
    now=Code(
        "aws elasticache modify-replication-group --replication-group-id MY-GROUP "
        "--snapshot-retention-limit 7 --snapshot-window 03:00-04:00 --apply-immediately"
    ),
    durable="Keep it in the place your infrastructure is built from; then attest managed_durability.",
    verify="The group's console shows a snapshot of today; the next check must pass.",
    risk="A daily snapshot still loses up to a day: replicas in other zones narrow that.",
    undo="Set the retention back to 0.",
    effect=Effect.CONSOLE,
)
_MEMORYDB = Steps(
    now="MemoryDB keeps every write in its transaction log: confirm that, and attest "
    "managed_durability.",
    durable="The attestation stands until its date.",
    verify="The next check must pass.",
    risk="MemoryDB runs as a cluster, which EmailEngine does not support.",
    undo="Withdraw the attestation.",
    effect=Effect.CONSOLE,
)
SAVE = Remediation(
    when="neither RDB nor AOF is on",
    why=_LOST,
    do="Switch RDB snapshots on",
    now=SET_SAVE,
    durable=SAVE_LINES,
    verify=SAVE_ANSWERS,
    risk=FIRST_SAVE,
    undo=SAVE_UNDO,
    dragonfly=_DRAGONFLY,
    upstash=_UPSTASH,
    elasticache=_ELASTICACHE,
    memorydb=_MEMORYDB,
)
AOF_ONLY = Remediation(
    when="AOF alone, on a disk that nobody vouches for",
    why=(
        "An AOF alone writes with every change: on a slow disk Redis waits for it, and EmailEngine "
        "waits for Redis. RDB snapshots suit it better."
    ),
    do="Switch RDB snapshots on, or attest the disk's IOPS",
    now=(
        SET_SAVE,
        (
            "Keep the AOF for now. Or, if the disk gives {limits.least_disk_iops:count} IOPS or more, "
            "attest disk_iops."
        ),
    ),
    durable=SAVE_LINES,
    verify=SAVE_ANSWERS,
    risk=(
        "Switch the AOF off only after a good snapshot, and with CONFIG SET: a restart that finds "
        "neither begins with an empty dataset. " + FIRST_SAVE
    ),
    undo=SAVE_UNDO,
    dragonfly=_DRAGONFLY,
    upstash=_UPSTASH,
    elasticache=_ELASTICACHE,
    memorydb=_MEMORYDB,
)


@dataclass(frozen=True)
class DurabilityLimits(Limits):
    """The I/O operations per second that a disk must give before an AOF alone will do."""

    least_disk_iops: int = 10_000


class Loss(NamedTuple):
    """What a crash may lose at worst: seconds of changes, or None where nothing bounds it."""

    window_s: int | None

    @property
    def text(self) -> str:
        if self.window_s is None:
            return "a crash may lose changes of any age"
        if not self.window_s:
            return "a crash loses nothing that was confirmed"
        return f"a crash loses up to {duration(self.window_s)}"

    def evidence(self) -> dict[str, JSON]:
        bounded = {} if self.window_s is None else {"loss_window_s": self.window_s}
        return {"loss": self.text, **bounded}


@rule(
    id="redis.durability",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis keeps its data through a crash",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{persistence}; {loss}",
    required="RDB on, or AOF on ≥ {limits.least_disk_iops:count} IOPS",
    reads="INFO persistence, CONFIG GET save and appendfsync: one batch",
    limits=DurabilityLimits(),
    core=True,
    remediation={"off": SAVE, "aof-only": AOF_ONLY, CONTRADICTED: ANEW},
)
def durability(facts: PairFacts, limits: DurabilityLimits) -> Verdict:
    """Judge whether RDB snapshots or an AOF are on; the evidence is the worst-case loss (seconds).

    Writes that waited for the disk again and again beat the IOPS attested. Where the provider
    runs persistence, or keeps CONFIG closed, no protocol tells it: the attestation
    managed_durability decides, until a restart has cost most keys.

    Source: S0 and S1 prefer RDB; AOF wants a disk of 10,000 IOPS, which is attested.
    """
    redis = known(facts.redis)
    attested = or_else(facts.attested, NOTHING_ATTESTED)
    if redis.engine.is_managed or (redis.engine.is_provided and isinstance(redis.save, Missing)):
        return _managed(facts, redis, attested)
    is_aof_on = or_else(redis.aof_enabled, default=False)
    iops = or_else(attested.disk_iops, 0)
    is_slow = isinstance(facts.since, Since) and is_slow_for_long(facts.since.slow_fsync_looks)
    loss = Loss(_loss_s(redis))
    if is_aof_on and iops >= limits.least_disk_iops and not is_slow:
        return passed(persistence=_told(redis), disk_iops=iops, **loss.evidence())
    if _has_snapshots(redis):
        return passed(persistence=_told(redis), **loss.evidence())
    return _without_snapshots(redis, loss, limits, iops, is_slow=is_slow)


def _has_snapshots(redis: RedisFacts) -> bool:
    """Tell whether snapshots are taken: by save points, or by Dragonfly's schedule."""
    cron = redis.snapshot_cron
    if not isinstance(cron, Missing):
        return bool(cron)
    return bool(known(redis.save))


def _without_snapshots(
    redis: RedisFacts, loss: Loss, limits: DurabilityLimits, iops: int, *, is_slow: bool
) -> Verdict:
    wanted: dict[str, JSON] = {
        "wanted_save": listed(WANTED_SAVE),
        "save": listed(or_else(redis.save, ())),
    }
    if isinstance(redis.snapshot_cron, Missing) and known(redis.aof_enabled):
        attested = f"{iops:,} IOPS are attested" if iops else "the disk's IOPS are not attested"
        if iops:
            wanted["disk_iops"] = iops
        if iops and is_slow:
            attested += ", although writes had to wait for the disk again and again"
        return failed(
            f"Only the AOF is on, and {attested}; switch RDB on, or attest "
            f"{limits.least_disk_iops:,} IOPS or more",
            short="AOF only, RDB snapshots are off",
            severity=Severity.WARNING,
            cause="aof-only",
            persistence="AOF only",
            **wanted,
            **loss.evidence(),
        )
    return failed(
        "RDB snapshots are off and no AOF is on: a restart or crash would lose all data; switch RDB on",
        short="Persistence is off",
        severity=Severity.CRITICAL,
        cause="off",
        persistence="off",
        **wanted,
        loss="a crash may lose everything",
    )


def _managed(facts: PairFacts, redis: RedisFacts, attested: Attested) -> Verdict:
    label = redis.engine.label
    if isinstance(attested.managed_durability, Missing):
        return unknown(
            "unattested",
            f"{label} runs persistence itself and tells nothing of it: attest managed_durability",
        )
    told: dict[str, JSON] = {"persistence": f"run by {label}"}
    if attested.managed_durability:
        return _vouched_for(facts, redis, told)
    return failed(
        f"{label} is attested to keep its data through no crash; switch durability on",
        short="The provider does not keep data",
        severity=Severity.CRITICAL,
        cause="off",
        **told,
        wanted_save=listed(WANTED_SAVE),
        save=[],
        loss="a crash may lose everything",
    )


def _vouched_for(facts: PairFacts, redis: RedisFacts, told: dict[str, JSON]) -> Verdict:
    """Judge durability that a person vouches for by what the last restart has left.

    A finding stays until the loss is accepted (pair.data-intact): its baseline holds till then.
    """
    since = facts.since
    before = 0 if isinstance(since, Missing) else or_else(since.baseline_keys_count, 0)
    keys = redis.keys_by_database
    now = before if isinstance(keys, Missing) else keys.get(str(redis.database), 0)
    has_lost = before >= LEAST_LOST_COUNT and before - now >= before * LOST_RATIO
    if not has_lost or isinstance(since, Missing) or since.is_restarted is not True:
        keeps = Severity.CRITICAL if has_lost else None
        return passed(keeps=keeps, **told, loss="durability is attested")
    return failed(
        f"{redis.engine.label} is attested to keep its data, and came back from a restart with "
        f"{now:,} of {before:,} keys; it must keep them",
        short=f"Restart left {now:,} of {before:,} keys",
        severity=Severity.CRITICAL,
        cause=CONTRADICTED,
        claim="managed_durability",
        keys_count=now,
        baseline_keys_count=before,
        **told,
        loss=f"{before - now:,} keys in one restart",
    )


def _loss_s(redis: RedisFacts) -> int | None:
    """Return the worst-case loss in seconds: of AOF and RDB, whichever keeps more.

    Between snapshots a single change waits for the shortest save point of one change; without
    such a point it may wait for ever.
    """
    fsync = or_else(redis.appendfsync, "")
    windows = [seconds for seconds, changes in or_else(redis.save, ()) if changes <= 1]
    if redis.aof_enabled is True and fsync in FSYNC_LOSS_S:
        windows.append(FSYNC_LOSS_S[fsync])
    return min(windows, default=None)


def _told(redis: RedisFacts) -> str:
    save = or_else(redis.save, ())
    cron = or_else(redis.snapshot_cron, "")
    parts = [
        f"RDB {pairs(save)}" if save else "",
        f"snapshots at {cron}" if cron else "",
        "AOF" if redis.aof_enabled is True else "",
    ]
    return " and ".join(part for part in parts if part)

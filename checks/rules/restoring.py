"""Would a copy bring Redis back? Whole, and of a likely size."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import fmean
from typing import Final, NamedTuple

from checks.facts import BackupFacts, Copy, Missing, PairFacts, Unknown, readable
from checks.render import percent, size
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
from checks.rules.backup import NO_COPY, why_not, with_source

SIZE: Final = "backup.size"
_NEXT: Final = "Verify now, beside the source on the pair's Backups page, must find it intact."
UNSEEN: Final = "the provider's snapshots are only attested: nothing of them can be read"

# --- Whole

_DAMAGED = (
    "A copy that is cut off or changed restores nothing: {engine} refuses to start with it, and that "
    "is found out on the day it is needed."
)
COPY_ANEW = Remediation(
    when="the copy is damaged",
    why=_DAMAGED,
    do="Copy a fresh dump, whole, and find out what cut it off",
    now=(
        "Make a fresh dump, wait until LASTSAVE moves on, and copy it under a new name:",
        Code("BGSAVE"),
        Code("LASTSAVE"),
        "Look for what broke the copy: a full disk, a transfer that ended early, a text-mode transfer.",
    ),
    durable="Let the job copy to a temporary name and rename it when it is done; let it compare the "
    "sizes of both sides.",
    verify=_NEXT,
    risk="Keep the older good copy until the new one is verified.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
    dragonfly=Steps(
        now=(
            "Make a fresh dump in the RDB format, and copy it under a new name:",
            Code("SAVE RDB"),
            "Look for what broke the copy: a full disk, a transfer that ended early.",
        )
    ),
)
SUM_ON = Remediation(
    when="the copy has no checksum",
    why="Without its checksum nobody can tell whether a copy is what {engine} wrote: a flipped bit "
    "comes back as a wrong value, or not at all.",
    do="Switch rdbchecksum on",
    now="Set rdbchecksum yes in {conf} on {host} and restart {engine} at a quiet hour: it cannot be "
    "changed while the server runs.",
    durable=Code("rdbchecksum yes"),
    verify=_NEXT,
    risk="EmailEngine waits while Redis restarts and loads; saving costs a tenth more CPU.",
    undo=Code("rdbchecksum no"),
    effect=Effect.RESTART,
)


@rule(
    id="backup.intact",
    kind=Kind.REQUIREMENT,
    group=Group.BACKUP,
    title="The newest copy of each source is whole",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{state}",
    required="header, end mark and checksum right",
    reads="The last verified copies: no command to Redis",
    remediation={"damaged": COPY_ANEW, "no-checksum": SUM_ON},
)
def intact(facts: PairFacts, _: Limits) -> Verdict:
    """Judge what reading the newest copy of each source proved; the worst source decides.

    A copy that only its own job has seen proves nothing here. An empty one is backup.size's.

    Source: S0 and S1, backups that can be restored; a dump's header, end mark and CRC64.
    """
    backup = with_source(facts)
    copies = [one.newest for one in backup.sources if not isinstance(one.newest, Missing)]
    if not backup.sources:
        return unknown("undetermined", UNSEEN)
    if not copies:
        raise Unknown(NO_COPY)
    for state, severity, cause in _WORSE:
        for copy in copies:
            if copy.state == state:
                return failed(
                    f"The copy {copy.name} is {_SAID[state]}: {copy.text}; it must be whole",
                    short=f"Backup {_SAID[state]}"[:40],
                    severity=severity,
                    cause=cause,
                    state=_SAID[state],
                    copy=copy.name,
                )
    proven = [copy for copy in copies if copy.state == "intact"]
    doubtful = [copy for copy in copies if copy.state not in ("intact", "reported")]
    if proven and not doubtful:
        return passed(state="intact", copy=proven[0].name)
    raise Unknown(_why_doubtful((doubtful or copies)[0]))


_WORSE: Final = (
    ("corrupt", Severity.CRITICAL, "damaged"),
    ("truncated", Severity.CRITICAL, "damaged"),
    ("unchecked", Severity.WARNING, "no-checksum"),
)
_SAID: Final = {
    "corrupt": "corrupt",
    "truncated": "truncated",
    "unchecked": "without a checksum",
}


def _why_doubtful(copy: Copy) -> Missing:
    match copy.state:
        case "empty":
            return Missing("depends_on", f"{copy.name} is empty", SIZE)
        case "reported":
            text = (
                f"{copy.name} was seen by its own job alone: with a directory or a bucket it can be "
                "verified"
            )
            return Missing("undetermined", text)
    return why_not(copy)


# --- Of a likely size

LOOK_INTO = Remediation(
    when="its size changed much",
    why="A copy that is suddenly far smaller may be of an emptied or another Redis; one that is far "
    "larger fills the place where copies are kept.",
    do="Find out why the copy's size changed",
    now=(
        "Compare with what Redis holds now, database by database:",
        Code("INFO keyspace"),
        "Where data was lost, keep the older copies: switch off whatever deletes them.",
    ),
    durable="Nothing to set: when the new size is the right one, it becomes the mean.",
    verify="After a few copies of the new size this closes by itself.",
    risk="Do not let the retention of the copies go on while you look: it deletes the last good ones.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)
NO_BYTES = Remediation(
    when="the copy is empty",
    why="A file without a byte restores an empty Redis.",
    do="Make the job write a copy with something in it",
    now=(
        (
            "Run the backup job by hand on {host} and read what it says: most often the disk is full, or "
            "the command before a pipe failed."
        ),
        "See that a fresh dump is there to copy:",
        Code("BGSAVE"),
    ),
    durable="Begin a shell job with set -eu and, in bash, set -o pipefail, so that it stops at its "
    "first failure.",
    verify=_NEXT,
    risk="Keep the older good copy.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)


@dataclass(frozen=True)
class SizeLimits(Limits):
    """How far from the mean a size may be (0 to 1), and of how many earlier copies there is a mean."""

    warn_change_ratio: float = 0.50
    least_copies_count: int = 3


class Sized(NamedTuple):
    """The newest good copy of one source beside the mean of those before it."""

    change_ratio: float
    name: str
    size_bytes: int
    mean_bytes: int


@rule(
    id=SIZE,
    kind=Kind.OPERATION,
    group=Group.BACKUP,
    title="A new copy is about as large as those before it",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{state}",
    required="within {limits.warn_change_ratio:percent} of the mean",
    reads="The last verified copies; used_memory as evidence beside them",
    limits=SizeLimits(),
    remediation={"empty": NO_BYTES, "changed": LOOK_INTO},
)
def copy_size(facts: PairFacts, limits: SizeLimits) -> Verdict:
    """Judge the newest good copy's size against the mean of the good ones before it (ratio, 0 to 1).

    Sizes are of the dump itself, however it is packed. The worst source decides. What Redis holds
    now stands beside it as evidence: a dump is smaller than the memory it fills.

    Source: ours.
    """
    backup = with_source(facts)
    if not backup.sources:
        return unknown("undetermined", UNSEEN)
    copies = [one.newest for one in backup.sources if not isinstance(one.newest, Missing)]
    if not copies:
        raise Unknown(NO_COPY)
    live = _live(facts)
    if empty := next((copy for copy in copies if copy.state == "empty"), None):
        return failed(
            f"The copy {empty.name} is empty; it must hold the data",
            short="Backup is empty",
            severity=Severity.CRITICAL,
            cause="empty",
            state="empty",
            **live,
        )
    found = sorted(_sized(backup, limits), reverse=True)
    if not found:
        text = f"fewer than {limits.least_copies_count} good copies before the newest: no mean yet"
        return unknown("no_history", text, **live)
    return _against_mean(found[0], limits, live)


def _against_mean(worst: Sized, limits: SizeLimits, live: dict[str, JSON]) -> Verdict:
    seen: dict[str, JSON] = {
        "state": f"{size(worst.size_bytes)}, mean {size(worst.mean_bytes)}",
        "size_bytes": worst.size_bytes,
        "mean_bytes": worst.mean_bytes,
        "change_ratio": worst.change_ratio,
        "copy": worst.name,
        **live,
    }
    if worst.change_ratio <= limits.warn_change_ratio:
        return passed(**seen)
    return failed(
        f"The copy {worst.name} is {size(worst.size_bytes)}, those before it {size(worst.mean_bytes)} "
        f"on average; it should be within {percent(limits.warn_change_ratio)}",
        short=f"Backup {size(worst.size_bytes)}, mean {size(worst.mean_bytes)}",
        severity=Severity.WARNING,
        cause="changed",
        **seen,
    )


def _live(facts: PairFacts) -> dict[str, JSON]:
    if isinstance(facts.redis, Missing):
        return {}
    return readable(used_memory_bytes=facts.redis.used_memory_bytes)


def _sized(backup: BackupFacts, limits: SizeLimits) -> list[Sized]:
    found = []
    for one in backup.sources:
        if isinstance(one.good, Missing) or isinstance(one.good.size_bytes, Missing):
            continue
        if len(one.earlier_bytes) < max(1, limits.least_copies_count):
            continue
        mean = fmean(one.earlier_bytes)
        if mean:
            change = abs(one.good.size_bytes - mean) / mean
            found.append(Sized(change, one.good.name, one.good.size_bytes, int(mean)))
    return found

"""Did a copy bring Redis back? The restores that drills have proven."""

from __future__ import annotations

from dataclasses import dataclass

from checks.facts import Missing, PairFacts, Restore, Unknown, readable
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
from checks.rules.backup import DAY_S, NO_COPY, with_source
from checks.rules.restoring import UNSEEN

_HOPE = (
    "A copy that was never restored is a hope. A drill loads it into a scratch server, counts its "
    "keys, and measures how long a real restore would take."
)
DRILL = Remediation(
    when="a drill is due",
    why=_HOPE,
    do="Let a drill restore the newest copy",
    now="Drill now, on the pair's Backups page: a worker loads the newest good copy into a scratch "
    "server and destroys it.",
    durable="Leave the weekly drills of this pair switched on.",
    verify="The drill must end with matching key counts.",
    risk="Redis is not touched: the scratch server is the worker's own, without network, with caps on "
    "memory and time.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)
DRILL_FAILED = Remediation(
    when="the last drill failed",
    why=_HOPE + " The last one failed: on the day it counts, the restore would too.",
    do="Make a copy that can be restored",
    now=(
        (
            "The drill's own words on the pair's Backups page say what it met: a damaged file, a format "
            "newer than any server installed on the worker, too little memory, keys that were missing."
        ),
        "Make a fresh copy, then Drill now:",
        Code("BGSAVE"),
    ),
    durable="Keep a server of the newest version in use installed on the workers.",
    verify="The next drill must end with matching key counts.",
    risk="Keep the older copies until a drill has passed.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
    dragonfly=Steps(
        now=(
            "The drill's own words on the pair's Backups page say what it met.",
            "Make a fresh copy in the RDB format, then Drill now:",
            Code("SAVE RDB"),
        )
    ),
)


@dataclass(frozen=True)
class RestoreLimits(Limits):
    """How long a proven restore counts, in seconds."""

    warn_age_s: int = 30 * DAY_S


@rule(
    id="backup.restore-proven",
    kind=Kind.REQUIREMENT,
    group=Group.BACKUP,
    title="A restore was proven within {limits.warn_age_s:duration}",
    severity=Severity.CRITICAL,
    source="ours",
    observed="{state}",
    required="within {limits.warn_age_s:duration}, with matching key counts",
    reads="The last restore drills: no command to Redis",
    limits=RestoreLimits(),
    remediation={"due": DRILL, "failed": DRILL_FAILED},
)
def restore_proven(facts: PairFacts, limits: RestoreLimits) -> Verdict:
    """Judge the last drill that came to an end, and its age in seconds.

    A drill that could not be done, for want of a server or of room, proves nothing either way.

    Source: ours.
    """
    backup = with_source(facts)
    if not backup.sources:
        return unknown("undetermined", UNSEEN)
    if all(isinstance(one.newest, Missing) for one in backup.sources):
        raise Unknown(NO_COPY)
    if isinstance(backup.restore, Missing):
        why = f": {backup.restore_trouble}" if backup.restore_trouble else ""
        return failed(
            f"No restore has been proven yet{why}; a drill should prove one",
            short="No restore proven yet",
            severity=Severity.INFO,
            cause="due",
            state="none yet",
        )
    return _of_drill(backup.restore, limits)


def _of_drill(last: Restore, limits: RestoreLimits) -> Verdict:
    ago = f"{duration(last.age_s)} ago"
    seen: dict[str, JSON] = {
        "age_s": last.age_s,
        **readable(load_s=last.load_s, lost_s=last.lost_s),
    }
    if not last.is_passed:
        return failed(
            f"The last restore drill failed: {last.text}; it must bring back what was saved",
            short="Restore drill failed",
            severity=Severity.CRITICAL,
            cause="failed",
            state=f"failed {ago}",
            **seen,
        )
    if last.age_s <= limits.warn_age_s:
        return passed(state=f"proven {ago}", **seen)
    return failed(
        f"The last restore was proven {ago}; it should be within {duration(limits.warn_age_s)}",
        short=f"Restore proven {ago}",
        severity=Severity.WARNING,
        cause="due",
        state=f"proven {ago}",
        **seen,
    )

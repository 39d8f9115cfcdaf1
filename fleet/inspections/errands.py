"""What waits for dispatch: one question, asked every other second.

What sees to it asks once more, with its locks, and decides; but on most ticks there is nothing, and
six statements of their own would cost more than half a tick.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from fleet.backups.schedule import HAS_WORK
from fleet.inspections import connection_test, dryrun
from fleet.inspections.blind import HAS_DOUBTS
from fleet.inspections.schedule import HAS_DUE, HAS_UNSCHEDULED
from fleet.registry.arrays import rows_of


class Errands(NamedTuple):
    """Is there any? due: pairs · doubts: a zone or worker to check itself · unscheduled: new pairs."""

    due: bool
    doubts: bool
    unscheduled: bool
    tests: bool
    dry_runs: bool
    backups: bool


ASK: Final = (
    f"SELECT {HAS_DUE}, {HAS_DOUBTS}, {HAS_UNSCHEDULED},"
    f" {connection_test.HAS_UNSENT}, {dryrun.HAS_UNSENT}, {HAS_WORK}"
)


def errands(now: datetime) -> Errands:
    """Tell what waits. One query."""
    params = {
        "now": now,
        "lost": now - dryrun.LOST_AFTER,
        "sent_again": now - dryrun.SENT_AGAIN_AFTER,
    }
    return Errands(*rows_of(ASK, params)[0])

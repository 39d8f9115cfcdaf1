"""When did each of our tasks last come to its end? One that hangs or is never called is noticed by it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from fleet.registry.arrays import run

# Written down at most so often: these tasks run every ten seconds.
EVERY: Final = timedelta(seconds=20)
_ENDED: Final = """
INSERT INTO alerts_turn (name, ended_at) VALUES (%b, %b)
ON CONFLICT (name) DO UPDATE SET ended_at = excluded.ended_at WHERE alerts_turn.ended_at < %b
"""


def ended(name: str, now: datetime) -> None:
    """Write down that the task of this name came to its end. One query."""
    run(_ENDED, [name, now, now - EVERY])

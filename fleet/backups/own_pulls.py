"""When may a server have saved because we pulled? By its own clock, for the rules on its saves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from checks.facts import OwnPull
from fleet.registry.arrays import rows_of

# A pull that did not end well may have left a save under way: it is over after so long. Ours.
OVER_AFTER_S: Final = 6 * 3600.0
_READ: Final = """
SELECT DISTINCT ON (target_id) target_id, extract(epoch FROM pull_began_at)::float8,
    extract(epoch FROM pull_ended_at)::float8
FROM backups_backupsource
WHERE target_id = ANY(%b::int8[]) AND pull_began_at IS NOT NULL
ORDER BY target_id, pull_began_at DESC
"""


def own_pulls(target_ids: Sequence[int]) -> dict[int, OwnPull]:
    """Give the last pull of each of these pairs, in one query; a pair never pulled is absent."""
    return {
        target_id: OwnPull(began_s, began_s + OVER_AFTER_S if ended_s is None else ended_s)
        for target_id, began_s, ended_s in rows_of(_READ, [list(target_ids)])
    }

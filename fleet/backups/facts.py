"""What rules may see of pairs' copies: the sources that are on, their newest copies, the last drills."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

from checks.backups import CopyState
from checks.facts import (
    NOT_READ,
    REASONS,
    BackupFacts,
    Copy,
    CopySource,
    Missing,
    Restore,
)
from fleet.backups.models import Artefact, Drill
from fleet.registry.arrays import rows_of

State = Artefact.State
GOOD: Final = (State.INTACT, State.UNCHECKED, State.REPORTED)
# Good copies per source: the newest, and those that the mean is taken of.
MOST_GOOD: Final = 11
NO_COPY: Final = Missing("no_history", "no copy has been looked at yet")
NO_DRILL: Final = Missing("no_history", "no drill has come to an end yet")
NOT_SAID: Final = Missing("undetermined", "its size was not told")

_SOURCES: Final = """
SELECT s.target_id, s.id, s.label, s.kind, s.interval_s, s.grace_s, s.last_text
FROM backups_backupsource s
WHERE s.target_id = ANY(%b::int8[]) AND s.is_enabled
ORDER BY s.target_id, s.label, s.id
"""
_REGISTERED: Final = "SELECT id, created_at FROM registry_target WHERE id = ANY(%b::int8[])"
# Of each source the newest copy that was looked at, and the newest good ones; a copy that is gone
# brings nothing back, but its size still counts for the mean.
_COPIES: Final = """
SELECT s.id, a.* FROM unnest(%b::int8[]) AS s(id)
CROSS JOIN LATERAL (
    (SELECT key, state, text, reason, content_at, stored_at, seen_at, gone_at,
        coalesce(size_bytes, stored_bytes)
     FROM backups_artefact WHERE source_id = s.id AND state <> 'seen' AND gone_at IS NULL
     ORDER BY stored_at DESC LIMIT 1)
    UNION ALL
    (SELECT key, state, text, reason, content_at, stored_at, seen_at, gone_at,
        coalesce(size_bytes, stored_bytes)
     FROM backups_artefact
     WHERE source_id = s.id AND state IN ('intact', 'unchecked', 'reported')
     ORDER BY stored_at DESC LIMIT %b)
) a
"""
_DRILLS: Final = """
SELECT DISTINCT ON (target_id, outcome = 'not_done')
    target_id, outcome, text, ended_at, load_ms, lost_s
FROM backups_drill WHERE target_id = ANY(%b::int8[])
ORDER BY target_id, outcome = 'not_done', ended_at DESC
"""


class Row(NamedTuple):
    """One artefact as the query gives it."""

    key: str
    state: str
    text: str
    reason: str
    content_at: datetime | None
    stored_at: datetime | None
    seen_at: datetime
    gone_at: datetime | None
    size_bytes: int | None


def backup_facts(target_ids: Sequence[int], now: datetime) -> dict[int, BackupFacts]:
    """Give what is known of these pairs' copies, by target id; four queries, whatever their number."""
    if not target_ids:
        return {}
    ids = list(target_ids)
    sources = rows_of(_SOURCES, [ids])
    copies = _copies([row[1] for row in sources])
    drills = _drills(ids, now)
    by_target: dict[int, list[CopySource]] = defaultdict(list)
    for target_id, source_id, *columns in sources:
        by_target[target_id].append(_source(columns, copies.get(source_id, []), now))
    return {
        target_id: BackupFacts(
            (now - created_at).total_seconds(),
            tuple(by_target.get(target_id, ())),
            *drills.get(target_id, (NO_DRILL, "")),
        )
        for target_id, created_at in rows_of(_REGISTERED, [ids])
    }


def _copies(source_ids: Sequence[int]) -> Mapping[int, list[Row]]:
    found: dict[int, list[Row]] = defaultdict(list)
    for source_id, *columns in rows_of(_COPIES, [list(source_ids), MOST_GOOD]):
        found[source_id].append(Row(*columns))
    return found


def _source(columns: Sequence[Any], rows: Sequence[Row], now: datetime) -> CopySource:
    label, kind, interval_s, grace_s, trouble = columns
    there = [row for row in rows if row.gone_at is None]
    good = [row for row in there if row.state in GOOD]
    newest = max(there, key=_stored, default=None)
    best = max(good, key=_age_from, default=None)
    earlier = sorted({row for row in rows if row.state in GOOD} - {best}, key=_stored)
    return CopySource(
        label=label,
        kind=kind,
        interval_s=interval_s,
        grace_s=grace_s,
        newest=_copy(newest, now) if newest else NO_COPY,
        good=_copy(best, now) if best else NO_COPY,
        earlier_bytes=tuple(row.size_bytes for row in earlier if row.size_bytes is not None),
        trouble=trouble,
    )


def _stored(row: Row) -> datetime:
    return row.stored_at or row.seen_at


def _age_from(row: Row) -> datetime:
    """Give the time of a copy's content; one that does not say is as old as where it lies."""
    return row.content_at or _stored(row)


def _copy(row: Row, now: datetime) -> Copy:
    why = NOT_READ
    if row.state == State.UNREADABLE:
        reason: Any = row.reason if row.reason in REASONS else "undetermined"
        why = Missing(reason, f"{row.key}: {row.text}")
    return Copy(
        name=row.key,
        state=cast("CopyState", row.state),  # the column's constraint holds the same words
        text=row.text,
        age_s=max(0.0, (now - _age_from(row)).total_seconds()),
        size_bytes=NOT_SAID if row.size_bytes is None else row.size_bytes,
        why=why,
    )


def _drills(
    target_ids: Sequence[int], now: datetime
) -> Mapping[int, tuple[Restore | Missing, str]]:
    """Give each pair's last drill that came to an end, and why a later one could not be done."""
    ended: dict[int, tuple[datetime, Restore]] = {}
    undone: dict[int, tuple[datetime, str]] = {}
    for target_id, outcome, text, ended_at, load_ms, lost_s in rows_of(_DRILLS, [list(target_ids)]):
        if outcome == Drill.Outcome.NOT_DONE:
            undone[target_id] = (ended_at, text)
            continue
        ended[target_id] = (
            ended_at,
            Restore(
                is_passed=outcome == Drill.Outcome.PASSED,
                age_s=max(0.0, (now - ended_at).total_seconds()),
                text=text,
                load_s=NO_DRILL if load_ms is None else load_ms / 1000,
                lost_s=NO_DRILL if lost_s is None else float(lost_s),
            ),
        )
    found: dict[int, tuple[Restore | Missing, str]] = {}
    for target_id in {*ended, *undone}:
        last_at, last = ended.get(target_id, (None, NO_DRILL))
        tried_at, why = undone.get(target_id, (None, ""))
        is_later = tried_at is not None and (last_at is None or tried_at > last_at)
        found[target_id] = (last, why if is_later else "")
    return found

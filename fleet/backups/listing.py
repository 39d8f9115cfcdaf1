"""What a listing showed, into artefacts: new ones, those that are gone, those that came back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from fleet.backups.models import Artefact, BackupSource
from fleet.backups.places import MOST_KEPT, Seen

# Clocks of stores and workers differ by less, as a rule. Ours.
SKEW: Final = timedelta(minutes=1)


def keep_in_mind(source: BackupSource, found: Sequence[Seen], now: datetime) -> int:
    """Write a whole listing, newest first, into artefacts; returns how many are new.

    A time stamp in the future counts as of now: nothing is fresher than when it was first seen.
    """
    known = {
        (row.key, row.version): row
        for row in source.artefacts.only("key", "version", "gone_at", "source_id")
    }
    there = {(one.key, one.version) for one in found}
    _mark(source, [row.pk for name, row in known.items() if name not in there], now)
    _mark(source, [row.pk for name, row in known.items() if name in there and row.gone_at], None)
    new = [one for one in found[:MOST_KEPT] if (one.key, one.version) not in known]
    Artefact.objects.bulk_create(
        [_artefact(source, one, now) for one in new], ignore_conflicts=True
    )
    return len(new)


def _mark(source: BackupSource, ids: Sequence[int], gone_at: datetime | None) -> None:
    rows = source.artefacts.filter(pk__in=ids)
    (rows.filter(gone_at=None) if gone_at else rows).update(gone_at=gone_at)


def _artefact(source: BackupSource, one: Seen, now: datetime) -> Artefact:
    ahead = one.stored_at - now
    remark = "its time stamp lies in the future: it counts as of when it was first seen"
    return Artefact(
        source=source,
        key=one.key,
        version=one.version,
        seen_at=now,
        stored_at=min(one.stored_at, now),
        stored_bytes=one.stored_bytes,
        text=remark if ahead > SKEW else "",
    )

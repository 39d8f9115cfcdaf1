"""Looks at a source and verifies what is new in it: streamed, and never judged while it moves."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from checks.facts import Missing
from checks.probes.rdb import Dump, read_dump
from checks.probes.rdb_keys import Databases
from fleet.backups.bucket import Bucket
from fleet.backups.directory import Directory
from fleet.backups.drill_plan import plan
from fleet.backups.jobs import Clock, Holding, Lease, finish, recording
from fleet.backups.listing import keep_in_mind
from fleet.backups.models import Artefact, BackupJob, BackupSource
from fleet.backups.places import MOST_KEPT, Moving, Place, Trouble
from fleet.backups.sealing import KeyMissing, SealBroken
from fleet.backups.stores import Unsealed, store_of

logger = logging.getLogger(__name__)
State = Artefact.State
# What a dump may unpack to: it is only streamed, but a bomb would hold a thread for hours. Ours.
MOST_BYTES: Final = 256 * 1024**3
# So many copies are read in one look, until a good one is found.
MOST_READ: Final = 5
GOOD: Final = (State.INTACT, State.UNCHECKED)
BAD: Final = (State.TRUNCATED, State.CORRUPT, State.EMPTY)
# These do not pass: the others are tried again at the next look.
LASTING: Final = ("protocol", "too_large")
SKEW: Final = timedelta(minutes=1)
# What a dump that was unsealed cannot tell of its file.
AS_STORED: Final = frozenset({"stored_bytes", "sha256"})


def place_of(source: BackupSource, now: datetime) -> Place:
    """Give where a source's copies lie, for the kinds whose place can be listed."""
    if source.kind == BackupSource.Kind.PULL:
        return Unsealed(store_of(source))
    if source.kind == BackupSource.Kind.BUCKET:
        return Bucket(source)
    return Directory(source, now)


def run(job: BackupJob, lease: Lease, clock: Clock) -> None:
    """Verify the artefact asked for, or look at the source and verify what is new."""
    source = job.source
    if source is None:
        raise ValueError(f"job {job.pk} names no source to verify")
    try:
        place = place_of(source, clock())
        if job.artefact:
            _verify(place, job.artefact, lease, clock)
        else:
            _look(place, source, lease, clock)
    except Trouble as trouble:
        _end(source, lease, clock(), trouble)
    else:
        _end(source, lease, clock(), None)


def _end(source: BackupSource, lease: Lease, now: datetime, trouble: Trouble | None) -> None:
    """Write how the source stands, and end the job with it; a look that works ends its trial."""
    rows = BackupSource.objects.filter(pk=source.pk)
    with recording(lease):
        if trouble is None:
            rows.update(last_looked_at=now, last_ok_at=now, last_reason="", last_text="")
            rows.filter(is_on_trial=True).update(is_on_trial=False, is_enabled=True)
            finish(lease, BackupJob.State.DONE, now)
            return
        rows.update(last_looked_at=now, last_reason=trouble.reason, last_text=str(trouble))
        finish(lease, BackupJob.State.FAILED, now, reason=trouble.reason, error=str(trouble))


def _look(place: Place, source: BackupSource, lease: Lease, clock: Clock) -> None:
    """List the source, and read copies from the newest on until one is good."""
    found = place.listing()
    with recording(lease):
        keep_in_mind(source, found, clock())
    for artefact in _unsettled(source):
        if _verify(place, artefact, lease, clock) in GOOD:
            return


def _unsettled(source: BackupSource) -> list[Artefact]:
    """List what is newer than the newest good copy and not known to be bad, newest first."""
    there = source.artefacts.filter(gone_at=None).order_by("-stored_at", "-key")
    unread: list[Artefact] = []
    for artefact in there[:MOST_KEPT]:
        if artefact.state in GOOD or len(unread) == MOST_READ:
            break
        is_lasting = artefact.state == State.UNREADABLE and artefact.reason in LASTING
        if artefact.state not in BAD and not is_lasting:
            unread.append(artefact)
    return unread


def _verify(place: Place, artefact: Artefact, lease: Lease, clock: Clock) -> str:
    """Read one copy and write down what that proved; returns its state."""
    holding = Holding(lease, clock, artefact.stored_bytes)
    try:
        with place.pieces(artefact.key, artefact.version) as pieces:
            counted = _Counted(pieces, holding)
            dump = read_dump(counted.pieces(), MOST_BYTES, counted.tick)
    except Moving as moving:
        logger.info("not verified artefact=%d: %r", artefact.pk, str(moving))
        return artefact.state
    except Trouble as trouble:
        learnt: dict[str, Any] = unreadable(Missing(trouble.reason, str(trouble)))
    except KeyMissing as missing:
        learnt = unreadable(Missing("undetermined", str(missing)))
    except SealBroken as broken:
        state = State.TRUNCATED if broken.is_cut else State.CORRUPT
        learnt = {"state": state, "reason": "", "text": str(broken)}
    else:
        learnt = unreadable(dump) if isinstance(dump, Missing) else proved(dump, artefact)
        if artefact.source.kind == BackupSource.Kind.PULL:  # as stored it is sealed
            learnt = {name: value for name, value in learnt.items() if name not in AS_STORED}
    with recording(lease):
        Artefact.objects.filter(pk=artefact.pk).update(**learnt, verified_at=clock())
        if learnt["state"] in GOOD:
            plan(artefact.source.target_id, clock())
    logger.info("verified artefact=%d state=%s", artefact.pk, learnt["state"])
    return str(learnt["state"])


class _Counted:
    """Tells the lease how far a reading is, also while much comes out of few bytes."""

    def __init__(self, pieces: Iterable[bytes], holding: Holding) -> None:
        self._pieces = pieces
        self._holding = holding
        self._done_bytes = 0

    def pieces(self) -> Iterator[bytes]:
        for piece in self._pieces:
            self._done_bytes += len(piece)
            self.tick()
            yield piece

    def tick(self) -> None:
        self._holding.at(self._done_bytes)


def unreadable(missing: Missing) -> dict[str, Any]:
    """Give the columns of a copy about which nothing could be proved."""
    return {"state": State.UNREADABLE, "reason": missing.reason, "text": missing.text}


def proved(dump: Dump, artefact: Artefact) -> dict[str, Any]:
    """Give the columns of a copy that was read to its end."""
    said = dump.said
    content_at, remark = content_time(said.created_at_s, artefact.stored_at or artefact.seen_at)
    counted = dump.databases
    uncounted = counted.text if dump.is_whole and isinstance(counted, Missing) else ""
    return {
        "state": State(dump.state.value),
        "reason": "",
        "text": "; ".join(filter(None, (dump.text, remark, uncounted))),
        "content_at": content_at,
        "stored_bytes": dump.stored_bytes,
        "size_bytes": dump.size_bytes,
        "sha256": dump.sha256,
        "wrapping": dump.wrapping.value,
        "magic": dump.magic,
        "rdb_version": None if isinstance(dump.version, Missing) else dump.version,
        "server_version": "" if isinstance(said.server_version, Missing) else said.server_version,
        "keys": {} if isinstance(counted, Missing) else keys_by_database(counted),
    }


def keys_by_database(databases: Databases) -> dict[str, int]:
    """Give the counts as columns of ours hold them, by the database's number."""
    return {str(number): count.keys for number, count in sorted(databases.items())}


def content_time(created_at_s: int | Missing, stored_at: datetime) -> tuple[datetime, str]:
    """Say of when the content is, never later than it was stored, and what is odd about that."""
    if isinstance(created_at_s, Missing):
        return stored_at, "it does not say when it was made: its age is that of the file"
    ahead = timedelta(seconds=created_at_s - stored_at.timestamp())
    if ahead <= timedelta(0):
        return stored_at + ahead, ""
    remark = f"the server's clock was {ahead.total_seconds():.0f} s ahead of the store's"
    return stored_at, remark if ahead > SKEW else ""

"""Pulls a copy of a pair's whole dataset: only where that is safe, verified as it comes, kept sealed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from django.db.models import F

from checks.address import AddressError
from checks.facts import Missing, RedisFacts
from checks.probes.rdb import Dump, Wrapping, read_dump
from checks.probes.redis_target import RedisTarget, endpoint
from checks.probes.replica import Incoming, PullBounds, PullError, PullTarget, pulling
from fleet.backups.copies import Kept, Store, Writing, name_of
from fleet.backups.drill_plan import plan
from fleet.backups.jobs import Clock, Holding, Lease, finish, is_live, recording
from fleet.backups.live import look, others_on_host, server_of_pair, server_time
from fleet.backups.models import Artefact, BackupJob, BackupSource
from fleet.backups.packing import Packer
from fleet.backups.pings import PingWatch
from fleet.backups.places import Trouble
from fleet.backups.retention import Copy, Keep, to_remove
from fleet.backups.room import LOOK_AGAIN
from fleet.backups.room import look as look_at_room
from fleet.backups.safety import Room, SafetyLimits, refusals
from fleet.backups.stores import store_of
from fleet.backups.verify import GOOD, MOST_BYTES, proved
from fleet.registry.attested import attested
from fleet.registry.sealed import SecretError, reveal, ring_keys

logger = logging.getLogger(__name__)
# A pull that takes longer holds a fork and a thread for nothing. Ours.
MOST_S: Final = 6 * 3600.0
# A refusal cost nothing and may be over soon; a failure cost a fork.
AGAIN_AFTER_REFUSAL: Final = timedelta(minutes=10)
AGAIN_AFTER_FAILURE: Final = timedelta(hours=1)
LIMITS: Final = SafetyLimits()


class Refused(Trouble):
    """It would not be safe now; every reason stands in the text."""


def run(job: BackupJob, lease: Lease, clock: Clock) -> None:
    """Pull one copy. Killed anywhere, the next attempt removes what this one left."""
    source = job.source
    if source is None:
        raise ValueError(f"job {job.pk} names no source to pull to")
    is_asked = job.asked_by_id is not None
    try:
        store = store_of(source)
        _Attempt(source, store, lease, clock).run()
    except (PullError, Trouble) as error:
        wait = AGAIN_AFTER_REFUSAL if isinstance(error, Refused) else AGAIN_AFTER_FAILURE
        _fail(source, lease, clock(), error, None if is_asked else wait)
    else:
        _thin_out(source, store, clock())
    if source.destination == BackupSource.Destination.DIRECTORY:
        look_at_room(clock(), LOOK_AGAIN)


def _fail(
    source: BackupSource,
    lease: Lease,
    now: datetime,
    error: PullError | Trouble,
    wait: timedelta | None,
) -> None:
    """Write why there is no copy; a pull by the timetable is tried again before its next turn."""
    rows = BackupSource.objects.filter(pk=source.pk)
    with recording(lease):
        rows.update(last_looked_at=now, last_reason=error.reason, last_text=str(error))
        if wait is not None:
            rows.filter(next_due_at__gt=now + wait).update(next_due_at=now + wait)
        finish(lease, BackupJob.State.FAILED, now, reason=error.reason, error=str(error))


class _Attempt:
    """One attempt under one claim."""

    def __init__(self, source: BackupSource, store: Store, lease: Lease, clock: Clock) -> None:
        self._source = source
        self._store = store
        self._lease = lease
        self._clock = clock
        self._began_at = clock()

    def run(self) -> None:
        """Look, pull, keep and record; raises PullError, Trouble, Lost and Cancelled."""
        source = self._source
        if not source.is_enabled:
            raise Refused("not_configured", "agentless pull is switched off for this pair")
        swept = _sweep(source, self._store, self._clock())
        logger.info("pulling source=%d swept=%d", source.pk, swept)
        server, puller, key = _revealed(source)
        redis = look(server)
        self._refuse(redis)
        self._announce(redis)
        self._pull(server, puller, key, redis)

    def _refuse(self, redis: RedisFacts) -> None:
        reasons = refusals(redis, self._room(redis), LIMITS)
        if reasons:
            raise Refused(reasons[0].reason, "; ".join(one.text for one in reasons))

    def _room(self, redis: RedisFacts) -> Room:
        """Take attested RAM before what the server sees, which in a container is its host's."""
        target_id = self._source.target_id
        said = attested([target_id], self._clock()).get(target_id)
        ram = said.ram_bytes if said else Missing("unattested", "ram_bytes is not attested")
        is_attested = not isinstance(ram, Missing)
        return Room(
            ram if is_attested else redis.system_memory_bytes,
            is_attested,
            others_on_host(self._source.target.pair),
            disk_free_bytes=self._store.free_bytes(),
        )

    def _announce(self, redis: RedisFacts) -> None:
        """Write that we are about to make the server save: its next save may be ours."""
        began_at = server_time(redis, self._clock())
        with recording(self._lease):
            BackupSource.objects.filter(pk=self._source.pk).update(
                pull_began_at=began_at, pull_ended_at=None
            )

    def _pull(self, server: RedisTarget, puller: PullTarget, key: bytes, redis: RedisFacts) -> None:
        source = self._source
        bounds = PullBounds(MOST_BYTES, MOST_S, source.bandwidth_bytes_per_s or 0)
        holding = Holding(self._lease, self._clock)
        kept: Kept | None = None
        writing = self._store.begin(name_of(self._lease, self._began_at))
        try:
            packer = Packer(writing, key)
            with (
                PingWatch(server) as pings,
                pulling(puller, bounds, waiting=partial(holding.at, 0)) as incoming,
            ):
                holding.total_bytes = incoming.announced_bytes
                dump = _sound(read_dump(_taken(incoming, packer, holding), MOST_BYTES))
            kept = packer.keep()
            self._record(kept, dump, packer, self._felt(pings, redis))
        except BaseException:
            self._discard(writing, kept)
            raise

    def _discard(self, writing: Writing, kept: Kept | None) -> None:
        """Leave nothing; what cannot be removed now, the next attempt sweeps."""
        try:
            writing.drop()
            if kept:
                self._store.remove(*kept)
        except Trouble as trouble:
            logger.warning("left for the next pull source=%d: %s", self._source.pk, trouble)

    def _felt(self, pings: PingWatch, redis: RedisFacts) -> dict[str, int | None]:
        felt, trips = pings.felt, redis.round_trips
        return {
            "pull_ping_idle_us": None if isinstance(trips, Missing) else round(trips.median_us),
            "pull_ping_median_us": felt.median_us if felt else None,
            "pull_ping_max_us": felt.max_us if felt else None,
        }

    def _record(self, kept: Kept, dump: Dump, packer: Packer, felt: dict[str, int | None]) -> None:
        """Write the copy and the end of the job in one transaction: before it, there is none."""
        now = self._clock()
        row = Artefact(stored_at=now, seen_at=now)
        took = now - self._began_at
        learnt: dict[str, Any] = {
            **proved(dump, row),
            **felt,
            "stored_bytes": packer.stored_bytes,
            "sha256": packer.sha256,
            "wrapping": Wrapping.ZSTD.value,
            "stored_at": now,
            "verified_at": now,
            "gone_at": None,
            "duration_ms": took // timedelta(milliseconds=1),
        }
        with recording(self._lease):
            Artefact.objects.update_or_create(
                source=self._source,
                key=kept.key,
                version=kept.version,
                defaults=learnt,
                create_defaults={**learnt, "seen_at": now},
            )
            BackupSource.objects.filter(pk=self._source.pk).update(
                last_looked_at=now,
                last_ok_at=now,
                last_reason="",
                last_text="",
                pull_ended_at=F("pull_began_at") + took,
            )
            plan(self._source.target_id, now)
            finish(self._lease, BackupJob.State.DONE, now)
        logger.info("pulled source=%d bytes=%d", self._source.pk, dump.size_bytes)


def _sweep(source: BackupSource, store: Store, now: datetime) -> int:
    """Remove what killed attempts left: unfinished copies, and whole ones that nobody recorded.

    A recorded copy that is no longer there is marked as gone.
    """
    is_under_way = partial(is_live, now=now)
    swept = store.sweep(is_under_way)
    found = store.listing()
    there = source.artefacts.filter(gone_at=None)
    unlisted = there.exclude(key__in=[one.key for one in found]).only("key", "version")
    gone = [one.pk for one in unlisted if not store.holds(one.key, one.version)]
    there.filter(pk__in=gone).update(gone_at=now)
    known = set(there.values_list("key", flat=True))
    for one in found:
        attempt = store.attempt(one.key)
        if one.key not in known and attempt and not is_under_way(attempt):
            store.remove(one.key, one.version)
            swept += 1
    return swept


def _revealed(source: BackupSource) -> tuple[RedisTarget, PullTarget, bytes]:
    """Give the monitoring account's target, the pull's, and the key to seal with; or Trouble."""
    try:
        server = server_of_pair(source.target.pair)
        password = reveal(source.pull_password)
        key = ring_keys()[0]
    except (SecretError, AddressError) as error:
        raise Trouble("undetermined", str(error)) from None
    puller = PullTarget(endpoint(server), source.pull_user, password, server.rules)
    return server, puller, key


def _taken(incoming: Incoming, packer: Packer, holding: Holding) -> Iterator[bytes]:
    """Let each piece be kept and judged; the lease is renewed on the way."""
    for piece in incoming.pieces():
        packer.add(piece)
        holding.at(incoming.done_bytes)
        yield piece


def _sound(found: Dump | Missing) -> Dump:
    """Give a dump that is whole; PullError says why it is none."""
    if isinstance(found, Missing):
        raise PullError(found.reason, f"what came is no dump: {found.text}")
    if not found.is_whole or found.wrapping is not Wrapping.NONE:
        raise PullError("protocol", f"what came is {found.state}: {found.text}")
    return found


def _thin_out(source: BackupSource, store: Store, now: datetime) -> None:
    """Remove what no period wants any more; what cannot be removed now is tried after the next pull."""
    rows = {row.pk: row for row in source.artefacts.filter(gone_at=None)}
    copies = [
        Copy(pk, row.content_at or row.seen_at, row.state in GOOD) for pk, row in rows.items()
    ]
    keep = Keep(source.keep_hourly, source.keep_daily, source.keep_weekly, source.keep_monthly)
    for pk in to_remove(copies, keep):
        try:
            store.remove(rows[pk].key, rows[pk].version)
        except Trouble as trouble:
            logger.warning("not removed artefact=%d: %s", pk, trouble)
        else:
            Artefact.objects.filter(pk=pk).update(gone_at=now)

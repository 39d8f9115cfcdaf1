"""Restores the newest good copy of a pair into a scratch server: only that proves a backup."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, Final

import redis
from django.db.models import F

from checks.address import AddressError
from checks.facts import Missing
from checks.probes.rdb import HEAD_BYTES, MAGICS, BadPacking, Dump, read_dump
from checks.probes.rdb_head import HEADER_BYTES, Said, read_head
from checks.probes.rdb_keys import Databases
from checks.render import size
from fleet.backups import scratch
from fleet.backups.drill_plan import put_off
from fleet.backups.jobs import Clock, Holding, Lease, finish, recording
from fleet.backups.live import look, server_of_pair
from fleet.backups.models import Artefact, BackupJob, Drill
from fleet.backups.opening import plain_copy
from fleet.backups.places import Moving, Trouble
from fleet.backups.readers import Reader, choose, installed
from fleet.backups.restored import FAMILIES, Restored, RestoreLimits, remarks, shortfalls
from fleet.backups.scratch import Scratch, ScratchEnded, ScratchTooSlow
from fleet.backups.sealing import SealBroken
from fleet.backups.verify import GOOD, MOST_BYTES, keys_by_database
from fleet.registry.models import Target
from fleet.registry.sealed import SecretError

logger = logging.getLogger(__name__)
Outcome = Drill.Outcome
# A restore that takes longer than this is not what one waits for. Ours.
MOST_S: Final = 3600.0
# Of the memory that is free here a drill takes this share at most, and a dataset so many times what
# its server used: another server packs it otherwise. Ours.
MEMORY_SHARE: Final = 0.5
MEMORY_TIMES: Final = 1.5
LIMITS: Final = RestoreLimits()
# One word for two things: our own reading of the dump tells them apart.
SHORT_OR_OOM: Final = "Short read or OOM"
# What a server writes before it ends, and what it means; the first found counts. Source: rdb.c.
LAST_WORDS: Final = (
    ("Can't handle RDB format version", Outcome.NOT_DONE, "no_reader"),
    ("Out Of Memory", Outcome.NOT_DONE, "too_large"),
    ("configured to handle more than", Outcome.NOT_DONE, "too_large"),
    ("module data I can't load", Outcome.NOT_DONE, "no_reader"),
    ("Wrong signature", Outcome.FAILED, "corrupt"),
    ("Wrong RDB checksum", Outcome.FAILED, "corrupt"),
    ("Unexpected EOF", Outcome.FAILED, "corrupt"),
    (SHORT_OR_OOM, Outcome.FAILED, "corrupt"),
    ("Internal error in RDB", Outcome.FAILED, "corrupt"),
    ("Terminating server after rdb file reading failure", Outcome.FAILED, "corrupt"),
)


@dataclass
class Result:
    """What came of a drill, in the columns of Drill."""

    outcome: str = Outcome.NOT_DONE
    reason: str = ""
    text: str = ""
    reader: str = ""
    load_ms: int | None = None
    keys: dict[str, int] = field(default_factory=dict)
    artefact_keys: dict[str, int] = field(default_factory=dict)
    live_keys: dict[str, int] = field(default_factory=dict)
    families: dict[str, int] = field(default_factory=dict)


def run(job: BackupJob, lease: Lease, clock: Clock) -> None:
    """Drill the copy asked for, or the pair's newest good one, and write down what came of it."""
    scratch.sweep()
    began_at = clock()
    artefact = job.artefact or newest_good(job.target)
    result = Result(reason="not_configured", text="there is no verified copy to restore")
    if artefact is not None:
        result = _drill(job.target, artefact, Holding(lease, clock, artefact.size_bytes), began_at)
    _record(job, artefact, result, lease, began_at, clock())


def newest_good(target: Target) -> Artefact | None:
    """Give a pair's newest copy that was read to its end and is still there."""
    good = Artefact.objects.filter(source__target=target, state__in=GOOD, gone_at=None)
    newest_first = F("content_at").desc(nulls_last=True)
    return good.select_related("source__target__tenant").order_by(newest_first, "-pk").first()


def _record(
    job: BackupJob,
    artefact: Artefact | None,
    result: Result,
    lease: Lease,
    began_at: datetime,
    now: datetime,
) -> None:
    content_at = artefact.content_at if artefact else None
    lost_s = int((began_at - content_at).total_seconds()) if content_at else None
    with recording(lease):
        Drill.objects.create(
            target=job.target,
            artefact=artefact,
            asked_by_id=job.asked_by_id,
            started_at=began_at,
            ended_at=now,
            lost_s=lost_s if lost_s is None else max(0, lost_s),
            **vars(result),
        )
        if result.outcome == Outcome.NOT_DONE:
            put_off(job.target_id, now)
        finish(lease, BackupJob.State.DONE, now)
    logger.info("drilled target=%d outcome=%s", job.target_id, result.outcome)


def _drill(target: Target, artefact: Artefact, holding: Holding, now: datetime) -> Result:
    """Restore one copy; whatever stands in the way is a result. Raises Lost and Cancelled."""
    result = Result(artefact_keys=artefact.keys)
    live = _live_keys(target)
    try:
        with plain_copy(artefact, now) as pieces:
            _restore(target, pieces, holding, live, result)
    except (Trouble, Moving) as error:
        reason = error.reason if isinstance(error, Trouble) else "undetermined"
        result.outcome, result.reason, result.text = Outcome.NOT_DONE, reason, str(error)
    except (SealBroken, BadPacking) as error:
        result.outcome, result.reason, result.text = Outcome.FAILED, "corrupt", str(error)
    except ScratchTooSlow as error:
        result.outcome, result.reason, result.text = Outcome.NOT_DONE, "timeout", str(error)
    except ScratchEnded as error:
        result.outcome, result.reason, result.text = told(error)
    except redis.exceptions.RedisError as error:
        text = f"the scratch server loaded it and then did not answer ({type(error).__name__})"
        result.outcome, result.reason, result.text = Outcome.NOT_DONE, "timeout", text
    return result


def _restore(
    target: Target,
    pieces: Iterator[bytes],
    holding: Holding,
    live: dict[str, int] | Missing,
    result: Result,
) -> None:
    """Load a dump and count what came back. Raises Trouble where it cannot be tried here."""
    head = _head(pieces)
    said = read_head(head)
    reader = _reader(head, said)
    allowed = memory_allowed(said)
    result.reader = reader.name
    began_s = time.monotonic()
    with scratch.scratch(reader, allowed, MOST_S) as server:
        progress = _Progress(holding)
        fed = server.fed(progress.counted(chain([head], pieces)), progress.tick)
        dump = read_dump(fed, MOST_BYTES, progress.tick)
        copy_keys = counted_in(dump)
        if not isinstance(copy_keys, Missing):
            result.artefact_keys = keys_by_database(copy_keys)
        try:
            server.wait(progress.tick)
        except ScratchEnded as error:
            raise sorted_out(error, dump, allowed) from None
        result.load_ms = round(1000 * (time.monotonic() - began_s))
        result.keys = server.keys_by_database()
        if not isinstance(live, Missing):
            # A server that was asked and holds none in a database is known to: 0, and not nothing.
            result.live_keys = dict.fromkeys(result.keys, 0) | live
        result.families = families_of(server, target)
    _decide(_restored(target, copy_keys, live, result), result)


def _decide(restored: Restored, result: Result) -> None:
    """Let what is missing fail the drill, and tell what else a person should know."""
    missing = shortfalls(restored, LIMITS)
    result.outcome = Outcome.FAILED if missing else Outcome.PASSED
    result.reason = "incomplete" if missing else ""
    all_back = f"{sum(restored.keys.values()):,} keys came back"
    result.text = "; ".join([*(missing or [all_back]), *remarks(restored, LIMITS)])


def counted_in(dump: Dump | Missing) -> Databases | Missing:
    """Give the keys that a dump holds, by database."""
    return dump if isinstance(dump, Missing) else dump.databases


def sorted_out(error: ScratchEnded, dump: Dump | Missing, allowed: int) -> ScratchEnded | Trouble:
    """Tell memory that ran out from a dump that is cut: the one we read to its checksum is whole."""
    if isinstance(dump, Dump) and dump.is_whole and SHORT_OR_OOM in error.log:
        text = (
            f"the copy is whole, and the scratch server ran out of the {size(allowed)} it may take"
        )
        return Trouble("too_large", text)
    return error


def _head(pieces: Iterator[bytes]) -> bytes:
    head = b""
    while len(head) < HEAD_BYTES and (piece := next(pieces, b"")):
        head += piece
    return head


def _reader(head: bytes, said: Said) -> Reader:
    """Choose a server that can load this; Trouble names the format where none is here."""
    magic = next((one for one in MAGICS if head.startswith(one)), b"")
    digits = head[len(magic) : HEADER_BYTES]
    if not magic or len(head) < HEADER_BYTES or not digits.isdigit():
        raise BadPacking("it does not begin as a dump does")
    made_by = "valkey" if magic == b"VALKEY" else "redis"
    here = installed()
    found = choose(here, magic.decode(), int(digits), made_by)
    if found is None:
        names = ", ".join(one.name for one in here) or "none"
        wrote = "" if isinstance(said.server_version, Missing) else f" of {said.server_version}"
        text = f"no server here loads {magic.decode()} format {int(digits)}{wrote}; here: {names}"
        raise Trouble("command_unavailable", text)
    return found


def memory_allowed(said: Said) -> int:
    """Say how much memory a drill may take now, in bytes; Trouble where the dataset wants more."""
    allowed = int(free_memory() * MEMORY_SHARE)
    used = said.used_memory_bytes
    if not isinstance(used, Missing) and used * MEMORY_TIMES > allowed:
        raise Trouble(
            "too_large",
            f"its server used {size(used)}; a drill here may take {size(allowed)} "
            f"({MEMORY_SHARE:.0%} of the free memory), and wants {MEMORY_TIMES:g} times as much",
        )
    return allowed


def free_memory() -> int:
    """Say how much memory this process' machine or container has left, in bytes."""
    words = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
    free = int(words["MemAvailable"].split()[0]) * 1024
    group = Path("/sys/fs/cgroup")  # version 2; elsewhere the machine's own counts alone
    try:
        most, now = (
            (group / name).read_text().strip() for name in ("memory.max", "memory.current")
        )
    except OSError:
        return free
    return free if most == "max" else min(free, max(0, int(most) - int(now)))


class _Progress:
    """Tells the lease how far a restore is, and that it goes on."""

    def __init__(self, holding: Holding) -> None:
        self._holding = holding
        self._done_bytes = 0

    def counted(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self._done_bytes += len(piece)
            yield piece

    def tick(self) -> None:
        self._holding.at(self._done_bytes)


def families_of(server: Scratch, target: Target) -> dict[str, int]:
    """Count EmailEngine's own keys in its database of a restored copy; a wrong kind counts as none."""
    pair = target.pair
    prefix = f"{pair.emailengine_prefix}:" if pair.emailengine_prefix else ""
    found: dict[str, int] = {}
    with server.client(database_of(target)) as client:
        for family, key in FAMILIES.items():
            try:
                found[family] = _count(client, prefix + key)
            except redis.exceptions.ResponseError:
                found[family] = 0
    return found


def _count(client: Any, key: str) -> int:
    return int(client.scard(key) if key.endswith("ia:accounts") else client.hlen(key))


def database_of(target: Target) -> int:
    """Say which database is the pair's."""
    try:
        return server_of_pair(target.pair).address.database
    except (SecretError, AddressError):
        return 0


def _live_keys(target: Target) -> dict[str, int] | Missing:
    """Count the live server's keys by database; Missing where it cannot be asked now."""
    try:
        found = look(server_of_pair(target.pair)).keys_by_database
    except Trouble as trouble:
        return Missing(trouble.reason, str(trouble))
    except (SecretError, AddressError) as error:
        return Missing("undetermined", str(error))
    return found if isinstance(found, Missing) else dict(found)


def _restored(
    target: Target,
    copy_keys: Databases | Missing,
    live: dict[str, int] | Missing,
    result: Result,
) -> Restored:
    last = target.drills.filter(outcome=Outcome.PASSED).order_by("-ended_at").first()
    return Restored(
        keys=result.keys,
        copy_keys=copy_keys,
        live_keys=live,
        families=result.families,
        families_before=last.families if last else {},
        has_emailengine=bool(target.pair.emailengine_url),
    )


def told(error: ScratchEnded) -> tuple[str, str, str]:
    """Say what a server's end means: outcome, reason and a sentence."""
    for words, outcome, reason in LAST_WORDS:
        line = next((line for line in error.log.splitlines() if words in line), "")
        if line:
            said = line.partition(words)[1] + line.partition(words)[2]
            return outcome, reason, f"{error}: {said[:200].strip()}"
    return Outcome.NOT_DONE, "undetermined", f"{error}; its log does not say why"

"""The engine room of a worker process: one event loop in a thread, and who waits for its visits.

Shards are handed in by Celery's threads; the loop visits and judges their pairs, many at once.
(Judging there too spares the process the fight of two threads for Python's lock.) What a shard
saw is collected until it is complete or its patience is over; what comes later is recorded by a
thread of its own, so that a slow target delays neither its shard nor the next one.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import resource
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from django.utils import timezone

from checks.facts import Missing
from checks.probes.pair import Clients, PairReading, probe_pair
from fleet.inspections.judge import Seen, judge
from fleet.inspections.load import Due
from fleet.inspections.pump import Pump
from fleet.inspections.space import Space
from fleet.registry.policies import Policies

logger = logging.getLogger(__name__)

PATIENCE_S: Final = 2.0
# Visits in a burst: as many as checks/gate.py lets exchange data, for more would only wait there,
# and look slow. Among the slow ones most do nothing but wait. A burst that reads everything takes us
# 0.1 s of CPU itself: who is counted for less is taken for stuck while it is we who are busy, and a
# busy worker begins hundreds.
BURST: Final = 64
SLOW_BURST: Final = 128
COUNTED_FOR_S: Final = 0.25
SLOW_COUNTED_FOR_S: Final = 0.5
BATCH_S: Final = 0.5  # latecomers are gathered for this long before they are recorded
BATCH: Final = 200
STOP_WITHIN_S: Final = 1.5
# Visits in hand at once, until they are recorded: each holds up to 40 kB, and Python does not give
# back what many small objects have taken once. 15 s each at the worst, 2 s where nothing answers.
MOST_QUICK: Final = 600
MOST_SLOW: Final = 1_000
FILES_PER_VISIT: Final = 2
FILES_OF_OURS: Final = 200


@dataclass
class Collection:
    """The arrivals of one shard; after `close` each further one goes to `late`."""

    expected: int
    policies: Policies
    space: Space
    late: Callable[[tuple[Seen, Space]], None]
    arrivals: list[Seen] = field(default_factory=list)
    is_closed: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)
    done: threading.Event = field(default_factory=threading.Event)

    def add(self, arrival: Seen) -> None:
        """Take one arrival; called by the loop's thread."""
        with self.lock:
            if self.is_closed:
                self.late((arrival, self.space))
                return
            self.arrivals.append(arrival)
            if len(self.arrivals) == self.expected:
                self.done.set()

    def close(self, patience_s: float) -> list[Seen]:
        """Wait for all, at most this long, and give what arrived.

        It is not kept here: a visit that comes late holds its collection for as long as it takes.
        """
        self.done.wait(patience_s)
        with self.lock:
            self.is_closed = True
            arrived, self.arrivals = self.arrivals, []
            return arrived


Job = tuple[Due, Collection, Clients]
Read = tuple[Due, datetime, PairReading, Collection]


class Room:
    """One per process; made on first use, after any fork, and stopped with the worker."""

    def __init__(
        self,
        record_late: Callable[[Sequence[Seen]], None],
        most_quick: int = MOST_QUICK,
        most_slow: int = MOST_SLOW,
    ) -> None:
        self._record_late = record_late
        self._late: queue.SimpleQueue[tuple[Seen, Space] | None] = queue.SimpleQueue()
        share = _files() / FILES_PER_VISIT / (MOST_QUICK + MOST_SLOW)
        self._quick, self._slow = (
            Space(min(most, int(share * most) or 1)) for most in (most_quick, most_slow)
        )
        self._loop = asyncio.new_event_loop()
        self._is_open = threading.Event()
        self._clients: Clients | None = None
        self._pumps = tuple(
            Pump(self._visit_one, burst, patience_s)
            for burst, patience_s in ((BURST, COUNTED_FOR_S), (SLOW_BURST, SLOW_COUNTED_FOR_S))
        )
        self._read: list[Read] = []
        self._threads = (
            threading.Thread(target=self._run, name="visits", daemon=True),
            threading.Thread(target=self._keep_recording, name="latecomers", daemon=True),
        )
        for thread in self._threads:
            thread.start()
        self._is_open.wait()

    @contextmanager
    def visited(
        self,
        count: int,
        load: Callable[[], Sequence[Due]],
        policies: Policies,
        *,
        is_slow: bool = False,
    ) -> Iterator[list[Seen] | None]:
        """Load so many pairs once there is room, and visit them; what arrived is recorded in the block.

        Quick ones are waited for as long as patience lasts, slow ones not at all: the rest is
        recorded as it comes. None where there is no room for slow ones.
        """
        space = self._slow if is_slow else self._quick
        if not space.take(count, PATIENCE_S if is_slow else None):
            yield None
            return
        held = count
        try:
            dues = load()
            space.free(count - len(dues))
            held = len(dues)
            arrivals = self._visit(dues, policies, space)
            held = len(arrivals)
            yield arrivals
        finally:
            space.free(held)

    def _visit(self, dues: Sequence[Due], policies: Policies, space: Space) -> list[Seen]:
        if not dues:
            return []
        collection = Collection(len(dues), policies, space, self._late.put)
        is_slow = space is self._slow
        self._loop.call_soon_threadsafe(self._begin, dues, collection, is_slow)
        return collection.close(0.0 if is_slow else PATIENCE_S)

    def stop(self, within_s: float = STOP_WITHIN_S) -> None:
        """Let what is under way finish for a moment, then end; what is cut off keeps its lease."""
        deadline = time.monotonic() + within_s
        for space in (self._quick, self._slow):
            space.wait_until_empty(max(0.0, deadline - time.monotonic()))
        self._loop.call_soon_threadsafe(self._end)
        self._late.put(None)
        for thread in self._threads:
            thread.join(max(0.1, deadline - time.monotonic()))

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._is_open.set)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._close())
        finally:
            self._loop.close()

    async def _close(self) -> None:
        for pump in self._pumps:
            await pump.stop()
        if self._clients:
            await self._clients.close()

    def _end(self) -> None:
        self._loop.stop()

    def _begin(self, dues: Sequence[Due], collection: Collection, is_slow: bool) -> None:  # noqa: FBT001  a callback
        if self._clients is None:
            self._clients = Clients()
        self._pumps[is_slow].add((due, collection, self._clients) for due in dues)

    async def _visit_one(self, job: Job) -> None:
        due, collection, clients = job
        at = timezone.now()
        reading = await read(due, clients)
        if not self._read:
            self._loop.call_soon(self._judge_all)
        self._read.append((due, at, reading, collection))

    def _judge_all(self) -> None:
        """Judge what was read in one turn of the loop in a row, which halves the cost of each."""
        read, self._read = self._read[::-1], []
        try:
            while read:
                due, at, reading, collection = read[-1]
                collection.add(judged(due, at, reading, collection.policies))
                read.pop()
        finally:
            for *_, collection in read:  # lost to a fault of our own
                collection.space.free(1)

    def _keep_recording(self) -> None:
        """Record latecomers in batches until the room is stopped."""
        while (first := self._late.get()) is not None:
            batch = self._gathered(first)
            del first
            try:
                self._record_late([seen for seen, _space in batch])
            except Exception:  # the thread's outermost door: the next batch must still be recorded
                logger.exception("late visits not recorded count=%s", len(batch))
            finally:
                while batch:  # nothing is held of them while the next is waited for
                    batch.pop()[1].free(1)

    def _gathered(self, first: tuple[Seen, Space]) -> list[tuple[Seen, Space]]:
        """Take what comes within BATCH_S, at most a batch of it."""
        batch, ends_at = [first], time.monotonic() + BATCH_S
        while len(batch) < BATCH:
            try:
                arrival = self._late.get(timeout=max(0.0, ends_at - time.monotonic()))
            except queue.Empty:
                break
            if arrival is None:
                self._late.put(None)
                break
            batch.append(arrival)
        return batch


async def read(due: Due, clients: Clients) -> PairReading:
    """Visit one pair. A fault of our own code is logged and recorded as undetermined, never as a verdict."""
    target = due.reach.target
    if isinstance(target, Missing):
        return _unread(due, target)
    try:
        return await probe_pair(target, due.cadences, clients)
    except Exception as error:  # the outermost door of a visit: one pair must not end the others
        logger.exception("visit failed pair=%s", due.target_id)
        return _unread(due, Missing("undetermined", f"the visit failed: {type(error).__name__}"))


def judged(due: Due, at: datetime, reading: PairReading, policies: Policies) -> Seen:
    """Judge one reading; what our own code cannot judge is logged and recorded as undetermined."""
    policy = policies.of(*due.home)
    try:
        return judge(due, at, reading, policy)
    except Exception as error:  # as above: one pair must not end the others
        logger.exception("judging failed pair=%s", due.target_id)
        why = Missing("undetermined", f"the judging failed: {type(error).__name__}")
        return judge(due, at, _unread(due, why), policy)


def _unread(due: Due, why: Missing) -> PairReading:
    return PairReading(why, why, (), 0.0, due.cadences)


def _files() -> int:
    """Raise this process's limit of open files as far as allowed; give what is left for visits."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = (MOST_QUICK + MOST_SLOW) * FILES_PER_VISIT + FILES_OF_OURS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    available = wanted if soft == resource.RLIM_INFINITY else soft
    return max(available - FILES_OF_OURS, FILES_OF_OURS)

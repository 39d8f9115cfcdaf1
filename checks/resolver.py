"""Names to addresses, in threads of our own, so that dead names do not delay live ones.

The event loop's resolver has six threads on two cores, and libc may hold each
for 10 s and more over a name nobody answers for. Here a name whose lookup
overran waits in a lane of its own, and a name that answered keeps one free.
A name whose turn did not come in time is not called dead.
"""

import asyncio
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from math import inf

DEADLINE_S = 2.0
FOUND_S = 30.0
FAILED_S = 5.0
IDLE_THREAD_S = 20.0
MAX_NAMES = 50_000
SLOW_S = 1.0
# Names never heard of have many, for a fleet may begin with hundreds of dead ones. A name that nobody
# answers for holds a thread for 2 s (run/worker.py): the slow ones' come round to 9,700 in 150 s.
UNPROVEN_THREADS, PROVEN_THREADS, SLOW_THREADS = 256, 16, 128

Lookup = Callable[[str], tuple[str, ...]]


@dataclass(frozen=True)
class Answer:
    """A name's addresses in the resolver's order, or why there are none.

    is_unasked: nobody has been asked for it yet, which says nothing of the name.
    """

    addresses: tuple[str, ...] = ()
    error: str = ""
    is_unasked: bool = False


UNASKED = Answer(error="this worker has too many names to look up", is_unasked=True)


class Lane:
    """Daemon threads, made when needed, ended when idle; the oldest job goes first.

    Daemons, because a lookup cannot be interrupted and must not hold up the
    process's end. Oldest first, though no one may wait for it any more: of many
    dead names the same few would be looked up over and over, and one that came
    back never.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._jobs: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition()
        self._threads = self._idle = 0

    def submit(self, job: Callable[[], None]) -> None:
        with self._wake:
            self._jobs.append(job)
            if self._idle >= len(self._jobs):
                self._wake.notify()
            elif self._threads < self._limit:
                self._threads += 1
                threading.Thread(target=self._work, name="resolver", daemon=True).start()

    def _work(self) -> None:
        while job := self._next():
            job()

    def _next(self) -> Callable[[], None] | None:
        with self._wake:
            while not self._jobs:
                self._idle += 1
                woken = self._wake.wait(IDLE_THREAD_S)
                self._idle -= 1
                if not woken and not self._jobs:
                    self._threads -= 1
                    return None
            return self._jobs.popleft()


@dataclass
class _Pending:
    """One lookup under way, and whom to tell."""

    asked_at: float
    begun_at: float = inf
    tell: list[Callable[[Answer], None]] = field(default_factory=list)


@dataclass(frozen=True)
class _Kept:
    answer: Answer
    until: float
    is_slow: bool


def getaddrinfo(name: str) -> tuple[str, ...]:
    """Ask libc; raise OSError or ValueError (a name that cannot be one)."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


class Resolver:
    """A cache over lookups in threads: an answer is kept 30 s, a failure 5 s.

    One lookup per name is under way at a time, however many wait for it.
    It serves any number of event loops.
    """

    def __init__(
        self, lookup: Lookup = getaddrinfo, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._lookup = lookup
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, _Kept] = {}
        self._pending: dict[str, _Pending] = {}
        self._unproven = Lane(UNPROVEN_THREADS)
        self._proven, self._slow = Lane(PROVEN_THREADS), Lane(SLOW_THREADS)

    async def resolve(self, name: str, deadline_s: float = DEADLINE_S) -> Answer:
        """Answer within deadline_s; an error is an answer, not an exception."""
        name = name.rstrip(".").lower()
        kept = self._kept.get(name)
        if kept and self._clock() < kept.until:
            return kept.answer
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[Answer] = loop.create_future()
        overdue = self._ask(name, lambda answer: _settle_soon(loop, waiter, answer), deadline_s)
        if not overdue:
            try:
                async with asyncio.timeout(deadline_s):
                    return await waiter
            except TimeoutError:
                pass
        return self._late(name, deadline_s)

    def _late(self, name: str, deadline_s: float) -> Answer:
        """Say why there is no answer in time; what failed before has failed until its turn comes."""
        with self._lock:
            pending, kept = self._pending.get(name), self._kept.get(name)
        if pending and self._clock() - pending.begun_at >= deadline_s / 2:
            return Answer(error=f"the name {name} was not resolved within {deadline_s:g} s")
        is_told = kept and (pending is None or kept.answer.error)
        return kept.answer if kept and is_told else UNASKED

    def _ask(self, name: str, tell: Callable[[Answer], None], deadline_s: float) -> bool:
        """Join or start the lookup; True where one has been under way for too long already."""
        with self._lock:
            pending = self._pending.get(name)
            if pending is None:
                kept = self._kept.get(name)
                pending = self._pending[name] = _Pending(self._clock())
                self._lane(kept).submit(lambda: self._run(name, pending))
            elif self._clock() - pending.asked_at >= deadline_s:
                return True
            pending.tell.append(tell)
            return False

    def _lane(self, kept: _Kept | None) -> Lane:
        if kept is None:
            return self._unproven
        return self._slow if kept.is_slow else self._proven

    def _run(self, name: str, pending: _Pending) -> None:
        """Look the name up in a thread of a lane, keep the answer, tell who waits."""
        started_at = pending.begun_at = self._clock()
        try:
            answer = Answer(self._lookup(name))
        except (OSError, ValueError) as error:
            answer = Answer(error=f"the name {name} was not resolved: {_why(error)}")
        now = self._clock()
        until = now + (FOUND_S if answer.addresses else FAILED_S)
        with self._lock:
            self._kept.pop(name, None)
            if len(self._kept) >= MAX_NAMES:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = _Kept(answer, until, is_slow=now - started_at > SLOW_S)
            self._pending.pop(name, None)
            waiting = list(pending.tell)
        for tell in waiting:
            tell(answer)


@cache
def resolver() -> Resolver:
    """Return this process's one resolver, made on first use and anew after a fork."""
    return Resolver()


os.register_at_fork(after_in_child=resolver.cache_clear)


def _why(error: OSError | ValueError) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _settle_soon(
    loop: asyncio.AbstractEventLoop, waiter: asyncio.Future[Answer], answer: Answer
) -> None:
    """Hand the answer to its loop, which may have closed since."""
    try:
        loop.call_soon_threadsafe(_settle, waiter, answer)
    except RuntimeError:
        return


def _settle(waiter: asyncio.Future[Answer], answer: Answer) -> None:
    if not waiter.done():
        waiter.set_result(answer)

"""How many connections may exchange data at once: a gate whose passes lapse when they stall."""

import asyncio
from collections import OrderedDict, deque
from weakref import WeakKeyDictionary

EXCHANGING = 64  # performance.md: more in flight starve each other, and the servers beside us
CONNECTING = 1_000
PATIENCE_S = 0.1


class Gate:
    """Let `limit` in at once, first come first served; a full gate retires old passes.

    A target that keeps its pass longer than patience_s while others wait counts no more
    as exchanging data: it keeps its connection, and the next one is let in. So hung
    targets delay a live one by patience_s, never by their own deadline.
    Serves one event loop.
    """

    def __init__(self, limit: int, patience_s: float = PATIENCE_S) -> None:
        self._limit = limit
        self._patience_s = patience_s
        self._passes: OrderedDict[object, float] = OrderedDict()  # oldest first
        self._waiting: deque[asyncio.Future[object]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def inside_count(self) -> int:
        return len(self._passes)

    async def enter(self) -> object:
        """Wait for a pass; give it back with leave()."""
        loop = asyncio.get_running_loop()
        if len(self._passes) < self._limit and not self._waiting:
            return self._admit(loop)
        waiter: asyncio.Future[object] = loop.create_future()
        self._waiting.append(waiter)
        self._watch(loop)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self.leave(waiter.result())
            raise

    def leave(self, token: object) -> None:
        """Give a pass back; one that lapsed already is ignored."""
        self._passes.pop(token, None)
        if self._waiting:
            self._call_next()

    def _admit(self, loop: asyncio.AbstractEventLoop) -> object:
        token = object()
        self._passes[token] = loop.time()
        return token

    def _call_next(self) -> None:
        while self._waiting and len(self._passes) < self._limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(self._admit(waiter.get_loop()))

    def _watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Wake when the oldest pass lapses, as long as someone waits."""
        if self._timer is None:
            oldest = next(iter(self._passes.values()), loop.time())
            self._timer = loop.call_at(oldest + self._patience_s, self._retire, loop)

    def _retire(self, loop: asyncio.AbstractEventLoop) -> None:
        self._timer = None
        stale = loop.time() - self._patience_s
        while self._waiting and self._passes and next(iter(self._passes.values())) <= stale:
            self._passes.popitem(last=False)
            self._call_next()
        if self._waiting:
            self._watch(loop)


_exchanging: WeakKeyDictionary[asyncio.AbstractEventLoop, Gate] = WeakKeyDictionary()
_connecting: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


def exchanging() -> Gate:
    """Return the running loop's gate of 64; a worker process has one loop."""
    loop = asyncio.get_running_loop()
    gate = _exchanging.get(loop)
    if gate is None:
        gate = _exchanging[loop] = Gate(EXCHANGING)
    return gate


def connecting() -> asyncio.Semaphore:
    """Return the running loop's bound of 1,000 connections being made."""
    loop = asyncio.get_running_loop()
    bound = _connecting.get(loop)
    if bound is None:
        bound = _connecting[loop] = asyncio.Semaphore(CONNECTING)
    return bound

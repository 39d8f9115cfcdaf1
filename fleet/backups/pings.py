"""What Redis felt of our pull: PING round trips beside it, from a thread of their own."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from statistics import median
from types import TracebackType
from typing import Final, NamedTuple, Self

from checks.probes.pings import watch_pings
from checks.probes.redis_target import RedisTarget

MOST_KEPT: Final = 20_000  # half an hour's; of a longer pull the last count for the median


class Felt(NamedTuple):
    """Round trips while something ran, in microseconds."""

    median_us: int
    max_us: int


class PingWatch:
    """Measures while the block runs."""

    def __init__(self, target: RedisTarget) -> None:
        self._target = target
        self._over = threading.Event()
        self._last: deque[float] = deque(maxlen=MOST_KEPT)
        self._max_us = 0.0
        self._thread = threading.Thread(target=self._watch, name="pings", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    @property
    def felt(self) -> Felt | None:
        """Sum up; None where no PING was answered."""
        if not self._last:
            return None
        return Felt(round(median(self._last)), round(self._max_us))

    def _watch(self) -> None:
        asyncio.run(watch_pings(self._target, self._take, self._over.is_set))

    def _take(self, rtt_us: float) -> None:
        self._last.append(rtt_us)
        self._max_us = max(self._max_us, rtt_us)

"""What does a server's PING take while something else weighs on it? One connection, again and again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from checks.probes.connection import connect
from checks.probes.redis_target import RedisTarget, endpoint, greeting
from checks.probes.wire import WireError

EVERY_S: Final = 0.1
PATIENCE_S: Final = 5.0


async def watch_pings(
    target: RedisTarget, take: Callable[[float], None], is_over: Callable[[], bool]
) -> None:
    """Send a PING each EVERY_S seconds, as the target's own account, until it is over.

    `take` is given each round trip in microseconds; one without an answer counts as PATIENCE_S and
    is the last. A server that cannot be reached gives none.
    """
    try:
        async with connect(endpoint(target), target.rules) as wire:
            async with asyncio.timeout(PATIENCE_S):
                await wire.pipeline(greeting(target))
            while not is_over():
                async with asyncio.timeout(PATIENCE_S):
                    for rtt_us in (await wire.ping(times=1)).rtts_us:
                        take(rtt_us)
                await asyncio.sleep(EVERY_S)
    except TimeoutError:
        take(PATIENCE_S * 1_000_000)
    except WireError:
        return

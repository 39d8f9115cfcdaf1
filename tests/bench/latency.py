"""How far off is the round trip we report? 32 in flight against a server that keeps each PING 2 ms."""

import asyncio
from statistics import median, quantiles

from checks.egress import EgressRules
from checks.probes.connection import connect
from checks.probes.wire import Endpoint
from tests.live.test_wire import sleeper

IN_FLIGHT, ROUNDS = 32, 12
RULES = EgressRules(allow_loopback=True)


def measure() -> tuple[float, float]:
    """Median and 95th percentile of the error in microseconds: reported minus kept by the server.

    The server tells for how long it kept each PING, from the kernel's stamp on its arrival: with
    32 at once they queue there, which is its time and not the path's.
    """
    with sleeper() as port:
        errors_us = asyncio.run(_errors(port))
    return median(errors_us), quantiles(errors_us, n=20)[-1]


async def _errors(port: int) -> list[float]:
    async def visit() -> float:
        async with connect(Endpoint("127.0.0.1", port), RULES) as wire:
            pings = await wire.ping(10)
            kept = [int(reply) for reply in wire._replies[1:]]
        return abs(median(pings.rtts_us) - median(kept))

    rounds = [await asyncio.gather(*(visit() for _ in range(IN_FLIGHT))) for _ in range(ROUNDS)]
    return [error for errors in rounds for error in errors]

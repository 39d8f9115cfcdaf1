"""What one round of EmailEngine's health, stats and metrics costs us, against its recorded answers."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from aiohttp import web

from checks.address import parse_emailengine_url
from checks.egress import EgressRules
from checks.facts import Missing
from checks.probes.emailengine import EmailEngineTarget, probe_emailengine
from checks.probes.pair import Clients
from tests.checks.pairs import REDIS
from tests.replaying import CAPTURES

RECORDINGS = CAPTURES / "emailengine-2.79.2"
INSTANCES, ROUNDS = 32, 20


def measure() -> float:
    """CPU milliseconds of ours per round, 32 instances at once, kept connections."""
    with serving() as ports:
        return asyncio.run(_rounds(ports))


async def _rounds(ports: list[int]) -> float:
    async with Clients() as clients:
        await _round(ports, clients)
        before = time.process_time()
        for _ in range(ROUNDS):
            await _round(ports, clients)
        return (time.process_time() - before) * 1000 / ROUNDS / len(ports)


async def _round(ports: list[int], clients: Clients) -> None:
    readings = await asyncio.gather(
        *(probe_emailengine(_target(port), clients, with_stats=True, redis=REDIS) for port in ports)
    )
    for reading in readings:
        assert reading.facts.health_status == 200, reading.facts.health_status
        assert not isinstance(reading.facts.queues, Missing), reading.facts.queues
        assert not isinstance(reading.facts.started_at, Missing), reading.facts.started_at


def _target(port: int) -> EmailEngineTarget:
    return EmailEngineTarget(
        parse_emailengine_url(f"http://127.0.0.1:{port}"),
        metrics_token="bench",
        api_token="bench",
        rules=EgressRules(allow_loopback=True),
    )


@contextmanager
def serving() -> Iterator[list[int]]:
    """Serve the recorded answers from a process of its own, on a port for each instance."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.bench.rounds"], stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            yield [int(port) for port in child.stdout.readline().split()]
        finally:
            child.terminate()


async def serve() -> None:
    """Answer until terminated."""
    application = web.Application()
    for path, name, kind in (
        ("/health", "health-ok.json", "application/json"),
        ("/v1/stats", "stats-ok.json", "application/json"),
        ("/metrics", "metrics-ok.txt", "text/plain"),
    ):
        body = (RECORDINGS / name).read_bytes()

        async def answer(
            _request: web.Request, body: bytes = body, kind: str = kind
        ) -> web.Response:
            return web.Response(body=body, content_type=kind)

        application.router.add_get(path, answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    for _ in range(INSTANCES):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(*(port for _host, port in runner.addresses), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())

"""The EmailEngine simulator of the demo: it replays answers recorded from a real EmailEngine 2.79.2.

It is no EmailEngine and says so: its version reads "2.79.2 (simulator)" and its Server header
"pairkeeper-emailengine-simulator". `python -m run.demo.simulator MANIFEST` serves every instance.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import redis.asyncio as redis
from aiohttp import web

from run.children import Child

RECORDINGS = Path(__file__).parent / "recordings"
VERSION = "2.79.2 (simulator)"
SERVER = "pairkeeper-emailengine-simulator"
DATABASE = 0
# EmailEngine's queue workers and event readers, as CLIENT LIST names them (base64 of the queue's name).
CLIENT_NAMES = tuple(
    f"bull:{queue}{reader}"
    for queue in ("bm90aWZ5", "c3VibWl0", "ZG9jdW1lbnRz")
    for reader in ("", ":qe")
)
# The keys without which no EmailEngine starts: a restore drill looks for them in a copy.
ACCOUNTS = ("demo-1", "demo-2", "demo-3", "demo-4")  # as many as were recorded
DEAD_WORKERS_WAITING = 134
REDIS_PING_NS = 406_141  # as recorded
ANSWER_WITHIN_S = 2.0


@dataclass(frozen=True)
class Instance:
    """One simulated EmailEngine: where it listens, its Redis, and what is wrong with it."""

    url: str
    redis_url: str
    redis_password: str = field(repr=False)
    has_dead_workers: bool
    token: str
    started_at: float


def child(manifest: Path) -> Child:
    """Describe the simulator's process; it is ready when every instance takes connections."""
    argv = [sys.executable, "-m", "run.demo.simulator", str(manifest)]
    return Child(name="demo-emailengine", argv=argv, is_ready=lambda: _all_listen(manifest))


def _all_listen(manifest: Path) -> bool:
    for instance in instances(manifest):
        address = urlsplit(instance.url)
        try:
            socket.create_connection((address.hostname, address.port), ANSWER_WITHIN_S).close()
        except OSError:
            return False
    return True


def instances(manifest: Path) -> list[Instance]:
    """Read the instances out of the fleet's manifest."""
    entries = [entry for entry in json.loads(manifest.read_text()) if entry["emailengine_url"]]
    return [
        Instance(
            url=entry["emailengine_url"],
            redis_url=entry["redis_url"],
            redis_password=entry["redis_password"],
            has_dead_workers=entry["emailengine"] == "dead-workers",
            token=entry["metrics_token"],
            started_at=time.time(),
        )
        for entry in entries
    ]


def waiting_count(instance: Instance) -> int:
    """Let mail pile up where nobody works on it."""
    return DEAD_WORKERS_WAITING if instance.has_dead_workers else 0


def stats(instance: Instance, server: Mapping[str, Any]) -> dict[str, Any]:
    """Give the recorded /v1/stats, with this instance's Redis and queues."""
    recorded: dict[str, Any] = json.loads((RECORDINGS / "stats.json").read_text())
    recorded["version"] = VERSION
    recorded["redis"] = server["redis_version"]
    recorded["redisPing"] = REDIS_PING_NS
    recorded["queues"]["submit"] |= {
        "waiting": waiting_count(instance),
        "delayed": 0,
        "total": waiting_count(instance),
    }
    return recorded


def metrics(instance: Instance, server: Mapping[str, Any]) -> str:
    """Give the recorded /metrics page, with the lines of `replaced_lines` put in."""
    page = (RECORDINGS / "metrics.txt").read_text()
    for name, value in replaced_lines(instance, server).items():
        page = re.sub(rf"(?m)^{re.escape(name)} .*$", f"{name} {value}", page)
    page = re.sub(
        r"(?m)^redis_key_count\{.*$",
        f'redis_key_count{{db="db{DATABASE}"}} {keys_count(server)}',
        page,
    )
    page = re.sub(
        r'redis_version\{version="[^"]*"\}',
        f'redis_version{{version="v{server["redis_version"]}"}}',
        page,
    )
    return page.replace('version="v2.79.2"', f'version="v{VERSION}"')


def keys_count(server: Mapping[str, Any]) -> int:
    """Return the keys of our database; INFO leaves an empty one out."""
    database: Mapping[str, int] = server.get(f"db{DATABASE}", {})
    return database.get("keys", 0)


def replaced_lines(instance: Instance, server: Mapping[str, Any]) -> dict[str, object]:
    """Name what differs from the recording, by metric."""
    return {
        "process_start_time_seconds": int(instance.started_at),
        "license_days_remaining": -1,
        'queue_size{queue="submit",state="waiting"}': waiting_count(instance),
        'queue_size{queue="submit",state="delayed"}': 0,
        "redis_uptime_in_seconds": server["uptime_in_seconds"],
        "redis_connected_clients": server["connected_clients"],
        "redis_memory_used_bytes": server["used_memory"],
        "redis_memory_max_bytes": server["maxmemory"] or server["total_system_memory"],
        "redis_evicted_keys_total": server["evicted_keys"],
    }


def application(instance: Instance, client: redis.Redis) -> web.Application:
    """Offer the three pages that Pairkeeper reads; all else is 404 as on a real one."""

    async def health(_request: web.Request) -> web.Response:
        await client.set("demo:health", "1", ex=60)
        return web.json_response({"success": True})

    async def show_stats(request: web.Request) -> web.Response:
        check_token(request, instance)
        return web.json_response(stats(instance, await client.info()))

    async def show_metrics(request: web.Request) -> web.Response:
        check_token(request, instance)
        return web.Response(text=metrics(instance, await client.info()))

    app = web.Application(middlewares=[label])
    app.router.add_get("/health", health)
    app.router.add_get("/v1/stats", show_stats)
    app.router.add_get("/metrics", show_metrics)
    return app


@web.middleware
async def label(request: web.Request, handler: Any) -> web.StreamResponse:
    """Say on every answer that this is the simulator."""
    response: web.StreamResponse = await handler(request)
    response.headers["Server"] = SERVER
    return response


def check_token(request: web.Request, instance: Instance) -> None:
    """Refuse other tokens as EmailEngine does."""
    if request.headers.get("Authorization") != f"Bearer {instance.token}":
        refusal = {"statusCode": 401, "error": "Unauthorized", "message": "Bad token"}
        raise web.HTTPUnauthorized(text=json.dumps(refusal), content_type="application/json")


def connection(instance: Instance, **options: Any) -> redis.Redis:
    """Give a client of the instance's Redis."""
    return redis.Redis.from_url(instance.redis_url, password=instance.redis_password, **options)


async def leave_keys(instance: Instance) -> None:
    """Leave what an EmailEngine keeps in its Redis: accounts without credentials, settings, a token."""
    async with connection(instance) as client, client.pipeline() as together:
        together.sadd("ia:accounts", *ACCOUNTS)
        for account in ACCOUNTS:
            together.hset(f"iad:{account}", mapping={"account": account, "name": "simulator"})
        together.hset("settings", "serviceUrl", json.dumps(instance.url))
        together.hset("tokens", "simulator", "no token")
        await together.execute()


async def attach_workers(instance: Instance) -> list[redis.Redis]:
    """Open the named connections by which a living EmailEngine is seen on its Redis."""
    if instance.has_dead_workers:
        return []
    workers = [
        connection(instance, client_name=name, single_connection_client=True)
        for name in CLIENT_NAMES
    ]
    for worker in workers:
        await worker.ping()
    return workers


async def serve(instance: Instance) -> web.AppRunner:
    """Start one instance."""
    client = connection(instance, client_name="emailengine-simulator")
    runner = web.AppRunner(application(instance, client), access_log=None)
    await runner.setup()
    address = urlsplit(instance.url)
    await web.TCPSite(runner, address.hostname, address.port).start()
    return runner


async def main(manifest: Path) -> None:
    """Serve every instance of the manifest until SIGTERM."""
    leave = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, leave.set)
    served = instances(manifest)
    runners = [await serve(instance) for instance in served]
    workers = [worker for instance in served for worker in await attach_when_ready(instance)]
    await leave.wait()
    for worker in workers:
        await worker.aclose()
    for runner in runners:
        await runner.cleanup()


async def attach_when_ready(instance: Instance) -> list[redis.Redis]:
    """Attach once its Redis answers: the servers of the demo start at the same time as we do."""
    while True:
        try:
            await leave_keys(instance)
            return await attach_workers(instance)
        except redis.ConnectionError:
            await asyncio.sleep(0.1)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))

"""The kinds of pairs in the bench's fleet, and the real servers that they share."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from run.children import Running
from run.demo import simulator
from run.demo.servers import free_ports
from tests import servers

SECRET = "bench"  # every password and token here
GOOD = {
    "requirepass": SECRET,
    "maxmemory": "64mb",
    "maxmemory-policy": "noeviction",
    "save": "900 1 300 10",
    "tcp-keepalive": "300",
}


@dataclass(frozen=True)
class Face:
    """One kind of pair: its server's settings are GOOD but for these; weight is of 1,000 pairs."""

    name: str
    program: str
    weight: int
    settings: dict[str, str] = field(default_factory=dict)
    has_emailengine: bool = False
    is_dead: bool = False


FACES = (
    Face("good-valkey", "valkey", 450),
    Face("good-redis", "redis", 150),
    Face("with-emailengine-1", "valkey", 100, has_emailengine=True),
    Face("with-emailengine-2", "valkey", 100, has_emailengine=True),
    Face(
        "with-emailengine-3",
        "valkey",
        60,
        {"maxmemory-policy": "allkeys-lru"},
        has_emailengine=True,
    ),
    Face("evicts", "valkey", 20, {"maxmemory-policy": "allkeys-lru"}),
    Face("forgets", "redis", 15, {"save": ""}),
    Face("no-keepalive", "redis", 25, {"tcp-keepalive": "0"}),
    Face("saves-seldom", "redis", 40, {"save": "3600 1"}),
    Face("slow-disk", "valkey", 25, {"appendonly": "yes", "appendfsync": "always"}),
    Face("dead", "valkey", 15, is_dead=True),
)


@dataclass(frozen=True)
class Address:
    """Where the pairs of a face are: their server and, for some, their EmailEngine."""

    redis_url: str
    emailengine_url: str = ""


@contextmanager
def farm(folder: Path) -> Iterator[dict[str, Address]]:
    """Run a server for each face and the EmailEngine simulator; give the faces' addresses."""
    with ExitStack() as running:
        found = {face.name: running.enter_context(_served(face)) for face in FACES}
        manifest = folder / "emailengine.json"
        entries = [
            {
                "emailengine_url": where.emailengine_url,
                "redis_url": f"{where.redis_url}/0",
                "redis_password": SECRET,
                "emailengine": "healthy",
                "metrics_token": SECRET,
            }
            for where in found.values()
        ]
        manifest.write_text(json.dumps(entries))
        simulated = Running(simulator.child(manifest), folder / "emailengine.log")
        running.callback(simulated.stop)
        simulated.wait_until_ready()
        yield found


@contextmanager
def _served(face: Face) -> Iterator[Address]:
    """Run one server; of a dead face there is only a port that nobody listens on."""
    port, emailengine_port = free_ports(2)
    if face.is_dead:
        yield Address(f"redis://127.0.0.1:{port}")
        return
    start = servers.redis if face.program == "redis" else servers.valkey
    settings = {**GOOD, **face.settings}
    schedule = settings.pop("save")
    with start(*(word for pair in settings.items() for word in pair)) as server:
        with redis.Redis(port=server.port, password=SECRET) as client:
            # Redis 6.2 takes no two save points in one word of its command line.
            client.config_set("save", schedule)
        url = f"http://127.0.0.1:{emailengine_port}" if face.has_emailengine else ""
        yield Address(server.url, url)

"""Asks a pair's own server, and those beside it on its host, what they hold now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from checks.address import AddressError, RedisAddress, parse_redis_url
from checks.facts import Missing, RedisFacts
from checks.probes.redis import probe_redis
from checks.probes.redis_target import RedisTarget
from checks.rule import Cadence
from fleet.backups.places import Trouble
from fleet.backups.safety import Others
from fleet.registry.models import Pair, Target
from fleet.registry.sealed import SecretError
from fleet.registry.servers import server_of

LOOKED_AT: Final = frozenset({Cadence.HEALTH, Cadence.LATENCY})
HELD: Final = frozenset({Cadence.HEALTH})
# A host with more servers than these is told as it is: those beyond were not asked.
MOST_ASKED: Final = 32


def server_of_pair(pair: Pair) -> RedisTarget:
    """Reveal what a connection to a pair's Redis needs; raises SecretError and AddressError."""
    return server_of(
        redis_url=pair.redis_url,
        redis_password=pair.redis_password,
        redis_ca=pair.redis_ca,
        redis_tls_name=pair.redis_tls_name,
        redis_tls_verify=pair.redis_tls_verify,
    )


def look(server: RedisTarget) -> RedisFacts:
    """Read the server as the monitoring account does; Trouble where it tells nothing."""
    facts = asyncio.run(probe_redis(server, LOOKED_AT)).facts
    if isinstance(facts, Missing):
        raise Trouble(facts.reason, facts.text)
    return facts


def server_time(redis: RedisFacts, now: datetime) -> datetime:
    """Give the server's own time, ours where it does not tell."""
    at = redis.server_time_s
    return now if isinstance(at, Missing) else datetime.fromtimestamp(at, UTC)


def others_on_host(pair: Pair) -> Others:
    """Ask the registered servers at the same address and another port, in the same probe zone.

    Each is asked once, however many pairs it serves: its resident memory, as INFO tells it.
    """
    near = list(_at_its_address(pair))
    servers = [server for one in near[:MOST_ASKED] if (server := _revealed(one))]
    held = asyncio.run(_held_bytes(servers))
    return Others(held_bytes=sum(held), asked=len(held), unasked=len(near) - len(held))


def _at_its_address(pair: Pair) -> Iterator[Pair]:
    own = _address(pair)
    if own is None or not own.host:
        return
    watched = (Target.State.ACTIVE, Target.State.PAUSED)
    near = Pair.objects.filter(
        target__zone=pair.target.zone_id, target__state__in=watched, redis_url__icontains=own.host
    )
    ports = {own.port}
    for one in near.order_by("pk"):
        there = _address(one)
        if there and there.host == own.host and there.port not in ports:
            ports.add(there.port)
            yield one


def _address(pair: Pair) -> RedisAddress | None:
    try:
        return parse_redis_url(pair.redis_url)
    except AddressError:
        return None


def _revealed(pair: Pair) -> RedisTarget | None:
    try:
        return server_of_pair(pair)
    except (SecretError, AddressError):
        return None


async def _held_bytes(servers: Iterable[RedisTarget]) -> list[int]:
    """Give what those that tell it hold, asked at once: many silent ones take no longer than one."""
    answers = await asyncio.gather(*(probe_redis(server, HELD) for server in servers))
    told = [one.facts for one in answers if not isinstance(one.facts, Missing)]
    held = [facts.used_memory_rss_bytes for facts in told]
    return [one for one in held if not isinstance(one, Missing)]

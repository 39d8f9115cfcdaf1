"""From registry rows to what a probe needs: the one place where a pair's secrets are revealed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final

from django.conf import settings

from checks.address import AddressError, parse_emailengine_url, parse_endpoint
from checks.egress import Network, networks
from checks.facts import Engine, Missing
from checks.probes.emailengine import EmailEngineTarget
from checks.probes.pair import PairTarget
from checks.probes.redis import LastSeen, RedisTarget
from checks.probes.wire import Endpoint
from fleet.registry.egress import egress_rules
from fleet.registry.sealed import SecretError, reveal
from fleet.registry.servers import server_of

PINGS: Final = 10
SENTINEL_PORT: Final = 26_379
# Upstash bills commands. Source: design §2.
BILLED_PINGS: Final = 3
MOST_KEPT: Final = 50_000


@dataclass(frozen=True, slots=True)
class Columns:
    """What is registered of a pair, in the columns of registry.Pair; secrets in their stored form."""

    redis_url: str
    redis_password: str = field(repr=False)
    redis_ca: str = field(repr=False)
    redis_tls_verify: bool
    redis_tls_name: str
    sentinel_addresses: tuple[str, ...]
    sentinel_master: str
    emailengine_url: str
    emailengine_prefix: str
    metrics_token: str = field(repr=False)
    api_token: str = field(repr=False)

    @property
    def is_sealed(self) -> bool:
        """Say whether every secret is sealed: a reference may resolve to something else tomorrow."""
        secrets = (self.redis_password, self.metrics_token, self.api_token)
        return not any(secret.startswith(("env:", "file:")) for secret in secrets)


@dataclass(frozen=True, slots=True)
class Reach:
    """What is visited, or why it cannot be. `emailengine` is set where its own part is at fault."""

    target: PairTarget | Missing
    emailengine: Missing | None = None

    def told(self, last: LastSeen | None, pings: int) -> Reach:
        """Give the same with what the last visit saw; most visits see what the one before saw."""
        if isinstance(self.target, Missing):
            return self
        redis = self.target.redis
        if redis.last == last and redis.pings == pings:
            return self
        redis = replace(redis, last=last, pings=pings)
        return Reach(PairTarget(redis, self.target.emailengine), self.emailengine)


@cache
def own_networks() -> tuple[Network, ...]:
    """Give the networks that the operator declares as private, whatever their addresses look like."""
    return networks(",".join(settings.PRIVATE_NETWORKS))


# Revealing a secret costs 0.05 ms, a fifth of a visit. Keyed by the sealed form: a new one is
# another key. Held in the worker only, like the key ring that opens it.
_reaches: dict[tuple[Any, ...], Reach] = {}


def reach(row: tuple[Any, ...], engine: str, last: LastSeen | None) -> Reach:
    """Give what a probe needs for one pair, by the values of Columns in their order.

    A secret or an address at fault is a Missing, not an error.
    """
    found = _reaches.get(row)
    made = found or _made(columns := Columns(*row))
    told = made.told(last, BILLED_PINGS if engine == Engine.UPSTASH.value else PINGS)
    if found is not told and (found or columns.is_sealed):
        if len(_reaches) >= MOST_KEPT:
            _reaches.clear()
        _reaches[row] = told
    return told


def _made(columns: Columns) -> Reach:
    try:
        redis = redis_target(columns)
    except (SecretError, AddressError) as error:
        return Reach(Missing("undetermined", f"Redis was not visited: {error}"))
    if not columns.emailengine_url:
        return Reach(PairTarget(redis))
    try:
        return Reach(PairTarget(redis, emailengine_target(columns)))
    except (SecretError, AddressError) as error:
        why = Missing("undetermined", f"EmailEngine was not asked: {error}")
        return Reach(PairTarget(redis), why)


def redis_target(columns: Columns) -> RedisTarget:
    """Reveal and parse what Redis needs; raises SecretError and AddressError."""
    server = server_of(
        redis_url=columns.redis_url,
        redis_password=columns.redis_password,
        redis_ca=columns.redis_ca,
        redis_tls_name=columns.redis_tls_name,
        redis_tls_verify=columns.redis_tls_verify,
    )
    return replace(
        server,
        queue_prefix=columns.emailengine_prefix if columns.emailengine_url else None,
        own_networks=own_networks(),
        sentinels=tuple(map(_sentinel, columns.sentinel_addresses)),
        sentinel_master=columns.sentinel_master,
    )


def _sentinel(text: str) -> Endpoint:
    """Read where a Sentinel listens; one that is no address will not answer, and is told so."""
    try:
        host, port = parse_endpoint(text, SENTINEL_PORT)
    except AddressError:
        return Endpoint(text, SENTINEL_PORT)
    return Endpoint(host, port)


def emailengine_target(columns: Columns) -> EmailEngineTarget:
    """Reveal and parse what EmailEngine needs; raises SecretError and AddressError."""
    return EmailEngineTarget(
        address=parse_emailengine_url(columns.emailengine_url),
        key_prefix=columns.emailengine_prefix,
        metrics_token=reveal(columns.metrics_token),
        api_token=reveal(columns.api_token),
        rules=egress_rules(),
    )

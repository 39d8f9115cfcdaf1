"""From a pair's stored columns to its Redis: address, password and trust, revealed where it is called."""

from __future__ import annotations

from checks.address import parse_redis_url
from checks.probes.redis_target import RedisTarget
from checks.probes.tls import Tls
from fleet.registry.egress import egress_rules
from fleet.registry.sealed import reveal


def server_of(
    *,
    redis_url: str,
    redis_password: str,
    redis_ca: str,
    redis_tls_name: str,
    redis_tls_verify: bool,
) -> RedisTarget:
    """Reveal and parse what a connection needs; raises SecretError and AddressError."""
    return RedisTarget(
        address=parse_redis_url(redis_url),
        password=reveal(redis_password),
        tls=Tls(redis_ca, redis_tls_name, redis_tls_verify),
        rules=egress_rules(),
    )

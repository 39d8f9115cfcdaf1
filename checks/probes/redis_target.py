"""One server to visit, and what a visit to it brings."""

from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address
from typing import Final, Literal

from checks.address import RedisAddress
from checks.egress import EgressRules, Network
from checks.facts import Missing, RedisFacts
from checks.probes.redis_commands import CLIENT_NAME, auth, set_name
from checks.probes.tls import Tls
from checks.probes.wire import Endpoint
from checks.quick import quickly_made

Raw = tuple[tuple[str, str], ...]
VERIFIED: Final = Tls()
DEFAULT_RULES: Final = EgressRules()


@quickly_made
@dataclass(frozen=True, slots=True)
class LastSeen:
    """What the last visit saw, so that this one can tell a restart or workers that left."""

    run_id: str
    blocked_clients: int


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """One server to visit. The password is this one, else the address's own.

    own_networks are those that the operator declares as private, whatever their addresses look
    like. sentinels are asked for the primary of that name where some are registered. queue_prefix
    is EmailEngine's key prefix, "" for none; None where its queues are not to be read.
    """

    address: RedisAddress
    password: str = field(default="", repr=False)
    tls: Tls = VERIFIED
    rules: EgressRules = DEFAULT_RULES
    timeout_s: float = 5.0
    pings: int = 10
    client_name: str = CLIENT_NAME
    queue_prefix: str | None = None
    own_networks: tuple[Network, ...] = ()
    sentinels: tuple[Endpoint, ...] = ()
    sentinel_master: str = ""
    last: LastSeen | None = None


@quickly_made
@dataclass(frozen=True, slots=True)
class RedisReading:
    """What a visit brought: the facts, the texts they were read from, and how it went.

    widened: the persistence cadence was read although it was not due. is_connected: a
    connection came about, so that a Missing is the server's own doing, not the network's.
    """

    facts: RedisFacts | Missing
    raw: Raw = ()
    widened: bool = False
    is_connected: bool = False
    duration_s: float = 0.0


@lru_cache(maxsize=65_536)
def path_of(
    address: str, own_networks: tuple[Network, ...] = ()
) -> Literal["unix", "loopback", "private", "public"]:
    """Say what kind of path leads to the address that was connected to.

    own_networks count as private, as their operator declares them.
    """
    if address.startswith("/"):
        return "unix"
    parsed = ip_address(address)
    if parsed.is_loopback:
        return "loopback"
    is_own = any(parsed in network for network in own_networks)
    return "public" if parsed.is_global and not is_own else "private"


def endpoint(target: RedisTarget) -> Endpoint:
    """Say where a target listens."""
    address = target.address
    if address.path:
        return Endpoint(port=0, unix_path=address.path)
    return Endpoint(address.host, address.port, tls=target.tls if address.is_tls else None)


def greeting(target: RedisTarget) -> list[bytes]:
    """Encode what comes first on a connection: who we are, and its name."""
    signing_in = auth(target.address.user, password_of(target))
    naming = set_name(target.client_name)
    return [naming] if signing_in is None else [signing_in, naming]


def password_of(target: RedisTarget) -> str:
    return target.password or target.address.password

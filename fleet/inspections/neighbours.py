"""Who else is on a pair's server and host: the registered fleet in a glance, kept for minutes."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final, NamedTuple

from checks.address import AddressError, RedisAddress, parse_redis_url
from checks.facts import NOT_CONFIGURED, FleetFacts, Neighbour
from fleet.registry.arrays import rows_of

# Ten thousand pairs take 0.2 s to read; who shares a server changes by the day.
KEPT_S: Final = 120.0
# The keys' other users come first; of the rest a few names and their number say it all.
MOST_NAMED: Final = 20
# Another tenant's pair is not named to this one.
ANOTHER_TENANTS: Final = "a pair of another tenant"

READ: Final = """
SELECT t.id, t.tenant_id, t.zone_id, t.name, p.redis_url, p.emailengine_prefix, b.run_id,
    coalesce((m.memory -> 'past' ->> 'rss_bytes')::int8, 0)
FROM registry_target t
JOIN registry_pair p ON p.target_id = t.id
JOIN inspections_pairstate b ON b.target_id = t.id
LEFT JOIN inspections_pairmemory m ON m.target_id = t.id
WHERE t.state = ANY(%b::text[])
"""


class Resident(NamedTuple):
    """One registered pair: whose, where, and how much its Redis holds of the host's RAM."""

    target_id: int
    tenant_id: int
    zone_id: int
    name: str
    address: RedisAddress
    key_prefix: str
    run_id: str
    rss_bytes: int


Keys = tuple[str, int, str]  # a server's run id, a database, a prefix


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """The registered pairs by server and by keys, and what each host's servers hold of its RAM.

    Worked out once for all: a visit only looks up, however many pairs share a server.
    """

    by_target: Mapping[int, Resident]
    by_server: Mapping[str, tuple[Resident, ...]]
    by_keys: Mapping[Keys, tuple[Resident, ...]]
    rss_by_host: Mapping[tuple[int, str], Mapping[str, int]]
    rss_of_host: Mapping[tuple[int, str], int]

    def facts(self, target_id: int, mailboxes: int | None, replicas: int | None) -> FleetFacts:
        """Give what the rules see of the fleet around one pair, and what was registered of it."""
        expected_mailboxes = NOT_CONFIGURED if mailboxes is None else mailboxes
        expected_replicas = NOT_CONFIGURED if replicas is None else replicas
        own = self.by_target.get(target_id)
        if own is None:
            return FleetFacts(
                expected_mailboxes_count=expected_mailboxes,
                expected_replicas_count=expected_replicas,
            )
        named = tuple(islice(self._beside(own), MOST_NAMED))
        all_here = len(self.by_server.get(own.run_id, (own,)))
        return FleetFacts(
            expected_mailboxes_count=expected_mailboxes,
            expected_replicas_count=expected_replicas,
            neighbours=tuple(_neighbour(one, own) for one in named),
            unnamed_neighbours_count=all_here - 1 - len(named),
            database=own.address.database,
            key_prefix=own.key_prefix,
            other_rss_bytes=self._others(own),
        )

    def _beside(self, own: Resident) -> Iterator[Resident]:
        """Give the others on this server, those on the same keys first."""
        keys = _keys(own)
        for one in self.by_keys.get(keys, ()):
            if one.target_id != own.target_id:
                yield one
        for one in self.by_server.get(own.run_id, ()):
            if _keys(one) != keys:
                yield one

    def _others(self, own: Resident) -> int:
        """Give the RSS of the other servers on the host, each once however many pairs it serves."""
        here = own.zone_id, own.address.host
        return self.rss_of_host.get(here, 0) - self.rss_by_host.get(here, {}).get(own.run_id, 0)


def _keys(one: Resident) -> Keys:
    return one.run_id, one.address.database, one.key_prefix


def _neighbour(one: Resident, own: Resident) -> Neighbour:
    name = one.name if one.tenant_id == own.tenant_id else ANOTHER_TENANTS
    return Neighbour(name, one.address.database, one.key_prefix)


@dataclass
class _Kept:
    found: Neighbourhood | None = None
    read_at: float = 0.0


_kept: Final = _Kept()


def neighbourhood() -> Neighbourhood:
    """Give the fleet as it was at most KEPT_S ago; read in one query per process."""
    now = time.monotonic()
    if _kept.found is None or now - _kept.read_at > KEPT_S:
        _kept.found, _kept.read_at = gather(_residents()), now
    return _kept.found


def forget() -> None:
    """Let this process read the fleet again at the next look."""
    _kept.found = None


def gather(residents: Iterable[Resident]) -> Neighbourhood:
    """Sort pairs by server and host. A server that never answered has no run id, and no neighbours."""
    by_target: dict[int, Resident] = {}
    by_server: dict[str, list[Resident]] = defaultdict(list)
    by_keys: dict[Keys, list[Resident]] = defaultdict(list)
    rss_by_host: dict[tuple[int, str], dict[str, int]] = defaultdict(dict)
    for one in residents:
        by_target[one.target_id] = one
        if one.run_id:
            by_server[one.run_id].append(one)
            by_keys[_keys(one)].append(one)
            rss_by_host[one.zone_id, one.address.host][one.run_id] = one.rss_bytes
    return Neighbourhood(
        by_target,
        {run_id: tuple(found) for run_id, found in by_server.items()},
        {keys: tuple(found) for keys, found in by_keys.items()},
        dict(rss_by_host),
        {host: sum(servers.values()) for host, servers in rss_by_host.items()},
    )


def _residents() -> Iterable[Resident]:
    for target_id, tenant_id, zone_id, name, url, prefix, run_id, rss in rows_of(
        READ, [["active", "paused"]]
    ):
        try:
            address = parse_redis_url(url)
        except AddressError:
            continue  # its own visits say so
        yield Resident(target_id, tenant_id, zone_id, name, address, prefix, run_id, rss)

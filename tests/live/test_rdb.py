"""Dumps that real servers wrote: do we read them as they are?"""

import time
from contextlib import AbstractContextManager

import pytest
from redis import Redis

from checks.probes.rdb import Dump, State, read_dump
from checks.probes.rdb_keys import KeyCount
from tests import kinds, servers

pytestmark = pytest.mark.live
SERVERS = servers.everywhere()
MOST = 1 << 30
# Servers stamp a dump by time(2), which is the kernel's last tick: behind time.time() by up to
# 10 ms (CONFIG_HZ=100), so that it may be in the second before.
TICK_S = 0.01


def read(whole: bytes) -> Dump:
    found = read_dump((whole[at : at + 65_536] for at in range(0, len(whole), 65_536)), MOST)
    assert isinstance(found, Dump)
    return found


def connected(server: servers.Server) -> AbstractContextManager[Redis]:
    return Redis.from_url(server.url, single_connection_client=True)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"maxmemory-policy": "allkeys-lru", "rdbcompression": "no"},
        {"maxmemory-policy": "allkeys-lfu"},
    ],
    ids=["as it comes", "with ages, not packed", "with frequencies"],
)
@pytest.mark.parametrize("name", SERVERS)
def test_a_dump_of_all_kinds_is_intact_and_its_keys_are_counted(
    name: str, settings: dict[str, str]
) -> None:
    options = [word for pair in settings.items() for word in pair]
    with SERVERS[name]("save", "", *options) as server, connected(server) as client:
        kinds.fill(client, big=True)
        before = int(time.time() - TICK_S)
        found = read(kinds.saved(client))
        counted = {number: KeyCount(*pair) for number, pair in kinds.counted(client).items()}
        version = kinds.version_of(client).partition("-")[2]

    assert (found.state, found.said.server_version) == (State.INTACT, version)
    assert found.databases == counted
    assert isinstance(found.said.created_at_s, int)
    assert before <= found.said.created_at_s <= time.time()


@pytest.mark.parametrize("name", SERVERS)
def test_a_dump_without_checksum_is_not_called_intact(name: str) -> None:
    with SERVERS[name]("save", "", "rdbchecksum", "no") as server, connected(server) as client:
        client.set("ee:1", "x")
        found = read(kinds.saved(client))

    assert (found.state, found.databases) == (State.UNCHECKED, {0: KeyCount(1, 0)})

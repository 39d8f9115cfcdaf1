"""Dumps that real servers wrote: do we read them as they are?"""

import time
from pathlib import Path

import pytest
from redis import Redis

from checks.probes.rdb import Dump, State, read_dump
from tests import servers

pytestmark = pytest.mark.live
SERVERS = {
    "redis-6.2": (servers.redis, "REDIS", 9),
    "system-redis": (servers.system_redis, "REDIS", 10),
    "valkey-9": (servers.valkey, "VALKEY", 80),
}


def read(path: Path) -> Dump:
    with path.open("rb") as file:
        found = read_dump(iter(lambda: file.read(65_536), b""), 1 << 30)
    assert isinstance(found, Dump)
    return found


@pytest.mark.parametrize("name", SERVERS)
def test_a_saved_dump_is_intact_and_tells_its_keys(name: str) -> None:
    start, magic, version = SERVERS[name]
    with start("save", "") as server, Redis.from_url(server.url) as client:
        client.mset({f"ee:{number}": "x" * 100 for number in range(1000)})
        client.hset("ee:settings", mapping={"a": 1, "b": 2})
        before = int(time.time())
        client.save()
        folder, file = (client.config_get(word)[word] for word in ("dir", "dbfilename"))
        found = read(Path(folder) / file)
        info = client.info("server")

    assert (found.state, found.magic, found.version) == (State.INTACT, magic, version)
    assert found.said.keys_count == 1001
    assert before <= found.said.created_at_s <= time.time()
    assert found.said.server_version in (info["redis_version"], info.get("valkey_version"))


@pytest.mark.parametrize("name", SERVERS)
def test_a_dump_without_checksum_is_not_called_intact(name: str) -> None:
    start, *_rest = SERVERS[name]
    with start("save", "", "rdbchecksum", "no") as server, Redis.from_url(server.url) as client:
        client.set("ee:1", "x")
        client.save()
        folder, file = (client.config_get(word)[word] for word in ("dir", "dbfilename"))
        found = read(Path(folder) / file)

    assert found.state is State.UNCHECKED

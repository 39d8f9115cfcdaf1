"""Copies that real servers stream: whole, counted, and what the server shows of them afterwards."""

from contextlib import AbstractContextManager
from dataclasses import replace

import pytest
from redis import Redis

from checks.egress import EgressRules
from checks.probes.acl import pull_line
from checks.probes.rdb import Dump, State, read_dump
from checks.probes.rdb_keys import KeyCount
from checks.probes.replica import CLIENT_NAME, PullBounds, PullError, PullTarget, pulling
from checks.probes.tls import Tls
from checks.probes.wire import Endpoint
from tests import kinds, servers
from tests.live.patients import until

pytestmark = pytest.mark.live
RULES = EgressRules(allow_loopback=True, allow_unix=True)
BOUNDS = PullBounds(most_bytes=1 << 30, within_s=30.0)
PASSWORD = "correct-horse"
SERVERS = servers.everywhere()
KEYS = 5_000


def started(name: str, *options: str) -> AbstractContextManager[servers.Server]:
    return SERVERS[name]("save", "", "repl-diskless-sync-delay", "0", *options)


def filled(server: servers.Server) -> Redis:
    client = Redis.from_url(server.url)
    client.mset({f"ee:{number}": "x" * 500 for number in range(KEYS)})
    client.execute_command(*pull_line("puller").replace("CHOOSE-A-PASSWORD", PASSWORD).split())
    return client


def account(server: servers.Server) -> PullTarget:
    return PullTarget(Endpoint("127.0.0.1", server.port), "puller", PASSWORD, RULES)


def pull(target: PullTarget, bounds: PullBounds = BOUNDS) -> Dump:
    with pulling(target, bounds) as incoming:
        found = read_dump(incoming.pieces(), bounds.most_bytes)
    assert isinstance(found, Dump)
    return found


@pytest.mark.parametrize("diskless", ["no", "yes"])
@pytest.mark.parametrize("name", SERVERS)
def test_a_pulled_dump_is_intact(name: str, diskless: str) -> None:
    with started(name, "repl-diskless-sync", diskless) as server, filled(server) as client:
        found = pull(account(server))
        has_left = until(lambda: client.info("replication")["connected_slaves"] == 0)

    assert (found.state, found.databases) == (State.INTACT, {0: KeyCount(KEYS, 0)})
    assert has_left


@pytest.mark.parametrize("name", SERVERS)
def test_every_kind_of_value_is_pulled(name: str) -> None:
    """Valkey refuses to write fields that expire for who does not name its version."""
    with started(name) as server, filled(server) as client:
        with Redis.from_url(server.url, single_connection_client=True) as writer:
            kinds.fill(writer)
        counted = {number: KeyCount(*pair) for number, pair in kinds.counted(client).items()}
        found = pull(account(server))

    assert (found.state, found.databases) == (State.INTACT, counted)


@pytest.mark.parametrize("name", SERVERS)
def test_the_account_can_do_nothing_else(name: str) -> None:
    with started(name) as server, filled(server):
        guest = Redis("127.0.0.1", server.port, username="puller", password=PASSWORD)
        answers = [str(guest_error(guest, *words)) for words in (("GET", "ee:1"), ("INFO",))]
        guest.close()
        with pytest.raises(PullError) as raised:
            pull(replace(account(server), password="wrong"))

    assert [answer.startswith(("this user has no", "User puller has no", "No permissions"))
            for answer in answers] == [True, True]  # fmt: skip
    assert raised.value.reason == "auth"


def guest_error(client: Redis, *words: str) -> Exception:
    with pytest.raises(Exception, match="permission") as raised:
        client.execute_command(*words)
    return raised.value


def test_a_server_that_speaks_tls_is_pulled_over_tls() -> None:
    with servers.tls_redis("save", "", "repl-diskless-sync-delay", "0") as server:
        assert server.certificates is not None
        endpoint = Endpoint("127.0.0.1", server.port, tls=Tls(server.certificates.ca.read_text()))
        found = pull(PullTarget(endpoint, rules=RULES))
        with pytest.raises(PullError) as untrusted:
            pull(PullTarget(replace(endpoint, tls=Tls()), rules=RULES))

    assert found.state is State.INTACT
    assert untrusted.value.reason == "tls"


def test_a_replica_that_lost_its_primary_gives_no_dump() -> None:
    with started("redis-6.2") as server, Redis.from_url(server.url) as client:
        client.replicaof("127.0.0.1", servers.free_port())
        with pytest.raises(PullError) as raised:
            pull(PullTarget(Endpoint("127.0.0.1", server.port), rules=RULES))

    assert raised.value.reason == "misconf"


@pytest.mark.parametrize("name", SERVERS)
def test_who_leaves_in_the_middle_leaves_nothing_behind(name: str) -> None:
    with started(name) as server, filled(server) as client:
        with pulling(account(server), BOUNDS) as incoming:
            next(incoming.pieces())
        found = pull(account(server))  # the server is free for the next one
        is_gone = until(lambda: all(one["name"] != CLIENT_NAME for one in client.client_list()))

    assert found.state is State.INTACT
    assert is_gone

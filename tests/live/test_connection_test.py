"""What does a connection test say of real servers? Each way to fail, at its rung."""

import asyncio
import time

import pytest
import redis

from fleet.inspections.connection_test import climb
from fleet.inspections.ladder import Draft, Rung
from fleet.registry.sealed import seal
from tests import servers

pytestmark = pytest.mark.live


def rungs(url: str, **fields) -> dict[str, Rung]:
    return {rung.step: rung for rung in asyncio.run(climb(Draft(redis_url=url, **fields)))}


def states(found: dict[str, Rung]) -> list[str]:
    return [rung.state for rung in found.values()]


def test_a_server_that_is_as_it_should():
    with servers.valkey() as server:
        began_at = time.perf_counter()
        found = rungs(server.url)
        took_ms = (time.perf_counter() - began_at) * 1000

    assert states(found) == ["ok", "ok", "skipped", "ok", "ok", "skipped"]
    assert found["sign_in"].learnt.startswith("Valkey 9.")
    assert 0 < found["connection"].ms < took_ms


def test_nothing_listens():
    found = rungs(f"redis://127.0.0.1:{servers.free_port()}")

    assert states(found) == ["ok", "failed", *["not_tried"] * 4]
    assert found["connection"].reason == "refused"


def test_an_address_that_is_not_allowed():
    found = rungs("redis://169.254.169.254:6379")

    assert (found["connection"].state, found["connection"].reason) == ("failed", "blocked_address")


def test_a_wrong_password_and_the_right_one():
    with servers.redis("requirepass", "right") as server:
        wrong = rungs(server.url, redis_password=seal("wrong"))
        right = rungs(server.url, redis_password=seal("right"))

    assert states(wrong) == ["ok", "ok", "skipped", "failed", "not_tried", "not_tried"]
    assert wrong["sign_in"].reason == "auth"
    assert states(right)[3] == "ok"


def test_a_secret_that_cannot_be_read():
    with servers.redis() as server:
        found = rungs(server.url, redis_password="env:PAIRKEEPER_SECRET_NOT_THERE")

    assert (found["sign_in"].state, found["rights"].state) == ("failed", "not_tried")
    assert "PAIRKEEPER_SECRET_NOT_THERE" in found["sign_in"].learnt


def test_an_account_that_may_not_read_everything():
    with servers.valkey() as server, redis.Redis(port=server.port) as admin:
        admin.execute_command("ACL", "SETUSER", "default", "-config|get")
        found = rungs(server.url)

    assert (found["sign_in"].state, found["rights"].state) == ("ok", "warned")
    assert found["rights"].reason == "no_permission"
    assert "CONFIG GET" in found["rights"].learnt


def test_tls_that_is_not_trusted_and_plain_where_tls_is_spoken():
    with servers.tls_redis() as server:
        untrusted = rungs(server.url)
        trusted = rungs(server.url, redis_ca=server.certificates.ca.read_text())
        plain = rungs(server.url.replace("rediss", "redis"))

    assert (untrusted["tls"].state, untrusted["tls"].reason) == ("failed", "tls")
    assert (trusted["tls"].state, trusted["sign_in"].state) == ("ok", "ok")
    assert (plain["tls"].state, plain["sign_in"].state) == ("failed", "not_tried")


def test_emailengine_that_is_not_there():
    with servers.redis() as server:
        found = rungs(server.url, emailengine_url=f"http://127.0.0.1:{servers.free_port()}")

    assert (found["emailengine"].state, found["emailengine"].reason) == ("failed", "refused")

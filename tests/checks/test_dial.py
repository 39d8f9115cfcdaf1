"""Connecting to the address that was checked, and to no other."""

import asyncio
import socket
import time
from contextlib import contextmanager

import aiohttp
import pytest

from checks import dial as dialling
from checks.dial import DialError, connector, dial, dial_error, dial_unix
from checks.egress import EgressRules, networks
from checks.resolver import Resolver
from tests.loopback import shut_port

OPEN = EgressRules(allow_loopback=True, allow_unix=True)
STRICT = EgressRules()


@contextmanager
def listening(backlog=10):
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as server:
        yield server.getsockname()[1]


@contextmanager
def blackhole():
    """A port that answers no SYN: its backlog is full and nobody accepts."""
    with listening(backlog=0) as port:
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex(("127.0.0.1", port))
        yield port
        for filler in fillers:
            filler.close()


def dialled(host, port, rules=OPEN, **options):
    async def once():
        made = await dial(host, port, rules, **options)
        nodelay = made.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        peer, blocking = made.sock.getpeername(), made.sock.getblocking()
        made.sock.close()
        return made, peer, nodelay, blocking

    return asyncio.run(once())


def refused(host, port, rules=OPEN, **options):
    with pytest.raises(DialError) as raised:
        dialled(host, port, rules, **options)
    return raised.value.reason, str(raised.value)


@pytest.fixture
def answers(monkeypatch):
    """Names answered from a list, each answer once."""
    left = []
    names = Resolver(lambda _name: left.pop(0))
    monkeypatch.setattr(dialling, "resolver", lambda: names)
    return left


def test_a_numeric_address():
    with listening() as port:
        began_at = time.perf_counter()
        made, peer, nodelay, blocking = dialled("127.0.0.1", port)
        took_us = (time.perf_counter() - began_at) * 1e6

    assert (made.address, made.resolve_us, peer) == ("127.0.0.1", 0, ("127.0.0.1", port))
    assert 0 < made.connect_us < took_us
    assert (bool(nodelay), blocking) == (True, False)


def test_a_refused_port():
    with shut_port() as port:
        found = refused("127.0.0.1", port)

    assert found == ("refused", f"127.0.0.1:{port} was not reached: connection refused")


def test_a_blackhole_costs_its_deadline_and_no_more():
    with blackhole() as port:
        assert refused("127.0.0.1", port, connect_timeout_s=0.2) == (
            "timeout",
            f"127.0.0.1:{port} did not accept a connection within 0.2 s",
        )


def test_the_next_address_is_tried_within_the_same_deadline(answers):
    answers.append(("127.0.0.2", "127.0.0.1"))
    with listening() as port:
        made, peer, _, _ = dialled("redis.example", port)

    assert (made.address, peer) == ("127.0.0.1", ("127.0.0.1", port))


def test_every_address_that_failed_is_told(answers):
    answers.append(("127.0.0.2", "127.0.0.3"))
    with shut_port() as port:
        found = refused("redis.example", port)

    assert found == (
        "refused",
        "; ".join(f"127.0.0.{n}:{port} was not reached: connection refused" for n in (2, 3)),
    )


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "::ffff:127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1"]
)
def test_loopback_in_any_spelling_is_refused_in_production(host):
    reason, text = refused(host, 6379, STRICT)

    assert reason == "blocked_address"
    assert "loopback (switched off here)" in text


def test_metadata_is_refused_by_name_too(answers):
    answers.append(("169.254.169.254",))

    assert refused("metadata.example", 80) == (
        "blocked_address",
        "metadata.example is refused: 169.254.169.254 is a cloud metadata service",
    )


def test_a_rebinding_name_is_checked_and_connected_by_one_answer(answers):
    answers += [("127.0.0.1",), ("169.254.169.254",)]
    with listening() as port:
        made, peer, _, _ = dialled("rebind.example", port)

    assert (made.address, peer[0]) == ("127.0.0.1", "127.0.0.1")
    assert answers == [("169.254.169.254",)]  # the second answer was never asked for


def test_only_the_allowed_of_several_addresses_are_dialled(answers):
    answers.append(("169.254.169.254", "127.0.0.1"))
    with listening() as port:
        made, _, _, _ = dialled("mixed.example", port)

    assert made.address == "127.0.0.1"


def test_a_dead_name():
    reason, text = refused("nothing.invalid", 6379)

    assert reason == "dns"
    assert text.startswith("the name nothing.invalid was not resolved")


def test_a_cancelled_dial_leaves_no_socket():
    async def give_up(port):
        async with asyncio.timeout(0.05):
            await dial("127.0.0.1", port, OPEN)

    with blackhole() as port, pytest.raises(TimeoutError):
        asyncio.run(give_up(port))  # an unclosed socket would warn, and warnings are errors


def test_a_unix_socket(tmp_path):
    path = str(tmp_path / "redis.sock")

    async def once(rules):
        made = await dial_unix(path, rules)
        made.sock.close()
        return made.address

    with pytest.raises(DialError, match="no such file") as raised:
        asyncio.run(once(OPEN))
    assert raised.value.reason == "refused"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        assert asyncio.run(once(OPEN)) == path
        with pytest.raises(DialError, match="switched off") as raised:
            asyncio.run(once(STRICT))
    assert raised.value.reason == "blocked_address"


def got(url, rules):
    """Fetch a URL; return its text, or the DialError's reason."""

    async def fetch():
        async with aiohttp.ClientSession(connector=connector(rules)) as session:
            try:
                async with session.get(url, allow_redirects=True) as response:
                    return await response.text()
            except aiohttp.ClientConnectorError as error:
                found = dial_error(error)
                return found and found.reason

    return asyncio.run(fetch())


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
def test_http_obeys_the_same_rules_for_names_and_literals(host):
    assert got(f"http://{host}:9/", STRICT) == "blocked_address"


def test_http_checks_redirects_too():
    async def serve_and_fetch():
        async def answer(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            head = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\n"
            writer.write(head + b"Content-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        rules = EgressRules(allowed_networks=networks("127.0.0.1/32"))
        async with server, aiohttp.ClientSession(connector=connector(rules)) as session:
            with pytest.raises(aiohttp.ClientConnectorError) as raised:
                await session.get(f"http://127.0.0.1:{port}/")
        return dial_error(raised.value)

    error = asyncio.run(serve_and_fetch())

    assert (error.reason, str(error)) == (
        "blocked_address",
        "169.254.169.254 is a cloud metadata service",
    )


def test_http_to_a_rebinding_name_connects_where_it_was_checked(answers):
    answers += [("169.254.169.254",), ("127.0.0.1",)]

    assert got("http://rebind.example:9/", OPEN) == "blocked_address"

"""The conversation with servers that misbehave, each on a loopback port of its own."""

import asyncio
import socket
import struct
import threading
import time

import hiredis
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.dial import Dialed
from checks.egress import EgressRules
from checks.probes.connection import connect
from checks.probes.replies import encode
from checks.probes.tls import Tls
from checks.probes.wire import Endpoint, Wire, WireError
from tests.loopback import ponging, saying, serving

RULES = EgressRules(allow_loopback=True, allow_unix=True)
INFO, PING = encode("INFO"), encode("PING")
RESET = struct.pack("ii", 1, 0)


def visit(endpoint, commands=(PING,), pings=0, within_s=30.0, **limits):
    """One visit; return its replies, or its round trips where PINGs are asked for."""

    async def talk():
        async with asyncio.timeout(within_s), connect(endpoint, RULES, **limits) as wire:
            replies = await wire.pipeline(commands)
            return await wire.ping(pings) if pings else replies

    return asyncio.run(talk())


def failure(talk, commands=(PING,), tls=None, **limits):
    """Visit a server that talks like this; return how it fails."""
    with serving(talk) as port, pytest.raises(WireError) as raised:
        visit(Endpoint("127.0.0.1", port, tls=tls), commands, **limits)
    return raised.value.reason, str(raised.value)


def test_errors_are_replies_in_their_place():
    answer = b"+OK\r\n-NOPERM no 'info' here\r\n$4\r\nsave\r\n"
    with serving(saying(answer)) as port:
        replies = visit(Endpoint("127.0.0.1", port), (PING, INFO, INFO))

    assert (replies[0], replies[2]) == (b"OK", b"save")
    assert isinstance(replies[1], hiredis.ReplyError)
    assert str(replies[1]) == "NOPERM no 'info' here"


def test_replies_in_crumbs():
    def talk(connection):
        connection.recv(65536)
        for byte in b"*2\r\n$4\r\nsave\r\n$0\r\n\r\n+PONG\r\n":
            connection.sendall(bytes([byte]))
            time.sleep(0.001)
        ponging(connection)

    with serving(talk) as port:
        assert visit(Endpoint("127.0.0.1", port), (INFO, PING)) == [[b"save", b""], b"PONG"]


@pytest.mark.usefixtures("kernel_stamps")
def test_round_trips_carry_kernel_stamps():
    with serving(lambda connection: ponging(connection, 0.002)) as port:
        pings = visit(Endpoint("127.0.0.1", port), pings=5)

    assert (len(pings.rtts_us), pings.clock, pings.error) == (5, "kernel", None)
    assert min(pings.rtts_us) >= 2000
    assert pings.probe_lag_us >= 0


@pytest.mark.usefixtures("kernel_stamps")
def test_a_busy_loop_lengthens_the_lag_and_not_the_round_trip():
    asked, stalling, answered = (threading.Event() for _ in range(3))

    def talk(connection):
        connection.recv(65536)
        connection.sendall(b"+PONG\r\n")  # the first warms up
        connection.recv(65536)
        asked.set()
        stalling.wait(30)
        connection.sendall(b"+PONG\r\n")
        answered.set()
        connection.recv(65536)

    async def stalled(port):
        async with connect(Endpoint("127.0.0.1", port), RULES) as wire:
            began_at = time.perf_counter()
            waiting = asyncio.ensure_future(wire.ping(1))
            await asyncio.to_thread(asked.wait, 30)
            stalling.set()
            answered.wait(30)
            most_us = (time.perf_counter() - began_at) * 1e6
            time.sleep(0.2)  # noqa: ASYNC251 - the loop is busy with another's visit
            return await waiting, most_us

    with serving(talk) as port:
        pings, most_us = asyncio.run(stalled(port))

    assert pings.clock == "kernel"
    assert pings.rtts_us[0] <= most_us
    assert pings.probe_lag_us >= 100_000


def test_a_refused_ping_is_a_round_trip_all_the_same():
    def talk(connection):
        while connection.recv(65536):
            connection.sendall(b"-MISCONF cannot save\r\n")

    with serving(talk) as port:
        pings = visit(Endpoint("127.0.0.1", port), pings=3)

    assert (len(pings.rtts_us), pings.error) == (3, "MISCONF cannot save")


def test_a_unix_socket_has_the_user_clock_and_says_so(tmp_path):
    path = str(tmp_path / "redis.sock")

    async def talk():
        async with connect(Endpoint(unix_path=path), RULES) as wire:
            return await wire.ping(3), wire.tcp_info(), wire.address

    with serving(ponging, socket.AF_UNIX, path):
        pings, info, address = asyncio.run(talk())

    assert (pings.clock, pings.probe_lag_us, len(pings.rtts_us)) == ("user", None, 3)
    assert (info, address) == (None, path)


def test_tcp_info():
    async def talk(port):
        async with connect(Endpoint("127.0.0.1", port), RULES) as wire:
            await wire.ping(2)
            return wire.tcp_info()

    with serving(ponging) as port:
        info = asyncio.run(talk(port))

    assert 0 < info.min_rtt_us < 10_000
    assert info.retransmits == 0


def test_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(WireError, match="connection refused") as raised:
        visit(Endpoint("127.0.0.1", port))

    assert raised.value.reason == "refused"


def test_too_many_clients_said_before_we_ask():
    def talk(connection):
        connection.sendall(b"-ERR max number of clients reached\r\n")

    for _ in range(5):  # our bytes may cross its reset: the text must win all the same
        assert failure(talk, (PING, INFO)) == ("max_clients", "ERR max number of clients reached")


def test_protected_mode():
    denied = saying(b"-DENIED Redis is running in protected mode\r\n", then_wait=False)

    assert failure(denied, (PING, INFO)) == (
        "protected_mode",
        "DENIED Redis is running in protected mode",
    )


@pytest.mark.parametrize(
    ("answer", "reason", "text"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "protocol", "an HTTP server"),
        (b"220 mail.example ESMTP\r\n", "protocol", "an SMTP or FTP server"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol", "an SSH server"),
        (
            b"\x15\x03\x03\x00\x02\x02\x46",
            "tls",
            "this port speaks TLS: use rediss:// for redis://",
        ),
        (b"\x00\xff\xfe garbage", "protocol", "something that is not Redis"),
        (b"*1\r\n" * 5000, "protocol", "no Redis protocol here"),
        (b"*4294967295\r\n", "too_large", "announced more than 100000 elements"),
        (b"$1\r\nXYZ*99999999\r\n", "too_large", "announced more than 100000 elements"),
        (b"%60000\r\n", "too_large", "announced more than 100000 elements"),
        (b"+OK\r\n+OK\r\n", "protocol", "more replies than it was asked for"),
    ],
)
def test_what_is_not_redis(answer, reason, text):
    found_reason, found_text = failure(saying(answer))

    assert found_reason == reason
    assert text in found_text


def test_an_oversized_bulk_ends_at_the_limit():
    def talk(connection):
        connection.recv(65536)
        connection.sendall(b"$500000000\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    assert failure(talk, max_reply_bytes=300_000) == (
        "too_large",
        "the server sent more than 300000 bytes",
    )


def test_an_endless_reply_without_a_line_end_ends_at_the_limit():
    def talk(connection):
        connection.recv(65536)
        while True:
            connection.sendall(b"+" + b"x" * 65536)

    assert failure(talk, max_reply_bytes=300_000)[0] == "too_large"


def test_a_slow_drip_ends_at_the_deadline():
    def talk(connection):
        connection.recv(65536)
        connection.sendall(b"$100000\r\n")
        while True:
            connection.sendall(b"x")
            time.sleep(0.02)

    started_at = time.monotonic()
    with serving(talk) as port, pytest.raises(TimeoutError):
        visit(Endpoint("127.0.0.1", port), within_s=0.3)

    assert time.monotonic() - started_at < 10


def test_a_server_that_reads_nothing_and_answers_nothing():
    released = threading.Event()
    with serving(lambda _: released.wait(5)) as port, pytest.raises(TimeoutError):
        visit(Endpoint("127.0.0.1", port), [b"x" * 20_000_000], within_s=0.3)
    released.set()


def test_a_large_pipeline_is_sent_as_the_server_takes_it():
    size = 8_000_000

    def talk(connection):
        left = size
        while left:
            left -= len(connection.recv(65536))
        connection.sendall(b"+OK\r\n")

    with serving(talk) as port:
        assert visit(Endpoint("127.0.0.1", port), [b"x" * size]) == [b"OK"]


def test_a_reset_before_the_first_byte_hints_at_tls():
    def talk(connection):
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    reason, text = failure(talk)

    assert reason == "tls"
    assert text == (
        "the server closed the connection (connection reset by peer) unasked, "
        "as a TLS port does: is it rediss://?"
    )


def test_an_end_between_replies_says_how_far_it_came():
    assert failure(saying(b"+OK\r\n", then_wait=False), (PING, PING)) == (
        "refused",
        "the server closed the connection (end of file) after 1 of 2 replies",
    )


def test_an_end_without_a_word():
    assert failure(saying(b"", then_wait=False)) == (
        "refused",
        "the server closed the connection (end of file) after 0 of 1 replies",
    )


def test_tls_to_a_plain_port_that_waits_for_more():
    assert failure(saying(b""), tls=Tls(), handshake_timeout_s=0.2) == (
        "tls",
        "no TLS handshake within 0.2 s: is this a plain port (redis://)?",
    )


def test_tls_to_a_plain_port_that_answers():
    reason, text = failure(saying(b"-ERR unknown command\r\n"), tls=Tls())

    assert (reason, "try redis://" in text) == ("tls", True)


def test_a_bundle_that_is_none():
    reason, text = failure(ponging, tls=Tls(ca_pem="not a certificate"))

    assert reason == "tls"
    assert text.startswith("the CA bundle cannot be read")


def test_a_failed_wire_stays_failed():
    async def talk(port):
        async with connect(Endpoint("127.0.0.1", port), RULES) as wire:
            for _ in range(2):
                with pytest.raises(WireError):
                    await wire.pipeline([PING])
            with pytest.raises(WireError):
                await wire.ping(3)

    with serving(saying(b"", then_wait=False)) as port:
        asyncio.run(talk(port))


def test_giving_up_closes_the_socket():
    closed = threading.Event()

    def talk(connection):
        while connection.recv(65536):
            pass
        closed.set()

    with serving(talk) as port, pytest.raises(TimeoutError):
        visit(Endpoint("127.0.0.1", port), within_s=0.1)

    assert closed.wait(30)


def test_hung_servers_do_not_delay_a_live_one():
    async def talk(hung_port, live_port):
        hung = [asyncio.ensure_future(hang(hung_port)) for _ in range(200)]
        await asyncio.sleep(0.1)
        started_at = time.monotonic()
        async with connect(Endpoint("127.0.0.1", live_port), RULES) as wire:
            await wire.pipeline([PING])
        elapsed_s = time.monotonic() - started_at
        for each in hung:
            each.cancel()
        await asyncio.gather(*hung, return_exceptions=True)
        return elapsed_s

    async def hang(port):
        async with connect(Endpoint("127.0.0.1", port), RULES) as wire:
            await wire.pipeline([PING])

    with serving(saying(b"")) as hung_port, serving(ponging) as live_port:
        assert asyncio.run(talk(hung_port, live_port)) < 10


CRUMBS = [
    b"+OK\r\n",
    b"-ERR no\r\n",
    b"*2\r\n",
    b"$3\r\nabc\r\n",
    b"$9",
    b"%1\r\n",
    b"\r\n",
    b":7\r\n",
]


@given(st.lists(st.sampled_from(CRUMBS) | st.binary(max_size=20), max_size=12), st.integers(1, 3))
@settings(max_examples=150)
def test_any_bytes_end_in_replies_or_in_a_wire_error(parts, count):
    async def talk():
        ours, theirs = socket.socketpair()
        ours.settimeout(0)
        wire = Wire(Dialed(ours, "pair", 0, 0))
        try:
            theirs.sendall(b"".join(parts))
            theirs.shutdown(socket.SHUT_WR)
            async with asyncio.timeout(30):
                return len(await wire.pipeline([PING] * count)) == count
        except WireError as error:
            return bool(str(error))
        finally:
            wire.close()
            theirs.close()

    assert asyncio.run(talk())

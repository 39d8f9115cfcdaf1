"""The wire against real servers, and its stopwatch against a known delay."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from statistics import median, quantiles

import hiredis
import pytest

from checks.egress import EgressRules
from checks.probes.connection import connect
from checks.probes.replies import classify, encode
from checks.probes.tls import Tls
from checks.probes.wire import Endpoint, WireError
from tests import servers
from tests.certificates import Certificates

pytestmark = pytest.mark.live

RULES = EgressRules(allow_loopback=True, allow_unix=True)
COMMANDS = [
    encode("PING"),
    encode("CLIENT", "SETNAME", "pairkeeper"),
    encode("INFO"),
    encode("CONFIG", "GET", "maxmemory-policy"),
    encode("CONFIG", "GET", "tcp-keepalive"),
    encode("NOSUCHCOMMAND", "x"),
]

# Answers each PING 2 ms after reading it, spinning, for a sleep would be late; and says for how
# long it kept it, from the kernel's stamp on its arrival, for with 32 at once they queue there.
SLEEPER = """
import heapq, select, socket, struct, time
server = socket.create_server(("127.0.0.1", 0), backlog=128)
server.setsockopt(socket.SOL_SOCKET, 35, 1)
def stamps():
    with socket.create_connection(server.getsockname()) as ours, server.accept()[0] as theirs:
        ours.sendall(b"x")
        return theirs.recvmsg(1, 64)[1]
while not stamps():  # the kernel begins to stamp a moment after the first socket asks for it
    time.sleep(0.01)
print(server.getsockname()[1], flush=True)
poll = select.epoll(); poll.register(server, select.EPOLLIN)
peers, due = {}, []
while True:
    for fd, _ in poll.poll(0):
        if fd == server.fileno():
            peer, _ = server.accept()
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            peers[peer.fileno()] = peer; poll.register(peer, select.EPOLLIN)
            continue
        data, ancillary, _, _ = peers[fd].recvmsg(4096, 64)
        if data:
            seconds, ns = struct.unpack("qq", ancillary[0][2])
            heapq.heappush(due, (time.perf_counter() + 0.002, fd, seconds * 10**9 + ns))
        else:
            poll.unregister(fd); peers.pop(fd).close()
    while due and due[0][0] <= time.perf_counter():
        _, fd, came_ns = heapq.heappop(due)
        peers[fd].sendall(b"+%d\\r\\n" % ((time.time_ns() - came_ns) // 1000))
"""


def endpoint(server, **options):
    path = str(server.socket_path or "")
    return Endpoint("" if path else "127.0.0.1", server.port, path, **options)


def visit(target, commands=(COMMANDS[0],), pings=10, within_s=30.0):
    async def talk():
        async with asyncio.timeout(within_s), connect(target, RULES) as wire:
            replies = await wire.pipeline(commands)
            return replies, await wire.ping(pings), wire.tcp_info()

    return asyncio.run(talk())


def failure(target, **options):
    with pytest.raises(WireError) as raised:
        visit(target, **options)
    return raised.value.reason, str(raised.value)


@pytest.mark.usefixtures("kernel_stamps")
@pytest.mark.parametrize("start", [servers.redis, servers.valkey, servers.system_redis])
def test_a_visit(start):
    with start("maxmemory-policy", "allkeys-lru", "tcp-keepalive", "60") as server:
        replies, pings, info = visit(endpoint(server), COMMANDS)

    assert replies[:2] == [b"PONG", b"OK"]
    assert b"redis_version:" in replies[2]
    assert replies[3:5] == [[b"maxmemory-policy", b"allkeys-lru"], [b"tcp-keepalive", b"60"]]
    assert classify(str(replies[5])) == "command_unavailable"
    assert (len(pings.rtts_us), pings.clock, pings.error) == (10, "kernel", None)
    assert 0 < info.min_rtt_us <= median(pings.rtts_us)


def test_a_unix_socket():
    with servers.redis(unix=True) as server:
        replies, pings, info = visit(endpoint(server))

    assert (replies, pings.clock, info) == ([b"PONG"], "user", None)


def test_passwords_and_accounts():
    with servers.redis("requirepass", "open sesame") as server:
        add_user = encode("ACL", "SETUSER", "fleet", "on", ">secret", "+ping")
        right = [encode("AUTH", "open sesame"), add_user, encode("SELECT", 3), COMMANDS[0]]
        named = [encode("AUTH", "fleet", "secret"), COMMANDS[0], COMMANDS[2]]
        wrong = [encode("AUTH", "open barley"), COMMANDS[0]]
        opened, named_pings, _ = visit(endpoint(server), right)
        account, _, _ = visit(endpoint(server), named)
        denied, denied_pings, _ = visit(endpoint(server), wrong)

    assert opened == [b"OK", b"OK", b"OK", b"PONG"]
    assert (named_pings.error, account[:2]) == (None, [b"OK", b"PONG"])
    assert classify(str(account[2])) == "no_permission"
    assert [classify(str(reply)) for reply in denied] == ["auth", "auth"]
    assert denied_pings.error == "NOAUTH Authentication required."


def test_a_password_where_none_is_set():
    with servers.redis() as server:
        replies, _, _ = visit(endpoint(server), [encode("AUTH", "open sesame")])

    assert isinstance(replies[0], hiredis.ReplyError)
    assert classify(str(replies[0])) == "auth"


def test_too_many_clients():
    with servers.redis("maxclients", "1") as server:

        async def talk():
            async with connect(endpoint(server), RULES) as first:
                await first.pipeline(COMMANDS)
                async with connect(endpoint(server), RULES) as second:
                    await second.pipeline(COMMANDS)

        with pytest.raises(WireError, match="max number of clients") as raised:
            asyncio.run(talk())

    assert raised.value.reason == "max_clients"


def test_a_stopped_server_takes_its_deadline():
    with servers.redis() as server:
        os.kill(server.process_id, signal.SIGSTOP)
        try:
            with pytest.raises(TimeoutError):
                visit(endpoint(server), within_s=0.3)
        finally:
            os.kill(server.process_id, signal.SIGCONT)


@pytest.mark.usefixtures("kernel_stamps")
def test_tls_keeps_the_kernel_stamps():
    with servers.tls_redis() as server:
        trusted = Tls(ca_pem=server.certificates.ca.read_text())
        replies, pings, info = visit(endpoint(server, tls=trusted), COMMANDS)

    assert replies[0] == b"PONG"
    assert (len(pings.rtts_us), pings.clock) == (10, "kernel")
    assert info.min_rtt_us <= median(pings.rtts_us)


def test_certificates_are_verified_unless_told_not_to(tmp_path):
    with servers.tls_redis() as server:
        ca_pem = server.certificates.ca.read_text()
        other_pem = Certificates.make(tmp_path).ca.read_text()
        by_name = Tls(ca_pem=ca_pem, server_name="localhost")
        unverified, _, _ = visit(endpoint(server, tls=Tls(verify=False)))
        named, _, _ = visit(endpoint(server, tls=by_name))
        system = failure(endpoint(server, tls=Tls()))
        other = failure(endpoint(server, tls=Tls(ca_pem=other_pem)))
        misnamed = failure(endpoint(server, tls=Tls(ca_pem, "redis.example")))

    refused = "the server's certificate was not accepted: "
    assert unverified == named == [b"PONG"]
    assert system == ("tls", f"{refused}self-signed certificate in certificate chain")
    assert (other[0], other[1].startswith(refused)) == ("tls", True)
    assert misnamed == (
        "tls",
        f"{refused}Hostname mismatch, certificate is not valid for 'redis.example'.",
    )


def test_a_wanted_client_certificate_is_named():
    with servers.tls_redis("tls-auth-clients", "yes") as server:
        reason, text = failure(endpoint(server, tls=Tls(server.certificates.ca.read_text())))

    assert (reason, "certificate" in text) == ("tls", True)


def test_the_wrong_scheme_is_named_both_ways():
    with servers.tls_redis() as server:
        plain_to_tls = failure(endpoint(server))
    with servers.redis() as server:
        target = endpoint(server, tls=Tls(verify=False))
        tls_to_plain = failure(target)

    assert plain_to_tls[0] == "tls"
    assert "rediss://" in plain_to_tls[1]
    assert tls_to_plain[0] == "tls"
    assert "redis://" in tls_to_plain[1]


@contextmanager
def sleeper():
    with subprocess.Popen([sys.executable, "-c", SLEEPER], stdout=subprocess.PIPE) as child:
        try:
            yield int(child.stdout.readline())
        finally:
            child.kill()


@pytest.mark.alone
@pytest.mark.usefixtures("kernel_stamps")
def test_the_stopwatch_against_a_known_delay_with_32_in_flight():
    async def measure(port):
        async def one():
            async with connect(Endpoint("127.0.0.1", port), RULES) as wire:
                pings = await wire.ping(10)
                return pings, [int(reply) for reply in wire._replies[1:]]

        rounds = [await asyncio.gather(*(one() for _ in range(32))) for _ in range(5)]
        return [visit for visits in rounds for visit in visits]

    with sleeper() as port:
        visits = asyncio.run(measure(port))

    errors_us = sorted(abs(median(pings.rtts_us) - median(kept)) for pings, kept in visits)
    assert {pings.clock for pings, _ in visits} == {"kernel"}
    assert min(min(kept) for _, kept in visits) >= 2000
    assert median(errors_us) <= 200
    assert quantiles(errors_us, n=20)[-1] <= 500

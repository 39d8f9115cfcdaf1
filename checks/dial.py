"""Every outgoing connection starts here: resolve, check, connect to the address checked.

The address that passed the egress rules is the address connected to: nothing is
resolved a second time, so a name that changes its answer (DNS rebinding) gains nothing.
"""

import asyncio
import errno
import os
import socket
import struct
import time
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address
from typing import Any, Literal, NoReturn

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from checks.egress import EgressRules, real_path, refusal, unix_refusal
from checks.gate import connecting
from checks.quick import quickly_made
from checks.resolver import resolver

CONNECT_TIMEOUT_S = 2.0
MAX_ADDRESSES = 4
UNIX_RETRY_S = 0.01

Reason = Literal["dns", "refused", "timeout", "blocked_address", "probe_blind"]

# What connect() may answer that is our own want, not the target's.
OURS = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL}
# struct tcp_info (linux/tcp.h): tcpi_rtt at 68 and tcpi_total_retrans at 100.
HANDSHAKE = struct.Struct("68xI28xI")


class DialError(OSError):
    """No connection, and why: a reason code and a text that holds no secret.

    is_answer: the host itself refused, so that it is there.
    """

    def __init__(self, reason: Reason, text: str, *, is_answer: bool = False) -> None:
        super().__init__(text)
        self.reason = reason
        self.is_answer = is_answer


@quickly_made
@dataclass(frozen=True)
class Dialed:
    """A connected non-blocking socket; whoever asked for it closes it.

    connect_us is the kernel's own measure of the TCP handshake where it has one, so a
    busy event loop does not lengthen it. resolve_us is 0 for a numeric address.
    """

    sock: socket.socket
    address: str
    resolve_us: int
    connect_us: int


async def dial(
    host: str, port: int, rules: EgressRules, *, connect_timeout_s: float = CONNECT_TIMEOUT_S
) -> Dialed:
    """Connect to the first address of host that lets us, or raise DialError.

    Resolves within 2 s, then tries up to four addresses in their order, which
    share connect_timeout_s. At most 1,000 connect at a time, per process.
    """
    started_ns = time.perf_counter_ns()
    literal = _literal(host)
    addresses = (literal,) if literal else await addresses_of(host)
    resolve_us = 0 if literal else (time.perf_counter_ns() - started_ns) // 1000
    allowed = permitted(host, addresses, rules)[:MAX_ADDRESSES]
    async with connecting():
        sock, address, connect_us = await _first(allowed, port, connect_timeout_s)
    return Dialed(sock, address, resolve_us, connect_us)


async def dial_unix(
    path: str, rules: EgressRules, *, connect_timeout_s: float = CONNECT_TIMEOUT_S
) -> Dialed:
    """Connect to a unix socket that the rules allow, or raise DialError."""
    if why := unix_refusal(rules, path):
        raise DialError("blocked_address", why)
    started_ns = time.perf_counter_ns()
    async with connecting():
        sock = _open(socket.AF_UNIX)
        try:
            code = await _connect_unix(sock, real_path(path), connect_timeout_s)
            if code:
                _fail(code, path, connect_timeout_s)
        except BaseException:
            sock.close()
            raise
    return Dialed(sock, path, 0, (time.perf_counter_ns() - started_ns) // 1000)


def connector(rules: EgressRules, **options: Any) -> aiohttp.TCPConnector:
    """Return an aiohttp connector that dials by the same rules, names and literals alike.

    options are TCPConnector's own. aiohttp raises ClientConnectorError: dial_error()
    finds the DialError within. Give the request ClientTimeout(sock_connect=2).
    """

    def checked_socket(info: tuple[Any, ...]) -> socket.socket:
        family, _, _, _, sockaddr = info
        if why := refusal(rules, str(sockaddr[0])):
            raise DialError("blocked_address", why)
        return _open(family)

    return aiohttp.TCPConnector(
        resolver=_CheckedResolver(rules),
        use_dns_cache=False,  # the resolver caches, and checks each time
        socket_factory=checked_socket,
        **options,
    )


def dial_error(error: BaseException) -> DialError | None:
    """Find the DialError that aiohttp wrapped, if that is what went wrong."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, DialError):
        cause = cause.__cause__
    return cause


async def addresses_of(host: str) -> tuple[str, ...]:
    """Resolve a name within 2 s, or raise DialError("dns"); "probe_blind" where nobody was asked."""
    answer = await resolver().resolve(host)
    if answer.is_unasked:
        raise DialError("probe_blind", answer.error)
    if not answer.addresses:
        raise DialError("dns", answer.error or f"the name {host} has no address")
    return answer.addresses


def permitted(host: str, addresses: tuple[str, ...], rules: EgressRules) -> list[str]:
    """Keep the addresses that the rules allow; raise DialError where none is left."""
    refusals = {address: refusal(rules, address) for address in addresses}
    allowed = [address for address, why in refusals.items() if why is None]
    if not allowed:
        why = "; ".join(text for text in refusals.values() if text)
        named = "" if host in addresses else f"{host} is refused: "
        raise DialError("blocked_address", named + why)
    return allowed


class _CheckedResolver(AbstractResolver):
    """aiohttp's view of our resolver and rules."""

    def __init__(self, rules: EgressRules) -> None:
        self._rules = rules

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        allowed = permitted(host, await addresses_of(host), self._rules)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=_family(address),
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in allowed[:MAX_ADDRESSES]
        ]

    async def close(self) -> None:
        return None


@lru_cache(maxsize=65_536)
def _literal(host: str) -> str | None:
    """Return the host if it is an address in its usual form; odd forms are libc's to read."""
    try:
        return str(ip_address(host))
    except ValueError:
        return None


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _open(family: socket.AddressFamily | int) -> socket.socket:
    try:
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    except OSError as error:
        raise _failure(error.errno or 0, "the worker's own socket", 0) from None
    if family != socket.AF_UNIX:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


async def _first(
    addresses: list[str], port: int, timeout_s: float
) -> tuple[socket.socket, str, int]:
    """Connect to the first that answers; a silent one costs its share of the time left."""
    ends_at = time.monotonic() + timeout_s
    failures: list[DialError] = []
    for tried, address in enumerate(addresses):
        share_s = (ends_at - time.monotonic()) / (len(addresses) - tried)
        try:
            sock, connect_us = await _connect(address, port, max(share_s, 0.0))
        except DialError as error:
            failures.append(error)
        else:
            return sock, address, connect_us
    reasons = [error.reason for error in failures if error.reason != "refused"]
    reason: Reason = reasons[0] if reasons else "refused"
    is_answer = any(error.is_answer for error in failures)
    raise DialError(reason, "; ".join(str(error) for error in failures), is_answer=is_answer)


async def _connect(address: str, port: int, timeout_s: float) -> tuple[socket.socket, int]:
    family = _family(address)
    sockaddr = (address, port) if family == socket.AF_INET else (address, port, 0, 0)
    sock = _open(family)
    try:
        started_ns = time.perf_counter_ns()
        code = sock.connect_ex(sockaddr)
        if code == errno.EINPROGRESS:
            code = sock.connect_ex(sockaddr)  # a near peer has answered by now
        if code in (errno.EINPROGRESS, errno.EALREADY):
            code = await _connected(sock, timeout_s)
        if code:
            _fail(code, _at(address, port), timeout_s)
        return sock, _handshake_us(sock, time.perf_counter_ns() - started_ns)
    except BaseException:
        sock.close()
        raise


async def _connect_unix(sock: socket.socket, path: str, timeout_s: float) -> int:
    ends_at = time.monotonic() + timeout_s
    code = sock.connect_ex(path)
    while code == errno.EAGAIN:  # its backlog is full, and no event tells when it is not
        if time.monotonic() > ends_at:
            return errno.ETIMEDOUT
        await asyncio.sleep(UNIX_RETRY_S)
        code = sock.connect_ex(path)
    return code


async def _connected(sock: socket.socket, timeout_s: float) -> int:
    """Wait for the kernel's verdict on a connection under way: 0 or an errno."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    fd = sock.fileno()
    loop.add_writer(fd, _settle, done)
    try:
        async with asyncio.timeout(timeout_s):
            await done
    except TimeoutError:
        return errno.ETIMEDOUT
    finally:
        loop.remove_writer(fd)
    return sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)


def _settle(done: asyncio.Future[None]) -> None:
    if not done.done():
        done.set_result(None)


def _handshake_us(sock: socket.socket, elapsed_ns: int) -> int:
    """Prefer the kernel's measure of SYN to SYN-ACK; a repeated SYN leaves only our clock."""
    elapsed_us = elapsed_ns // 1000
    try:
        info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, HANDSHAKE.size)
        rtt_us, retransmits = HANDSHAKE.unpack(info)
    except (AttributeError, OSError, struct.error):  # not Linux, or an old one
        return elapsed_us
    return min(rtt_us, elapsed_us) if rtt_us and not retransmits else elapsed_us


def _fail(code: int, where: str, timeout_s: float) -> NoReturn:
    raise _failure(code, where, timeout_s)


def _failure(code: int, where: str, timeout_s: float) -> DialError:
    if code == errno.ETIMEDOUT:
        return DialError("timeout", f"{where} did not accept a connection within {timeout_s:.3g} s")
    if code in OURS:
        return DialError("probe_blind", f"this worker cannot connect: {os.strerror(code)}")
    text = f"{where} was not reached: {os.strerror(code).lower()}"
    return DialError("refused", text, is_answer=code == errno.ECONNREFUSED)


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"

"""The kernel's own clock: receive stamps on a socket, round trips from them, TCP_INFO."""

import platform
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from statistics import median
from typing import Final, Literal, NamedTuple

from checks.quick import quickly_made

SO_TIMESTAMPNS = 35  # linux/socket.h on x86-64 and arm64; not in Python's socket module
STAMP_ROOM = socket.CMSG_SPACE(16)
SOL_SOCKET = socket.SOL_SOCKET
TIMESPEC = struct.Struct("qq")
TIMESPEC_BYTES, unpack_timespec = TIMESPEC.size, TIMESPEC.unpack_from
# struct tcp_info (linux/tcp.h): rtt at 68, total_retrans at 100, min_rtt at 148.
TCP_INFO = struct.Struct("68xI28xI44xI")
UNKNOWN_RTT_US = 2**31  # above this is the kernel's word for "no sample yet"
# Reading the two clocks at sending takes two calls, so they may differ by this much.
CLOCK_SLACK_NS = 100_000

Ancillary = list[tuple[int, int, bytes]]
Times = tuple[int, int, int, int]  # the fields of Sample, made in a tenth of its time


@quickly_made
@dataclass(frozen=True)
class TcpInfo:
    """What the kernel knows of the path; min_rtt_us is pure network, rtt_us is smoothed."""

    rtt_us: int
    min_rtt_us: int
    retransmits: int


def ask_for_stamps(sock: socket.socket) -> bool:
    """Have the kernel stamp what this socket receives; False where it cannot."""
    if not _kept_on():
        return False
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return True


def stamp_ns(ancillary: Ancillary) -> int:
    """Read the stamp of a recvmsg in nanoseconds since the epoch, 0 where there is none."""
    for level, kind, data in ancillary:
        if kind == SO_TIMESTAMPNS and level == SOL_SOCKET and len(data) >= TIMESPEC_BYTES:
            seconds, nanoseconds = unpack_timespec(data)
            found_ns: int = seconds * 1_000_000_000 + nanoseconds  # struct says Any
            return found_ns
    return 0


def tcp_info(sock: socket.socket) -> TcpInfo | None:
    """Read TCP_INFO; None for a unix socket or a kernel that has no min_rtt."""
    try:
        rtt_us, retransmits, min_rtt_us = TCP_INFO.unpack(
            sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, TCP_INFO.size)
        )
    except (AttributeError, OSError, struct.error):
        return None
    return TcpInfo(rtt_us, min_rtt_us, retransmits)


@cache
def _kept_on() -> bool:
    """Keep stamping on for the process: the kernel starts it late, after the first asks."""
    if platform.system() != "Linux":
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as keeper:
        try:
            keeper.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        except OSError:
            return False
        keeper.detach()  # open for as long as the process lives, and nobody's to close
    return True


class Sample(NamedTuple):
    """One PING: sent by the wall clock and by the monotonic one, stamped, and read (ns)."""

    sent_wall_ns: int
    sent_ns: int
    stamp_ns: int
    read_ns: int


@quickly_made
@dataclass(frozen=True)
class Pings:
    """Round trips in microseconds, in the order they were made.

    clock says who stopped them: "kernel", its receive stamp, or "user", ourselves, late by
    as much as the event loop was busy. probe_lag_us is the median of that lateness,
    None where it cannot be known. error is the text PING was refused with, if it was.
    """

    rtts_us: tuple[int, ...]
    clock: Literal["kernel", "user"]
    probe_lag_us: int | None
    error: str | None = None


def measured(samples: Sequence[Times], error: str | None = None) -> Pings:
    """Turn samples into round trips; those without a believable stamp are dropped.

    The user clock serves for all of them where fewer than half have one: a unix
    socket, another system, or a wall clock that was stepped meanwhile.
    """
    rtts_us, lags_ns = [], []
    for sent_wall_ns, sent_ns, stamp_ns, read_ns in samples:
        kernel_ns, user_ns = stamp_ns - sent_wall_ns, read_ns - sent_ns
        if 0 < kernel_ns <= user_ns + CLOCK_SLACK_NS:
            rtts_us.append(round(kernel_ns / 1000))
            lags_ns.append(user_ns - kernel_ns)
    if not samples or 2 * len(rtts_us) < len(samples):
        users_us = tuple([round((read - sent) / 1000) for _, sent, _, read in samples])
        return Pings(users_us, "user", None, error)
    return Pings(tuple(rtts_us), "kernel", max(round(median(lags_ns) / 1000), 0), error)


NO_PINGS: Final = measured(())

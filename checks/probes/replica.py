"""A copy of the whole dataset by the replication protocol: what a new replica is sent, and no more."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Final

from checks.dial import DialError, dial, dial_unix
from checks.egress import EgressRules
from checks.facts import Reason
from checks.probes.redis_commands import auth
from checks.probes.replies import classify, encode, safe_text
from checks.probes.tls import BundleError, context, explain
from checks.probes.wire import HANDSHAKE_TIMEOUT_S, Endpoint, misspoken

CLIENT_NAME: Final = "pairkeeper-pull"
PIECE_BYTES: Final = 256 * 1024
MARK_BYTES: Final = 40
MOST_PAUSE_S: Final = 1.0  # then whoever takes the pieces may end it
MAX_LINE_BYTES: Final = 4_096
# The server sends a line end about once a second while it prepares. Source: replication.c.
SILENCE_S: Final = 60.0
LENGTH: Final = re.compile(rb"\$(\d{1,18})")
MARK: Final = re.compile(rb"\$EOF:([!-~]{40})")

# What the account needs, and no more. SYNC is asked for only where PSYNC is refused.
RIGHTS: Final = ("client|setname", "psync", "replconf")
# Asked for, not relied on: Redis 6.0 knows no rdb-only, and the account may lack REPLCONF.
WISHES: Final = (
    encode("CLIENT", "SETNAME", CLIENT_NAME),
    encode("REPLCONF", "capa", "eof", "capa", "psync2"),
    encode("REPLCONF", "rdb-only", "1"),
    # Valkey 9 writes RDB 11 for who names no version, and gives up at the first key that wants more.
    encode("REPLCONF", "version", "255.255.255"),
)
PSYNC: Final = encode("PSYNC", "?", "-1")
SYNC: Final = encode("SYNC")
# Why PSYNC may be refused where SYNC is not.
CLOSED: Final = frozenset({"command_unavailable", "no_permission"})
# What a server may answer instead of a dump; replies.PREFIXES has the others.
REFUSALS: Final[tuple[tuple[str, Reason], ...]] = (
    ("NOMASTERLINK", "misconf"),
    ("ERR BGSAVE failed", "misconf"),
    ("ERR Can't SYNC", "misconf"),
)


@dataclass(frozen=True, slots=True)
class PullTarget:
    """Whom to ask, as whom; the account is one of its own, for it exports everything."""

    endpoint: Endpoint
    user: str = ""
    password: str = field(default="", repr=False)
    rules: EgressRules = field(default_factory=EgressRules)


@dataclass(frozen=True, slots=True)
class PullBounds:
    """How much and how long at the most; bytes_per_s 0 = as fast as it comes.

    silence_s is for how long not a single byte may come: the server sends one each second while
    it prepares, and forks only when another save has ended.
    """

    most_bytes: int
    within_s: float
    bytes_per_s: int = 0
    silence_s: float = SILENCE_S


class PullError(Exception):
    """There is no whole copy, and why: a reason code and a text that holds no secret."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@contextmanager
def pulling(
    target: PullTarget,
    bounds: PullBounds,
    clock: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    waiting: Callable[[], None] = lambda: None,
) -> Iterator[Incoming]:
    """Ask for a full synchronisation; give what arrives, and close at once when the block ends.

    Blocks its thread: meant for a job's own. Costs the server a fork and a snapshot, on its disk
    where its repl-diskless-sync is off; that resets what INFO tells of its own saves. `waiting`
    is called each time that the server says that it is not ready yet. Raises PullError, from
    `pieces` too.
    """
    ends_at = clock() + bounds.within_s
    with closing(_connected(target)) as sock:
        line = _Line(sock, bounds, ends_at, clock, waiting)
        header = _ask(line, target)
        yield Incoming(line, header, pause)


class Incoming:
    """A dump on its way. `announced_bytes` is its size, None where the server does not know yet."""

    def __init__(self, line: _Line, header: bytes, pause: Callable[[float], None]) -> None:
        self._line = line
        self._pause = pause
        self._mark = found[1] if (found := MARK.fullmatch(header)) else b""
        length = LENGTH.fullmatch(header)
        if not self._mark and length is None:
            raise PullError("protocol", f"no dump follows, but {safe_text(_text(header))}")
        self.announced_bytes = int(length[1]) if length else None
        self.done_bytes = 0
        self._check_size(self.announced_bytes or 0)

    def pieces(self) -> Iterator[bytes]:
        """Give the dump as it arrives, at most PIECE_BYTES at a time, no faster than allowed.

        Raises PullError where it ends too early, comes too slowly, or is too large.
        """
        began_at = self._line.clock()
        for piece in self._by_mark() if self._mark else self._by_length():
            self.done_bytes += len(piece)
            self._check_size(self.done_bytes)
            yield piece
            self._slow_down(began_at)

    def _by_length(self) -> Iterator[bytes]:
        left = self.announced_bytes or 0
        while left:
            piece = self._line.receive(min(left, self._most()), self._so_far)
            left -= len(piece)
            yield piece

    def _by_mark(self) -> Iterator[bytes]:
        """Hold back what may be the mark's beginning, until it is seen."""
        held = b""
        while True:
            seen = held + self._line.receive(self._most(), self._so_far)
            end = seen.find(self._mark)
            if end >= 0:
                yield seen[:end]
                return
            held = seen[-MARK_BYTES:]
            yield seen[:-MARK_BYTES]

    def _most(self) -> int:
        """Take no more at once than a second may bring."""
        return min(PIECE_BYTES, self._line.bounds.bytes_per_s or PIECE_BYTES)

    def _so_far(self) -> str:
        total = "" if self.announced_bytes is None else f" of {self.announced_bytes:,}"
        return f"after {self.done_bytes:,}{total} bytes"

    def _check_size(self, size_bytes: int) -> None:
        most = self._line.bounds.most_bytes
        if size_bytes > most:
            raise PullError("too_large", f"the dump is over {most:,} bytes")

    def _slow_down(self, began_at: float) -> None:
        """Wait until the average is no faster than allowed, a second at most for each piece."""
        if pace := self._line.bounds.bytes_per_s:
            early_s = self.done_bytes / pace - (self._line.clock() - began_at)
            if early_s > 0:
                self._pause(min(early_s, MOST_PAUSE_S))


class _Line:
    """A connected socket under a deadline: bytes and lines, or a PullError."""

    def __init__(
        self,
        sock: socket.socket,
        bounds: PullBounds,
        ends_at: float,
        clock: Callable[[], float],
        waiting: Callable[[], None],
    ) -> None:
        self.bounds = bounds
        self.clock = clock
        self._waiting = waiting
        self._sock = sock
        self._ends_at = ends_at
        self._left = b""

    def send(self, data: bytes) -> None:
        try:
            self._sock.settimeout(self._patience_s())
            self._sock.sendall(data)
        except OSError as error:
            raise _broken(error, "while it was asked") from None

    def receive(self, most: int, where: Callable[[], str]) -> bytes:
        """Give at least one byte and at most `most`; `where` tells how far it was."""
        if self._left:
            taken, self._left = self._left[:most], self._left[most:]
            return taken
        try:
            self._sock.settimeout(self._patience_s())
            data = self._sock.recv(most)
        except TimeoutError:
            raise self._too_late(where()) from None
        except OSError as error:
            raise _broken(error, where()) from None
        if not data:
            raise PullError("refused", f"the server closed the connection {where()}")
        return data

    def line(self, where: str) -> bytes:
        """Give the next line that is not empty, without its end; empty ones keep us waiting."""
        while True:
            while b"\n" not in self._left:
                if len(self._left) > MAX_LINE_BYTES:
                    raise PullError(*misspoken(self._left))
                kept, self._left = self._left, b""
                self._left = kept + self.receive(MAX_LINE_BYTES, lambda: where)
            line, _, self._left = self._left.partition(b"\n")
            if line := line.rstrip(b"\r"):
                return line
            self._waiting()

    def _patience_s(self) -> float:
        left_s = self._ends_at - self.clock()
        if left_s <= 0:
            raise self._too_late("")
        return min(left_s, self.bounds.silence_s)

    def _too_late(self, where: str) -> PullError:
        where = f" {where}" if where else ""
        if self.clock() >= self._ends_at:
            return PullError("timeout", f"not done within {self.bounds.within_s:g} s{where}")
        return PullError("timeout", f"the server was silent for {self.bounds.silence_s:g} s{where}")


def _connected(target: PullTarget) -> socket.socket:
    """Connect by the egress rules, and shake hands where the server speaks TLS."""
    endpoint = target.endpoint
    try:
        if endpoint.unix_path:
            dialed = asyncio.run(dial_unix(endpoint.unix_path, target.rules))
        else:
            dialed = asyncio.run(dial(endpoint.host, endpoint.port, target.rules))
    except DialError as error:
        raise PullError(error.reason, str(error)) from None
    dialed.sock.settimeout(HANDSHAKE_TIMEOUT_S)
    try:
        return _secured(dialed.sock, endpoint)
    except BaseException:
        dialed.sock.close()
        raise


def _secured(sock: socket.socket, endpoint: Endpoint) -> socket.socket:
    tls = endpoint.tls
    if tls is None:
        return sock
    try:
        made = context(tls.ca_pem, verify=tls.verify)
        return made.wrap_socket(sock, server_hostname=tls.server_name or endpoint.host or None)
    except TimeoutError:
        text = (
            f"no TLS handshake within {HANDSHAKE_TIMEOUT_S:g} s: is this a plain port (redis://)?"
        )
        raise PullError("tls", text) from None
    except ssl.SSLError as error:
        raise PullError(*explain(error)) from None
    except (BundleError, ValueError) as error:
        raise PullError("tls", str(error)) from None
    except OSError as error:
        raise _broken(error, "during the TLS handshake") from None


def _ask(line: _Line, target: PullTarget) -> bytes:
    """Sign in and ask for a dump; return the line that comes before its first byte."""
    if signing_in := auth(target.user, target.password):
        _check(_answer(line, signing_in), target)
    for wish in WISHES:
        _answer(line, wish)
    answer = _answer(line, PSYNC)
    if answer.startswith(b"-") and classify(_text(answer[1:])) in CLOSED:
        second = _answer(line, SYNC)
        answer = answer if second.startswith(b"-") else second
    if answer.startswith(b"+FULLRESYNC"):
        answer = line.line("before the dump began")
    _check(answer, target)
    return answer


def _answer(line: _Line, command: bytes) -> bytes:
    line.send(command)
    answer = line.line("before it answered")
    if not answer.startswith((b"+", b"-", b"$")):
        raise PullError(*misspoken(answer))
    return answer


def _check(answer: bytes, target: PullTarget) -> None:
    """Raise what an error reply says, without what we sent."""
    if answer.startswith(b"-"):
        words = _text(answer[1:])
        own = next((reason for prefix, reason in REFUSALS if words.startswith(prefix)), None)
        text = safe_text(words, secrets=[target.password])
        raise PullError(own or classify(words) or "undetermined", f"the server answers: {text}")


def _broken(error: OSError, where: str) -> PullError:
    if isinstance(error, ssl.SSLError):
        return PullError(*explain(error))
    text = (error.strerror or str(error)).lower()
    return PullError("refused", f"the connection broke {where}: {text}")


def _text(line: bytes) -> str:
    return line.decode(errors="replace")

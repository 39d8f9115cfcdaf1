"""One RESP connection over a socket of our own, so that the kernel can stamp its answers.

Nothing here judges: replies come back as they are, errors among them as values.
"""

import asyncio
import errno
import os
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns, time_ns

import hiredis

from checks.dial import Dialed
from checks.facts import Reason
from checks.probes.hub import hub
from checks.probes.replies import (
    HEADER_BYTES,
    MAX_ELEMENTS,
    Reply,
    declared_elements,
    encode,
    last_words,
    safe_text,
    speaks_tls,
    stranger,
)
from checks.probes.stamps import (
    NO_PINGS,
    STAMP_ROOM,
    Pings,
    TcpInfo,
    Times,
    ask_for_stamps,
    measured,
    stamp_ns,
    tcp_info,
)
from checks.probes.tls import Tls, TlsLayer, explain

MAX_REPLY_BYTES = 8 * 1024 * 1024
HANDSHAKE_TIMEOUT_S = 3.0
RECEIVE_BYTES = 65_536
PING, PONG = encode("PING"), b"+PONG\r\n"
NOT_YET = object()
TLS_MISMATCH = "this port speaks TLS: use rediss:// for redis://"


class WireError(Exception):
    """The conversation failed, and why: a reason code and a text that holds no secret."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason = reason


class TooLate(WireError):
    """What was asked was not answered in the time that was given for it."""


@dataclass(frozen=True)
class Endpoint:
    """Where a server listens: a host and port, or unix_path; tls where it speaks TLS."""

    host: str = ""
    port: int = 6379
    unix_path: str = ""
    tls: Tls | None = None


class Wire:
    """A connection and what is awaited on it: one pipeline or one series of PINGs at a time.

    Bytes are handled in the event loop's callback; the coroutine that waits is woken
    once per pipeline or series, for waking it per PING would double the cost.
    """

    def __init__(self, dialed: Dialed, max_reply_bytes: int = MAX_REPLY_BYTES) -> None:
        self.address = dialed.address
        self.resolve_us, self.connect_us = dialed.resolve_us, dialed.connect_us
        self._sock, self._fd = dialed.sock, dialed.sock.fileno()
        self._room = STAMP_ROOM if ask_for_stamps(self._sock) else 0
        self._loop = asyncio.get_running_loop()
        self._tls: TlsLayer | None = None
        self._is_shaken = False
        self._reader = hiredis.Reader(notEnoughData=NOT_YET)
        self._max_bytes = max_reply_bytes
        self._received = self._elements = self._wanted = 0
        self._head = self._tail = self._unsent = b""
        self._error: WireError | None = None
        self._replies: list[Reply] = []
        self._samples: list[Times] = []
        self._batch: Sequence[Reply] | None = None  # whose round trips are measured after it
        self._may_time: Callable[[Sequence[Reply]], bool] = bool
        self._times = 0
        self._is_over = True
        self._is_timing = False  # no answer but a plain PONG has come in this series
        self._stamp_ns = self._read_ns = self._sent_wall_ns = self._sent_ns = 0
        self._waiter: asyncio.Future[WireError | None] | None = None
        self._handle: Callable[[bytes], None] = self._feed
        self._receive: Callable[[bytes], None] = self._on_plain
        self._hub = hub(self._loop)
        self._hub.watch(self._fd, self._on_readable)

    def __repr__(self) -> str:
        return f"<Wire to {self.address}>"

    async def shake_hands(self, options: Tls, host: str, timeout_s: float) -> None:
        """Begin TLS and verify the certificate, or raise WireError("tls")."""
        try:
            self._tls = tls = TlsLayer(options, host)
        except ValueError as error:  # BundleError, or a name no certificate could have
            raise WireError("tls", str(error)) from None
        self._receive = partial(self._on_handshake, tls)
        self._attempt(self._receive, b"")
        try:
            async with asyncio.timeout(timeout_s):
                await self._done()
        except TimeoutError:
            text = f"no TLS handshake within {timeout_s:g} s: is this a plain port (redis://)?"
            raise WireError("tls", text) from None

    async def pipeline(self, commands: Sequence[bytes]) -> list[Reply]:
        """Send encoded commands at once and return a reply for each, errors as values.

        Raises WireError; where the server ends the connection with an error reply, such
        as "max number of clients reached", with that one's reason.
        """
        self._begin(len(commands), self._on_replies)
        self._send(b"".join(commands))
        self._attempt(self._on_replies, b"")  # it may have spoken before it was asked
        if not self._is_over:
            await self._done()
        return self._replies

    async def exchange(
        self, commands: Sequence[bytes], times: int, may_time: Callable[[Sequence[Reply]], bool]
    ) -> tuple[Sequence[Reply], Pings]:
        """Send a batch as `pipeline` does, and measure round trips as soon as it is answered.

        Woken once for both, which is a tenth of a visit. The batch is what warms up here. Where
        may_time says no of its replies, none are measured.
        """
        self._time_next(times, may_time)
        answered = await self.pipeline(commands)
        if self._batch is None:
            return answered, NO_PINGS
        return self._batch, _summed(self._samples, answered)

    async def ping(self, times: int) -> Pings:
        """Measure that many single round trips, after one that warms up and is dropped.

        A PING that is refused (NOAUTH, LOADING, MISCONF) is a round trip all the same.
        """
        if times <= 0:
            return NO_PINGS
        self._begin_timing(times + 1)
        await self._done()
        return _summed(self._samples[1:], self._replies)

    @property
    def heard(self) -> Sequence[Reply]:
        """The replies to the last batch, also where its end was not awaited."""
        return self._replies if self._batch is None else self._batch

    def expect(self, within_s: float) -> None:
        """Fail with TooLate unless closed within so many seconds."""
        self._within_s = within_s
        self._hub.expect(self._fd, within_s, self._late)

    def _late(self) -> None:
        text = f"connected, but no full answer within {self._within_s:g} s"
        self._end(TooLate("timeout", text))

    def tcp_info(self) -> TcpInfo | None:
        """Return the kernel's view of the path; None for a unix socket."""
        return tcp_info(self._sock)

    def close(self) -> None:
        """Close at once; safe to call again."""
        if self._sock.fileno() >= 0:
            self._hub.forget(self._fd)
            if self._unsent:
                self._loop.remove_writer(self._fd)
            self._sock.close()
            self._handle = self._receive = ignore  # no cycle: freed now, not by the collector

    def _begin(self, wanted: int, handle: Callable[[bytes], None]) -> None:
        if self._error:
            raise self._error
        self._replies, self._wanted, self._handle = [], wanted, handle
        self._is_over = False

    def _time_next(self, times: int, may_time: Callable[[Sequence[Reply]], bool]) -> None:
        self._batch, self._may_time, self._times = None, may_time, times

    def _begin_timing(self, times: int) -> None:
        self._begin(times, self._on_pong)
        self._samples, self._is_timing = [], self._tls is None
        self._send_ping()

    async def _done(self) -> None:
        if self._error:
            raise self._error
        self._waiter = self._loop.create_future()
        if error := await self._waiter:
            raise error

    def _wake(self) -> None:
        self._handle, self._is_timing, self._is_over = self._feed, False, True
        self._settle(None)

    def _settle(self, error: WireError | None) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(error)

    def _fail(self, reason: Reason, text: str) -> None:
        self._end(WireError(reason, text))

    def _end(self, error: WireError) -> None:
        """End the conversation: now if someone waits, else when someone next does."""
        self._deafen()
        self._error = self._error or error
        self._settle(self._error)

    def _deafen(self) -> None:
        self._hub.unwatch(self._fd)
        if self._unsent:
            self._loop.remove_writer(self._fd)

    def _send(self, data: bytes) -> None:
        self._transmit(self._tls.encrypt(data) if self._tls else data)

    def _send_ping(self) -> None:
        data = self._tls.encrypt(PING) if self._tls else PING
        self._sent_ns, self._sent_wall_ns = perf_counter_ns(), time_ns()
        self._transmit(data)

    def _transmit(self, data: bytes) -> None:
        """Send, or keep the rest for later. What breaks here, the reader will tell."""
        try:
            sent = 0 if self._unsent else self._sock.send(data)
        except BlockingIOError:
            sent = 0
        except OSError:
            return
        if sent < len(data):
            if not self._unsent:
                self._loop.add_writer(self._fd, self._on_writable)
            self._unsent += data[sent:]

    def _on_writable(self) -> None:
        data, self._unsent = self._unsent, b""
        self._loop.remove_writer(self._fd)
        self._transmit(data)

    def _on_readable(self) -> None:
        try:
            data, ancillary, _, _ = self._sock.recvmsg(RECEIVE_BYTES, self._room)
        except BlockingIOError:
            return
        except OSError as error:
            self._on_end(error.errno or 0)
            return
        self._read_ns, self._stamp_ns = perf_counter_ns(), stamp_ns(ancillary)
        if data == PONG and self._is_timing:  # all but one of a visit's answers
            self._note_round_trip()
            return
        if not self._received:
            self._head = data[:HEADER_BYTES]
        self._received += len(data)
        if not data:
            self._on_end(0)
        elif self._received > self._max_bytes:
            self._fail("too_large", f"the server sent more than {self._max_bytes} bytes")
        else:
            self._attempt(self._receive, data)

    def _attempt(self, handle: Callable[[bytes], None], data: bytes) -> None:
        """Handle bytes; what the server does wrong fails the conversation."""
        try:
            handle(data)
        except ssl.SSLError as error:
            self._fail(*explain(error))
        except hiredis.ProtocolError:
            self._fail(*misspoken(self._head))

    def _on_handshake(self, tls: TlsLayer, data: bytes) -> None:
        tls.take(data)
        try:
            self._is_shaken = tls.shake()
        finally:
            self._transmit(tls.to_send())  # an alert too
        if self._is_shaken:
            self._receive = partial(self._on_cipher, tls)
            self._wake()

    def _on_cipher(self, tls: TlsLayer, data: bytes) -> None:
        tls.take(data)
        if plain := tls.decrypted():
            self._handle(plain)

    def _on_plain(self, data: bytes) -> None:
        self._handle(data)

    def _on_replies(self, data: bytes) -> None:
        self._feed(data)
        replies, gets = self._replies, self._reader.gets
        while (reply := gets()) is not NOT_YET:
            replies.append(reply)
        if len(replies) > self._wanted:
            self._fail("protocol", "the server sent more replies than it was asked for")
        elif len(replies) == self._wanted:
            self._end_batch(replies)

    def _end_batch(self, replies: list[Reply]) -> None:
        """Measure round trips, where they were asked for with the batch; else it is over."""
        times, self._times = self._times, 0
        if times > 0 and self._may_time(replies):
            self._batch = replies
            self._begin_timing(times)
        else:
            self._wake()

    def _on_pong(self, data: bytes) -> None:
        """Take any answer to a PING; until it is whole and read, the plain ones come here too."""
        self._is_timing = False
        self._feed(data)
        reply = self._reader.gets()
        if reply is not NOT_YET:
            self._replies.append(reply)
            self._is_timing = self._tls is None and not self._reader.has_data()
            self._note_round_trip()

    def _note_round_trip(self) -> None:
        """Note one round trip and begin the next, without waking the coroutine."""
        samples = self._samples
        samples.append((self._sent_wall_ns, self._sent_ns, self._stamp_ns, self._read_ns))
        if len(samples) < self._wanted:
            self._send_ping()
        else:
            self._wake()

    def _feed(self, data: bytes) -> None:
        """Give bytes to the parser, but for a claim of more elements than any server has."""
        self._elements += declared_elements(self._tail + data)
        self._tail = data[-HEADER_BYTES:]
        if self._elements > MAX_ELEMENTS:
            self._fail("too_large", f"the server announced more than {MAX_ELEMENTS} elements")
        else:
            self._reader.feed(data)

    def _on_end(self, code: int) -> None:
        """Say why the server closed: its last error reply, or what we saw of it."""
        self._attempt(self._on_replies, b"")
        words = last_words(self._replies)
        self._fail(*(words or self._closed(code)))

    def _closed(self, code: int) -> tuple[Reason, str]:
        how = f"closed the connection ({os.strerror(code).lower() if code else 'end of file'})"
        if self._tls and not self._is_shaken:
            return "tls", f"the server {how} during the TLS handshake"
        if self._tls and not self._tail:
            return "tls", f"the server {how} after the TLS handshake: does it want a certificate?"
        if code == errno.ETIMEDOUT:
            return "timeout", f"the server {how}"
        if not self._received and code == errno.ECONNRESET:
            return "tls", f"the server {how} unasked, as a TLS port does: is it rediss://?"
        done, wanted = len(self._replies) or len(self._samples), self._wanted
        return "refused", f"the server {how} after {done} of {wanted} replies"


def _summed(samples: Sequence[Times], answers: Sequence[Reply]) -> Pings:
    refused = [reply for reply in answers if isinstance(reply, hiredis.ReplyError)]
    return measured(samples, safe_text(str(refused[-1])) if refused else None)


def ignore(_data: bytes) -> None:
    """Take what arrives after the close."""


def misspoken(head: bytes) -> tuple[Reason, str]:
    """Say what answered, by the first bytes it sent."""
    if speaks_tls(head):
        return "tls", TLS_MISMATCH
    return "protocol", f"no Redis protocol here: the other end looks like {stranger(head)}"

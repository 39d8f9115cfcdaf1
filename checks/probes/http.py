"""HTTP requests that dial by our rules, one at a time per instance, with the answer's timing."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Final, Self

import aiohttp
from aiohttp.connector import Connection
from yarl import URL

from checks.dial import CONNECT_TIMEOUT_S, connector, dial_error
from checks.egress import EgressRules
from checks.facts import NOT_READ, Missing, Reason
from checks.probes.emailengine_answers import Answer
from checks.probes.stamps import UNKNOWN_RTT_US, tcp_info

DEADLINE_S: Final = 10.0
# An answer this late is not waited for; until then the instance is left alone, for what
# a hung EmailEngine was asked stays queued inside it.
LONGEST_S: Final = 120.0
MAX_BODY_BYTES: Final = 1024 * 1024
CHUNK_BYTES: Final = 65_536
# Below the 5 s after which EmailEngine itself closes an idle connection.
KEPT_S: Final = 4.0
HEADERS: Final = {"User-Agent": "pairkeeper", "Accept-Encoding": "identity"}


class Clients:
    """The HTTP sessions of one event loop, and who is being asked; made and closed inside it."""

    def __init__(self) -> None:
        self._sessions: dict[EgressRules, aiohttp.ClientSession] = {}
        self._asking: dict[str, tuple[asyncio.Task[None], float]] = {}

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def session(self, rules: EgressRules) -> aiohttp.ClientSession:
        """Return the session that connects by these rules; it keeps its connections."""
        kept = self._sessions.get(rules)
        if kept is None:
            kept = self._sessions[rules] = session(rules)
        return kept

    async def alone(
        self, origin: str, ask: Callable[[], Awaitable[None]], deadline_s: float
    ) -> str | None:
        """Run ask when no other asks this instance; None when done, else why not, in words.

        What overruns goes on by itself, up to its own limits, and keeps the instance to itself
        meanwhile: nothing else is asked before an answer has come.
        """
        loop = asyncio.get_running_loop()
        ends_at = loop.time() + deadline_s
        while (busy := self._asking.get(origin)) is not None:
            task, since = busy
            waited_s = loop.time() - since
            if waited_s >= DEADLINE_S or not await _finished(task, ends_at):
                return f"an earlier request is unanswered for {waited_s:.0f} s"
        task = loop.create_task(_run(ask))
        self._asking[origin] = task, loop.time()
        task.add_done_callback(lambda _: self._asking.pop(origin, None))
        if await _finished(task, ends_at):
            task.result()  # an error of our own code is not hidden
            return None
        return f"no answer within {deadline_s:g} s"

    async def close(self) -> None:
        """Give up what is under way, and close all connections."""
        tasks = [task for task, _ in self._asking.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for kept in self._sessions.values():
            await kept.close()
        self._sessions.clear()


class _Timed(aiohttp.ClientResponse):
    """An answer that knows how long its first byte took, from the request's sending."""

    first_byte_s: float = 0.0
    network_us: float | Missing = NOT_READ

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        """Begin to wait: aiohttp calls this when the request has been sent."""
        transport = connection.transport
        started = time.perf_counter()
        await super().start(connection)
        self.first_byte_s = time.perf_counter() - started
        info = None if transport is None else tcp_info(transport.get_extra_info("socket"))
        if info is not None and 0 < info.min_rtt_us < UNKNOWN_RTT_US:
            self.network_us = info.min_rtt_us
        return self


def session(rules: EgressRules) -> aiohttp.ClientSession:
    """Make a session that dials by these rules, keeps connections and no cookies.

    Reads no proxy from the environment, and never unpacks a body: a small one may be a bomb.
    """
    return aiohttp.ClientSession(
        connector=connector(rules, limit=0, keepalive_timeout=KEPT_S),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers=HEADERS,
        timeout=aiohttp.ClientTimeout(total=LONGEST_S, sock_connect=CONNECT_TIMEOUT_S),
        auto_decompress=False,
        trust_env=False,
        response_class=_Timed,
    )


async def fetch(
    session: aiohttp.ClientSession, url: str, path: str, token: str
) -> Answer | Missing:
    """Make one GET of an encoded URL; whatever the other end does is an answer or Missing.

    path is what the answer is called. No redirect is followed and no body over 1 MiB read.
    """
    try:
        return await _get(session, url, path, token)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return explain(error, path)


async def _get(session: aiohttp.ClientSession, url: str, path: str, token: str) -> Answer | Missing:
    headers = {"Authorization": f"Bearer {token}"} if token else None
    async with session.get(
        URL(url, encoded=True), headers=headers, allow_redirects=False
    ) as response:
        body = await _body(response)
        if body is None:
            response.close()
            text = f"{path} answers more than {MAX_BODY_BYTES} bytes"
            return Missing("too_large", text)
        timed = response if isinstance(response, _Timed) else None
        return Answer(
            path,
            response.status,
            body,
            first_byte_s=timed.first_byte_s if timed else 0.0,
            network_us=timed.network_us if timed else NOT_READ,
            answered_s=_clock_s(response.headers.get("Date")),
        )


async def _body(response: aiohttp.ClientResponse) -> bytes | None:
    """Read the body; None where it is over the limit."""
    if (response.content_length or 0) > MAX_BODY_BYTES:
        return None
    parts, size = [], 0
    while part := await response.content.read(CHUNK_BYTES):
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            return None
    return b"".join(parts)


def explain(error: BaseException, path: str) -> Missing:
    """Turn a failed request into its reason, in words that hold no secret."""
    if dialled := dial_error(error):
        return Missing(dialled.reason, str(dialled))
    for kind, reason, text in FAILURES:
        if isinstance(error, kind):
            return Missing(reason, text.format(path=path, said=_said(error)))
    return Missing("protocol", f"{path} is not answered in HTTP as EmailEngine speaks it")


# The first that fits; the order is from the particular to the general.
FAILURES: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], Reason, str], ...] = (
    (TimeoutError, "timeout", "{path} was not answered in time"),
    (
        aiohttp.ClientConnectorCertificateError,
        "tls",
        "EmailEngine's certificate was not accepted: {said}",
    ),
    (aiohttp.ClientSSLError, "tls", "no TLS with EmailEngine: is this an http:// port?"),
    (aiohttp.ClientConnectorError, "refused", "EmailEngine was not reached: {said}"),
    (
        (aiohttp.ServerDisconnectedError, ConnectionError),
        "refused",
        "EmailEngine closed the connection without answering {path}",
    ),
)


def _said(error: BaseException) -> str:
    """Take the system's own words out of aiohttp's error, without the address."""
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return str(getattr(error.certificate_error, "verify_message", "")) or "it is not trusted"
    number = getattr(error, "errno", None)
    return os.strerror(number).lower() if number else "no answer"


async def _run(ask: Callable[[], Awaitable[None]]) -> None:
    await ask()


async def _finished(task: asyncio.Task[None], ends_at: float) -> bool:
    """Wait for a task without cancelling it; False where the time is up first."""
    left_s = ends_at - asyncio.get_running_loop().time()
    done, _ = await asyncio.wait({task}, timeout=max(left_s, 0.0))
    return bool(done)


def _clock_s(date: str | None) -> float:
    """Read the sender's clock from its Date header; ours where it has none (Unix time, s)."""
    with suppress(TypeError, ValueError):
        if date:
            return parsedate_to_datetime(date).timestamp()
    return time.time()

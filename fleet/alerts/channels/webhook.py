"""Posts one message as signed JSON to a URL that may be hostile: bounded, never redirected."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

import aiohttp
from yarl import URL

from checks.dial import CONNECT_TIMEOUT_S, connector, dial_error
from checks.egress import EgressRules
from fleet.alerts.channels.refused import Refused
from fleet.alerts.channels.smtp import said

TOTAL_S: Final = 10.0  # name, connection, request and answer together
ANSWER_BYTES: Final = 2048  # of an answer's body are read, for the log; the rest is not waited for
HEADERS: Final = {
    "User-Agent": "pairkeeper",
    "Content-Type": "application/json",
    "Accept-Encoding": "identity",
}
# The receiver's word on this very message; anything else may be mended there meanwhile.
PERMANENT: Final = frozenset({400, 410, 413, 422})


class UrlError(ValueError):
    """A URL cannot be a webhook's; the text says what is allowed."""


def check_url(text: str) -> URL:
    """Read a webhook's URL: http or https, a host, no sign-in. UrlError says what is wrong."""
    try:
        url = URL(text)
    except ValueError:
        raise UrlError("This is no URL, such as https://hooks.example.com/pairkeeper.") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise UrlError("A webhook's URL begins with https:// (or http://) and a host.")
    if url.user is not None or url.password is not None:
        raise UrlError("The URL holds a user or password: the signature proves who sends.")
    if url.fragment:
        raise UrlError("The URL ends in a fragment (#…), which no server ever sees.")
    return url


def signature(key: str, timestamp: int, body: bytes) -> str:
    """Sign the time and the body: `v1=` and the HMAC-SHA256, in hex, of `timestamp.body`."""
    signed = f"{timestamp}.".encode() + body
    return "v1=" + hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()


def send(
    payload: Mapping[str, Any], *, url: str, key: str, timestamp: int, rules: EgressRules
) -> str:
    """Post one message and return the receiver's answer, such as `204`; Refused otherwise.

    Any 2xx accepts it. timestamp is now, in seconds since 1970. Ends within 10 s, dials by the
    egress rules, follows no redirect and reads at most 2 KiB of the answer.
    """
    body = json.dumps(payload, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        **HEADERS,
        "Pairkeeper-Id": str(payload["id"]),
        "Pairkeeper-Timestamp": str(timestamp),
        "Pairkeeper-Signature": signature(key, timestamp, body),
    }
    try:
        status, text = asyncio.run(_post(check_url(url), body, headers, rules))
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        raise refusal(error) from None
    answer = said(status, text)
    if 200 <= status < 300:
        return answer
    if 300 <= status < 400:
        raise Refused(f"{answer}: redirects are not followed", permanent=False)
    raise Refused(answer, permanent=status in PERMANENT)


async def _post(
    url: URL, body: bytes, headers: Mapping[str, str], rules: EgressRules
) -> tuple[int, bytes]:
    """Make one request on a connection of its own; no cookies, no proxy, nothing unpacked."""
    async with (
        aiohttp.ClientSession(
            connector=connector(rules, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=TOTAL_S, sock_connect=CONNECT_TIMEOUT_S),
            auto_decompress=False,
            trust_env=False,
        ) as session,
        session.post(url, data=body, headers=headers, allow_redirects=False) as answer,
    ):
        text = b""
        with suppress(aiohttp.ClientError, TimeoutError):  # its status has said all that counts
            text = await answer.content.read(ANSWER_BYTES)
        answer.close()
        return answer.status, text


def refusal(error: BaseException) -> Refused:
    """Say why there is no answer, without the URL: a path may be a secret."""
    if dialled := dial_error(error):
        return Refused(str(dialled), permanent=False)
    if isinstance(error, UrlError):
        return Refused(str(error), permanent=True)
    for kind, text in FAILURES:
        if isinstance(error, kind):
            return Refused(text, permanent=False, in_doubt=isinstance(error, LOST))
    return Refused("the answer is not HTTP as we know it", permanent=False, in_doubt=True)


# The message may have been taken before these.
LOST: Final = (TimeoutError, aiohttp.ServerDisconnectedError, ConnectionError)
# The first that fits; the order is from the particular to the general.
FAILURES: Final[tuple[tuple[type[BaseException], str], ...]] = (
    (TimeoutError, f"no answer within {TOTAL_S:g} s"),
    (aiohttp.ClientConnectorCertificateError, "the certificate was not accepted"),
    (aiohttp.ClientSSLError, "no TLS there: is it an http:// port?"),
    (aiohttp.ServerDisconnectedError, "the connection was closed without an answer"),
    (aiohttp.ClientConnectorError, "the host was not reached"),
    (ConnectionError, "the connection was closed without an answer"),
)

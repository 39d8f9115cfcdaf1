"""An S3 client whose every connection is dialled by the egress rules, and whose every answer ends.

botocore's event before-send lets us do the sending: its own session, on connections of ours. The
library costs 30 MB, so this file is imported only where a bucket is read.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import boto3
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.config import Config
from botocore.httpsession import URLLib3Session
from django.conf import settings
from urllib3.exceptions import ProtocolError

from checks.dial import CONNECT_TIMEOUT_S, dial
from fleet.registry.egress import egress_rules

READ_TIMEOUT_S: Final = 20.0
# A page of a listing holds 1,000 keys of at most 1,024 bytes, each escaped in XML.
MOST_ANSWER_BYTES: Final = 8 * 1024 * 1024
PIECE_BYTES: Final = 64 * 1024
# A body that drips slower than this, after a while, is given up: it holds a worker's thread. Ours.
PATIENCE_S: Final = 30.0
LEAST_BYTES_PER_S: Final = 64 * 1024
MULTIPLE_CHOICES: Final = 300
_making = threading.Lock()  # a session makes one client at a time


class _Dialled:
    """A connection that starts at checks/dial.py; mixed into botocore's own two kinds."""

    host: str
    port: int
    timeout: Any

    def _new_conn(self) -> socket.socket:
        dialled = asyncio.run(dial(self.host, self.port, egress_rules()))
        dialled.sock.settimeout(READ_TIMEOUT_S)
        return dialled.sock


class _Plain(_Dialled, AWSHTTPConnection):
    """A connection to an http:// endpoint."""


class _Tls(_Dialled, AWSHTTPSConnection):
    """A connection to an https:// endpoint."""


class _PlainPool(AWSHTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _Tls


class _Body:
    """An answer's body: never more than it may be, and never slower than it must come."""

    def __init__(self, raw: Any, most_bytes: int | None) -> None:
        self._raw = raw
        self._most_bytes = most_bytes
        self._took_bytes = 0
        self._began_s = time.monotonic()

    def read(self, size: int | None = None) -> bytes:
        """Give what is there, at most `size` bytes; none at the end."""
        piece: bytes = self._raw.read1(size or PIECE_BYTES)
        self._took_bytes += len(piece)
        if self._most_bytes is not None and self._took_bytes > self._most_bytes:
            raise ProtocolError(f"an answer of over {self._most_bytes:,} bytes")
        if time.monotonic() - self._began_s > PATIENCE_S + self._took_bytes / LEAST_BYTES_PER_S:
            raise ProtocolError(f"the answer comes at under {LEAST_BYTES_PER_S:,} bytes a second")
        return piece

    def stream(self, *_size: Any, **_options: Any) -> Iterator[bytes]:
        while piece := self.read():
            yield piece

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)


class _Session(URLLib3Session):
    """botocore's own HTTP, on our connections and with bounded answers; no proxy from outside."""

    def __init__(self) -> None:
        super().__init__(
            verify=settings.BUCKET_CA_FILE or True, timeout=(CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        )
        self._manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}

    def before_send(self, request: Any, **_context: Any) -> Any:
        """Send a request that botocore is about to send itself."""
        is_streamed = request.stream_output
        request.stream_output = True
        answer = self.send(request)
        is_whole = not is_streamed or answer.status_code >= MULTIPLE_CHOICES
        answer.raw = _Body(answer.raw, MOST_ANSWER_BYTES if is_whole else None)
        return answer


@cache
def _session() -> Any:
    return boto3.session.Session()


def client(*, endpoint: str, region: str, access_key: str, secret_key: str) -> Any:
    """Make a client of one endpoint ("" is AWS' own for the region). It opens no connection yet.

    What its methods raise is botocore's; `translated` of bucket.py says what it means.
    """
    with _making:
        made = _session().client(
            "s3",
            endpoint_url=endpoint or None,
            region_name=region or "us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            config=Config(
                signature_version="s3v4",
                retries={"total_max_attempts": 2, "mode": "standard"},
                s3={"addressing_style": "path" if endpoint else "auto"},
                # Many stores that speak S3 know neither the newer checksums nor their trailers.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    made.meta.events.register("before-call.s3", _stay)
    made.meta.events.register("before-send.s3", _Session().before_send)
    return made


def _stay(context: dict[str, Any], **_event: Any) -> None:
    """Follow no redirect: a hostile store would lead botocore in circles until its stack is full."""
    context["s3_redirect"]["redirected"] = True

"""Copies in an S3 bucket, versioned or not: listed and read through the egress rules."""

from __future__ import annotations

import fnmatch
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from itertools import islice
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, ReadTimeoutError, SSLError
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError
from yarl import URL

from checks.dial import DialError
from checks.missing import Reason
from fleet.backups.models import BackupSource
from fleet.backups.places import (
    MOST_LISTED,
    Moving,
    Seen,
    Trouble,
    fill,
    fill_pattern,
    newest,
    when_stored,
)
from fleet.registry.sealed import SecretError, reveal

PIECE_BYTES: Final = 1024 * 1024
# A page holds at most 1,000 objects, and a hostile store has always one more; within the job's lease.
MOST_PAGES: Final = 200
MOST_PAGING_S: Final = 90.0
# Source: S3, object key names; versions are ours to bound, and so are sizes (a bigint's half).
MOST_KEY_BYTES, MOST_VERSION_BYTES, MOST_SIZE = 1024, 1000, 2**62
# How a version of ours names an object's: by its id, or by its content where the bucket keeps none.
BY_ID, BY_TAG = "id:", "tag:"
UNVERSIONED: Final = "null"
# What a store answers that knows no versions, or does not let us list them.
NO_VERSIONS: Final = frozenset({"AccessDenied", "NotImplemented", "MethodNotAllowed", "403", "501"})
REPLACED: Final = frozenset({"NoSuchKey", "NoSuchVersion", "PreconditionFailed", "404", "412"})
MEANING: Final[Mapping[str, tuple[Reason, str]]] = {
    "AccessDenied": ("no_permission", "the account may not do this"),
    "403": ("no_permission", "the account may not do this"),
    "AllAccessDisabled": ("no_permission", "the bucket is closed"),
    "InvalidAccessKeyId": ("auth", "the access key is not known there"),
    "SignatureDoesNotMatch": ("auth", "the secret key is wrong"),
    "ExpiredToken": ("auth", "the credentials have expired"),
    "RequestTimeTooSkewed": ("auth", "this worker's clock and the store's differ too much"),
    "PermanentRedirect": ("http_status", "the bucket is in another region"),
    "AuthorizationHeaderMalformed": ("http_status", "the bucket is in another region"),
    "301": ("http_status", "the store redirects: is the bucket in another region?"),
    "302": ("http_status", "the store redirects, and no redirect is followed"),
    "307": ("http_status", "the store redirects, and no redirect is followed"),
    "NoSuchBucket": ("undetermined", "there is no such bucket"),
    "404": ("undetermined", "there is no such bucket"),
    "SlowDown": ("busy", "the store asks for fewer requests"),
    "ServiceUnavailable": ("busy", "the store is not available"),
    "InvalidObjectState": ("undetermined", "the object is in an archive tier: restore it there"),
}


def check_endpoint(text: str) -> None:
    """Let pass "" (AWS' own) and the URL of a store; Trouble says what is wrong with another."""
    try:
        url = URL(text)
        is_sound = url.scheme in ("http", "https") and bool(url.host) and url.path in ("", "/")
    except ValueError:
        is_sound = False
    if text and not (is_sound and url.user is None and not url.query_string and not url.fragment):
        raise Trouble(
            "protocol", f"{text} is no endpoint of a store, such as https://s3.example.com"
        )


class Bucket:
    """The objects of one bucket below a prefix that are copies of a pair."""

    def __init__(self, source: BackupSource, below: str = "") -> None:
        """Look below the source's prefix and `below`, which no tenant names."""
        self._source = source
        self.prefix = fill(source.prefix, source.target) + below
        self._pattern = fill_pattern(source.name_pattern, source.target) or "*"

    @cached_property
    def client(self) -> Any:
        """Give the source's client; Trouble where its credentials cannot be read."""
        from fleet.backups.s3 import client  # noqa: PLC0415  who has no bucket does not pay 30 MB

        source = self._source
        check_endpoint(source.endpoint)
        try:
            return client(
                endpoint=source.endpoint,
                region=source.region,
                access_key=source.access_key,
                secret_key=reveal(source.secret_key),
            )
        except SecretError as error:
            raise Trouble("auth", str(error)) from None
        except (BotoCoreError, ValueError):
            raise Trouble("protocol", f"{source.region} is no region of a store") from None

    def listing(self) -> list[Seen]:
        """List the objects, every version of each where the bucket keeps them."""
        with translated(self._where):
            try:
                found = self._listed("list_object_versions", "Versions")
            except ClientError as error:
                if code_of(error) not in NO_VERSIONS:
                    raise
                found = self._listed("list_objects_v2", "Contents")
        return newest(found, self._where)

    @property
    def _where(self) -> str:
        return f"bucket {self._source.bucket}"

    def _listed(self, operation: str, key: str) -> list[Seen]:
        objects = (one for page in self.pages(operation) for one in page.get(key, ()))
        copies = (seen for one in objects if (seen := self._seen(one)))
        return list(islice(copies, MOST_LISTED + 1))

    def pages(self, operation: str) -> Iterator[Mapping[str, Any]]:
        """Give a listing page by page; Trouble where it does not end."""
        asked = self.client.get_paginator(operation).paginate(
            Bucket=self._source.bucket, Prefix=self.prefix
        )
        ends_at = time.monotonic() + MOST_PAGING_S
        for number, page in enumerate(asked, start=1):
            yield page
            if number >= MOST_PAGES or time.monotonic() > ends_at:
                text = f"its listing did not end after {number:,} pages: name a longer prefix"
                raise Trouble("too_large", f"{self._where}: {text}")

    def _seen(self, one: Mapping[str, Any]) -> Seen | None:
        key: str = one["Key"]
        modified_at: datetime = one["LastModified"]
        size = int(one["Size"])
        is_folder = key.endswith("/")
        if is_folder or not fnmatch.fnmatchcase(key.rpartition("/")[2], self._pattern):
            return None
        version = one.get("VersionId", UNVERSIONED)
        named = BY_TAG + one["ETag"] if version == UNVERSIONED else BY_ID + version
        if not (_fits(key, MOST_KEY_BYTES) and _fits(named, MOST_VERSION_BYTES)):
            return None
        if not 0 <= size <= MOST_SIZE:
            return None
        return Seen(key, named, when_stored(modified_at.timestamp()), size)

    @contextmanager
    def pieces(self, key: str, version: str) -> Iterator[Iterator[bytes]]:
        """Open one object, that very version of it; Moving where it is no longer there."""
        with translated(self._where, key):
            body = self.client.get_object(Bucket=self._source.bucket, Key=key, **_which(version))[
                "Body"
            ]
        try:
            yield self._read(body)
        finally:
            body.close()

    def holds(self, key: str, version: str) -> bool:
        """Tell whether that very version of an object is there, wherever it lies in the bucket."""
        try:
            with translated(self._where, key):
                self.client.head_object(Bucket=self._source.bucket, Key=key, **_which(version))
        except Moving:
            return False
        return True

    def _read(self, body: Any) -> Iterator[bytes]:
        with translated(self._where):
            while piece := body.read(PIECE_BYTES):
                yield piece


def _which(version: str) -> dict[str, str]:
    """Name one version as S3 wants it: by its id, or by its content."""
    if version.startswith(BY_ID):
        return {"VersionId": version.removeprefix(BY_ID)}
    return {"IfMatch": version.removeprefix(BY_TAG)}


def _fits(name: str, most_bytes: int) -> bool:
    """Tell whether a store's name is one that S3 allows, and that can be written down."""
    return "\0" not in name and len(name.encode(errors="surrogatepass")) <= most_bytes


def code_of(error: ClientError) -> str:
    """Give S3's own word for what went wrong, as the store spelt it."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextmanager
def translated(where: str, key: str = "") -> Iterator[None]:
    """Turn what the library raises into Trouble, or into Moving where an object was replaced."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        if key and code in REPLACED:
            raise Moving(f"{key} is gone or was replaced") from None
        raise _refused(where, code) from None
    except (BotoCoreError, HTTPError, ResponseParserError, LookupError, ValueError) as error:
        raise _failed(where, error) from None


def _refused(where: str, code: str) -> Trouble:
    word = "".join(char for char in code if char.isalnum())[:40]
    reason, text = MEANING.get(code, ("http_status", "the store refuses"))
    return Trouble(reason, f"{where}: {text} ({word})" if word else f"{where}: {text}")


def _failed(where: str, error: Exception) -> Trouble:
    if dialled := refused(error):
        return Trouble(dialled.reason, f"{where}: {dialled}")
    match error:
        case SSLError():
            return Trouble("tls", f"{where}: the certificate was not accepted, or no TLS is there")
        case ReadTimeoutError():
            return Trouble("timeout", f"{where}: no answer in time")
        case HTTPError() | BotoCoreError():
            return Trouble("protocol", f"{where}: the answer broke off, is too long or too slow")
    return Trouble("protocol", f"{where}: the answer is not S3's")


def refused(error: BaseException) -> DialError | None:
    """Find the DialError that botocore and urllib3 wrapped, if that is what went wrong."""
    seen: BaseException | None = error
    while seen is not None and not isinstance(seen, DialError):
        seen = seen.__cause__ or seen.__context__
    return seen

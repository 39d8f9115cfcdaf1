"""Pulled copies in a bucket: uploaded in parts, and shown by S3 once the last part is in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Final

from fleet.backups.bucket import BY_ID, BY_TAG, UNVERSIONED, Bucket, translated
from fleet.backups.copies import Kept, Writing, attempt_of
from fleet.backups.jobs import Lease
from fleet.backups.models import BackupSource
from fleet.backups.places import Seen

# Of at most 10,000 parts: 160 GB. Each is held in memory. Source: S3, multipart upload limits.
PART_BYTES: Final = 16 * 1024 * 1024


class BucketStore:
    """A bucket that copies are uploaded to in parts; S3 shows an object once the last part is in."""

    def __init__(self, source: BackupSource) -> None:
        self._bucket = Bucket(source, below=f"{source.target_id}/{source.pk}/")
        self._name = source.bucket
        self._prefix = self._bucket.prefix

    def listing(self) -> list[Seen]:
        return [one for one in self._bucket.listing() if self.attempt(one.key)]

    def attempt(self, key: str) -> Lease | None:
        return attempt_of(key.removeprefix(self._prefix)) if key.startswith(self._prefix) else None

    def holds(self, key: str, version: str) -> bool:
        """Ask for what lies outside today's prefix: it moves when a tenant or a pair is renamed."""
        return not key.startswith(self._prefix) and self._bucket.holds(key, version)

    def pieces(self, key: str, version: str) -> AbstractContextManager[Iterator[bytes]]:
        return self._bucket.pieces(key, version)

    def free_bytes(self) -> int | None:
        return None

    def begin(self, name: str) -> Writing:
        with translated(self._where):
            return _Upload(self._bucket.client, self._name, f"{self._prefix}{name}")

    def remove(self, key: str, version: str) -> None:
        which = {"VersionId": version.removeprefix(BY_ID)} if version.startswith(BY_ID) else {}
        with translated(self._where):
            self._bucket.client.delete_object(Bucket=self._name, Key=key, **which)

    def sweep(self, is_live: Callable[[Lease], bool]) -> int:
        """Abort uploads; their parts cost storage and are seen in no listing."""
        gone = 0
        client = self._bucket.client
        with translated(self._where):
            pages = self._bucket.pages("list_multipart_uploads")
            for upload in [one for page in pages for one in page.get("Uploads", ())]:
                attempt = self.attempt(upload["Key"])
                if attempt and not is_live(attempt):
                    client.abort_multipart_upload(
                        Bucket=self._name, Key=upload["Key"], UploadId=upload["UploadId"]
                    )
                    gone += 1
        return gone

    @property
    def _where(self) -> str:
        return f"bucket {self._name}"


class _Upload:
    """An upload in parts, one held in memory at a time."""

    def __init__(self, client: Any, bucket: str, key: str) -> None:
        self._client = client
        self._object = {"Bucket": bucket, "Key": key}
        self._where = f"bucket {bucket}"
        made = client.create_multipart_upload(
            **self._object, ContentType="application/octet-stream"
        )
        self._id: str = made["UploadId"]
        self._held = bytearray()
        self._parts: list[dict[str, Any]] = []
        self._is_open = True

    def write(self, data: bytes) -> None:
        self._held += data
        while len(self._held) >= PART_BYTES:
            self._send(PART_BYTES)

    def _send(self, size: int) -> None:
        number = len(self._parts) + 1
        body = bytes(self._held[:size])
        del self._held[:size]
        with translated(self._where):
            sent = self._client.upload_part(
                **self._object, UploadId=self._id, PartNumber=number, Body=body
            )
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def keep(self) -> Kept:
        self._send(len(self._held))
        with translated(self._where):
            done = self._client.complete_multipart_upload(
                **self._object, UploadId=self._id, MultipartUpload={"Parts": self._parts}
            )
        self._is_open = False
        version = done.get("VersionId") or UNVERSIONED
        if version == UNVERSIONED:
            return Kept(self._object["Key"], BY_TAG + str(done["ETag"]))
        return Kept(self._object["Key"], BY_ID + version)

    def drop(self) -> None:
        if self._is_open:
            self._is_open = False
            with translated(self._where):
                self._client.abort_multipart_upload(**self._object, UploadId=self._id)

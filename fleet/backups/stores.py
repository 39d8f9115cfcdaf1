"""Where a source's pulled copies are kept: the portal's folder, or a bucket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from fleet.backups.bucket_store import BucketStore
from fleet.backups.copies import Store
from fleet.backups.folder_store import FolderStore
from fleet.backups.models import BackupSource
from fleet.backups.places import Seen, Trouble
from fleet.backups.sealing import opened
from fleet.registry.sealed import SecretError, ring_keys


def store_of(source: BackupSource) -> Store:
    """Give where a source's pulled copies are kept; Trouble where nothing is set up."""
    if source.destination == BackupSource.Destination.BUCKET:
        return BucketStore(source)
    return FolderStore(source)


class Unsealed:
    """A store read as a place: its copies come out unsealed, still packed. Reading raises SealBroken."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listing(self) -> list[Seen]:
        return self._store.listing()

    @contextmanager
    def pieces(self, key: str, version: str) -> Iterator[Iterator[bytes]]:
        try:
            keys = ring_keys()
        except SecretError as error:
            raise Trouble("undetermined", str(error)) from None
        with self._store.pieces(key, version) as sealed:
            yield opened(sealed, keys)

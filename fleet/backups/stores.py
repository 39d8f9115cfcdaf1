"""Where a source's pulled copies are kept: the portal's folder, or a bucket."""

from __future__ import annotations

from fleet.backups.bucket_store import BucketStore
from fleet.backups.copies import Store
from fleet.backups.folder_store import FolderStore
from fleet.backups.models import BackupSource


def store_of(source: BackupSource) -> Store:
    """Give where a source's pulled copies are kept; Trouble where nothing is set up."""
    if source.destination == BackupSource.Destination.BUCKET:
        return BucketStore(source)
    return FolderStore(source)

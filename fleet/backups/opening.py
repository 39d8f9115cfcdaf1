"""A copy's own dump, whatever it lies in: unsealed and unpacked as it is read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from checks.probes.rdb import unpacked
from fleet.backups.models import Artefact, BackupSource
from fleet.backups.places import Trouble
from fleet.backups.verify import place_of


@contextmanager
def plain_copy(artefact: Artefact, now: datetime) -> Iterator[Iterator[bytes]]:
    """Open a copy as the RDB that a server loads, in pieces, in constant memory.

    Raises Trouble and Moving where it cannot be opened; reading raises BadPacking and SealBroken
    where it is not as it was written, and Moving where it is replaced meanwhile.
    """
    source = artefact.source
    if source.kind == BackupSource.Kind.HEARTBEAT:
        raise Trouble("not_applicable", "a heartbeat tells of a copy: there is none to open")
    with place_of(source, now).pieces(artefact.key, artefact.version) as pieces:
        yield unpacked(pieces)

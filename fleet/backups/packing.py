"""From a dump's bytes to what is kept of it: packed, sealed, counted and hashed on the way."""

from __future__ import annotations

import hashlib
from typing import Final

import zstandard

from fleet.backups.copies import Kept, Writing
from fleet.backups.sealing import Sealer

# Three times as fast as the default level, for a tenth more: a pull holds a fork open. Measured.
LEVEL: Final = 1


class Packer:
    """Writes one copy; `stored_bytes` and `sha256` are of what was written."""

    def __init__(self, writing: Writing, key: bytes) -> None:
        self._writing = writing
        self._packing = zstandard.ZstdCompressor(level=LEVEL).compressobj()
        self._sealer = Sealer(key)
        self._sha256 = hashlib.sha256()
        self.stored_bytes = 0

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def add(self, piece: bytes) -> None:
        """Take the next bytes of the dump."""
        self._write(self._sealer.add(self._packing.compress(piece)))

    def keep(self) -> Kept:
        """Write the rest, and let the copy be there."""
        self._write(self._sealer.add(self._packing.flush()) + self._sealer.end())
        return self._writing.keep()

    def _write(self, data: bytes) -> None:
        if data:
            self._sha256.update(data)
            self.stored_bytes += len(data)
            self._writing.write(data)

"""A file that only the key ring opens, written and read as a stream: the format of pulled copies.

    header  "PKSEALED", version 1, id of the ring's key (8 bytes), salt (32 bytes), chunk size
    chunks  AES-256-GCM of the content, each of the chunk size and its 16 bytes of tag; the last,
            which may be empty, is shorter or marked as the last by its nonce alone

The key of a file is HKDF-SHA256 of the ring's key, salted, with the whole header as its purpose: no
two files share one, and no header fits another file. A chunk's nonce is its number and whether it
is the last: what is cut off, left out or put elsewhere is found. Why it is ours: decision 0011.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

MAGIC: Final = b"PKSEALED"
VERSION: Final = 1
HEADER: Final = struct.Struct(">8sB8s32sI")
CHUNK_BYTES: Final = 256 * 1024
MOST_CHUNK_BYTES: Final = 1024 * 1024  # a hostile header must not make us hold more
TAG_BYTES: Final = 16


class SealBroken(Exception):
    """A file is not sealed, or not as it was written; the text says which."""

    def __init__(self, text: str, *, is_cut: bool = False) -> None:
        super().__init__(text)
        self.is_cut = is_cut


class KeyMissing(SealBroken):
    """A file may be as it was written, but this ring does not open it."""


def key_id(key: bytes) -> bytes:
    """Name a key of the ring without telling it."""
    return hashlib.sha256(b"pairkeeper key " + key).digest()[:8]


class Sealer:
    """Seals one stream: what `add` and `end` return, in that order, is the file."""

    def __init__(self, key: bytes) -> None:
        header = HEADER.pack(MAGIC, VERSION, key_id(key), os.urandom(32), CHUNK_BYTES)
        self._cipher = _cipher(key, header)
        self._out = [header]
        self._held = bytearray()
        self._count = 0

    def add(self, data: bytes) -> bytes:
        """Take the next bytes; return what can be written by now, mostly nothing."""
        self._held += data
        while len(self._held) > CHUNK_BYTES:  # what may be the last is held back
            self._seal(bytes(self._held[:CHUNK_BYTES]), is_last=False)
            del self._held[:CHUNK_BYTES]
        return self._taken()

    def end(self) -> bytes:
        """Return the rest of the file."""
        self._seal(bytes(self._held), is_last=True)
        return self._taken()

    def _seal(self, chunk: bytes, *, is_last: bool) -> None:
        self._out.append(self._cipher.encrypt(_nonce(self._count, is_last=is_last), chunk, None))
        self._count += 1

    def _taken(self) -> bytes:
        taken = b"".join(self._out)
        self._out.clear()
        return taken


def opened(pieces: Iterable[bytes], keys: Sequence[bytes]) -> Iterator[bytes]:
    """Give the content of a sealed file, each part only once it is proven. Raises SealBroken.

    Takes no more memory than two chunks. What comes before a damage has been given by then.
    """
    source = _Chunks(pieces)
    header = source.take(HEADER.size)
    if len(header) < HEADER.size:
        raise SealBroken("it ends within its header", is_cut=True)
    magic, version, named, _salt, chunk_bytes = HEADER.unpack(header)
    if magic != MAGIC or version != VERSION or not 0 < chunk_bytes <= MOST_CHUNK_BYTES:
        raise SealBroken("it is not sealed, or by a newer version of the portal")
    key = next((key for key in keys if key_id(key) == named), None)
    if key is None:
        raise KeyMissing(f"it is sealed with the key {named.hex()}, which FLEET_KEYS does not hold")
    yield from _unsealed(source, _cipher(key, header), chunk_bytes + TAG_BYTES)


def _unsealed(source: _Chunks, cipher: AESGCM, sealed_bytes: int) -> Iterator[bytes]:
    chunk = source.take(sealed_bytes)
    count = 0
    while following := source.take(sealed_bytes):
        yield _proven(cipher, chunk, count, is_last=False)
        chunk, count = following, count + 1
    yield _proven(cipher, chunk, count, is_last=True)


def _proven(cipher: AESGCM, chunk: bytes, count: int, *, is_last: bool) -> bytes:
    try:
        return cipher.decrypt(_nonce(count, is_last=is_last), chunk, None)
    except (InvalidTag, ValueError):
        pass
    if is_last and _is_sound(cipher, chunk, count):
        raise SealBroken(f"it ends after {count + 1} whole parts, without its last", is_cut=True)
    where = "its last part is" if is_last else f"part {count + 1} is"
    raise SealBroken(f"{where} not as it was written")


def _is_sound(cipher: AESGCM, chunk: bytes, count: int) -> bool:
    """Say whether a chunk at the end was written as one in the middle: then others are missing."""
    try:
        cipher.decrypt(_nonce(count, is_last=False), chunk, None)
    except (InvalidTag, ValueError):
        return not chunk
    return True


def _cipher(key: bytes, header: bytes) -> AESGCM:
    derived = HKDF(
        SHA256(), length=32, salt=header[17:49], info=b"pairkeeper sealed file " + header
    )
    return AESGCM(derived.derive(key))


def _nonce(count: int, *, is_last: bool) -> bytes:
    return count.to_bytes(11) + bytes([is_last])


class _Chunks:
    """Bytes by the count asked for, however they come."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held = bytearray()

    def take(self, count: int) -> bytes:
        """Give so many bytes; fewer at the end."""
        while len(self._held) < count and (piece := next(self._pieces, None)) is not None:
            self._held += piece
        taken = bytes(self._held[:count])
        del self._held[:count]
        return taken

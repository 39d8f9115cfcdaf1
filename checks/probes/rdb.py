"""Is this dump whole? One artefact, read once from its first byte to its last, never held in memory."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final, Protocol

import anycrc
import zstandard

from checks.facts import Missing
from checks.probes.rdb_head import HEADER_BYTES, NOTHING_SAID, Said, read_head
from checks.probes.rdb_keys import NOT_ENDED, Databases, KeyCounter

CRC_BYTES: Final = 8
END_MARK: Final = b"\xff"
# The server's own words stand at the start; functions may come between them.
HEAD_BYTES: Final = 64 * 1024
# From this version on a checksum ends the file. Source: rdb.c, rdbSaveRio.
CHECKSUM_VERSION: Final = 5
MAGICS: Final = (b"REDIS", b"VALKEY")
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
# Frames without content, which pzstd begins with. Source: RFC 8878, 3.1.2.
SKIPPABLE: Final = tuple(bytes([first]) + b"\x2a\x4d\x18" for first in range(0x50, 0x60))
# No empty frame is longer: what comes out of a longer file is nothing only where it is cut.
START_BYTES: Final = 32
PIECE_BYTES: Final = 1024 * 1024  # unpacked at a time: what a dump may take of our memory
FULL_BYTES: Final = len(END_MARK) + CRC_BYTES

_crc64 = anycrc.Model("CRC64-REDIS").calc


class Wrapping(StrEnum):
    """What the dump is packed in."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"


class State(StrEnum):
    """What reading a dump proved."""

    INTACT = "intact"  # header, end mark and checksum are right
    UNCHECKED = "unchecked"  # header and end mark are right; the server wrote no checksum
    TRUNCATED = "truncated"  # it ends without its end mark, or within its packing
    CORRUPT = "corrupt"  # it differs from what the server wrote
    EMPTY = "empty"  # no byte at all


@dataclass(frozen=True, slots=True)
class Dump:
    """One RDB file as read. `size_bytes` is the dump's own, `stored_bytes` that of the file it is in.

    `sha256` is of the file as stored. `version` is the RDB format's; Missing where the file is too
    short for a header. `said` is what the server wrote about itself, `databases` how many keys each
    database has, counted; Missing where the dump is not whole, or holds what cannot be counted.
    """

    state: State
    text: str
    stored_bytes: int
    size_bytes: int
    sha256: str
    wrapping: Wrapping = Wrapping.NONE
    magic: str = ""
    version: int | Missing = Missing("protocol", "the file is too short for a header")
    said: Said = NOTHING_SAID
    databases: Databases | Missing = NOT_ENDED

    @property
    def is_whole(self) -> bool:
        """Tell whether it holds all that the server wrote, as far as can be told."""
        return self.state in (State.INTACT, State.UNCHECKED)


def read_dump(
    pieces: Iterable[bytes], most_bytes: int, tick: Callable[[], None] = lambda: None
) -> Dump | Missing:
    """Read a dump, plain or packed with gzip or zstd, in constant memory: a window of 128 MiB at most.

    A file of another kind is Missing("protocol"), one that unpacks to more than `most_bytes`, or
    wants a larger window, is Missing("too_large"): none is a dump that was judged. `tick` is called
    for each PIECE_BYTES that come out, few bytes as they may come from. What `pieces` and `tick`
    raise is raised. Source: rdb.c and rdb.h of Redis 7 and Valkey 9, for the format.
    """
    stored = _Stored(pieces)
    wrapping, source = stored.unpacked()
    reading = _Reading()
    damage = None
    try:
        if refused := _read_through(source, reading, most_bytes, tick):
            return refused
    except EOFError:
        damage = State.TRUNCATED, f"its {wrapping} packing is unfinished"
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        if refused := _sound_packing(error):
            return refused
        damage = State.CORRUPT, f"its {wrapping} packing is damaged"
    stored.read_rest()
    if not reading.size_bytes and wrapping is Wrapping.ZSTD and not _is_ended(stored.start):
        damage = damage or (State.TRUNCATED, f"its {wrapping} packing is unfinished")
    state, text = damage or reading.judge()
    found = Dump(
        state,
        text,
        stored.size_bytes,
        reading.size_bytes,
        stored.sha256,
        wrapping,
        reading.magic,
        reading.version,
        read_head(reading.head),
    )
    return replace(found, databases=reading.databases) if found.is_whole else found


def _read_through(
    source: _Readable, reading: _Reading, most_bytes: int, tick: Callable[[], None]
) -> Missing | None:
    """Read to the end, or say why this is nothing to be judged."""
    while piece := source.read(PIECE_BYTES):
        tick()
        reading.add(piece)
        if reading.size_bytes > most_bytes:
            return Missing("too_large", f"the dump is over {most_bytes:,} bytes")
        if reading.is_headed and (other := _other_kind(reading.head)):
            return Missing("protocol", other)
    return None


def _sound_packing(error: Exception) -> Missing | None:
    """Tell what is packed in a way that is not opened here from what is damaged."""
    said = str(error)
    if "requires too much memory" in said:
        text = (
            "its zstd packing wants a window of over 128 MiB: pack it with a --long of 27 at most"
        )
        return Missing("too_large", text)
    if "Dictionary mismatch" in said:
        return Missing("protocol", "its zstd packing wants a dictionary, and none is known here")
    return None


def _is_ended(start: bytes) -> bool:
    """Tell whether the first frame of zstd ends within these bytes; the library tells of no cut."""
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    try:
        unpacker.decompress(start)
    except zstandard.ZstdError:
        return False
    return bool(unpacker.eof)


class BadPacking(Exception):
    """The packing around a dump is damaged or unfinished."""


def unpacked(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Give a dump's own bytes, whatever it is packed in. Raises BadPacking, and what `pieces` raises."""
    wrapping, source = _Stored(pieces).unpacked()
    try:
        while piece := source.read(PIECE_BYTES):
            yield piece
    except EOFError:
        raise BadPacking(f"its {wrapping} packing is unfinished") from None
    except (gzip.BadGzipFile, zlib.error, zstandard.ZstdError):
        raise BadPacking(f"its {wrapping} packing is damaged") from None


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Stored:
    """The bytes as they lie there: counted, hashed, and given as a file that libraries read."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._left = b""
        self._sha256 = hashlib.sha256()
        self.start = b""
        self.size_bytes = 0

    @property
    def sha256(self) -> str:
        return self._sha256.hexdigest()

    def read(self, size: int = -1, /) -> bytes:
        """Give at most this many bytes; none at the end."""
        seen = self._left or self._next()
        if 0 <= size < len(seen):
            self._left = seen[size:]
            return seen[:size]
        self._left = b""
        return seen

    def _next(self) -> bytes:
        for piece in self._pieces:
            if piece:
                self._sha256.update(piece)
                self.size_bytes += len(piece)
                self.start += piece[: START_BYTES - len(self.start)]
                return piece
        return b""

    def read_rest(self) -> None:
        """Count and hash what nobody asked for: a packing may end before its file."""
        while self._next():
            pass

    def unpacked(self) -> tuple[Wrapping, _Readable]:
        """Tell the packing by its first bytes, and give the dump's own."""
        while len(self._left) < len(ZSTD) and (piece := self._next()):
            self._left += piece
        source: Any = self  # both libraries only read
        if self._left.startswith(GZIP):
            return Wrapping.GZIP, gzip.GzipFile(fileobj=source, mode="rb")
        if self._left.startswith((ZSTD, *SKIPPABLE)):
            unpacker = zstandard.ZstdDecompressor()
            return Wrapping.ZSTD, unpacker.stream_reader(source, read_across_frames=True)
        return Wrapping.NONE, self


class _Reading:
    """The dump's own bytes: its head, its last nine, and the checksum of all before those."""

    def __init__(self) -> None:
        self.size_bytes = 0
        self.head = b""
        self._tail = b""
        self._crc = 0
        self._keys = KeyCounter()

    @property
    def is_headed(self) -> bool:
        return len(self.head) >= HEADER_BYTES

    @property
    def databases(self) -> Databases | Missing:
        return self._keys.databases

    @property
    def magic(self) -> str:
        return next((one.decode() for one in MAGICS if self.head.startswith(one)), "")

    @property
    def version(self) -> int | Missing:
        digits = self.head[len(self.magic) : HEADER_BYTES]
        if self.is_headed and digits.isdigit():
            return int(digits)
        return Missing("protocol", "the file is too short for a header")

    def add(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size_bytes += len(piece)
        if len(self.head) < HEAD_BYTES:
            self.head += piece[: HEAD_BYTES - len(self.head)]
        seen = self._tail + piece
        self._crc = _crc64(seen[:-FULL_BYTES], self._crc)
        self._tail = seen[-FULL_BYTES:]
        self._keys.add(piece)

    def judge(self) -> tuple[State, str]:
        """Say what the bytes prove, once all are read."""
        version = self.version
        if not self.size_bytes:
            return State.EMPTY, "the file is empty"
        if isinstance(version, Missing) or self.size_bytes < HEADER_BYTES + FULL_BYTES:
            return State.TRUNCATED, f"it ends after {self.size_bytes} bytes"
        if version < CHECKSUM_VERSION:
            is_ended = self._tail.endswith(END_MARK)
            return (State.UNCHECKED, NO_CHECKSUM) if is_ended else (State.TRUNCATED, NO_END)
        return self._judge_end()

    def _judge_end(self) -> tuple[State, str]:
        mark, written = self._tail[:1], self._tail[1:]
        if mark != END_MARK:
            return State.TRUNCATED, NO_END
        if written == bytes(CRC_BYTES):
            return State.UNCHECKED, NO_CHECKSUM
        seen = int(_crc64(mark, self._crc)).to_bytes(CRC_BYTES, "little")
        if seen == written:
            return State.INTACT, "header, end mark and checksum are right"
        return State.CORRUPT, f"its checksum is {seen.hex()}, the server wrote {written.hex()}"


NO_CHECKSUM: Final = "header and end mark are right; the server wrote no checksum (rdbchecksum no)"
NO_END: Final = "it does not end with its end mark"


def _other_kind(head: bytes) -> str:
    """Say what a file is that is no dump; "" for a dump."""
    if not head.startswith(MAGICS):
        if head.startswith(b"*"):
            return "an append-only file, not a dump"
        if head.startswith(b"file "):
            return "the manifest of an append-only directory, not a dump"
        return "not a dump: it begins with neither REDIS nor VALKEY"
    if read_head(head).is_aof_preamble:
        return "an append-only file with a dump at its start, not a dump"
    return ""

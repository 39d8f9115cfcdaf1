"""How many keys does a dump hold, by database? Walked as it streams by, never held in memory."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from checks.facts import Missing
from checks.probes.rdb_head import HEADER_BYTES
from checks.probes.rdb_shapes import (
    LEASED,
    MODULE,
    MODULE_STEPS,
    REDIS,
    VALKEY,
    WORDS,
    Many,
    Shape,
)

# A hostile dump names as many as it likes.
MOST_DATABASES: Final = 1024
# A step costs up to a microsecond. A few kilobytes, packed, may ask for billions of them. Ours.
MOST_STEPS: Final = 200_000_000
# The longest length with its mark. So many bytes end every dump after its last length, its end mark
# and its checksum: they can be waited for wherever one begins.
LENGTH_BYTES: Final = 9
FIRST_WITH_CHECKSUM: Final = 5
END, DATABASE, MODULE_WORD = 0xFF, 0xFE, 0xF7
EXPIRIES: Final = (0xFC, 0xFD)
NOT_ENDED: Final = Missing("undetermined", "it ends before its end mark: its keys are not known")
Steps = Generator[None, bytes, None]
Length = Generator[None, bytes, int]


class KeyCount(NamedTuple):
    """Keys of one database; `expiring` of them may be over before they are loaded."""

    keys: int
    expiring: int


Databases = Mapping[int, KeyCount]


class _Strange(Exception):
    """Here is what this reader does not know, so that it cannot step over it."""


class KeyCounter:
    """Give it a dump piece by piece; it steps from key to key. No bytes make it fail.

    Source: rdb.c, rdbLoadRioWithLoadingCtx.
    """

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0  # beyond the buffer where what is stepped over has not arrived yet
        self._keys: dict[int, int] = {}
        self._expiring: dict[int, int] = {}
        self._ended = NOT_ENDED
        self._is_ended = False
        self._left = MOST_STEPS
        self._walk: Steps | None = self._all()
        next(self._walk)

    @property
    def databases(self) -> Databases | Missing:
        """Give what was counted; Missing until the end mark was met, and where it could not be."""
        if not self._is_ended:
            return self._ended
        return MappingProxyType(
            {
                number: KeyCount(keys, self._expiring.get(number, 0))
                for number, keys in self._keys.items()
            }
        )

    def add(self, piece: bytes) -> None:
        """Take the next bytes; what follows the end mark, or what is strange, is let pass."""
        if self._walk is None or not piece:
            return
        try:
            self._walk.send(piece)
        except StopIteration:
            self._walk, self._is_ended = None, True
        except _Strange as strange:
            self._walk = None
            self._ended = Missing("undetermined", f"its keys are not counted: {strange}")

    def _all(self) -> Steps:
        yield from self._more(HEADER_BYTES)
        header = self._buffer[:HEADER_BYTES]
        is_valkey = header.startswith(b"VALKEY")
        shapes = VALKEY if is_valkey else REDIS
        digits = header[6 if is_valkey else 5 :]
        if not digits.isdigit() or int(digits) < FIRST_WITH_CHECKSUM:
            raise _Strange(f"its header is {header!r}")
        self._at = HEADER_BYTES
        database, is_expiring = 0, False
        while True:
            if not is_expiring and (plain := self._plain_keys()):
                self._spend(plain)
                self._count(database, plain)
            if self._at + LENGTH_BYTES > len(self._buffer):
                yield from self._more(LENGTH_BYTES)
            mark = self._buffer[self._at]
            self._at += 1
            self._spend(1)
            if mark == END:
                return
            if mark in shapes or mark == MODULE:
                self._count(database, 1, is_expiring=is_expiring or mark in LEASED)
                is_expiring = False
                yield from self._key(mark, shapes)
            elif mark == DATABASE:
                database = yield from self._length()
            else:
                is_expiring = is_expiring or mark in EXPIRIES
                yield from self._word(mark)

    def _spend(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _Strange(f"it has over {MOST_STEPS:,} keys and parts of keys")

    def _count(self, database: int, keys: int, *, is_expiring: bool = False) -> None:
        if database not in self._keys and len(self._keys) >= MOST_DATABASES:
            raise _Strange(f"it has over {MOST_DATABASES:,} databases")
        self._keys[database] = self._keys.get(database, 0) + keys
        if is_expiring:
            self._expiring[database] = self._expiring.get(database, 0) + keys

    def _plain_keys(self) -> int:
        """Step over the keys from here on whose value is a short text, as far as they have arrived.

        Most keys are such: so they take a third of the time that they would take one by one.
        """
        buffer, at = self._buffer, self._at
        end = len(buffer) - LENGTH_BYTES
        count = 0
        while at < end and not buffer[at]:
            first = buffer[at + 1]
            if first < 0x40:
                value = at + 2 + first
            elif first < 0x80:
                value = at + 3 + ((first & 0x3F) << 8 | buffer[at + 2])
            else:
                break
            if value >= end or (first := buffer[value]) >= 0x80:
                break
            at = value + 1 + first
            if first >= 0x40:
                at = value + 2 + ((first & 0x3F) << 8 | buffer[value + 1])
            count += 1
        self._at = at
        return count

    def _key(self, mark: int, shapes: Mapping[int, Shape]) -> Steps:
        if mark == 0:  # a text: most of the keys there are
            yield from self._texts(2)
            return
        yield from self._texts(1)
        if mark == MODULE:
            yield from self._module()
        else:
            yield from self._steps(shapes[mark])

    def _word(self, mark: int) -> Steps:
        """Step over what is no key."""
        if mark == MODULE_WORD:
            yield from self._module()
        elif mark in WORDS:
            yield from self._steps(WORDS[mark])
        else:
            raise _Strange(f"it holds what is marked {mark}, which is not known here")

    def _module(self) -> Steps:
        yield from self._length()  # the module's name
        while mark := (yield from self._length()):
            if mark not in MODULE_STEPS:
                raise _Strange(f"a module's value is marked {mark}")
            yield from self._steps((MODULE_STEPS[mark],))

    def _steps(self, steps: Shape) -> Steps:
        for step in steps:
            match step:
                case int():
                    self._at += step
                case Many():
                    count = yield from self._length()
                    yield from self._many(step.each, count)
                case "text":
                    yield from self._texts(1)
                case "length":
                    yield from self._length()
                case "number":
                    yield from self._number()

    def _many(self, each: Shape, count: int) -> Steps:
        self._spend(count)
        match each:
            case ("text",):
                yield from self._texts(count)
            case ("text", "text"):
                yield from self._texts(2 * count)
            case ("text", int(after)):
                yield from self._texts(count, after)
            case (int(size),):
                self._at += size * count
            case _:
                for _ in range(count):
                    yield from self._steps(each)

    def _texts(self, count: int, after: int = 0) -> Steps:
        """Step over texts, each with so many bytes behind it. Source: rdb.c, rdbGenericLoadStringObject."""
        buffer, at = self._buffer, self._at
        for _ in range(count):
            if at + LENGTH_BYTES > len(buffer):
                self._at = at
                yield from self._more(LENGTH_BYTES)
                buffer, at = self._buffer, self._at
            first = buffer[at]
            if first < 0x40:
                at += 1 + first + after
            elif first < 0x80:
                at += 2 + ((first & 0x3F) << 8 | buffer[at + 1]) + after
            else:
                self._at = at
                yield from self._odd_text(first)
                buffer, at = self._buffer, self._at + after
        self._at = at

    def _odd_text(self, first: int) -> Steps:
        """Step over a text that is long, a number, or packed."""
        if first in _NUMBERS:
            self._at += _NUMBERS[first]
        elif first == 0xC3:
            self._at += 1
            packed = yield from self._length()
            yield from self._length()
            self._at += packed
        else:
            size = yield from self._length()
            self._at += size

    def _length(self) -> Length:
        """Read a length. Source: rdb.c, rdbLoadLenByRef."""
        if self._at + LENGTH_BYTES > len(self._buffer):
            yield from self._more(LENGTH_BYTES)
        buffer, at = self._buffer, self._at
        first = buffer[at]
        if first < 0x40:
            self._at = at + 1
            return first
        if first < 0x80:
            self._at = at + 2
            return (first & 0x3F) << 8 | buffer[at + 1]
        if first not in (0x80, 0x81):
            raise _Strange(f"a length begins with {first}")
        size = 8 if first & 1 else 4
        self._at = at + 1 + size
        return int.from_bytes(buffer[at + 1 : at + 1 + size])

    def _number(self) -> Steps:
        """Step over a score as text: its size, or a mark of what no digits can tell."""
        if self._at + LENGTH_BYTES > len(self._buffer):
            yield from self._more(LENGTH_BYTES)
        size = self._buffer[self._at]
        self._at += 1 + (size if size < 253 else 0)

    def _more(self, size: int) -> Steps:
        """Wait until so many bytes from here on have arrived."""
        while self._at + size > len(self._buffer):
            piece = yield
            over = self._at - len(self._buffer)
            if over >= 0:
                self._buffer, self._at = piece, over
            else:
                self._buffer, self._at = self._buffer[self._at :] + piece, 0


# How long a text is that stands for a number, its mark included.
_NUMBERS: Final = MappingProxyType({0xC0: 2, 0xC1: 3, 0xC2: 5})

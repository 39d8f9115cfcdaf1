"""The first bytes of a dump: what the server wrote there about itself. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from checks.facts import Missing

HEADER_BYTES: Final = 9  # REDIS0011, VALKEY080
VERSIONS: Final = ("valkey-ver", "redis-ver")
# Whoever may write into a store chooses these words: what no server says is taken for unsaid.
MOST_VERSION_CHARS: Final = 40
LAST_S: Final = 253_402_300_799  # the end of the year 9999, where our dates end
MOST_BYTES: Final = 10**19 - 1  # about what 64 bits hold
NOT_SAID: Final = Missing("not_applicable", "the file does not say")


@dataclass(frozen=True, slots=True)
class Said:
    """What a server wrote about itself; Missing where it did not.

    `created_at_s` is a Unix time by the server's clock.
    """

    server_version: str | Missing = NOT_SAID
    created_at_s: int | Missing = NOT_SAID
    used_memory_bytes: int | Missing = NOT_SAID
    is_aof_preamble: bool = False


NOTHING_SAID: Final = Said()


class _Ended(Exception):
    """The head ends here, or goes on with what only a loader understands."""


def read_head(head: bytes) -> Said:
    """Read the first bytes of a dump, as far as they are plain."""
    words: dict[str, str] = {}
    with suppress(_Ended):
        _read(_Cursor(head, HEADER_BYTES), words)
    version = next((words[name] for name in VERSIONS if name in words), "")
    is_plain = 0 < len(version) <= MOST_VERSION_CHARS and version.isprintable()
    return Said(
        version if is_plain else NOT_SAID,
        _number(words, "ctime", LAST_S),
        _number(words, "used-mem", MOST_BYTES),
        is_aof_preamble=words.get("aof-preamble") == "1",
    )


def _read(cursor: _Cursor, words: dict[str, str]) -> None:
    """Go from word to word. Source: rdb.h, RDB_OPCODE_*; what follows them is rdb_keys.py's."""
    while True:
        match cursor.byte():
            case 0xFA:  # a word about the file
                name = cursor.text()
                words[name] = cursor.text()
            case 0xF5:  # a library of functions
                cursor.text()
            case _:
                return


def _number(words: Mapping[str, str], name: str, most: int) -> int | Missing:
    text = words.get(name, "")
    number = int(text) if text.isdecimal() and len(text) < 20 else most + 1
    return number if number <= most else NOT_SAID


class _Cursor:
    """A place in the head."""

    def __init__(self, head: bytes, at: int) -> None:
        self._head = head
        self._at = at

    def byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._head[self._at : self._at + count]
        if len(taken) < count:
            raise _Ended
        self._at += count
        return taken

    def length(self) -> int:
        """Read a length: 6, 14, 32 or 64 bits. Source: rdb.c, rdbLoadLenByRef."""
        first = self.byte()
        match first >> 6:
            case 0:
                return first
            case 1:
                return (first & 0x3F) << 8 | self.byte()
            case 2:
                return int.from_bytes(self._take(8 if first & 1 else 4))
        raise _Ended

    def text(self) -> str:
        """Read a text, or a small number that stands for one."""
        first = self._head[self._at : self._at + 1]
        if first and first[0] >> 6 == 3:
            width = {0: 1, 1: 2, 2: 4}.get(self.byte() & 0x3F)
            if width is None:
                raise _Ended
            return str(int.from_bytes(self._take(width), "little", signed=True))
        return self._take(self.length()).decode(errors="replace")

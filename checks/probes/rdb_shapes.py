"""What each kind of value in a dump is made of, so that a reader can step over it. Tables alone."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, NamedTuple


class Many(NamedTuple):
    """A length, and so many times what `each` lists."""

    each: tuple[Step, ...]


# "text"; "length"; "number" as servers before 2014 wrote scores; an int is so many bytes.
Step = Literal["text", "length", "number"] | int | Many
Shape = tuple[Step, ...]
MODULE: Final = 7
# What a module writes: marks, each with what follows it, up to a mark of 0.
MODULE_STEPS: Final[Mapping[int, Step]] = MappingProxyType(
    {1: "length", 2: "length", 3: 4, 4: 8, 5: "text"}
)

_ONE: Final[Shape] = ("text",)
_TEXTS: Final[Shape] = (Many(("text",)),)
_PAIRS: Final[Shape] = (Many(("text", "text")),)
_LEASED_PAIRS: Final = Many(("length", "text", "text"))


def _stream(head: Shape, group: Shape, consumer_bytes: int, tail: Shape = ()) -> Shape:
    """Give a stream: what follows its entries, what a group begins with, and what ends it."""
    consumer = Many(("text", consumer_bytes, Many((16,))))
    a_group = Many((*group, Many((16, 8, "length")), consumer))
    return (*_PAIRS, *head, a_group, *tail)


_HEAD_5: Final[Shape] = ("length", "length", "length")
_HEAD_7: Final[Shape] = (*_HEAD_5, "length", "length", "length", "length", "length")
_GROUP_5: Final[Shape] = ("text", "length", "length")
_GROUP_7: Final[Shape] = (*_GROUP_5, "length")
_REPEATS: Final[Shape] = (
    "length",
    "length",
    Many(("text", Many(("text", "length", "length")))),
    "length",
    "length",
)
# Source: rdb.h and rdbLoadObject of rdb.c, Redis 8.6.3 and Valkey 9.1.2. 7.4's release candidates
# wrote 22 and 23; what they wrote is read too.
SHARED: Final[Mapping[int, Shape]] = MappingProxyType(
    {
        0: _ONE,
        1: _TEXTS,
        2: _TEXTS,
        3: (Many(("text", "number")),),
        4: _PAIRS,
        5: (Many(("text", 8)),),
        **dict.fromkeys((9, 10, 11, 12, 13, 16, 17, 20), _ONE),
        14: _TEXTS,
        15: _stream(_HEAD_5, _GROUP_5, 8),
        18: (Many(("length", "text")),),
        19: _stream(_HEAD_7, _GROUP_7, 8),
        21: _stream(_HEAD_7, _GROUP_7, 16),
    }
)
REDIS: Final[Mapping[int, Shape]] = MappingProxyType(
    {
        **SHARED,
        22: (_LEASED_PAIRS,),
        23: _ONE,
        24: (8, _LEASED_PAIRS),
        25: (8, "text"),
        26: _stream(_HEAD_7, _GROUP_7, 16, _REPEATS),
    }
)
VALKEY: Final[Mapping[int, Shape]] = MappingProxyType({**SHARED, 22: (Many(("text", "text", 8)),)})
# What stands between keys, by its mark: about a slot, functions, how lately and how often used, words
# about the file, sizes, and when the next key expires.
WORDS: Final[Mapping[int, Shape]] = MappingProxyType(
    {
        0xF4: ("length", "length", "length"),
        0xF5: ("text",),
        0xF8: ("length",),
        0xF9: (1,),
        0xFA: ("text", "text"),
        0xFB: ("length", "length"),
        0xFC: (8,),
        0xFD: (4,),
    }
)
# Hashes whose fields run out one by one: with the last of them goes the key.
LEASED: Final = frozenset({22, 23, 24, 25})

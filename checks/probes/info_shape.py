"""Where do the fields of INFO stand? A server's are in the same lines each time: learn them once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 16_384
MOST_SHAPES: Final = 64
# To learn a shape takes as long as to split 150 texts: only what comes again and again is learnt,
# and what keeps changing under the same key ever more rarely.
LEARN_AFTER: Final = 20
PATIENCE: Final = 8

Key = tuple[int, bytes]  # the number of lines, and how the text begins: version and build


@dataclass(frozen=True, slots=True)
class Shape:
    """The lines of one text: an expression that matches them and no others, and what it takes out."""

    names: tuple[bytes, ...]
    pattern: re.Pattern[bytes]


class Shapes:
    """Splits INFO into the fields that are wanted, in a third of the time once it knows the shape.

    Wanted are these names, and those that begin with one of `families`. The result is that of
    `split`, cut down to them. A text that may hold them anywhere else does not match and is split.
    Any bytes may come.
    """

    def __init__(self, names: frozenset[bytes], families: tuple[bytes, ...] = ()) -> None:
        self._names, self._families = names, families
        whole = [*(name + b":" for name in names), *families]
        self._beginnings = frozenset(one[:end] for one in whole for end in range(len(one) + 1))
        self._known: dict[Key, Shape] = {}
        self._left: dict[Key, list[int]] = {}  # texts until learning, and how many the next time

    def fields(self, text: bytes) -> dict[bytes, bytes]:
        """Return the fields by name; of one given twice, the last counts."""
        key = (text.count(b"\r\n"), text[:40])
        shape = self._known.get(key)
        if shape is not None:
            match = shape.pattern.fullmatch(text)
            if match is not None:
                return dict(zip(shape.names, match.groups(), strict=True))
        self._note(key, text)
        return split(text)

    def _note(self, key: Key, text: bytes) -> None:
        """Count a text that was not known, and learn it when it was the last of several."""
        if len(text) > MOST_BYTES:
            return
        if len(self._left) > 16 * MOST_SHAPES:
            self._left.clear()
        left = self._left.setdefault(key, [LEARN_AFTER, LEARN_AFTER])
        left[0] -= 1
        if left[0]:
            return
        left[1] *= PATIENCE
        left[0] = left[1]
        if len(self._known) >= MOST_SHAPES:
            del self._known[next(iter(self._known))]
        self._known[key] = self._learn(text)

    def _learn(self, text: bytes) -> Shape:
        """Make the expression for texts with these lines.

        Of a line that is not wanted it asks for no more than shows that it is none of those.
        """
        names, lines = [], []
        for line in text.split(b"\r\n"):
            name, colon, _ = line.partition(b":")
            if colon and (name in self._names or name.startswith(self._families)):
                names.append(name)
                lines.append(re.escape(name) + rb":([^\r]*+)")
            else:
                lines.append(re.escape(self._telling(name + colon)) + rb"[^\r]*+")
        return Shape(tuple(names), re.compile(rb"\r\n".join(lines)))

    def _telling(self, head: bytes) -> bytes:
        """Return the shortest beginning that no wanted line has; all of it where there is none."""
        for end in range(1, len(head) + 1):
            if head[:end] not in self._beginnings:
                return head[:end]
        return head


def split(text: bytes) -> dict[bytes, bytes]:
    """Split INFO into its fields, in bytes; of one given twice, the last counts."""
    info: dict[bytes, bytes] = {}
    for line in text.split(b"\r\n"):
        name, _, value = line.partition(b":")
        info[name] = value
    return info

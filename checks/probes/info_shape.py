"""Where do the fields of INFO stand? A server's are in the same lines each time: learn them once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

MOST_BYTES: Final = 16_384
MOST_SHAPES: Final = 64
# To learn a shape takes as long as to split 150 texts: only what comes again and again is learnt,
# and what keeps changing under the same key ever more rarely.
LEARN_AFTER: Final = 20
PATIENCE: Final = 8
# How a text begins tells version and build; servers of one differ by AOF, replicas, a load.
BEGINNING_BYTES: Final = 40
MOST_OF_A_BEGINNING: Final = 4


@dataclass(frozen=True, slots=True)
class Shape:
    """The lines of one text: an expression that matches them and no others, and what it takes out."""

    names: tuple[bytes, ...]
    pattern: re.Pattern[bytes]


class Shapes:
    """Splits INFO into the fields that are wanted, in a third of the time once it knows the shape.

    Wanted are these names, and those that begin with one of `families`. Below a headline of `runs`
    any number of lines may begin as it says, which no wanted name does. The result is that of
    `split`, cut down to what is wanted. A text that may hold that anywhere else does not match and
    is split. Any bytes may come.
    """

    def __init__(
        self,
        names: frozenset[bytes],
        families: tuple[bytes, ...] = (),
        runs: Mapping[bytes, bytes] = MappingProxyType({}),
    ) -> None:
        self._names, self._families, self._runs = names, families, runs
        whole = [*(name + b":" for name in names), *families]
        self._beginnings = frozenset(one[:end] for one in whole for end in range(len(one) + 1))
        self._known: dict[bytes, list[Shape]] = {}  # by beginning, the last learnt first
        self._left: dict[bytes, list[int]] = {}  # texts until learning, and how many the next time

    def fields(self, text: bytes) -> dict[bytes, bytes]:
        """Return the fields by name; of one given twice, the last counts."""
        beginning = text[:BEGINNING_BYTES]
        for shape in self._known.get(beginning, ()):
            match = shape.pattern.fullmatch(text)
            if match is not None:
                return dict(zip(shape.names, match.groups(), strict=True))
        self._note(beginning, text)
        return split(text)

    def _note(self, beginning: bytes, text: bytes) -> None:
        """Count a text that was not known, and learn it when it was the last of several."""
        if len(text) > MOST_BYTES:
            return
        if len(self._left) > 16 * MOST_SHAPES:
            self._left.clear()
        left = self._left.setdefault(beginning, [LEARN_AFTER, LEARN_AFTER])
        left[0] -= 1
        if left[0]:
            return
        left[1] *= PATIENCE
        left[0] = left[1]
        known = self._known.pop(beginning, [])
        if len(self._known) >= MOST_SHAPES:
            del self._known[next(iter(self._known))]
        self._known[beginning] = [self._learn(text), *known][:MOST_OF_A_BEGINNING]

    def _learn(self, text: bytes) -> Shape:
        """Make the expression for texts with these lines.

        Of a line that is not wanted it asks for no more than shows that it is none of those.
        """
        names, lines = [], []
        run = b""
        for line in text.split(b"\r\n"):
            name, colon, _ = line.partition(b":")
            if run and line.startswith(run):
                continue
            run = self._runs.get(line, b"")
            if run:
                more = rb"(?:\r\n" + re.escape(run) + rb"[^\r]*+)*+"
                lines.append(re.escape(line) + more)
            elif colon and (name in self._names or name.startswith(self._families)):
                names.append(name)
                lines.append(re.escape(name) + rb":([^\r]*+)")
            else:
                lines.append(self._other(name + colon))
        return Shape(tuple(names), re.compile(rb"\r\n".join(lines)))

    def _other(self, head: bytes) -> bytes:
        """Ask for the shortest beginning that no wanted line has; where there is none, for no more."""
        for end in range(1, len(head) + 1):
            if head[:end] not in self._beginnings:
                return re.escape(head[:end]) + rb"[^\r]*+"
        return re.escape(head)


def split(text: bytes) -> dict[bytes, bytes]:
    """Split INFO into its fields, in bytes; of one given twice, the last counts."""
    info: dict[bytes, bytes] = {}
    for line in text.split(b"\r\n"):
        name, _, value = line.partition(b":")
        info[name] = value
    return info

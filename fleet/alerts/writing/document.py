"""A message before it is HTML or text: blocks in the order they are read; both are written from this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from django.utils.functional import Promise

from checks.placement import Piece

# Text and edge by tone, in light; mail.html overrides both in dark. Source: ui §1.
TEXTS: Final = {
    "bad": "#b42318",
    "warn": "#93520a",
    "good": "#1b6b46",
    "doubt": "#5b3fb5",
    "note": "#48566a",
}
EDGES: Final = {
    "bad": "#d92d20",
    "warn": "#e08c12",
    "good": "#7fbf9d",
    "doubt": "#8268d8",
    "note": "#8a97a8",
}


@dataclass(frozen=True)
class Room:
    """How much a message may hold, so that it stays small: entries in full, lines, characters."""

    entries: int
    lines: int
    text: int


@dataclass(frozen=True)
class Mark:
    """A symbol and a word, for colour never stands alone; tone is bad, warn, good, doubt or note."""

    symbol: str
    word: str | Promise
    tone: str

    @property
    def colour(self) -> str:
        """The tone's text colour in light."""
        return TEXTS[self.tone]


@dataclass(frozen=True)
class Link:
    """Words that lead somewhere, by an absolute URL."""

    words: str
    url: str


@dataclass(frozen=True)
class Fact:
    """A labelled value; a tone colours it where it is what is wrong."""

    label: str
    value: str
    tone: str = ""

    @property
    def colour(self) -> str:
        """The tone's text colour in light; ink without one."""
        return TEXTS.get(self.tone, "#0f1728")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One finding, or several of one rule, in full: what, where, the values, and what to do now."""

    template: ClassVar[str] = "alerts/entry.html"
    mark: Mark
    title: str
    message: str
    since: str
    facts: tuple[Fact, ...] = ()
    rule: str = ""
    do: str = ""
    steps: tuple[Piece, ...] = ()
    after: str = ""
    link: Link | None = None


@dataclass(frozen=True, kw_only=True)
class Line:
    """One thing in two lines."""

    template: ClassVar[str] = "alerts/line.html"
    mark: Mark
    title: str
    text: str
    url: str = ""


@dataclass(frozen=True)
class Heading:
    """What the lines below it are."""

    template: ClassVar[str] = "alerts/heading.html"
    words: str


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    template: ClassVar[str] = "alerts/paragraph.html"
    words: str


@dataclass(frozen=True)
class More:
    """What there was no room for, and where it is."""

    template: ClassVar[str] = "alerts/more.html"
    words: str
    url: str


@dataclass(frozen=True)
class Row:
    """A label and its value, perhaps a link."""

    label: str
    value: str
    url: str = ""


@dataclass(frozen=True)
class Rows:
    """A small table of two columns."""

    template: ClassVar[str] = "alerts/rows.html"
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Button:
    """The one thing to press."""

    template: ClassVar[str] = "alerts/button.html"
    link: Link


Block = Entry | Line | Heading | Paragraph | More | Rows | Button


@dataclass(frozen=True, kw_only=True)
class Document:
    """A whole message. `tone` colours its upper edge; `about` is whom or what it is about.

    Below the blocks stand when the next reminder comes, why the reader gets this, and what they
    may do about it.
    """

    prefix: str
    about: str
    title: str
    preheader: str
    at: str
    lead: str
    tone: str
    blocks: tuple[Block, ...]
    reminder: str = ""
    why: str = ""
    acts: tuple[Link, ...] = ()

    @property
    def edge(self) -> str:
        """The colour of the upper edge in light."""
        return EDGES[self.tone]

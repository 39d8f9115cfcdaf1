"""A document as plain text: at most 72 columns, commands and addresses alone on their lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from functools import singledispatch
from typing import Final

from django.utils.translation import gettext as _

from checks.render import THIN
from fleet.alerts.writing.document import (
    Button,
    Document,
    Entry,
    Heading,
    Line,
    Link,
    More,
    Paragraph,
    Rows,
)

COLUMNS: Final = 72
COMMAND: Final = "    "  # what a command is indented by; nothing else is indented so
WORD: Final = 9  # columns of a mark's word: CRITICAL and a space
LABEL: Final = 10  # columns of a label: Observed:


def write(document: Document) -> str:
    """Write the whole message. No line but a command or an address is longer than 72 columns."""
    head = f"{document.about}: {document.title}" if document.about else document.title
    parts: list[Iterable[str]] = [
        [*_wrapped(head), *_wrapped(f"{document.at}. {document.lead}")],
        *(lines_of(block) for block in document.blocks),
        _closing(document),
    ]
    text = "\n\n".join("\n".join(part) for part in map(list, parts) if part)
    return text.replace(THIN, " ") + "\n"


@singledispatch
def lines_of(block: object) -> Iterator[str]:
    """Write one block, without the empty line below it."""
    raise TypeError(f"{type(block).__name__} is no block of a message")


@lines_of.register
def _entry(block: Entry) -> Iterator[str]:
    yield from _titled(block.mark.word, block.title)
    yield from _wrapped(block.message, "  ")
    for fact in block.facts:
        yield from _labelled(fact.label, fact.value)
    yield from _labelled(_("Since"), block.since)
    if block.rule:
        yield from _labelled(_("Rule"), block.rule)
    if block.do:
        yield from _wrapped(block.do, "  ")
    yield from _steps(block)
    if block.after:
        yield from _wrapped(block.after, "  ")
    if block.link:
        yield from _linked(block.link, "  ")


def _steps(block: Entry) -> Iterator[str]:
    """Write commands as they must be typed, whatever their length, with space around them."""
    is_after_command = False
    for step in block.steps:
        if step.is_code:
            yield ""
            yield from (COMMAND + line for line in step.text.splitlines())
        else:
            if is_after_command:
                yield ""
            yield from _wrapped(step.text, "  ")
        is_after_command = step.is_code
    if is_after_command:
        yield ""


@lines_of.register
def _line(block: Line) -> Iterator[str]:
    yield from _titled(block.mark.word, block.title)
    yield from _wrapped(block.text, "  ")
    if block.url:
        yield f"  {block.url}"


@lines_of.register
def _heading(block: Heading) -> Iterator[str]:
    yield block.words
    yield "-" * min(len(block.words), COLUMNS)


@lines_of.register
def _paragraph(block: Paragraph) -> Iterator[str]:
    yield from _wrapped(block.words)


@lines_of.register
def _more(block: More) -> Iterator[str]:
    yield from _linked(Link(block.words, block.url), "")


@lines_of.register
def _rows(block: Rows) -> Iterator[str]:
    width = min(max((len(row.label) for row in block.rows), default=0), 40)
    for row in block.rows:
        yield from _wrapped(f"{row.label:<{width}}  {row.value}", "", " " * 2)


@lines_of.register
def _button(block: Button) -> Iterator[str]:
    yield from _linked(block.link, "")


def _closing(document: Document) -> Iterator[str]:
    yield from _wrapped(document.reminder)
    for act in document.acts:
        yield from _linked(act, "")
    if document.why:
        yield "-- "
        yield from _wrapped(f"Pairkeeper. {document.why}")


def _titled(word: object, title: str) -> Iterator[str]:
    first = f"{str(word).upper():<{WORD}} "
    yield from _wrapped(first + title, "", "  ")


def _labelled(label: str, value: str) -> Iterator[str]:
    yield from _wrapped(f"{label + ':':<{LABEL}}{value}", "  ", " " * (LABEL + 2))


def _linked(link: Link, indent: str) -> Iterator[str]:
    """Keep an address on the line of its words where it fits, else on the next, whole."""
    together = f"{indent}{link.words}: {link.url}"
    if len(together) <= COLUMNS:
        yield together
    else:
        yield from _wrapped(f"{link.words}:", indent)
        yield f"{indent}{link.url}"


def _wrapped(text: str, first: str = "", rest: str | None = None) -> list[str]:
    """Wrap at spaces; a word that is longer than a line is broken, for only commands may be long."""
    return textwrap.wrap(
        text,
        COLUMNS,
        initial_indent=first,
        subsequent_indent=first if rest is None else rest,
        break_on_hyphens=False,
    )

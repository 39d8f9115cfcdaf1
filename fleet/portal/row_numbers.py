"""Which row does a text name? The numbers of rows, as addresses and forms spell them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MOST_DIGITS: Final = 18  # the database holds all numbers of so many


def row_number(text: str) -> int:
    """Read a row's number; 0, which no row has, where the text is none."""
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else 0


def row_numbers(texts: Iterable[str]) -> list[int]:
    """Read the numbers of rows; a text that is none is left out."""
    return [number for text in texts if (number := row_number(text))]

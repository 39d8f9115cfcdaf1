"""The words of a search: each is looked for, but a text of very many is looked for as it stands."""

from __future__ import annotations

from typing import Final

from django.utils.text import smart_split, unescape_string_literal

# Each word adds conditions to one statement: of 1,500, which fit into an address, they took minutes.
MOST_WORDS: Final = 20


def words_of(term: str) -> list[str]:
    """Give each word once, as Django's lists split them: what is quoted is one."""
    words = list(dict.fromkeys(map(_word, smart_split(term))))
    return words if len(words) <= MOST_WORDS else [term]


def bounded(term: str) -> str:
    """Quote a text of too many words, so that a list of Django's looks for it as it stands."""
    if len(list(smart_split(term))) <= MOST_WORDS:
        return term
    escaped = term.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _word(bit: str) -> str:
    is_quoted = bit[0] in "\"'" and bit[-1] == bit[0] and len(bit) > 1
    return unescape_string_literal(bit) if is_quoted else bit

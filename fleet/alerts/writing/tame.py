"""Makes any text safe to stand in a message: one line, bounded, without a secret or a trick."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

# Line breaks and controls would forge headers or lines; format characters (category Cf) turn the
# direction of what follows, or hide. Surrogates cannot be encoded.
UNWANTED: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
LONGEST: Final = 2000  # characters that are looked through for secrets
# A sign-in inside a URL, and a stored secret's sealed form.
SIGN_IN: Final = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://)[^\s/?#]*@")
SEALED: Final = re.compile(r"sealed:\S+")
# `password=…`, `token: …`, `"secret": "…"`: names of what is never told, with what stands after them.
NAMED: Final = re.compile(
    r"(?i)\b((?:[\w-]*(?:password|passwd|secret|token|api[_-]?key|requirepass|masterauth))"
    r"[\"']?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|[^\s,;&]+)"
)


def tame(text: str, limit: int) -> str:
    """Write the text on one line of at most `limit` characters, an ellipsis where it was cut."""
    return clip(masked(_beginning(_printable(text))).strip(), limit)


def masked(text: str) -> str:
    """Take out what looks like a secret: sign-ins in URLs, sealed values, `password=…`."""
    text = SIGN_IN.sub(r"\1…@", text)
    text = SEALED.sub("sealed:…", text)
    return NAMED.sub(r"\1…", text)


def clip(text: str, limit: int) -> str:
    """Cut to `limit` characters, the last of which is then an ellipsis."""
    return text if len(text) <= limit else text[: max(limit - 1, 0)].rstrip() + "…"


def _beginning(text: str) -> str:
    """Keep what can be looked through quickly, up to a whole word: half a secret is not seen as one."""
    return text if len(text) <= LONGEST else text[:LONGEST].rpartition(" ")[0] + " …"


def _printable(text: str) -> str:
    """Turn what must not stand in a line into spaces, and runs of spaces into one."""
    return re.sub(r" {2,}", " ", text.translate(_TABLE))


class _Table(dict[int, int]):
    """For str.translate, which asks for each character once: unwanted ones become a space."""

    def __missing__(self, code: int) -> int:
        is_unwanted = unicodedata.category(chr(code)) in UNWANTED
        self[code] = ord(" ") if is_unwanted else code
        return self[code]


_TABLE: Final = _Table()

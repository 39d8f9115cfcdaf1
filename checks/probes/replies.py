"""What does a reply mean? Pure readings of what a server said, or said instead of Redis."""

import re
from collections.abc import Iterable
from typing import Any, cast

import hiredis

from checks.facts import Reason

# What hiredis returns: bytes, int, None, list, or hiredis.ReplyError as a value.
Reply = Any

MAX_ELEMENTS = 100_000  # declared by all replies of a visit; hiredis allots them unseen
TEXT_LIMIT = 300

# The first match wins; prefixes, because each product words the rest its own way.
# Source: captured replies of Redis 6.0 to 8.0, Valkey and KeyDB; Dragonfly's words are read.
PREFIXES: tuple[tuple[str, Reason], ...] = (
    ("NOAUTH", "auth"),
    ("WRONGPASS", "auth"),
    ("ERR AUTH <password> called without any password", "auth"),
    ("ERR Client sent AUTH, but no password is set", "auth"),  # Redis 5
    ("ERR invalid password", "auth"),
    ("NOPERM", "no_permission"),
    ("ERR unknown command", "command_unavailable"),
    ("ERR unknown subcommand", "command_unavailable"),
    ("ERR Unknown subcommand", "command_unavailable"),
    ("ERR Command is not available", "command_unavailable"),  # Upstash
    ("DENIED", "protected_mode"),
    ("-DENIED", "protected_mode"),
    ("LOADING", "loading"),
    ("BUSY ", "busy"),
    ("MISCONF", "misconf"),  # this and the next six: its state forbids what we asked
    ("OOM", "misconf"),
    ("NOREPLICAS", "misconf"),
    ("READONLY", "misconf"),
    ("MASTERDOWN", "misconf"),
    ("ERR max requests limit exceeded", "misconf"),  # Upstash, the plan's quota is used up
    ("ERR max daily request limit exceeded", "misconf"),
    ("ERR max number of clients", "max_clients"),
    ("CLUSTERDOWN", "cluster"),
    ("MOVED ", "cluster"),
    ("ASK ", "cluster"),
    ("CROSSSLOT", "cluster"),
    ("ERR SELECT is not allowed in cluster mode", "cluster"),
)
# A server sends these and closes: nothing else will come over this connection.
LAST_WORDS: frozenset[Reason] = frozenset({"max_clients", "protected_mode"})

STRANGERS: tuple[tuple[bytes, str], ...] = (
    (b"HTTP/", "an HTTP server"),
    (b"<", "an HTTP server"),
    (b"SSH-", "an SSH server"),
    (b"220", "an SMTP or FTP server"),
    (b"554", "an SMTP server"),
    (b"* OK", "an IMAP server"),
    (b"ERROR", "a memcached server"),
)
TLS_RECORD = re.compile(rb"[\x14-\x17]\x03[\x00-\x04]")
ECHOED = re.compile(r",? with args beginning with.*", re.DOTALL)
HEADER_BYTES = 24  # more than the longest aggregate header, which may be cut in two
# How an aggregate begins, and the elements per number that it claims: a map has two. A number of
# more digits is none to hiredis.
AGGREGATES: tuple[tuple[bytes, int, re.Pattern[bytes]], ...] = tuple(
    (mark, times, re.compile(re.escape(mark) + rb"(\d{1,19})\r"))
    for mark, times in ((b"*", 1), (b"%", 2), (b"~", 1), (b">", 1), (b"|", 1))
)


def encode(*parts: str | int | bytes) -> bytes:
    """Encode one command; do it once and keep the bytes."""
    return cast("bytes", hiredis.pack_command(cast("Any", parts)))


def classify(text: str) -> Reason | None:
    """Return the reason code of an error reply, or None for one that names no state.

    A reason does not mean "down": a PING answered MISCONF or NOPERM comes from a live server.
    """
    for prefix, reason in PREFIXES:
        if text.startswith(prefix):
            return reason
    return None


def safe_text(text: str, secrets: Iterable[str] = ()) -> str:
    """Make an error reply fit to show: one line, bounded, and without what we sent.

    A server that does not know AUTH repeats its arguments, password included.
    """
    text = ECHOED.sub("", text)
    for secret in secrets:
        text = text.replace(secret, "***") if secret else text
    printable = "".join(char if char.isprintable() else " " for char in text[: 4 * TEXT_LIMIT])
    return " ".join(printable.split())[:TEXT_LIMIT]


def last_words(replies: Iterable[Reply]) -> tuple[Reason, str] | None:
    """Find the error with which a server ends a connection, such as too many clients."""
    for reply in replies:
        if isinstance(reply, hiredis.ReplyError):
            reason = classify(str(reply))
            if reason in LAST_WORDS:
                return reason, safe_text(str(reply))
    return None


def stranger(first_bytes: bytes) -> str:
    """Name what answers in another protocol, as well as its first bytes tell."""
    for prefix, name in STRANGERS:
        if first_bytes.startswith(prefix):
            return name
    return "a TLS server" if speaks_tls(first_bytes) else "something that is not Redis"


def speaks_tls(first_bytes: bytes) -> bool:
    """Tell a TLS record, such as the alert a TLS port answers to plain bytes."""
    return TLS_RECORD.match(first_bytes) is not None


def declared_elements(data: bytes) -> int:
    """Count the elements that aggregate headers in these bytes claim to have.

    hiredis allots a list at its header, so ten bytes could claim gigabytes. A header is
    searched anywhere, not only after a line end, for hiredis does not look at the line
    end after a bulk. Text inside a bulk may be counted too; that only adds a little.
    """
    count = 0
    for mark, times, header in AGGREGATES:
        first = data.find(mark)
        if first >= 0:  # only from the first to the last: finding a byte costs next to nothing
            last = data.rfind(mark) + HEADER_BYTES
            count += times * sum(map(int, header.findall(data, first, last)))
    return count

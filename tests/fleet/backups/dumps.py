"""Dumps as servers write them, made by hand: small, whole, and of a time that a test chooses."""

from datetime import datetime

import anycrc

CRC = anycrc.Model("CRC64-REDIS")


def text(value: bytes) -> bytes:
    return bytes([len(value)]) + value


def dump(at: datetime | None = None, *, keys: int = 1, padding: int = 0) -> bytes:
    """A whole dump of database 0; `at` is its ctime, `padding` bytes of one more word follow."""
    body = b"REDIS0011" + b"\xfa" + text(b"redis-ver") + text(b"7.2.4")
    if at is not None:
        body += b"\xfa" + text(b"ctime") + b"\xc2" + int(at.timestamp()).to_bytes(4, "little")
    body += b"\xfe\x00\xfb" + bytes([keys, 0])
    for number in range(keys):
        body += b"\x00" + text(b"k%d" % number) + text(b"v")
    if padding:
        body += b"\x00" + text(b"pad") + b"\x80" + padding.to_bytes(4) + bytes(padding)
    return sealed(body + b"\xff")


def sealed(body: bytes) -> bytes:
    """A body with its checksum behind it."""
    return body + CRC.calc(body).to_bytes(8, "little")

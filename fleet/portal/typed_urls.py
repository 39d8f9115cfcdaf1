"""URLs as people type them: what may be sent back to the page, and the password that may not."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from checks.address import AddressError, parse_emailengine_url, parse_redis_url

# What may be a password in a URL that cannot be read: all between the first colon and the last @.
USERINFO = re.compile(r"^(\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*[^:/@]*):.*(@)", re.DOTALL)


@dataclass(frozen=True)
class Typed:
    """A URL as typed: what may be sent back to the page, the password it held, what is wrong with it."""

    shown: str
    password: str = field(default="", repr=False)
    error: str = ""


def redis_url(text: str) -> Typed:
    """Read a Redis URL; one that cannot be read loses whatever may be a password."""
    try:
        address = parse_redis_url(text)
    except AddressError as error:
        return Typed(USERINFO.sub(r"\1\2", text), error=str(error))
    return Typed(address.without_password(), address.password)


def emailengine_url(text: str) -> Typed:
    """Read an EmailEngine URL; one with a user and password is refused and loses the password."""
    try:
        return Typed(parse_emailengine_url(text).url)
    except AddressError as error:
        return Typed(USERINFO.sub(r"\1\2", text), error=str(error))


URLS: Mapping[str, Callable[[str], Typed]] = {
    "redis_url": redis_url,
    "emailengine_url": emailengine_url,
}

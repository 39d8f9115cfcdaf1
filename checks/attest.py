"""What people may vouch for because no protocol tells it: each key's kind, unit and values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from checks.facts import Attested, Missing

Value = int | bool | str
WORDS: Final = {"yes": True, "true": True, "no": False, "false": False}
UNITS: Final = {"": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
MOST_TEXT: Final = 80
LOCATION: Final = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)?")


class AttestError(ValueError):
    """A value that its key does not take; the text names the key, the value and what is wanted."""


@dataclass(frozen=True, slots=True)
class Key:
    """One fact that is attested: what it says, how a value looks, and which rules ask for it."""

    name: str
    kind: Literal["count", "bytes", "yes-no", "text", "location"]
    title: str
    example: str
    rules: tuple[str, ...]


KEYS: Final = (
    Key(
        "disk_iops",
        "count",
        "Operations per second that the disk under the AOF can do",
        "12000",
        ("redis.durability", "redis.aof-disk"),
    ),
    Key(
        "storage_medium",
        "text",
        "What Redis' data directory lies on",
        "NVMe",
        ("redis.storage-medium",),
    ),
    Key(
        "ram_bytes",
        "bytes",
        "Memory of the machine or container that Redis runs in",
        "8 GiB",
        ("redis.memory-headroom", "redis.snapshot-headroom", "redis.memory-provisioning"),
    ),
    Key(
        "redis_location",
        "location",
        "Where Redis stands: region, or region/zone",
        "eu-1/b",
        ("redis.same-zone",),
    ),
    Key(
        "emailengine_location",
        "location",
        "Where EmailEngine stands: region, or region/zone",
        "eu-1/b",
        ("pair.rtt", "redis.same-zone"),
    ),
    Key(
        "private_link",
        "yes-no",
        "The path to Redis is a private link, although the address looks public",
        "yes",
        ("redis.private-endpoint", "redis.access-control"),
    ),
    Key(
        "managed_durability",
        "yes-no",
        "The provider keeps Redis' data through a crash",
        "yes",
        ("redis.durability", "redis.engine-support"),
    ),
    Key("plan", "text", "The provider's plan", "pay as you go", ("redis.upstash-plan",)),
    Key(
        "largest_message_bytes",
        "bytes",
        "The largest message that EmailEngine must pass on, with attachments",
        "25 MiB",
        ("redis.command-size-limit",),
    ),
    Key(
        "secret_kept",
        "yes-no",
        "EENGINE_SECRET is kept apart from the backups",
        "yes",
        ("backup.secret-kept",),
    ),
    Key(
        "dragonfly_validated",
        "yes-no",
        "EmailEngine was tried on this Dragonfly before production",
        "yes",
        ("redis.engine-support",),
    ),
)
BY_KEY: Final[Mapping[str, Key]] = {key.name: key for key in KEYS}


def parse(name: str, text: str) -> Value:
    """Read a value as people write it (`12000`, `8 GiB`, `yes`, `NVMe`); raises AttestError."""
    key, value = BY_KEY[name], text.strip()
    found: Value | None = _PARSERS[key.kind](value)
    if found is None:
        raise AttestError(f"{name}={value}: want {_WANTED[key.kind]}")
    return found


def facts(values: Mapping[str, Value | Missing]) -> Attested:
    """Give the facts that rules see; a key that is not given is not attested."""
    return Attested(**values)  # type: ignore[arg-type]


def is_sound(name: str, value: Any) -> bool:
    """Tell whether a stored value still is what its key takes; a key that is gone takes none."""
    key = BY_KEY.get(name)
    if key is None:
        return False
    if key.kind == "yes-no":
        return isinstance(value, bool)
    if key.kind in ("count", "bytes"):
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, str)


def keys_for(rule_id: str) -> tuple[Key, ...]:
    """Give the keys that a rule may ask for, the one that mostly decides it first."""
    return tuple(key for key in KEYS if rule_id in key.rules)


def _whole(value: str, units: str) -> int | None:
    number = re.fullmatch(rf"([0-9]{{1,18}}) ?({units})", value)
    return int(number[1]) * UNITS[number[2]] if number else None


def _text(value: str) -> str | None:
    return value if value and len(value) <= MOST_TEXT and value.isprintable() else None


_PARSERS: Final[Mapping[str, Any]] = {
    "count": lambda value: _whole(value, ""),
    "bytes": lambda value: _whole(value, "KiB|MiB|GiB|"),
    "yes-no": lambda value: WORDS.get(value.lower()),
    "text": _text,
    "location": lambda value: value if LOCATION.fullmatch(value) else None,
}
_WANTED: Final[Mapping[str, str]] = {
    "count": "a whole number",
    "bytes": "a whole number, or with KiB, MiB, GiB",
    "yes-no": "yes or no",
    "text": "a text",
    "location": "a region, or region/zone, such as eu-1/b",
}

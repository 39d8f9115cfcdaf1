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
    """One fact that is attested: what it says, how a value looks, and which rules ask for it.

    `contrary` says which evidence beats it, and what then; or that none can be read, and why.
    """

    name: str
    kind: Literal["count", "bytes", "yes-no", "text", "location"]
    title: str
    example: str
    rules: tuple[str, ...]
    contrary: str


KEYS: Final = (
    Key(
        "disk_iops",
        "count",
        "Operations per second that the disk under the AOF can do",
        "12000",
        ("redis.durability", "redis.aof-disk"),
        "Writes that had to wait for the disk (aof_delayed_fsync) at three looks in a row: "
        "redis.aof-disk is critical, and redis.durability counts the IOPS for nothing.",
    ),
    Key(
        "storage_medium",
        "text",
        "What Redis' data directory lies on",
        "NVMe",
        ("redis.storage-medium",),
        "None: fsyncs may come late on NVMe and in time on a spinning disk behind a cache; INFO "
        "tells no medium. Late ones are redis.aof-disk's.",
    ),
    Key(
        "ram_bytes",
        "bytes",
        "Memory of the machine or container that Redis runs in",
        "8 GiB",
        ("redis.memory-headroom", "redis.snapshot-headroom", "redis.memory-provisioning"),
        "INFO's total_system_memory, which no container exceeds. A little less counts instead; "
        "less than 85% is a warning of redis.memory-headroom, and no rule passes by the "
        "attestation.",
    ),
    Key(
        "redis_location",
        "location",
        "Where Redis stands: region, or region/zone",
        "eu-1/b",
        ("redis.same-zone",),
        "The last round trips between EmailEngine and Redis: 5 ms and more are no single zone, "
        "less than 1 ms no two regions (redis.same-zone).",
    ),
    Key(
        "emailengine_location",
        "location",
        "Where EmailEngine stands: region, or region/zone",
        "eu-1/b",
        ("pair.rtt", "redis.same-zone"),
        "The same round trips. EmailEngine's own web address tells nothing: a proxy may stand "
        "before it.",
    ),
    Key(
        "private_link",
        "yes-no",
        "The path to Redis is a private link, although the address looks public",
        "yes",
        ("redis.private-endpoint", "redis.access-control"),
        "None: an address of a private link, or of an own network with public numbers, looks like "
        "any other from both sides.",
    ),
    Key(
        "managed_durability",
        "yes-no",
        "The provider keeps Redis' data through a crash",
        "yes",
        ("redis.durability", "redis.engine-support"),
        "A restart after which four of five keys are gone, until the loss is accepted: "
        "redis.durability is critical. INFO's save statuses are the node's, not the provider's, "
        "and count for nothing.",
    ),
    Key(
        "plan",
        "text",
        "The provider's plan",
        "pay as you go",
        ("redis.upstash-plan",),
        "Answers that the quota of commands is used up, and the pace of commands against the quota "
        "that a policy sets: redis.upstash-plan fails whatever plan is named.",
    ),
    Key(
        "largest_message_bytes",
        "bytes",
        "The largest message that EmailEngine must pass on, with attachments",
        "25 MiB",
        ("redis.command-size-limit",),
        "The size of command that Redis takes (proto-max-bulk-len): below the attested size "
        "redis.command-size-limit warns. Nothing tells how large messages really are: a probe "
        "reads none.",
    ),
    Key(
        "secret_kept",
        "yes-no",
        "EENGINE_SECRET is kept apart from the backups",
        "yes",
        ("backup.secret-kept",),
        "None: nobody but who keeps the secret can tell where it is.",
    ),
    Key(
        "dragonfly_validated",
        "yes-no",
        "EmailEngine was tried on this Dragonfly before production",
        "yes",
        ("redis.engine-support",),
        "A script with undeclared keys that is refused: EmailEngine's own are of that kind, so no "
        "trial can have passed, and redis.engine-support warns as without it.",
    ),
    Key(
        "managed_snapshot_hours",
        "count",
        "Hours between the snapshots that the provider takes and keeps elsewhere; 0 for none",
        "24",
        ("backup.configured", "backup.age"),
        "None: only the provider shows its snapshots. A source that is registered counts beside it, "
        "and nothing attested in backup.intact and backup.restore-proven.",
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
        least = 1 if key.kind == "bytes" else 0
        return isinstance(value, int) and not isinstance(value, bool) and value >= least
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
    "bytes": lambda value: _whole(value, "KiB|MiB|GiB|") or None,  # no host has none
    "yes-no": lambda value: WORDS.get(value.lower()),
    "text": _text,
    "location": lambda value: value if LOCATION.fullmatch(value) else None,
}
_WANTED: Final[Mapping[str, str]] = {
    "count": "a whole number",
    "bytes": "a whole number over 0, or with KiB, MiB, GiB",
    "yes-no": "yes or no",
    "text": "a text",
    "location": "a region, or region/zone, such as eu-1/b",
}

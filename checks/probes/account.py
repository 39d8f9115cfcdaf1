"""Who are we to this server? ACL GETUSER of our own account, read without its passwords."""

from typing import Any

import hiredis

from checks.facts import Account, Missing
from checks.probes.redis_commands import Command
from checks.probes.redis_config import refused
from checks.probes.redis_info import TEXT_LIMIT, Fields
from checks.probes.replies import Reply

MAX_WORDS = 1_000


def read_account(command: Command, reply: Reply) -> Fields:
    """Return the account's rights and key patterns; password hashes are thrown away unread."""
    if missing := refused(command, reply):
        return {"account": missing}
    told = _told(reply)
    rights, keys = told.get("commands"), told.get("keys")
    if not isinstance(rights, bytes) or not isinstance(keys, bytes | list):
        return {"account": Missing("undetermined", f"{command.text} tells no rights")}
    granted = tuple(word.lower() for word in _words(rights) if word.startswith("+"))
    return {"account": Account(command.words[2], granted, _keys(keys))}


def read_undeclared(command: Command, reply: Reply) -> Fields:
    """Say whether the script that declares no key was run."""
    if isinstance(reply, int):
        return {"allows_undeclared_keys": True}
    if isinstance(reply, hiredis.ReplyError) and "undeclared" in str(reply).lower():
        return {"allows_undeclared_keys": False}
    missing = refused(command, reply) or Missing("protocol", "EVAL answers no number")
    return {"allows_undeclared_keys": missing}


def account_text(account: Account | Missing) -> str:
    """Write what was read for the evidence; "" where nothing was."""
    if isinstance(account, Missing):
        return ""
    return f"commands {' '.join(account.rights)}\nkeys {' '.join(account.keys)}"


def _told(reply: Reply) -> dict[str, Any]:
    """Read the flat list of names and values."""
    if not isinstance(reply, list):
        return {}
    names = (
        name.decode("ascii", "replace") if isinstance(name, bytes) else "" for name in reply[::2]
    )
    return dict(zip(names, reply[1::2], strict=False))


def _keys(keys: bytes | list[Any]) -> tuple[str, ...]:
    """Read the patterns: `~a ~b` since Redis 7, a list without the marks before."""
    if isinstance(keys, bytes):
        return _words(keys)
    found = [one for word in keys[:MAX_WORDS] if isinstance(word, bytes) for one in _words(word)]
    return tuple(one if one[0] in "~%" else f"~{one}" for one in found)


def _words(text: bytes) -> tuple[str, ...]:
    """Split into words fit to show."""
    words = text.decode("utf-8", "replace").split()[:MAX_WORDS]
    return tuple(
        "".join(char if char.isprintable() else "?" for char in word[:TEXT_LIMIT]) for word in words
    )

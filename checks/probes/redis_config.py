"""What do CONFIG GET, CLIENT LIST and CLUSTER INFO say? Replies to fields of RedisFacts, pure."""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import hiredis

from checks.facts import BullClient, Missing
from checks.probes.redis_commands import Command
from checks.probes.redis_info import MOST, TEXT_LIMIT, Fields
from checks.probes.replies import Reply, classify, safe_text

MAX_BULL_CLIENTS = 500
MAX_SAVE_POINTS = 100
MAX_LINE_BYTES = 1_000
MAX_VALUE_BYTES = 10_000


class Setting(NamedTuple):
    """One CONFIG parameter: the field of RedisFacts it fills, with what, and the raw text of it."""

    field: str
    value: Any
    raw: tuple[str, str] | None  # None where there is no value


def read_config(command: Command, reply: Reply) -> Setting:
    """Return the one setting that this CONFIG GET asked for, from [name, value]."""
    if isinstance(reply, list) and len(reply) > 1 and isinstance(value := reply[1], bytes):
        read = _read_again if len(value) <= TEXT_LIMIT else _read
        return read(command.parameter, value)
    missing = refused(command, reply)
    if missing is None:
        text = f"{command.text} has no answer: the server has no such parameter"
        missing = Missing("command_unavailable", text)
    return Setting(CONFIG_FIELDS[command.parameter][0], missing, None)


def _read(parameter: str, value: bytes) -> Setting:
    field, convert = CONFIG_FIELDS[parameter]
    asked = f"CONFIG GET {parameter}"
    text = value.decode("utf-8", "replace").replace("\0", "?")
    raw = asked, f"{parameter} {text[:MAX_VALUE_BYTES]}"
    if len(text) > MAX_VALUE_BYTES:
        return Setting(field, Missing("too_large", f"{asked} answers {len(text)} characters"), raw)
    return Setting(field, convert(parameter, text), raw)


# A fleet's servers have few values, and each the same ones in every visit.
_read_again = lru_cache(maxsize=1_024)(_read)


def refused(command: Command, reply: Reply) -> Missing | None:
    """Turn an error reply into Missing, naming the right that is wanted; None for an answer."""
    if not isinstance(reply, hiredis.ReplyError):
        return None
    said = safe_text(str(reply))
    reason = classify(str(reply))
    if reason == "no_permission":
        return Missing(reason, f"{command.text} is refused: {said}; grant +{command.right}")
    if reason == "command_unavailable":
        return Missing(reason, f"{command.text} is not available on this server: {said}")
    return Missing(reason or "undetermined", f"{command.text} is refused: {said}")


def read_save(_name: str, text: str) -> tuple[tuple[int, int], ...] | Missing:
    """Read "900 1 300 10" into ((900, 1), (300, 10)); "" is (), snapshots switched off."""
    words = text.split()
    numbers = [int(word) for word in words if re.fullmatch(r"[0-9]{1,18}", word)]
    if len(numbers) != len(words) or len(words) % 2 or len(words) > 2 * MAX_SAVE_POINTS:
        return Missing(
            "undetermined", f"CONFIG GET save answers {_shown(text)}: no pairs of numbers"
        )
    return tuple(zip(numbers[::2], numbers[1::2], strict=True))


def read_clients(command: Command, reply: Reply) -> Fields:
    """Return the connections of EmailEngine's queue library, by their bull: names."""
    if missing := refused(command, reply):
        return {"bull_clients": missing}
    if not isinstance(reply, bytes):
        return {"bull_clients": Missing("protocol", "CLIENT LIST answers no text")}
    found = [_bull_client(line) for line in _bull_lines(reply)]
    return {"bull_clients": tuple(client for client in found if client)}


def bull_text(reply: Reply) -> str:
    """Keep of CLIENT LIST the lines that read_clients uses, for the evidence."""
    lines = _bull_lines(reply) if isinstance(reply, bytes) else []
    return b"\n".join(lines).decode("utf-8", "replace").replace("\0", "?")


def read_cluster(command: Command, reply: Reply) -> Fields:
    """Return cluster_state from CLUSTER INFO."""
    if missing := refused(command, reply):
        return {"cluster_state": missing}
    text = reply if isinstance(reply, bytes) else b""
    found = re.search(rb"^cluster_state:(\w{1,20})\r?$", text, re.MULTILINE)
    if found is None:
        return {"cluster_state": Missing("undetermined", "CLUSTER INFO has no cluster_state")}
    return {"cluster_state": found[1].decode("ascii", "replace")}


def read_time(command: Command, reply: Reply) -> Fields:
    """Return the server's clock from TIME, for servers whose INFO does not tell it."""
    if missing := refused(command, reply):
        return {"server_time_s": missing}
    try:
        seconds, microseconds = (int(part) for part in reply)
    except (TypeError, ValueError):
        return {"server_time_s": Missing("protocol", "TIME answers no two numbers")}
    if not 0 <= seconds <= MOST or not 0 <= microseconds < 1_000_000:
        return {"server_time_s": Missing("protocol", "TIME answers no time")}
    return {"server_time_s": seconds + microseconds / 1e6}


def _bull_lines(reply: bytes) -> list[bytes]:
    """Find the lines that speak of bull:, without taking the others apart: there may be thousands."""
    lines: list[bytes] = []
    found = reply.find(b"bull:")
    while found >= 0 and len(lines) < MAX_BULL_CLIENTS:
        start, end = reply.rfind(b"\n", 0, found) + 1, reply.find(b"\n", found)
        end = end if end >= 0 else len(reply)
        lines.append(reply[start : min(end, start + MAX_LINE_BYTES)])
        found = reply.find(b"bull:", end)
    return lines


def _bull_client(line: bytes) -> BullClient | None:
    parts = dict(word.partition("=")[::2] for word in _printable(line).split(" "))
    name, database = parts.get("name", ""), parts.get("db", "")
    if "bull:" not in name or not re.fullmatch(r"[0-9]{1,9}", database):
        return None
    host, _, _ = parts.get("addr", "").rpartition(":")
    return BullClient(name, host.strip("[]"), int(database), parts.get("user", ""))


def _printable(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


def _text(_name: str, text: str) -> str:
    return text[:TEXT_LIMIT]


def _count(name: str, text: str) -> int | Missing:
    if re.fullmatch(r"[0-9]{1,19}", text) and int(text) <= MOST:
        return int(text)
    return Missing("undetermined", f"CONFIG GET {name} answers {_shown(text)}: no number")


def _claim(name: str, text: str) -> bool | Missing:
    if text in ("yes", "no"):
        return text == "yes"
    return Missing("undetermined", f"CONFIG GET {name} answers {_shown(text)}: neither yes nor no")


def _shown(text: str) -> str:
    return repr(text[:80])


Convert = Callable[[str, str], Any]
CONFIG_FIELDS: Mapping[str, tuple[str, Convert]] = {
    "stop-writes-on-bgsave-error": ("stop_writes_on_bgsave_error", _claim),
    "min-replicas-to-write": ("min_replicas_to_write", _count),
    "save": ("save", read_save),
    "appendfsync": ("appendfsync", _text),
    "tcp-keepalive": ("tcp_keepalive_s", _count),
    "timeout": ("timeout_s", _count),
    "proto-max-bulk-len": ("proto_max_bulk_len_bytes", _count),
    "client-output-buffer-limit": ("client_output_buffer_limit", _text),
    "maxclients": ("config_maxclients", _count),
    "replica-read-only": ("replica_read_only", _claim),
    "snapshot_cron": ("snapshot_cron", _text),
}

"""What does INFO say? Its text to the fields of RedisFacts, pure, and safe with any bytes.

Costs about 25 µs for the 5 kB of a plain INFO: what is not read is not even split off.
"""

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from checks.facts import Engine, Missing, Replica
from checks.probes.engines import ENGINE_FIELDS, Info, detect, edition, version_field
from checks.probes.info_shape import Shapes

Fields = dict[str, Any]  # fields of RedisFacts by name

# A database column holds no more, and INFO counts nothing below -1.
LEAST, MOST = -1, 2**63 - 1
TEXT_LIMIT = 300
MAX_REPLICAS = 100
MAX_DATABASES = 1_000
MAX_ERRORS = 200

TEXTS: tuple[tuple[str, bytes], ...] = (
    ("compatibility_version", b"redis_version"),
    ("os", b"os"),
    ("config_file", b"config_file"),
    ("run_id", b"run_id"),
    ("maxmemory_policy", b"maxmemory_policy"),
    ("rdb_last_bgsave_status", b"rdb_last_bgsave_status"),
    ("aof_last_write_status", b"aof_last_write_status"),
    ("aof_last_bgrewrite_status", b"aof_last_bgrewrite_status"),
    ("master_replid", b"master_replid"),
    ("master_replid2", b"master_replid2"),
)
COUNTS: tuple[tuple[str, bytes], ...] = (
    ("uptime_s", b"uptime_in_seconds"),
    ("connected_clients", b"connected_clients"),
    ("blocked_clients", b"blocked_clients"),
    ("maxclients", b"maxclients"),
    ("used_memory_bytes", b"used_memory"),
    ("used_memory_rss_bytes", b"used_memory_rss"),
    ("used_memory_peak_bytes", b"used_memory_peak"),
    ("not_counted_for_evict_bytes", b"mem_not_counted_for_evict"),
    ("maxmemory_bytes", b"maxmemory"),
    ("system_memory_bytes", b"total_system_memory"),
    ("rdb_changes_since_last_save", b"rdb_changes_since_last_save"),
    ("rdb_last_save_time_s", b"rdb_last_save_time"),
    ("rdb_last_bgsave_time_s", b"rdb_last_bgsave_time_sec"),
    ("rdb_current_bgsave_time_s", b"rdb_current_bgsave_time_sec"),
    ("rdb_saves", b"rdb_saves"),
    ("rdb_last_cow_bytes", b"rdb_last_cow_size"),
    ("current_cow_peak_bytes", b"current_cow_peak"),
    ("aof_last_cow_bytes", b"aof_last_cow_size"),
    ("total_commands_processed", b"total_commands_processed"),
    ("total_connections_received", b"total_connections_received"),
    ("rejected_connections", b"rejected_connections"),
    ("output_buffer_disconnections", b"client_output_buffer_limit_disconnections"),
    ("evicted_keys", b"evicted_keys"),
    ("expired_keys", b"expired_keys"),
)
CLAIMS: tuple[tuple[str, bytes], ...] = (
    ("is_loading", b"loading"),
    ("rdb_bgsave_in_progress", b"rdb_bgsave_in_progress"),
    ("aof_enabled", b"aof_enabled"),
    ("aof_rewrite_in_progress", b"aof_rewrite_in_progress"),
)
# INFO has these only in the state they belong to, or while something is configured.
SOMETIMES: tuple[tuple[str, bytes, Missing], ...] = (
    ("loading_eta_s", b"loading_eta_seconds", Missing("not_applicable", "Redis is not loading")),
    ("aof_delayed_fsync", b"aof_delayed_fsync", Missing("not_applicable", "AOF is off")),
    (
        "min_replicas_good",
        b"min_slaves_good_slaves",
        Missing("not_applicable", "min-replicas-to-write is not set"),
    ),
)
NO_LINK = Missing("not_applicable", "a primary has no link to a primary")
NOT_LOADING = Missing("not_applicable", "Redis is not loading")
ALL_FIELDS: tuple[str, ...] = (
    *(name for name, _ in (*TEXTS, *COUNTS, *CLAIMS)),
    *(name for name, _, _ in SOMETIMES),
    *("version", "mode", "server_time_s", "loading_since_s", "fragmentation_ratio", "role"),
    "allocator_frag_ratio",
    *("replicas", "master_link_status", "cluster_enabled", "keys_by_database", "errors"),
)
# Dragonfly's names for the same things. Source: its server_family.cc; read, not run.
DRAGONFLY: tuple[tuple[bytes, bytes], ...] = (
    (b"rdb_last_save_time", b"last_success_save"),
    (b"rdb_changes_since_last_save", b"rdb_changes_since_last_success_save"),
    (b"rdb_bgsave_in_progress", b"saving"),
    (b"rdb_last_bgsave_time_sec", b"last_success_save_duration_sec"),
    (b"rdb_current_bgsave_time_sec", b"current_save_duration_sec"),
    (b"maxclients", b"max_clients"),
)
# All that anything here asks for: what is not among these is gone once INFO's shape is known.
WANTED: frozenset[bytes] = frozenset(
    {
        *ENGINE_FIELDS,
        *(key for _, key in (*TEXTS, *COUNTS, *CLAIMS)),
        *(key for _, key, _ in SOMETIMES),
        *(own for _, own in DRAGONFLY),
        *(b"redis_mode", b"server_mode", b"cluster_enabled", b"role", b"connected_slaves"),
        *(b"master_link_status", b"slave_read_only", b"last_failed_save", b"server_time_usec"),
        *(b"loading_start_time", b"mem_fragmentation_ratio", b"allocator_frag_ratio"),
    }
)
ROLES = {b"master": "master", b"primary": "master", b"slave": "slave", b"replica": "slave"}


def read_info(text: bytes, host: str) -> tuple[Engine, Fields]:
    """Return the engine and every field of RedisFacts that INFO can fill, Missing where it does not."""
    info = _shapes.fields(text)
    engine = detect(info, host)
    if engine is Engine.DRAGONFLY:
        _as_redis_says(info)
    fields: Fields = {"edition": edition(info, host)}
    _read_texts(info, fields)
    _read_counts(info, fields)
    for name, key in CLAIMS:
        fields[name] = _claim(info, key)
    for name, key, absent in SOMETIMES:
        fields[name] = _count(info, key) if key in info else absent
    fields["version"] = _version(info, version_field(engine, info))
    fields["fragmentation_ratio"] = _ratio(info, b"mem_fragmentation_ratio")
    fields["allocator_frag_ratio"] = _ratio(info, b"allocator_frag_ratio")
    fields["server_time_s"] = _scaled(info, b"server_time_usec", 1e6)
    fields["loading_since_s"] = (
        _scaled(info, b"loading_start_time", 1) if b"loading_start_time" in info else NOT_LOADING
    )
    _read_topology(info, fields)
    fields["keys_by_database"] = _databases(text)
    fields["errors"] = _errors(text)
    return engine, fields


_shapes = Shapes(
    WANTED,
    families=(b"slave",),  # a line for each replica
    runs={b"# Errorstats": b"errorstat_", b"# Keyspace": b"db"},
)


def _read_texts(info: Info, fields: Fields) -> None:
    for name, key in TEXTS:
        value = info.get(key)
        fields[name] = _absent(key) if value is None else _clean(value)


def _read_counts(info: Info, fields: Fields) -> None:
    """Read the many plain numbers; written out, for this is where a visit's time goes."""
    for name, key in COUNTS:
        value = info.get(key)
        if value is None:
            fields[name] = _absent(key)
            continue
        try:
            number = int(value)
        except ValueError:
            fields[name] = _odd(key)
        else:
            fields[name] = number if LEAST <= number <= MOST else _odd(key)


def without_info(why: Missing) -> Fields:
    """Say of every field INFO could fill why it is not known."""
    return dict.fromkeys(ALL_FIELDS, why)


def _as_redis_says(info: dict[bytes, bytes]) -> None:
    """Give Dragonfly's fields the names Redis has for them; it has no AOF, and no status word."""
    for redis_name, own_name in DRAGONFLY:
        if own_name in info:
            info.setdefault(redis_name, info[own_name])
    info.setdefault(b"aof_enabled", b"0")
    failed, succeeded = info.get(b"last_failed_save"), info.get(b"last_success_save")
    if failed and succeeded and failed.isdigit() and succeeded.isdigit():
        status = b"err" if int(failed[:20]) > int(succeeded[:20]) else b"ok"
        info.setdefault(b"rdb_last_bgsave_status", status)


def _read_topology(info: Info, fields: Fields) -> None:
    """Read mode, cluster, role, the link to a primary, and the replicas."""
    mode = _text(info, b"redis_mode" if b"redis_mode" in info else b"server_mode")
    cluster = _claim(info, b"cluster_enabled")
    if isinstance(cluster, Missing) and not isinstance(mode, Missing):
        cluster = mode == "cluster"
    if cluster is True:
        mode = "cluster"
    elif cluster is False and isinstance(mode, Missing):
        mode = "standalone"
    fields["mode"], fields["cluster_enabled"] = mode, cluster
    role = ROLES.get(info.get(b"role", b""))
    fields["role"] = role or _absent(b"role")
    fields["master_link_status"] = (
        NO_LINK if role == "master" else _text(info, b"master_link_status")
    )
    if b"slave_read_only" in info:
        fields["replica_read_only"] = _claim(info, b"slave_read_only")
    fields["replicas"] = _replicas(info)


def _replicas(info: Info) -> tuple[Replica, ...] | Missing:
    count = _count(info, b"connected_slaves")
    if isinstance(count, Missing):
        return count
    found = []
    for number in range(min(count, MAX_REPLICAS)):
        line = info.get(b"slave%d" % number)
        if line is not None:
            found.append(_replica(_pairs(line)))
    return tuple(found)


def _replica(parts: Mapping[bytes, bytes]) -> Replica:
    port, lag_s = _count(parts, b"port"), _count(parts, b"lag")
    return Replica(
        host=_clean(parts.get(b"ip", b"")),
        port=0 if isinstance(port, Missing) else min(port, 65_535),
        state=_clean(parts.get(b"state", b"")),
        lag_s=lag_s,
    )


def _databases(text: bytes) -> Mapping[str, int] | Missing:
    start = text.rfind(b"# Keyspace")
    if start < 0:
        return _absent(b"# Keyspace")
    found: dict[str, int] = {}
    for line in text[start:].split(b"\r\n", MAX_DATABASES)[1:]:
        name, _, value = line.partition(b":")
        if name[:2] == b"db" and name[2:].isdigit():
            keys = _count(_pairs(value), b"keys")
            if not isinstance(keys, Missing):
                found[name[2:].decode("ascii")] = keys
    return found


def _errors(text: bytes) -> Mapping[str, int] | Missing:
    """Read the counts of error replies by their first word (Redis 6.2 and newer)."""
    start = text.rfind(b"# Errorstats")
    if start < 0:
        return _absent(b"# Errorstats")
    found: dict[str, int] = {}
    for line in text[start:].split(b"\r\n", MAX_ERRORS)[1:]:
        if not line.startswith(b"errorstat_"):
            break
        name, _, value = line[10:].partition(b":")
        count = _count(_pairs(value), b"count")
        if not isinstance(count, Missing):
            found[_clean(name)] = count
    return found


def _pairs(line: bytes) -> dict[bytes, bytes]:
    """Split keys=5,expires=0 into its parts."""
    parts: dict[bytes, bytes] = {}
    for part in line.split(b",", 32):
        name, _, value = part.partition(b"=")
        parts[name] = value
    return parts


def _count(info: Info, key: bytes) -> int | Missing:
    try:
        number = int(info[key])
    except KeyError:
        return _absent(key)
    except ValueError:
        return _odd(key)
    return number if LEAST <= number <= MOST else _odd(key)


def _claim(info: Info, key: bytes) -> bool | Missing:
    value = info.get(key)
    if value is None:
        return _absent(key)
    return value == b"1" if value in (b"0", b"1") else _odd(key)


def _ratio(info: Info, key: bytes) -> float | Missing:
    try:
        number = float(info[key])
    except KeyError:
        return _absent(key)
    except ValueError:
        return _odd(key)
    return number if math.isfinite(number) else _odd(key)


def _scaled(info: Info, key: bytes, divisor: float) -> float | Missing:
    count = _count(info, key)
    return count if isinstance(count, Missing) else count / divisor


def _text(info: Info, key: bytes) -> str | Missing:
    value = info.get(key)
    return _absent(key) if value is None else _clean(value)


def _version(info: Info, key: bytes) -> str | Missing:
    """Read a version; Dragonfly writes df-v1.2.3."""
    text = _text(info, key)
    return text if isinstance(text, Missing) else text.removeprefix("df-").removeprefix("v")


@lru_cache(maxsize=16_384)
def _clean(value: bytes) -> str:
    """Turn a value into one line of text that any database and page can hold."""
    text = value[:TEXT_LIMIT].decode("utf-8", "replace")
    return text if text.isprintable() else "".join(c if c.isprintable() else "?" for c in text)


@lru_cache(maxsize=256)
def _absent(key: bytes) -> Missing:
    return Missing("undetermined", f"INFO has no {_clean(key)}")


@lru_cache(maxsize=256)
def _odd(key: bytes) -> Missing:
    return Missing("undetermined", f"INFO gives {_clean(key)} a value that cannot be right")

"""Which make of server is this? The first match wins; nothing recognised is `unknown`."""

from collections.abc import Mapping, Sequence
from functools import lru_cache

from checks.facts import Engine

Info = Mapping[bytes, bytes]

# Source: the makers' documents; of these, only Redis, Valkey and KeyDB were run by us.
OWN_FIELDS: tuple[tuple[Engine, tuple[bytes, ...]], ...] = (
    (Engine.DRAGONFLY, (b"dragonfly_version",)),
    (Engine.UPSTASH, (b"upstash_version",)),
    (Engine.MEMURAI, (b"memurai_version", b"memurai_edition")),
)
# What stands behind these answers as Redis too, so it is asked before Redis itself.
KIN_FIELDS: tuple[tuple[Engine, tuple[bytes, ...]], ...] = (
    (Engine.GARNET, (b"garnet_version",)),
    (Engine.KVROCKS, (b"kvrocks_version",)),
    (Engine.REDICT, (b"redict_version",)),
    (Engine.REDIS_ENTERPRISE, (b"redis_enterprise", b"rlec_version")),
)
AWS_HOSTS = (".cache.amazonaws.com", ".cache.amazonaws.com.cn")
OTHER_HOSTS: tuple[tuple[Engine, tuple[str, ...]], ...] = (
    (Engine.UPSTASH, (".upstash.io",)),
    (Engine.REDIS_CLOUD, (".redis-cloud.com", ".redislabs.com", ".rlrcp.com")),
    (Engine.AZURE, (".cache.windows.net", ".redis.azure.net", ".cache.azure.net")),
    (Engine.AIVEN, (".aivencloud.com",)),
)
VERSION_FIELDS: Mapping[Engine, bytes] = {
    Engine.VALKEY: b"valkey_version",
    Engine.DRAGONFLY: b"dragonfly_version",
    Engine.MEMURAI: b"memurai_version",
    Engine.UPSTASH: b"upstash_version",
    Engine.GARNET: b"garnet_version",
    Engine.KVROCKS: b"kvrocks_version",
    Engine.REDICT: b"redict_version",
    Engine.REDIS_ENTERPRISE: b"rlec_version",
    Engine.ELASTICACHE: b"valkey_version",
    Engine.MEMORYDB: b"valkey_version",
    Engine.AIVEN: b"valkey_version",
}
# All fields that are asked for here.
ENGINE_FIELDS: frozenset[bytes] = frozenset(
    {
        *(name for _, names in (*OWN_FIELDS, *KIN_FIELDS) for name in names),
        *VERSION_FIELDS.values(),
        *(b"os", b"mvcc_depth", b"executable", b"server_name", b"redis_version"),
    }
)


def detect(info: Info, host: str) -> Engine:
    """Name the engine by its INFO fields and the host we were given."""
    found = _by_field(OWN_FIELDS, info) or _by_os(info.get(b"os", b"")) or of_host(host)
    if found is None:
        found = _by_field(KIN_FIELDS, info)
    if found is not None:
        return found
    if b"mvcc_depth" in info or info.get(b"executable", b"").endswith(b"keydb-server"):
        return Engine.KEYDB
    if info.get(b"server_name") == b"valkey" or b"valkey_version" in info:
        return Engine.VALKEY
    return Engine.REDIS if b"redis_version" in info else Engine.UNKNOWN


@lru_cache(maxsize=65_536)
def of_host(host: str) -> Engine | None:
    """Name the provider a host name belongs to; None for a name of one's own."""
    host = host.lower()
    if ".memorydb." in host:
        return Engine.MEMORYDB
    if host.endswith(AWS_HOSTS):
        return Engine.ELASTICACHE
    return next((engine for engine, ends in OTHER_HOSTS if host.endswith(ends)), None)


def of_hello(reply: object) -> Engine | None:
    """Name the engine by a bare HELLO's answer, for where INFO is refused.

    KeyDB says redis too; its 6.3 tells it apart, for there was no Redis 6.3.
    """
    if not isinstance(reply, Sequence) or isinstance(reply, bytes | str):
        return None
    if any(_names_google(part) for part in reply):
        return Engine.MEMORYSTORE
    server, version = _following(reply, b"server"), _following(reply, b"version")
    if server == b"valkey":
        return Engine.VALKEY
    if server != b"redis":
        return None
    return Engine.KEYDB if version.startswith(b"6.3.") else Engine.REDIS


def version_field(engine: Engine, info: Info) -> bytes:
    """Say which INFO field holds the engine's own version."""
    own = VERSION_FIELDS.get(engine, b"redis_version")
    return own if own in info else b"redis_version"


def edition(info: Info, host: str) -> str:
    """Name the edition where one differs: Memurai's own word, or "serverless"."""
    if b"memurai_edition" in info:
        return info[b"memurai_edition"].decode("ascii", "replace")[:40]
    return "serverless" if ".serverless." in host.lower() else ""


def _by_field(table: tuple[tuple[Engine, tuple[bytes, ...]], ...], info: Info) -> Engine | None:
    for engine, names in table:
        for name in names:
            if name in info:
                return engine
    return None


def _by_os(os: bytes) -> Engine | None:
    if b"Amazon MemoryDB" in os:
        return Engine.MEMORYDB
    return Engine.ELASTICACHE if b"Amazon ElastiCache" in os else None


def _following(reply: Sequence[object], name: bytes) -> bytes:
    """Return what follows a name in HELLO's flat list; b"" where nothing does."""
    found = dict(zip(reply[::2], reply[1::2], strict=False)) if _is_flat(reply) else {}
    value = found.get(name)
    return value if isinstance(value, bytes) else b""


def _is_flat(reply: Sequence[object]) -> bool:
    return all(isinstance(name, bytes) for name in reply[::2])


def _names_google(part: object) -> bool:
    """Look for Google in HELLO's list of modules, where their paths stand."""
    if isinstance(part, list):
        return any(_names_google(inner) for inner in part)
    return isinstance(part, bytes) and b"google" in part.lower()

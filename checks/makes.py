"""The makes of Redis-compatible servers that we recognise."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Engine(StrEnum):
    """The make of the Redis-compatible server; never EmailEngine."""

    REDIS = "redis"
    VALKEY = "valkey"
    KEYDB = "keydb"
    MEMURAI = "memurai"
    DRAGONFLY = "dragonfly"
    UPSTASH = "upstash"
    ELASTICACHE = "elasticache"
    MEMORYDB = "memorydb"
    # Recognised and named, outside the vendor's table.
    GARNET = "garnet"
    KVROCKS = "kvrocks"
    REDICT = "redict"
    REDIS_ENTERPRISE = "redis-enterprise"
    REDIS_CLOUD = "redis-cloud"
    AZURE = "azure-cache"
    MEMORYSTORE = "memorystore"
    AIVEN = "aiven"
    UNKNOWN = "unknown"

    @property
    def label(self) -> str:
        """Give the name people write, such as Valkey or Amazon ElastiCache."""
        return ENGINE_LABELS[self]

    @property
    def is_managed(self) -> bool:
        """Say whether persistence is the provider's, out of reach of CONFIG."""
        return self in MANAGED

    @property
    def is_provided(self) -> bool:
        """Say whether a provider runs it: no file to edit, and mostly no CONFIG SET."""
        return self in PROVIDED


ENGINE_LABELS: Mapping[Engine, str] = {
    Engine.REDIS: "Redis",
    Engine.VALKEY: "Valkey",
    Engine.KEYDB: "KeyDB",
    Engine.MEMURAI: "Memurai",
    Engine.DRAGONFLY: "Dragonfly",
    Engine.UPSTASH: "Upstash",
    Engine.ELASTICACHE: "Amazon ElastiCache",
    Engine.MEMORYDB: "Amazon MemoryDB",
    Engine.GARNET: "Garnet",
    Engine.KVROCKS: "Kvrocks",
    Engine.REDICT: "Redict",
    Engine.REDIS_ENTERPRISE: "Redis Enterprise",
    Engine.REDIS_CLOUD: "Redis Cloud",
    Engine.AZURE: "Azure Cache for Redis",
    Engine.MEMORYSTORE: "Google Memorystore",
    Engine.AIVEN: "Aiven",
    Engine.UNKNOWN: "Unknown engine",
}
# Engines whose persistence the provider runs (design: rdb-*, aof-* do not apply there).
MANAGED = frozenset({Engine.UPSTASH, Engine.ELASTICACHE, Engine.MEMORYDB})
# A provider runs these too; some let CONFIG tell of persistence, some do not.
PROVIDED = MANAGED | {
    Engine.REDIS_ENTERPRISE,
    Engine.REDIS_CLOUD,
    Engine.AZURE,
    Engine.MEMORYSTORE,
    Engine.AIVEN,
}

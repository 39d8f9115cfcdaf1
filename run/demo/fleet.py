"""Who is in the demo fleet: one line per pair, with what is good or bad about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Program = Literal["redis", "valkey"]

GOOD = {
    "maxmemory": "64mb",
    "maxmemory-policy": "noeviction",
    "save": "900 1 300 10",
    "tcp-keepalive": "300",
}


@dataclass(frozen=True)
class DemoPair:
    """One server of the demo: its settings are GOOD but for `config` (None removes a line).

    fault is what happens to it once it runs; emailengine names the simulated instance's recording.
    backup is how it is copied: pulled by the portal, by a job that fell silent, or to a directory
    in which the copy is damaged.
    """

    name: str
    tenant: str
    program: Program
    config: dict[str, str | None] = field(default_factory=dict)
    fault: Literal["", "full", "failing-bgsave", "flaps", "wrong-password"] = ""
    emailengine: Literal["healthy", "dead-workers"] | None = None
    backup: Literal["", "pulled", "late", "damaged"] = ""
    mailboxes: int | None = None
    note: str = ""

    @property
    def settings(self) -> dict[str, str]:
        """The configuration file's lines."""
        merged: dict[str, str | None] = {**GOOD, **self.config}
        return {name: value for name, value in merged.items() if value is not None}


NORTHWIND, HALDEN, TESSERA = (
    "Northwind Mail (demo)",
    "Halden Clinics (demo)",
    "Tessera Travel (demo)",
)

PAIRS = (
    DemoPair(
        "northwind-eu-01", NORTHWIND, "valkey", emailengine="healthy", mailboxes=12,
        backup="pulled", note="All as required (Valkey 9)",
    ),
    DemoPair(
        "northwind-eu-02", NORTHWIND, "redis", emailengine="healthy", mailboxes=8,
        backup="pulled", note="All as required (Redis 6.2)",
    ),
    DemoPair(
        "northwind-eu-03", NORTHWIND, "valkey", {"maxmemory-policy": "allkeys-lru"},
        emailengine="healthy", mailboxes=10, backup="pulled", note="Evicts any key",
    ),
    DemoPair(
        "northwind-us-01", NORTHWIND, "valkey", {"save": '""'}, backup="damaged",
        note="No persistence at all; its backup is damaged",
    ),
    DemoPair(
        "northwind-us-02", NORTHWIND, "redis", {"tcp-keepalive": "0"}, backup="pulled",
        note="Keepalive off",
    ),
    DemoPair("halden-eu-01", HALDEN, "valkey", {"maxmemory": "24mb"}, "full", note="Memory nearly full"),
    DemoPair("halden-eu-02", HALDEN, "redis", fault="failing-bgsave", note="Background saves fail"),
    DemoPair(
        "halden-eu-03", HALDEN, "redis", {"save": "3600 1"}, backup="late",
        note="Saves too seldom; its backup job fell silent",
    ),
    DemoPair(
        "halden-eu-04", HALDEN, "valkey", fault="wrong-password",
        note="The registry has a wrong password",
    ),
    DemoPair(
        "halden-eu-05", HALDEN, "valkey", emailengine="dead-workers", mailboxes=15,
        backup="pulled", note="EmailEngine's queue workers died after a Redis restart",
    ),
    DemoPair("tessera-us-01", TESSERA, "valkey", {"cluster-enabled": "yes"}, note="Cluster mode"),
    DemoPair(
        "tessera-us-02", TESSERA, "redis", {"appendonly": "yes", "appendfsync": "always"},
        backup="pulled", note="AOF with fsync at every write",
    ),
    DemoPair("tessera-us-03", TESSERA, "redis", fault="flaps", note="Stops and starts every few minutes"),
)  # fmt: skip

"""What a remediation is for, in words: the causes that a rule tells apart."""

from __future__ import annotations

from typing import Final

from django.utils.translation import gettext_lazy as _

from fleet.portal.reasons import Text

# By a verdict's cause. Rules that tell the same thing share a cause.
WORDS: Final[dict[str, Text]] = {
    "connection": _("Redis cannot be reached"),
    "only-from-here": _("only our probe cannot reach Redis"),
    "tls": _("TLS fails"),
    "auth": _("the account is refused"),
    "protected-mode": _("Redis is in protected mode"),
    "max-clients": _("Redis takes no more clients"),
    "loading": _("Redis is loading its data"),
    "busy": _("a script blocks Redis"),
    "protocol": _("what answers is not Redis"),
    "oom": _("out of memory, and the host has room"),
    "oom-add-ram": _("out of memory, and the host has no room"),
    "misconf-rdb": _("the last snapshot failed"),
    "misconf-aof": _("the AOF cannot be written"),
    "noreplicas": _("too few good replicas"),
    "readonly": _("a read-only replica"),
    "clusterdown": _("the cluster is down"),
    "quota": _("the plan’s quota is used up"),
    "outside": _("a make that the vendor does not name"),
    "experimental": _("a make that the vendor calls experimental"),
    "constrained": _("a provider with constraints"),
    "unsupported": _("a service that the vendor rules out"),
    "policy": _("it may evict keys, and memory is not full"),
    "full": _("memory is full, and the host has room"),
    "full-add-ram": _("memory is full, and the host has no room"),
    "maxmemory": _("maxmemory is too small, and the host has room"),
    "add-ram": _("maxmemory is too small, and the host has no room"),
    "ram": _("the host’s RAM is too small"),
    "contradicted": _("what was attested is contradicted"),
    "unset": _("no maxmemory, and the host has room"),
    "unset-add-ram": _("no maxmemory, and the host has no room"),
    "off": _("neither RDB nor AOF is on"),
    "aof-only": _("AOF alone, and its disk is not attested"),
    "failed": _("the last one failed"),
    "hung": _("the save does not end"),
    "always": _("appendfsync is always"),
    "slow": _("the disk is too slow"),
    "write": _("the AOF cannot be written"),
    "rewrite": _("the AOF cannot be rewritten"),
    "replica": _("a replica"),
    "sentinel": _("a Sentinel"),
    "crowded": _("nearly all connections are taken"),
    "rejected": _("connections were rejected"),
    "limit": _("the buffer’s limit is not the default"),
    "disconnected": _("subscribers were disconnected"),
    "open": _("no password"),
    "plain": _("no TLS"),
    "missing": _("a replica is missing"),
    "lag": _("a replica lags"),
    "none": _("no replica"),
    "quorum": _("the Sentinels have no quorum"),
    "same-keys": _("two pairs on the same keys"),
    "shared": _("the server is shared"),
    "down": _("EmailEngine does not answer"),
    "not-from-here": _("only our probe cannot reach EmailEngine"),
    "dead-workers": _("the queue workers are gone"),
    "no-licence": _("no licence"),
    "other-server": _("EmailEngine uses another server"),
    "failover": _("a failover"),
    "refused": _("EmailEngine’s account is refused"),
    "many-refused": _("many sign-ins are refused"),
    "unknown-key": _("EmailEngine warns of what we do not judge"),
    "difference": _("EmailEngine and we differ"),
    "damaged": _("the copy is damaged"),
    "no-checksum": _("the copy has no checksum"),
    "empty": _("the copy is empty"),
    "changed": _("its size changed"),
    "due": _("a drill is due"),
}


def in_words(cause: str) -> Text:
    """Say a cause in a few words; "" where a rule tells no causes apart, a cause without words by its key."""
    return WORDS.get(cause, cause.replace("-", " "))

"""The one list of rules, by topic, and the sources they cite."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from checks.rule import Rule, rules_in
from checks.rules import (
    accounts,
    backup,
    backup_age,
    backup_secret,
    capacity,
    clients,
    disk,
    drills,
    durability,
    emailengine,
    engine,
    eviction,
    exposure,
    forecast,
    forking,
    identity,
    instance,
    latency,
    loss,
    mailflow,
    memory,
    network,
    outcomes,
    persistence,
    provider,
    queues,
    reach,
    replicas,
    restoring,
    save_points,
    sharing,
    writes,
)

TOPICS = (
    reach,
    writes,
    engine,
    provider,
    eviction,
    memory,
    capacity,
    forecast,
    forking,
    durability,
    save_points,
    persistence,
    disk,
    network,
    clients,
    exposure,
    replicas,
    sharing,
    latency,
    emailengine,
    queues,
    identity,
    loss,
    instance,
    accounts,
    mailflow,
    outcomes,
    backup,
    backup_age,
    backup_secret,
    restoring,
    drills,
)

RULES: tuple[Rule, ...] = tuple(found for topic in TOPICS for found in rules_in(topic))
BY_ID: Mapping[str, Rule] = MappingProxyType(
    {name: found for found in RULES for name in (found.id, *found.formerly)}
)
# What the codes in a rule's `source` stand for.
SOURCES: Mapping[str, str] = MappingProxyType(
    {
        "S0": "Requirement document 000_63b4c20518a3da98.txt",
        "S1": "Requirement document 001_8d6a9b75adfa2988.txt",
        "S2": "Requirement document 002_5c4d64f2fc00af2f.txt",
        "S3": "Requirement document 003_eda37c4d45e24cf1.txt",
        "EE": "What EmailEngine itself enforces or does",
        "ours": "Pairkeeper's own judgement",
    }
)

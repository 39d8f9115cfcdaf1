"""The one list of rules, by topic."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from checks.rule import Rule, rules_in
from checks.rules import access, emailengine, engine, memory, network, persistence, queues

TOPICS = (access, engine, memory, persistence, network, emailengine, queues)

RULES: tuple[Rule, ...] = tuple(found for topic in TOPICS for found in rules_in(topic))
BY_ID: Mapping[str, Rule] = MappingProxyType(
    {name: found for found in RULES for name in (found.id, *found.formerly)}
)

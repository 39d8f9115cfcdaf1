"""Overrides laid over the rules' own limits: plain data in, checked settings out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import lru_cache
from typing import Any

from checks.catalog import BY_ID, RULES
from checks.rule import Confirm, Limits, Rule, Severity

RESERVED = frozenset({"enabled", "severity", "open_after", "resolve_after"})


class PolicyError(ValueError):
    """A policy names what does not exist or is not allowed; the text says rule, limit, value and what is."""


@dataclass(frozen=True, slots=True)
class Settings:
    """One rule under one policy."""

    rule: Rule
    limits: Limits
    opens: Confirm
    resolves: Confirm
    is_enabled: bool = True
    severity: Severity | None = None  # caps what a fail may report


@dataclass(frozen=True, slots=True)
class Policy:
    """The effective settings of every rule, by id."""

    settings: Mapping[str, Settings] = field(default_factory=dict)

    def __getitem__(self, rule_id: str) -> Settings:
        return self.settings[rule_id]

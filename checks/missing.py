"""A fact that could not be read: why, and what a rule does about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from checks.quick import quickly_made

Reason = Literal[
    "dns",
    "refused",
    "timeout",
    "tls",
    "auth",
    "no_permission",
    "command_unavailable",
    "protected_mode",
    "max_clients",
    "loading",
    "busy",
    "misconf",
    "cluster",
    "http_status",
    "too_large",
    "protocol",
    "blocked_address",
    "not_configured",
    "not_applicable",
    "no_worker",
    "starting",
    "first_visit",
    "no_history",
    "unattested",
    "probe_blind",
    "depends_on",
    "undetermined",
    "stale",
    "paused",
]
REASONS: frozenset[str] = frozenset(get_args(Reason))


@quickly_made
@dataclass(frozen=True, slots=True)
class Missing:
    """A fact that could not be read: reason code, a sentence without secrets, and the rule of depends_on."""

    reason: Reason
    text: str
    rule: str = ""


T = TypeVar("T")


class Unknown(Exception):
    """A rule asked for a fact that is missing: the rule ends as `unknown`."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing.text)
        self.missing = missing


def known(value: T | Missing) -> T:
    """Return the fact, or end the rule as `unknown` with the reason it is missing for."""
    if isinstance(value, Missing):
        raise Unknown(value)
    return value


def or_else(value: T | Missing, default: T) -> T:
    """Return the fact, or `default` where the rule says what a missing one counts as."""
    return default if isinstance(value, Missing) else value


def readable(**facts: object) -> dict[str, Any]:
    """Keep the facts that are known, by name: evidence that supports a verdict but does not decide it."""
    return {name: value for name, value in facts.items() if not isinstance(value, Missing)}


NOT_READ = Missing("undetermined", "not read in this visit")
NOT_CONFIGURED = Missing("not_configured", "not registered")

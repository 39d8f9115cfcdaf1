"""Overrides laid over the rules' own limits: plain data in, checked settings out."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise
from types import MappingProxyType
from typing import Any, Final, TypeVar

from checks.catalog import BY_ID, RULES
from checks.rule import Cadence, Confirm, Limits, Rule, Severity

RESERVED: Final = ("enabled", "severity", "open_after", "resolve_after")
# Words that tell apart two thresholds of one scale: warn_used_ratio, critical_used_ratio.
STEPS: Final = frozenset({"info", "warn", "warning", "critical", "enter", "leave", "keep"})

VERSION: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6}){0,3}")
MOST_SHOWN: Final = 80  # characters of a refused value
MOST_NUMBER: Final = 10**15  # in any unit of ours: a petabyte, thirty million years

T = TypeVar("T")
Limit = Any  # bool, int, float, str, or tuples of them


class PolicyError(ValueError):
    """A policy names what does not exist, or asks what is not allowed.

    The text names the rule, the limit, the value and what is allowed.
    """


@dataclass(frozen=True, slots=True)
class Settings:
    """One rule under one policy. `severity` caps what a fail may report."""

    rule: Rule
    limits: Limits
    opens: Confirm
    resolves: Confirm
    is_enabled: bool = True
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """The effective settings of every rule, by id, in the catalogue's order."""

    settings: Mapping[str, Settings]
    _due: dict[frozenset[Cadence], tuple[Settings, ...]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __getitem__(self, rule_id: str) -> Settings:
        """Return one rule's settings; an id that is no longer known raises KeyError."""
        return self.settings[rule_id]

    def due(self, cadences: frozenset[Cadence]) -> tuple[Settings, ...]:
        """Return the settings of the rules of these cadences, worked out once."""
        found = self._due.get(cadences)
        if found is None:
            found = tuple(one for one in self.settings.values() if one.rule.cadence in cadences)
            self._due[cadences] = found
        return found


@dataclass(frozen=True, slots=True)
class Override:
    """What one layer says about one rule; None and an absent limit say nothing."""

    limits: Mapping[str, Limit]
    is_enabled: bool | None = None
    severity: Severity | None = None
    opens: Confirm | None = None
    resolves: Confirm | None = None


Layer = Mapping[str, Override]


def parse(data: object, rules: Mapping[str, Rule] = BY_ID) -> Layer:
    """Check one layer of plain data, `{rule id: {limit or reserved word: value}}`.

    Ids that a rule had formerly are taken for its present one. Raises PolicyError.
    """
    layer: dict[str, Override] = {}
    for rule_id, wanted in _mapping(data, "a policy").items():
        rule = rules.get(rule_id)
        if rule is None:
            raise PolicyError(f"there is no rule named {rule_id}")
        if rule.id in layer:
            raise PolicyError(f"{rule.id} is given twice, once as {rule_id}")
        layer[rule.id] = _override(rule, _mapping(wanted, rule.id))
    return layer


def lay(*layers: Layer, rules: Iterable[Rule] = RULES) -> Policy:
    """Lay layers over the rules' defaults: fleet, environment, tenant, pair, the last one wins.

    Raises PolicyError where thresholds that are each allowed cross once laid together.
    """
    return Policy(MappingProxyType({rule.id: _settings(rule, layers) for rule in rules}))


def _settings(rule: Rule, layers: tuple[Layer, ...]) -> Settings:
    settings = Settings(rule, rule.limits, rule.opens, rule.resolves)
    for layer in layers:
        override = layer.get(rule.id)
        if override is not None:
            settings = _laid(settings, override)
    if settings.limits is not rule.limits:
        _check_order(rule, settings.limits)
    return settings


def _laid(below: Settings, override: Override) -> Settings:
    return Settings(
        below.rule,
        replace(below.limits, **override.limits) if override.limits else below.limits,
        override.opens or below.opens,
        override.resolves or below.resolves,
        below.is_enabled if override.is_enabled is None else override.is_enabled,
        override.severity or below.severity,
    )


def _override(rule: Rule, wanted: Mapping[str, Any]) -> Override:
    limits = {name: value for name, value in wanted.items() if name not in RESERVED}
    return Override(
        {name: _limit(rule, name, value) for name, value in limits.items()},
        _reserved(rule, wanted, "enabled", _enabled),
        _reserved(rule, wanted, "severity", _severity),
        _reserved(rule, wanted, "open_after", _confirm),
        _reserved(rule, wanted, "resolve_after", _confirm),
    )


def _reserved(
    rule: Rule, wanted: Mapping[str, Any], name: str, read: Callable[[Rule, str, Any], T]
) -> T | None:
    return read(rule, name, wanted[name]) if name in wanted else None


def _enabled(rule: Rule, name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _refused(rule, name, value, "true or false")
    return value


def _severity(rule: Rule, name: str, value: object) -> Severity:
    allowed = [one for one in Severity if one.rank <= rule.severity.rank]
    if value not in allowed:
        raise _refused(rule, name, value, "one of " + ", ".join(allowed))
    return Severity(str(value))


def _confirm(rule: Rule, name: str, value: object) -> Confirm:
    if rule.is_event and rule.events is None:
        raise PolicyError(
            f"{rule.id} has no {name}: it judges events, which open a finding at once"
        )
    match value:
        case [int(times), int(of)] if not (isinstance(times, bool) or isinstance(of, bool)):
            try:
                return Confirm(times, of)
            except ValueError:
                pass
    raise _refused(rule, name, value, "[k, n]: k of the last n results, 1 ≤ k ≤ n ≤ 15")


def _limit(rule: Rule, name: str, value: object) -> Limit:
    known = {one.name: getattr(rule.limits, one.name) for one in fields(rule.limits)}
    if name not in known:
        has = ", ".join(known) if known else "no limits of its own"
        raise PolicyError(
            f"{rule.id} has no limit named {name}; it has {has} (and {', '.join(RESERVED)})"
        )
    return _like(rule, name, value, known[name])


def _like(rule: Rule, name: str, value: object, default: Limit) -> Limit:
    """Return the value as the default's type, or refuse it."""
    if isinstance(default, tuple):
        if not isinstance(value, list | tuple) or not value:
            raise _refused(rule, name, value, f"a list such as {_plain(default)}")
        return tuple(_element(rule, name, one, default[0]) for one in value)
    if isinstance(default, bool):
        return _enabled(rule, name, value)
    if isinstance(default, str):
        is_version = name.endswith("_version")
        if isinstance(value, str) and (VERSION.fullmatch(value) if is_version else value):
            return value
        what = "version in quotes" if is_version else "text"
        raise _refused(rule, name, value, f"a {what} such as {default!r}")
    return _number(rule, name, value, default)


def _element(rule: Rule, name: str, value: object, default: Limit) -> Limit:
    """Return one of a list's elements; where these are lists, each has as many parts."""
    found = _like(rule, name, value, default)
    if isinstance(default, tuple) and len(found) != len(default):
        raise _refused(rule, name, value, f"{len(default)} values such as {_plain(default)}")
    return found


def _number(rule: Rule, name: str, value: object, default: float) -> float:
    is_whole = isinstance(default, int)
    most = 1.0 if name.endswith("_ratio") else MOST_NUMBER
    allowed = (
        "a number from 0 to 1" if most == 1.0 else f"a {'whole ' * is_whole}number from 0 to 10^15"
    )
    if isinstance(value, bool) or not isinstance(value, int if is_whole else int | float):
        raise _refused(rule, name, value, allowed)
    if not (0 <= value <= most and math.isfinite(value)):
        raise _refused(rule, name, value, allowed)
    return value if is_whole else float(value)


def _check_order(rule: Rule, limits: Limits) -> None:
    """Refuse thresholds of one scale whose order differs from that of the defaults."""
    names = [one.name for one in fields(limits)]
    for scale in {_scale(name) for name in names}:
        rising = sorted(
            (name for name in names if _scale(name) == scale),
            key=lambda name: getattr(rule.limits, name),
        )
        for lower, upper in pairwise(rising):
            if getattr(limits, lower) > getattr(limits, upper):
                raise PolicyError(
                    f"{rule.id}: {lower} is {_plain(getattr(limits, lower))}; it may not exceed "
                    f"{upper}, which is {_plain(getattr(limits, upper))}"
                )


def _scale(name: str) -> tuple[str, ...]:
    return tuple(word for word in name.split("_") if word not in STEPS)


def _mapping(data: object, what: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
        raise PolicyError(f"{what}: want names with their values, not {data!r}")
    return data


def _refused(rule: Rule, name: str, value: object, allowed: str) -> PolicyError:
    shown = repr(value)
    shown = shown if len(shown) <= MOST_SHOWN else f"{shown[:MOST_SHOWN]}…"
    return PolicyError(f"{rule.id}: {name} is {shown}; allowed is {allowed}")


def _plain(value: Limit) -> Limit:
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


DEFAULT: Final = lay()

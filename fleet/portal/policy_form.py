"""The form of one policy layer, built from the rules' own limits: text in, plain data or refusals out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import yaml
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from checks.catalog import RULES
from checks.policy import PolicyError, Settings, parse
from checks.policy_file import read_policy
from checks.remedy import title
from checks.rule import Confirm, Rule, Severity
from fleet.portal.rules import ONE_KIND, Words, in_unit
from fleet.registry.policies import Overrides, Policies, Subject

K_OF_N: Final = re.compile(r"\[?\s*(\d+)\s*(?:of|,)\s*(\d+)\s*\]?")


@dataclass(frozen=True)
class Below:
    """What counts for a rule without the layer: its settings, and where each value comes from."""

    settings: Settings
    sources: Mapping[str, Words]

    def source(self, name: str) -> Words:
        """Name the layer that a value comes from."""
        return self.sources.get(name, _("default"))


@dataclass(frozen=True)
class Field:
    """One value that a layer may set: as typed, what it may be, and what counts without it."""

    name: str  # of the input: rule id, a colon, the limit or reserved word
    label: str
    typed: str
    allowed: Words
    below: str
    source: Words
    shown: str = ""  # the typed value with its unit
    choices: tuple[tuple[str, Words], ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Section:
    """One rule with its fields; `error` is what is wrong with them together."""

    rule: Rule
    title: str
    kind: Words
    fields: tuple[Field, ...]
    error: str = ""

    @property
    def is_set(self) -> bool:
        """Tell whether the layer says anything about the rule."""
        return any(one.typed for one in self.fields)

    @property
    def is_wrong(self) -> bool:
        """Tell whether something here is refused."""
        return bool(self.error) or any(one.error for one in self.fields)


@dataclass(frozen=True)
class LayerForm:
    """All sections, and what they say as plain data; `overrides` is None where something is refused."""

    sections: tuple[Section, ...]
    overrides: dict[str, Any] | None = None
    errors: tuple[str, ...] = field(default=())

    @property
    def set_count(self) -> int:
        """How many rules the layer says something about."""
        return sum(section.is_set for section in self.sections)


def typed_of(overrides: Overrides) -> dict[str, str]:
    """Write stored values as a person would type them, by the name of their input."""
    return {
        f"{rule_id}:{name}": _written(name, value)
        for rule_id, wanted in overrides.items()
        for name, value in wanted.items()
    }


def _written(name: str, value: Any) -> str:
    if name in ("open_after", "resolve_after"):
        return f"{value[0]} of {value[1]}"
    return value if isinstance(value, str) else json.dumps(value)


def shown(name: str, value: Any) -> str:
    """Write a stored limit in its unit; a reserved word's value as a person would type it."""
    return _written(name, value) if name in RESERVED_ALLOWED else in_unit(name, _tuple(value))


def build(
    typed: Mapping[str, str],
    policies: Policies,
    subject: Subject,
    lower: tuple[tuple[Subject, Words], ...],
) -> LayerForm:
    """Build the form from what was typed; `lower` are the layers below with their names, lowest first."""
    below = policies.laid(one for one, _name in lower)
    overrides: dict[str, Any] = {}
    refused: list[str] = []
    sections = []
    for rule in RULES:
        wanted = _wanted(rule, typed)
        error = _refusal(rule, wanted, policies, subject)
        if error:
            refused.append(error)
        elif wanted:
            overrides[rule.id] = wanted
        sources = _sources(rule, policies, lower)
        fields_ = tuple(_fields(rule, typed, wanted, Below(below[rule.id], sources)))
        is_told = any(one.error for one in fields_)
        together = "" if is_told else error
        name = title(rule, below[rule.id].limits)
        sections.append(Section(rule, name, ONE_KIND[rule.kind], fields_, together))
    sections.sort(key=lambda one: (not one.is_wrong, not one.is_set))
    return LayerForm(tuple(sections), None if refused else overrides, tuple(refused))


def _wanted(rule: Rule, typed: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for name in _names(rule):
        text = typed.get(f"{rule.id}:{name}", "").strip()
        if text:
            found[name] = _value(rule, name, text)
    return found


def _names(rule: Rule) -> Iterator[str]:
    yield from (one.name for one in fields(rule.limits))
    yield "enabled"
    yield "severity"
    if not rule.is_event:
        yield "open_after"
        yield "resolve_after"


def _value(rule: Rule, name: str, text: str) -> Any:
    """Read what was typed; what cannot be read stays text, which the policy refuses with the range."""
    if name in ("open_after", "resolve_after"):
        found = K_OF_N.fullmatch(text)
        return [int(found[1]), int(found[2])] if found else text
    if name == "severity" or isinstance(getattr(rule.limits, name, None), str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refusal(rule: Rule, wanted: Mapping[str, Any], policies: Policies, subject: Subject) -> str:
    if not wanted:
        return ""
    try:
        policies.with_layer(subject, {rule.id: wanted})
    except PolicyError as error:
        return str(error)
    return ""


def _alone(rule: Rule, name: str, value: Any) -> str:
    try:
        parse({rule.id: {name: value}})
    except PolicyError as error:
        return str(error)
    return ""


def _sources(
    rule: Rule, policies: Policies, lower: tuple[tuple[Subject, Words], ...]
) -> dict[str, Words]:
    """Name the layer that sets each value: the innermost one that speaks of it."""
    found: dict[str, Words] = {}
    for subject, name in lower:
        override = policies.layer_of(subject).get(rule.id)
        if override is None:
            continue
        reserved = {
            "enabled": override.is_enabled,
            "severity": override.severity,
            "open_after": override.opens,
            "resolve_after": override.resolves,
        }
        said = [*override.limits, *(one for one, value in reserved.items() if value is not None)]
        found |= dict.fromkeys(said, name)
    return found


def _fields(
    rule: Rule, typed: Mapping[str, str], wanted: Mapping[str, Any], below: Below
) -> Iterator[Field]:
    for name in _names(rule):
        text = typed.get(f"{rule.id}:{name}", "").strip()
        error = _alone(rule, name, wanted[name]) if name in wanted else ""
        is_limit = hasattr(rule.limits, name)
        yield Field(
            name=f"{rule.id}:{name}",
            label=name,
            typed=text,
            allowed=_allowed(rule, name),
            below=_shown(name, _below(below.settings, name)),
            source=below.source(name),
            shown="" if error or not is_limit or not text else in_unit(name, _tuple(wanted[name])),
            choices=_choices(rule, name),
            error=error,
        )


def _below(settings: Settings, name: str) -> Any:
    if name == "enabled":
        return settings.is_enabled
    if name == "severity":
        return settings.severity
    if name in ("open_after", "resolve_after"):
        return settings.opens if name == "open_after" else settings.resolves
    return getattr(settings.limits, name)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, Confirm):
        return f"{value.times} of {value.of}"
    if name == "enabled":
        return _("on") if value else _("off")
    if name == "severity":
        return value.value if isinstance(value, Severity) else _("as the rule says")
    raw, read = json.dumps(value), in_unit(name, value)
    return raw if raw == read or isinstance(value, str) else f"{raw} ({read})"


def _tuple(value: Any) -> Any:
    return tuple(_tuple(one) for one in value) if isinstance(value, list) else value


RESERVED_ALLOWED: Final[dict[str, Words]] = {
    "enabled": "",
    "severity": gettext_lazy("caps what a fail may report"),
    "open_after": gettext_lazy("k of the last n results, n up to 15"),
    "resolve_after": gettext_lazy("k of the last n results, n up to 15"),
}


def _allowed(rule: Rule, name: str) -> Words:
    if name in RESERVED_ALLOWED:
        return RESERVED_ALLOWED[name]
    default = getattr(rule.limits, name)
    if isinstance(default, tuple):
        return _("a list such as %(example)s") % {"example": json.dumps(default)}
    if isinstance(default, bool | str):
        return _("such as %(example)s") % {"example": json.dumps(default)}
    if name.endswith("_ratio"):
        return _("0 to 1")
    return _("a whole number from 0") if isinstance(default, int) else _("a number from 0")


def _choices(rule: Rule, name: str) -> tuple[tuple[str, Words], ...]:
    if name == "enabled":
        return (("", _("not set here")), ("true", _("on")), ("false", _("off")))
    if name == "severity":
        allowed = [one for one in Severity if one.rank <= rule.severity.rank]
        return (("", _("not set here")), *((one.value, one.value) for one in reversed(allowed)))
    return ()


def from_yaml(text: str) -> dict[str, str]:
    """Read a policy file into what the form shows as typed; raises PolicyError."""
    data = read_policy(text)
    layer = parse(data)
    return typed_of({rule_id: data.get(rule_id) or _formerly(data, rule_id) for rule_id in layer})


def _formerly(data: Mapping[str, Any], rule_id: str) -> Any:
    """Give what a file says of a rule under a name that it had before."""
    former = next(rule.formerly for rule in RULES if rule.id == rule_id)
    return next((data[name] for name in former if name in data), {})


def to_yaml(overrides: Overrides) -> str:
    """Write one layer as the file that `python -m checks inspect --policy` and the import take."""
    return yaml.safe_dump(dict(overrides), sort_keys=False, allow_unicode=True) if overrides else ""

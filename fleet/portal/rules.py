"""The catalogue as pages: every rule with its limits, its source and its remediation by engine."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from checks import remedy
from checks.catalog import BY_ID, RULES
from checks.facts import Engine
from checks.render import Blank, duration, fill
from checks.render import in_unit as in_unit
from checks.rule import Group, Kind, Limits, Rule, Severity
from fleet.portal import addresses

Words = str | Promise
KINDS: Final[dict[str, Words]] = {
    Kind.REQUIREMENT: _("Requirements"),
    Kind.OPERATION: _("Operations"),
}
ONE_KIND: Final[dict[str, Words]] = {
    Kind.REQUIREMENT: _("Requirement"),
    Kind.OPERATION: _("Operation"),
}
KIND_WORDS: Final[dict[str, Words]] = {
    Kind.REQUIREMENT: _("Requirement (compliance)"),
    Kind.OPERATION: _("Operation (health)"),
}
READ_WITH: Final[dict[str, Words]] = {
    Group.HEALTH: _("every visit"),
    Group.LATENCY: _("every visit"),
    Group.PERSISTENCE: _("every five minutes by default"),
    Group.BACKUP: _("hourly by default"),
    Group.DAILY: _("nightly"),
    "stats": _("every five minutes by default"),
}
SOURCES: Final[dict[str, Words]] = {
    "S0": _("EmailEngine documentation, overview"),
    "S1": _("EmailEngine documentation, Redis requirements"),
    "S2": _("Stalwart documentation"),
    "S3": _("EmailEngine documentation, scaling"),
    "EE": _("what a running EmailEngine enforces or does"),
    "ours": _("our own"),
}
LONGEST_IN_S: Final = 3600
VARIANTS: Final = (
    Engine.VALKEY,
    Engine.KEYDB,
    Engine.MEMURAI,
    Engine.DRAGONFLY,
    Engine.UPSTASH,
    Engine.ELASTICACHE,
    Engine.MEMORYDB,
)


@dataclass(frozen=True)
class Line:
    """One rule in the list."""

    id: str
    title: str
    kind: Words
    severity: Severity
    limits: tuple[tuple[str, str], ...]
    source: str
    pairs_count: int

    @property
    def url(self) -> str:
        """Where the rule is told in full."""
        return reverse("portal:rule", args=[self.id])

    @property
    def findings_url(self) -> str:
        """Where its open findings are listed."""
        return addresses.findings(rule=self.id)


@dataclass(frozen=True)
class Step:
    """One step of a remediation: its name, and pieces of prose and code."""

    name: Words
    pieces: tuple[remedy.Piece, ...]


@dataclass(frozen=True)
class Variant:
    """A remediation on one engine, or on all that have none of their own.

    tested names the makes and versions on which the live tests carried it out.
    """

    engine: Words
    why: str
    do: str
    effect: str
    steps: tuple[Step, ...]
    tested: tuple[str, ...]


@dataclass(frozen=True)
class Cure:
    """What to do about one cause: the general remediation, then the engines that differ."""

    when: str
    variants: tuple[Variant, ...]


@dataclass(frozen=True)
class Described(Line):
    """One rule in full."""

    kind_words: Words
    observed: str
    required: str
    reads: str
    read_with: Words
    sources: tuple[tuple[str, Words], ...]
    confirmation: tuple[int, int, int, int]
    is_core: bool
    is_event: bool
    not_on: tuple[str, ...]
    cures: tuple[Cure, ...]


@dataclass(frozen=True)
class Chip:
    """A link that narrows the list."""

    label: Words
    count: int
    url: str
    is_current: bool


def chips(chosen: str) -> list[Chip]:
    """Return the list's chips: all rules, requirements, operations."""
    url = reverse("portal:catalogue")
    every = Chip(_("All"), len(RULES), url, chosen not in KINDS)
    counts = {kind: sum(rule.kind == kind for rule in RULES) for kind in KINDS}
    return [every] + [
        Chip(label, counts[kind], f"{url}?kind={kind}", chosen == kind)
        for kind, label in KINDS.items()
    ]


def listing(chosen: str, failing: Mapping[str, int]) -> list[Line]:
    """Return the rules of a kind, or all, in the catalogue's order."""
    return [
        Line(**_line(rule, failing)) for rule in RULES if chosen not in KINDS or rule.kind == chosen
    ]


def describe(rule_id: str, failing: Mapping[str, int]) -> Described | None:
    """Return one rule in full, by its id or a former one; None where there is none."""
    rule = BY_ID.get(rule_id)
    if rule is None:
        return None
    confirmation = (rule.opens.times, rule.opens.of, rule.resolves.times, rule.resolves.of)
    return Described(
        **_line(rule, failing),
        kind_words=KIND_WORDS[rule.kind],
        observed=_outlined(rule.observed, rule.limits),
        required=_outlined(rule.required, rule.limits),
        reads=rule.reads,
        read_with=READ_WITH[rule.cadence],
        sources=tuple(_sources(rule.source)),
        confirmation=confirmation,
        is_core=rule.is_core,
        is_event=rule.is_event,
        not_on=tuple(sorted(engine.label for engine in rule.not_on)),
        cures=tuple(_cure(rule, cause) for cause in rule.remediation),
    )


def _line(rule: Rule, failing: Mapping[str, int]) -> dict[str, Any]:
    return {
        "id": rule.id,
        "title": remedy.title(rule),
        "kind": ONE_KIND[rule.kind],
        "severity": rule.severity,
        "limits": tuple(limits(rule.limits)),
        "source": rule.source,
        "pairs_count": failing.get(rule.id, 0),
    }


def limits(of: Limits) -> Iterator[tuple[str, str]]:
    """Give each limit by its name, as a policy spells it, with its default and unit.

    A time that is long in seconds, as a policy takes it, is told in days too.
    """
    for one in fields(of):
        value = getattr(of, one.name)
        shown = in_unit(one.name, value)
        is_long = one.name.endswith("_s") and value > LONGEST_IN_S
        yield one.name, f"{shown} ({duration(value)})" if is_long else shown


def _sources(source: str) -> Iterator[tuple[str, Words]]:
    for part in source.split(","):
        code = part.strip().partition(" ")[0]
        yield part.strip(), SOURCES.get(code, part.strip())


def _cure(rule: Rule, cause: str) -> Cure:
    general = rule.remediation[cause]
    own = [engine for engine in VARIANTS if getattr(general, engine.value) is not None]
    label = _("Redis, and engines not named below") if own else _("Every engine")
    rest = [engine for engine in Engine if engine not in own]
    every = _variant(rule, cause, Engine.REDIS, label, _tested(rule, cause, rest))
    return Cure(
        general.when,
        (
            every,
            *(_variant(rule, cause, one, one.label, _tested(rule, cause, [one])) for one in own),
        ),
    )


def _tested(rule: Rule, cause: str, engines: Iterable[Engine]) -> Iterator[str]:
    """Name the makes of these with the versions tried: `Redis 6.2.14, 7.0.15`."""
    for engine in engines:
        versions = remedy.tested_versions(rule, cause, engine)
        if versions:
            yield f"{engine.label} {', '.join(versions)}"


def _variant(
    rule: Rule, cause: str, engine: Engine, label: Words, tested: Iterable[str]
) -> Variant:
    cure = remedy.outline(rule, cause, engine)
    steps = (
        (_("Now"), cure.now),
        (_("Make it last"), cure.durable),
        (_("Verify"), cure.verify),
        (_("Risk"), (remedy.Piece(cure.risk, is_code=False),)),
        (_("Undo"), cure.undo),
    )
    filled = tuple(Step(name, pieces) for name, pieces in steps if pieces)
    return Variant(label, cure.why, cure.do, cure.effect.value, filled, tuple(tested))


def _outlined(template: str, of: Limits) -> str:
    blanks = {name: Blank.of(name) for name in remedy.marks(template)}
    return fill(template, {**blanks, "limits": of})

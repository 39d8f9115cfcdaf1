"""What a rule is: its metadata, its limits, its remediation, and the verdict it gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Final

from checks.facts import Engine, Missing, PairFacts, Reason, Unknown
from checks.quick import quickly_made

JSON = Any  # what json.dumps takes


class Group(StrEnum):
    """The check group of the catalogue: how often a rule is judged."""

    HEALTH = "health"
    LATENCY = "latency"
    PERSISTENCE = "persistence"
    BACKUP = "backup"
    DAILY = "daily"


class Cadence(StrEnum):
    """What a visit can be due for: the groups, and STATS.

    EmailEngine's stats and metrics cost it about 70 Redis commands a round, so the rules of the
    health group that need them have a pace of their own.
    """

    HEALTH = "health"
    LATENCY = "latency"
    PERSISTENCE = "persistence"
    BACKUP = "backup"
    DAILY = "daily"
    STATS = "stats"


class Kind(StrEnum):
    """A requirement decides compliance, an operation decides health."""

    REQUIREMENT = "requirement"
    OPERATION = "operation"


class Severity(StrEnum):
    """How bad a fail is. `info` is never scored."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 info, 1 warning, 2 critical."""
        return _RANKS[self]


_RANKS: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}


class Outcome(StrEnum):
    PASS = "pass"  # noqa: S105  an outcome, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"
    DISABLED = "disabled"


@quickly_made
@dataclass(frozen=True, slots=True)
class Verdict:
    """One answer of one rule on one pair.

    `evidence` holds JSON values by name, on a pass too. `cause` picks the remediation where a
    rule has several. `keeps` is the severity at which an already open finding stays open
    although this value no longer enters it (a band's separate leave threshold).
    `reason` is the reason code of an `unknown` or `not_applicable`.
    """

    outcome: Outcome
    severity: Severity | None = None
    message: str = ""
    short: str = ""
    evidence: Mapping[str, JSON] = field(default_factory=dict)
    cause: str = ""
    keeps: Severity | None = None
    reason: Reason | None = None
    depends_on: str = ""


def passed(*, keeps: Severity | None = None, **evidence: JSON) -> Verdict:
    """Say that the rule holds; the evidence shows it."""
    return Verdict(Outcome.PASS, None, "", "", evidence, "", keeps)


def failed(
    message: str,
    *,
    short: str,
    severity: Severity,
    cause: str = "",
    keeps: Severity | None = None,
    **evidence: JSON,
) -> Verdict:
    """Say what was found with its value, then what is wanted; `short` is the list's, about 30 characters."""
    return Verdict(Outcome.FAIL, severity, message, short, evidence, cause, keeps)


def unknown(reason: Reason, text: str, **evidence: JSON) -> Verdict:
    """Say that it cannot be told, and why: never a pass."""
    return Verdict(Outcome.UNKNOWN, None, text, evidence=evidence, reason=reason)


def not_applicable(text: str, reason: Reason = "not_applicable", **evidence: JSON) -> Verdict:
    """Say that the rule has no meaning here, and why."""
    return Verdict(Outcome.NOT_APPLICABLE, None, text, evidence=evidence, reason=reason)


def unread(missing: Missing) -> Verdict:
    """Answer for a rule that lacks a fact."""
    if missing.reason in ("not_configured", "not_applicable"):
        return not_applicable(missing.text, missing.reason)
    return Verdict(
        Outcome.UNKNOWN, None, missing.text, reason=missing.reason, depends_on=missing.rule
    )


class Code(str):
    """A text to paste as it stands (one command or configuration line); plain strings are prose."""

    __slots__ = ()


Text = str | Code | tuple[str | Code, ...]


class Effect(StrEnum):
    """What carrying a remediation out does to the server."""

    NO_RESTART = "no restart"
    RESTART = "restart needed"
    CONSOLE = "in the provider's console"
    NONE = "nothing to change on the server"


@dataclass(frozen=True, kw_only=True, slots=True)
class Steps:
    """Where one engine differs: only what is set replaces the default."""

    why: str | None = None
    do: str | None = None
    now: Text | None = None
    durable: Text | None = None
    verify: Text | None = None
    risk: str | None = None
    undo: Text | None = None
    effect: Effect | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Remediation:
    """What to do about a failed rule. Every text is a template over evidence and `limits.<name>`.

    `do` is the imperative of a list ("Set maxmemory-policy to noeviction"); `verify` is the
    command and the answer expected. Marks may use: every evidence name, `limits.<name>`,
    `engine`, `conf` (valkey.conf), `host`, `cli` (valkey-cli). `when` tells its cause from the
    rule's others, in a few words; a rule with one remediation needs none.
    """

    when: str = ""
    why: str
    do: str
    now: Text
    durable: Text
    verify: Text
    risk: str
    undo: Text
    effect: Effect = Effect.NO_RESTART
    valkey: Steps | None = None
    keydb: Steps | None = None
    memurai: Steps | None = None
    dragonfly: Steps | None = None
    upstash: Steps | None = None
    elasticache: Steps | None = None
    memorydb: Steps | None = None

    def on(self, engine: Engine) -> Remediation:
        """Lay the engine's own steps over the default."""
        steps = getattr(self, engine.value, None) if engine.value in _VARIANTS else None
        if steps is None:
            return self
        own = {f.name: getattr(steps, f.name) for f in fields(Steps)}
        return replace(self, **{name: text for name, text in own.items() if text is not None})


_VARIANTS: Final = frozenset(
    {"valkey", "keydb", "memurai", "dragonfly", "upstash", "elasticache", "memorydb"}
)


@dataclass(frozen=True)
class Limits:
    """A rule's thresholds with their defaults; every name ends in its unit. A policy overrides them."""


@dataclass(frozen=True, slots=True)
class Confirm:
    """`times` of the last `of` results."""

    times: int = 1
    of: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.times <= self.of <= 15:
            raise ValueError(f"confirm {self.times} of {self.of}: want 1 <= times <= of <= 15")


ONCE: Final = Confirm()
NO_LIMITS: Final = Limits()
Judge = Callable[[PairFacts, Any], Verdict]


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of the catalogue, with the function that judges it.

    `observed` and `required` are templates over the evidence and `limits`, for tables.
    `remediation` is one, or one per `cause` of the verdict. `events` are the causes that tell of
    something that happened, not of how things stand; None = all of an event rule's. One that
    resolves_by_acknowledgement stays open until a person accepts, with a reason, what happened.
    """

    id: str
    kind: Kind
    group: Group
    title: str
    severity: Severity
    source: str
    observed: str
    required: str
    remediation: Mapping[str, Remediation]
    limits: Limits
    function: Judge = field(repr=False)
    cadence: Cadence
    opens: Confirm
    resolves: Confirm
    is_event: bool
    is_core: bool
    not_on: frozenset[Engine]
    only_on: frozenset[Engine]
    events: frozenset[str] | None
    resolves_by_acknowledgement: bool
    reads: str
    formerly: tuple[str, ...]

    def judge(self, facts: PairFacts, limits: Limits | None = None) -> Verdict:
        """Answer for one pair. Missing facts end as `unknown`; nothing else may be raised."""
        if self.not_on or self.only_on:  # most have a meaning everywhere
            redis = facts.redis
            if not isinstance(redis, Missing) and not self.is_for(redis.engine):
                return not_applicable(f"It has no meaning on {redis.engine.label}")
        try:
            return self.function(facts, limits or self.limits)
        except Unknown as unknown_fact:
            return unread(unknown_fact.missing)

    def is_for(self, engine: Engine) -> bool:
        """Say whether the rule has a meaning on this make."""
        return engine not in self.not_on and (not self.only_on or engine in self.only_on)

    def tells_of_event(self, cause: str) -> bool:
        """Say whether a fail of this cause is something that happened: it confirms at once."""
        return self.is_event and (self.events is None or cause in self.events)

    def remediation_for(self, verdict_cause: str) -> Remediation:
        """Give the remediation of a cause; "" is the rule's only or general one."""
        found = self.remediation.get(verdict_cause)
        return found if found is not None else next(iter(self.remediation.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class rule:  # noqa: N801  a decorator
    """Declare a rule beside the function that judges it.

    severity is the worst it can report; reads names the commands or requests it needs, with their
    cost; core makes its `unknown` decide the lamp. event: its fails are events, all of them or
    those of these causes; not_on and only_on name the makes that the rule has no meaning on, or
    that alone it has one on.
    """

    id: str
    kind: Kind
    group: Group
    title: str
    severity: Severity
    source: str
    observed: str
    required: str
    remediation: Remediation | Mapping[str, Remediation]
    reads: str
    limits: Limits = NO_LIMITS
    cadence: Cadence | None = None
    opens: Confirm = ONCE
    resolves: Confirm = ONCE
    event: bool | frozenset[str] = False
    resolves_by_acknowledgement: bool = False
    core: bool = False
    not_on: tuple[Engine, ...] = ()
    only_on: tuple[Engine, ...] = ()
    formerly: tuple[str, ...] = ()

    def __call__(self, function: Judge) -> Rule:
        """Make the rule that this function judges."""
        one, event = self.remediation, self.event
        return Rule(
            id=self.id,
            kind=self.kind,
            group=self.group,
            title=self.title,
            severity=self.severity,
            source=self.source,
            observed=self.observed,
            required=self.required,
            remediation={"": one} if isinstance(one, Remediation) else one,
            limits=self.limits,
            function=function,
            cadence=self.cadence or Cadence(self.group.value),
            opens=self.opens,
            resolves=self.resolves,
            is_event=bool(event),
            is_core=self.core,
            not_on=frozenset(self.not_on),
            only_on=frozenset(self.only_on),
            events=event if isinstance(event, frozenset) else None,
            resolves_by_acknowledgement=self.resolves_by_acknowledgement,
            reads=self.reads,
            formerly=self.formerly,
        )


def rules_in(module: object) -> Iterator[Rule]:
    """List the rules a topic module declares, in the order they are written."""
    return (value for value in vars(module).values() if isinstance(value, Rule))

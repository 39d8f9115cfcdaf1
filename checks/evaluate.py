"""All rules over one PairFacts, a verdict each; and the two lamps that verdicts light."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, NamedTuple

from checks.facts import Missing, PairFacts, Reason
from checks.policy import DEFAULT, Policy, Settings
from checks.rule import Cadence, Kind, Outcome, Severity, Verdict, unread

REACHABLE: Final = "redis.reachable"
# These judge how Redis refuses us: they see the refusal itself.
OF_REFUSALS: Final = frozenset({REACHABLE, "redis.credentials-drift"})
EMAILENGINE: Final = "emailengine."  # begins the ids of the rules that judge an EmailEngine
DISABLED: Final = Verdict(Outcome.DISABLED, message="switched off by policy")


class Compliance(StrEnum):
    """The lamp of the requirement rules, worst first."""

    NON_COMPLIANT = "non_compliant"
    AT_RISK = "at_risk"
    UNVERIFIED = "unverified"
    COMPLIANT = "compliant"


class Health(StrEnum):
    """The lamp of the operation rules, worst first."""

    FAILING = "failing"
    DEGRADED = "degraded"
    UNKNOWN = "unknown"
    HEALTHY = "healthy"


class Lamps(NamedTuple):
    """What a pair shows: two lamps, and no more."""

    compliance: Compliance
    health: Health


@dataclass(frozen=True, slots=True)
class Tally:
    """What the verdicts of one visit add up to.

    `applicable` counts the rules that could apply: a rule whose facts were not registered counts,
    one without meaning here or switched off does not. Coverage is conclusive ÷ applicable.
    `core_unknown` gives the reason by rule id; `fails` and `unknowns` are rule ids.
    """

    conclusive: int
    applicable: int
    core_unknown: Mapping[str, Reason]
    fails: tuple[str, ...]
    unknowns: tuple[str, ...]


def evaluate(
    facts: PairFacts, cadences: frozenset[Cadence], policy: Policy = DEFAULT
) -> dict[str, Verdict]:
    """Judge one reading by every rule of these cadences, in the catalogue's order.

    Where Redis did not answer, every rule but those of the refusal itself sees facts that depend on it:
    one finding, not twenty. A fault of a rule's own code is raised, not judged.
    """
    unregistered = _unregistered(facts)
    absent = unread(unregistered) if unregistered else None
    behind = _behind(facts, unregistered)
    verdicts = {}
    for one in policy.due(cadences):
        rule_id = one.rule.id
        if absent and one.is_enabled and rule_id.startswith(EMAILENGINE):
            verdicts[rule_id] = absent
        else:
            verdicts[rule_id] = _judged(one, facts if rule_id in OF_REFUSALS else behind)
    return verdicts


def tally(verdicts: Mapping[str, Verdict], policy: Policy = DEFAULT) -> Tally:
    """Count what the verdicts of one visit (or of one cadence of it) say."""
    conclusive = applicable = 0
    core_unknown: dict[str, Reason] = {}
    fails: list[str] = []
    unknowns: list[str] = []
    for rule_id, verdict in verdicts.items():
        outcome = verdict.outcome
        applicable += could_apply(verdict)
        conclusive += outcome is Outcome.PASS or outcome is Outcome.FAIL
        if outcome is Outcome.FAIL:
            fails.append(rule_id)
        elif outcome is Outcome.UNKNOWN:
            unknowns.append(rule_id)
            if policy[rule_id].rule.is_core:
                core_unknown[rule_id] = verdict.reason or "undetermined"
    return Tally(conclusive, applicable, core_unknown, tuple(fails), tuple(unknowns))


def could_apply(verdict: Verdict) -> bool:
    """Tell whether the rule counts in coverage: it has a meaning here and is not switched off."""
    if verdict.outcome is Outcome.NOT_APPLICABLE:
        return verdict.reason == "not_configured"
    return verdict.outcome is not Outcome.DISABLED


def lamps(fails: Iterable[tuple[Kind, Severity]], unknown_core: Iterable[Kind]) -> Lamps:
    """Light the lamps from the confirmed, unwaived fails and the core rules that are unknown."""
    worst: dict[Kind, int] = {}
    for kind, severity in fails:
        worst[kind] = max(worst.get(kind, 0), severity.rank)
    unsure = set(unknown_core)
    return Lamps(
        _COMPLIANCE[_level(worst, unsure, Kind.REQUIREMENT)],
        _HEALTH[_level(worst, unsure, Kind.OPERATION)],
    )


def rank(compliance: Compliance, health: Health) -> int:
    """Return the place in a list, 0 the worst: failing stands above non-compliant, and so on."""
    return min(_RANKS[compliance], _RANKS[health])


_COMPLIANCE: Final = tuple(Compliance)
_HEALTH: Final = tuple(Health)
# Source: ui.md §4, the order of the pair list.
_RANKS: Final[Mapping[str, int]] = {
    Health.FAILING: 0,
    Compliance.NON_COMPLIANT: 1,
    Health.DEGRADED: 2,
    Compliance.AT_RISK: 3,
    Health.UNKNOWN: 4,
    Compliance.UNVERIFIED: 5,
    Health.HEALTHY: 6,
    Compliance.COMPLIANT: 6,
}


def _level(worst: Mapping[Kind, int], unsure: set[Kind], kind: Kind) -> int:
    """0 a critical, 1 a warning, 2 a core rule unknown, 3 none of them; info lights nothing."""
    severity_rank = worst.get(kind, 0)
    if severity_rank:
        return Severity.CRITICAL.rank - severity_rank
    return 2 if kind in unsure else 3


def _unregistered(facts: PairFacts) -> Missing | None:
    """Return why there is no EmailEngine to judge, whatever its Redis does; None = there is one."""
    found = facts.emailengine
    return found if isinstance(found, Missing) and found.reason == "not_configured" else None


def _behind(facts: PairFacts, unregistered: Missing | None) -> PairFacts:
    """Return what the rules behind redis.reachable may see."""
    if not isinstance(facts.redis, Missing):
        return facts
    if facts.redis.reason == "probe_blind":  # it says nothing of Redis
        return replace(facts, emailengine=unregistered or facts.redis)
    unreached = Missing("depends_on", f"Redis did not answer: {facts.redis.text}", REACHABLE)
    return replace(facts, redis=unreached, emailengine=unregistered or unreached)


def _judged(settings: Settings, facts: PairFacts) -> Verdict:
    if not settings.is_enabled:
        return DISABLED
    verdict = settings.rule.judge(facts, settings.limits)
    return verdict if settings.severity is None else _capped(verdict, settings.severity)


def _capped(verdict: Verdict, cap: Severity) -> Verdict:
    return replace(
        verdict, severity=_least(verdict.severity, cap), keeps=_least(verdict.keeps, cap)
    )


def _least(severity: Severity | None, cap: Severity) -> Severity | None:
    return cap if severity is not None and severity.rank > cap.rank else severity

"""Every rule on one pair: outcome, observed, required, when; worst first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.urls import reverse
from django.utils.translation import gettext as _

from checks.catalog import RULES
from checks.policy import Policy
from checks.remedy import observed, required, title
from checks.rule import Kind, Outcome, Rule, Severity, Verdict
from fleet.findings.models import Finding, Waiver
from fleet.inspections.waiting import waiting_for
from fleet.portal import addresses
from fleet.portal.reading import Reading
from fleet.portal.reasons import in_words
from fleet.registry.models import Pair

# Order of the table, and the names of marks.
OUTCOMES: Final = (
    "critical",
    "warning",
    "info",
    "not_verified",
    "pass",
    "not_applicable",
    "disabled",
)
FAILS: Final = frozenset({"critical", "warning", "info"})
WAIVED: Final = "waived"
ORDER: Final = (*OUTCOMES[:3], WAIVED, *OUTCOMES[3:])
CALM: Final = frozenset({"pass", "not_applicable", "disabled"})
SHOWN_PASSES = 8  # the others fold away, as do those that do not apply


@dataclass(frozen=True)
class Act:
    """The one thing a person can do so that a rule can be verified."""

    word: str
    url: str


@dataclass(frozen=True)
class Line:
    """One rule on this pair, as its row shows it."""

    rule: Rule
    title: str
    outcome: str
    observed: str
    required: str
    read_at: datetime | None
    reason: str = ""
    act: Act | None = None
    finding_id: int | None = None
    waiver: Waiver | None = None
    is_folded: bool = False

    @property
    def is_fail(self) -> bool:
        """Tell whether the rule fails, at any severity, and counts."""
        return self.outcome in FAILS and self.waiver is None

    @property
    def chip(self) -> str:
        """The chip that this row belongs to."""
        if self.waiver:
            return WAIVED
        return "fail" if self.is_fail else self.outcome

    @property
    def is_requirement(self) -> bool:
        """Tell whether it decides compliance; else it decides health."""
        return self.rule.kind is Kind.REQUIREMENT


@dataclass(frozen=True)
class Matrix:
    """All lines, and how many of each kind there are."""

    lines: tuple[Line, ...]
    counts: Mapping[str, int]

    @property
    def shown(self) -> list[Line]:
        """Lines that are always seen."""
        return [line for line in self.lines if not line.is_folded]

    @property
    def folded(self) -> list[Line]:
        """Lines behind "29 more that pass, 7 not applicable"."""
        return [line for line in self.lines if line.is_folded]

    @property
    def folded_counts(self) -> Mapping[str, int]:
        """How many of each outcome are folded away."""
        return Counter(line.outcome for line in self.folded)

    @property
    def folded_outside(self) -> int:
        """How many folded rules have no meaning here, or are switched off."""
        return len(self.folded) - self.folded_counts.get("pass", 0)

    @property
    def unsure(self) -> list[Line]:
        """Lines that could not be verified."""
        return self.not_verified()

    def not_verified(self, kind: Kind | None = None) -> list[Line]:
        """Lines that could not be verified, of one kind or of both."""
        return [
            line
            for line in self.lines
            if line.outcome == "not_verified" and kind in (None, line.rule.kind)
        ]

    def waived(self, kind: Kind) -> int:
        """How many rules of one kind fail under a waiver."""
        return sum(line.waiver is not None and line.rule.kind is kind for line in self.lines)

    def applicable(self, kind: Kind) -> int:
        """How many rules of one kind apply to this pair."""
        return sum(
            line.rule.kind is kind and line.outcome not in ("not_applicable", "disabled")
            for line in self.lines
        )

    def fails(self, kind: Kind) -> Mapping[str, int]:
        """How many rules of one kind fail, by severity."""
        return Counter(
            line.outcome for line in self.lines if line.is_fail and line.rule.kind is kind
        )


def build(pair: Pair, reading: Reading, findings: Mapping[str, Finding], policy: Policy) -> Matrix:
    """Put the latest verdicts of a pair in order; a rule never judged is not verified."""
    lines = [_line(rule, pair, reading, findings.get(rule.id), policy) for rule in RULES]
    lines.sort(key=lambda line: ORDER.index(WAIVED if line.waiver else line.outcome))
    counts = Counter(line.chip for line in lines)
    counts.update("requirement" if line.is_requirement else "operation" for line in lines)
    return Matrix(tuple(_folded(lines)), counts)


def outcome_word(verdict: Verdict | None) -> str:
    """Name a verdict as its row does: a fail by its severity."""
    if verdict is None or verdict.outcome is Outcome.UNKNOWN:
        return "not_verified"
    if verdict.outcome is Outcome.FAIL:
        return (verdict.severity or Severity.INFO).value
    return verdict.outcome.value


def _line(
    rule: Rule, pair: Pair, reading: Reading, finding: Finding | None, policy: Policy
) -> Line:
    limits = policy[rule.id].limits
    verdict = reading.verdicts.get(rule.id)
    seen = observed(rule, verdict, limits) if verdict else _("not judged yet")
    outcome = outcome_word(verdict)
    return Line(
        rule=rule,
        title=title(rule, limits),
        outcome=outcome,
        observed=seen,
        required=required(rule, verdict.evidence if verdict else None, limits),
        read_at=reading.read_at(rule) if verdict else None,
        reason=f"{in_words(verdict.reason)}" if verdict and verdict.reason else "",
        act=_act(pair, rule, verdict),
        finding_id=finding.pk if finding else None,
        waiver=finding.waiver if finding and outcome in FAILS else None,
    )


def _folded(lines: Iterable[Line]) -> Iterable[Line]:
    passes = 0
    for line in lines:
        passes += line.outcome == "pass"
        is_folded = line.outcome in CALM and (line.outcome != "pass" or passes > SHOWN_PASSES)
        yield Line(**{**vars(line), "is_folded": is_folded})


def _act(pair: Pair, rule: Rule, verdict: Verdict | None) -> Act | None:
    """Find the act for what could not be verified; None where nobody can do anything."""
    if verdict is None:
        return None
    if verdict.outcome is not Outcome.UNKNOWN:
        return _attest(pair, rule, verdict)
    edit = reverse("admin:registry_pair_edit", args=[pair.pk])
    if verdict.reason in ("no_permission", "command_unavailable"):
        return Act(_("Grant"), "#pk-rights")
    if verdict.reason == "auth":
        return Act(_("Correct the account"), f"{edit}#id_redis_url")
    if verdict.reason not in ("not_configured", "unattested", "undetermined"):
        return None
    field = _undeclared(pair, verdict)
    return Act(_("Declare"), f"{edit}#id_{field}") if field else _attest(pair, rule, verdict)


def _attest(pair: Pair, rule: Rule, verdict: Verdict) -> Act | None:
    key = next(waiting_for(rule.id, verdict), None)
    return Act(_("Attest"), addresses.attest(pair.pk, key.name)) if key else None


def _undeclared(pair: Pair, verdict: Verdict) -> str:
    """Name the location field that the message asks for and that is still empty."""
    words = verdict.message.lower()
    if "location" not in words:
        return ""
    names = {"emailengine_location": "emailengine", "redis_location": "redis"}
    empty = [name for name, word in names.items() if not getattr(pair, name) and word in words]
    return empty[0] if empty else ""

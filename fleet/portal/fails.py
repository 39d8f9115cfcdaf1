"""Open findings by rule: what to do first, and which rules fail most."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.db.models import Count, Max, Min, QuerySet, Sum
from django.urls import reverse
from django.utils.translation import gettext as _

from checks import remedy
from checks.catalog import BY_ID
from checks.facts import Engine
from checks.rule import Kind, Rule
from fleet.findings.cover import COUNTED
from fleet.findings.models import Finding
from fleet.portal import addresses
from fleet.registry.models import Target

CRITICAL, WARNING = Finding.Severity.CRITICAL.value, Finding.Severity.WARNING.value
RANKS: Final = {CRITICAL: 0, WARNING: 1}
# While one of these fails, mail stands still: they come first within their severity.
STOPS_MAIL: Final = frozenset(
    {
        "redis.reachable",
        "redis.accepts-writes",
        "emailengine.reachable",
        "emailengine.queue-workers",
        "emailengine.queue-paused",
        "emailengine.license",
    }
)


@dataclass(frozen=True)
class Group:
    """Open findings of one rule, cause and severity; two examples stand for them."""

    rule_id: str
    kind: str
    cause: str
    severity: str
    pairs_count: int
    mailboxes_count: int | None  # None: registered for none of them
    oldest_at: datetime
    first_id: int
    last_id: int


@dataclass(frozen=True)
class Task:
    """One line of Do first."""

    do: str
    why: str
    severity: str
    pairs_count: int
    mailboxes_count: int | None
    oldest_at: datetime
    url: str


@dataclass(frozen=True)
class FailedRule:
    """One line of Most failed rules."""

    rule_id: str
    title: str
    critical_count: int
    warning_count: int

    @property
    def url(self) -> str:
        """Where the catalogue tells about the rule."""
        return reverse("portal:rule", args=[self.rule_id])

    @property
    def critical_url(self) -> str:
        """Where the critical findings are listed."""
        return addresses.findings(rule=self.rule_id, severity=CRITICAL)

    @property
    def warning_url(self) -> str:
        """Where the warnings are listed."""
        return addresses.findings(rule=self.rule_id, severity=WARNING)


def groups(findings: QuerySet[Finding]) -> list[Group]:
    """Group the open findings that are scored and not waived. One query."""
    found = (
        findings.filter(COUNTED, severity__in=RANKS)
        .exclude(target__state=Target.State.ARCHIVED)
        .order_by()
        .values_list("rule_id", "kind", "cause", "severity")
        .annotate(
            pairs_count=Count("pk"),
            mailboxes_count=Sum("target__pair__expected_mailboxes"),
            oldest_at=Min("opened_at"),
            first_id=Min("pk"),
            last_id=Max("pk"),
        )
    )
    return [Group(*row) for row in found]


def do_first(found: Iterable[Group], findings: QuerySet[Finding], limit: int) -> list[Task]:
    """Say what to do, in order: by severity, stopped mail first, then mailboxes. One query."""
    first = sorted(found, key=_urgency)[:limit]
    ids = {one for group in first for one in (group.first_id, group.last_id)}
    examples = findings.select_related("target__pair_state").in_bulk(ids)
    return [_task(group, examples) for group in first]


def _urgency(group: Group) -> tuple[int, bool, int, int, datetime]:
    return (
        RANKS[group.severity],
        group.rule_id not in STOPS_MAIL,
        -(group.mailboxes_count or 0),
        -group.pairs_count,
        group.oldest_at,
    )


def _task(group: Group, examples: Mapping[int, Finding]) -> Task:
    ids = (group.first_id, group.last_id)
    texts = [_texts(examples[one]) for one in ids if one in examples]
    do, why = texts[0] if texts else (group.rule_id, "")
    if any(other_do != do for other_do, _why in texts):
        # The pairs need different figures or steps: each one's page has its own.
        do = _for_all(BY_ID[group.rule_id], group.cause)
    return Task(
        do=do,
        why=why,
        severity=group.severity,
        pairs_count=group.pairs_count,
        mailboxes_count=group.mailboxes_count,
        oldest_at=group.oldest_at,
        url=addresses.findings(rule=group.rule_id, severity=group.severity),
    )


def _for_all(rule: Rule, cause: str) -> str:
    general = rule.remediation_for(cause).do
    if set(remedy.marks(general)) <= {"limits"}:
        return remedy.outline(rule, cause).do
    return _("Put right: %(title)s") % {"title": remedy.title(rule)}


def _texts(finding: Finding) -> tuple[str, str]:
    """Return the imperative and the first sentence of why, for the finding's own server."""
    rule = BY_ID.get(finding.rule_id)
    if rule is None:  # a rule of an earlier version
        return finding.message, ""
    state = getattr(finding.target, "pair_state", None)
    server = remedy.Server(Engine(state.engine), state.version) if state and state.engine else None
    rendered = remedy.render(rule, finding.cause, finding.evidence, server or remedy.Server())
    return rendered.do, first_sentence(rendered.why)


def first_sentence(text: str) -> str:
    """Cut after the first sentence; the full stop goes too."""
    head, _stop, _rest = text.partition(". ")
    return head.removesuffix(".")


def title_of(rule_id: str) -> str:
    """Return the rule's title with its limits, or the id of a rule of an earlier version."""
    rule: Rule | None = BY_ID.get(rule_id)
    return remedy.title(rule) if rule else rule_id


def most_failed(found: Iterable[Group], limit: int) -> list[FailedRule]:
    """Return the rules that fail on most pairs."""
    counts: dict[str, dict[str, int]] = {}
    for group in found:
        by_severity = counts.setdefault(group.rule_id, {CRITICAL: 0, WARNING: 0})
        by_severity[group.severity] += group.pairs_count
    ordered = sorted(counts.items(), key=lambda one: (-sum(one[1].values()), one[0]))
    return [
        FailedRule(rule_id, title_of(rule_id), by[CRITICAL], by[WARNING])
        for rule_id, by in ordered[:limit]
    ]


def failing_operations(found: Iterable[Group]) -> dict[str, int]:
    """Count the pairs of each operation rule that fails critically, most first."""
    counts: dict[str, int] = {}
    for group in found:
        if group.kind == Kind.OPERATION and group.severity == CRITICAL:
            counts[group.rule_id] = counts.get(group.rule_id, 0) + group.pairs_count
    return dict(sorted(counts.items(), key=lambda one: -one[1]))

"""What a policy change would open and resolve: every pair in scope judged again from its stored facts."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

from django.db.models import QuerySet

from checks.codec import CodecError, facts_from_json
from checks.evaluate import evaluate
from checks.facts import NOTHING_ATTESTED, PairFacts
from checks.lifecycle import Cause, Standing, State, step
from checks.policy import Policy, PolicyError, Settings
from checks.probes.pair import implied
from checks.rule import JSON, ONCE, Cadence, Outcome, Severity, Verdict
from fleet.findings.models import Finding
from fleet.inspections.load import Home
from fleet.inspections.models import DryRun, LatestFacts
from fleet.inspections.terms import terms
from fleet.registry.arrays import rows_of
from fleet.registry.attested import attested
from fleet.registry.models import Target
from fleet.registry.policies import Policies, Subject, changed_pairs, read_policies

logger = logging.getLogger(__name__)

BATCH: Final = 500
# After this the page says that the worker was lost; the next try is a new row.
LOST_AFTER: Final = timedelta(minutes=2)
SENT_AGAIN_AFTER: Final = timedelta(seconds=30)
HAS_UNSENT: Final = """EXISTS (
    SELECT FROM inspections_dryrun WHERE started_at IS NULL AND asked_at > %(lost)s
        AND (sent_at IS NULL OR sent_at <= %(sent_again)s)
)"""

What = Literal["opens", "resolves", "withdrawn", "worse", "milder"]
WORST_FIRST: Final = ("opens", "worse", "milder", "resolves", "withdrawn")
EVERY_CADENCE: Final = frozenset(Cadence)


@dataclass(frozen=True, slots=True)
class Change:
    """One finding that the change would move: how, and its severity afterwards (before, if it goes)."""

    target_id: int
    rule_id: str
    what: What
    severity: Severity
    short: str

    def as_json(self) -> list[JSON]:
        """Give the list that a DryRun keeps."""
        return [self.target_id, self.rule_id, self.what, self.severity.value, self.short]


def subject_of(run: DryRun) -> Subject:
    """Give the layer that a dry run is about."""
    return Subject(run.level, run.environment, run.tenant_id, run.target_id)


def pairs_under(subject: Subject) -> QuerySet[Target]:
    """Give the unarchived pairs that a layer counts for."""
    rows = Target.objects.filter(kind=Target.Kind.PAIR).exclude(state=Target.State.ARCHIVED)
    if subject.environment:
        rows = rows.filter(environment=subject.environment)
    if subject.tenant_id is not None:
        rows = rows.filter(tenant_id=subject.tenant_id)
    if subject.target_id is not None:
        rows = rows.filter(pk=subject.target_id)
    return rows


def claim_dry_runs(now: datetime) -> list[int]:
    """Give the dry runs to send to a worker: new ones, and those that none took in half a minute."""
    waiting = DryRun.objects.filter(started_at=None, asked_at__gt=now - LOST_AFTER)
    ids = waiting.exclude(sent_at__gt=now - SENT_AGAIN_AFTER).values_list("pk", flat=True)
    return [
        pk
        for pk in ids
        if DryRun.objects.filter(pk=pk, started_at=None)
        .exclude(sent_at__gt=now - SENT_AGAIN_AFTER)
        .update(sent_at=now)
    ]


def run_dry(run_id: int, now: datetime) -> bool:
    """Work one dry run out and keep its result; False where another worker has it.

    Nothing but the DryRun row is written. Progress is written after each batch of pairs.
    """
    claimed = DryRun.objects.filter(pk=run_id, started_at=None).update(started_at=now)
    if not claimed:
        return False
    run = DryRun.objects.get(pk=run_id)
    before = read_policies(terms().core_rules)
    homes = homes_of(run)
    try:
        after = _after(run, before, homes)
    except PolicyError as error:
        _finish(run, now, error=str(error))
        return True
    changes = list(_work_through(run, homes, before, after, now))
    changes.sort(key=_place)
    run.changes = [change.as_json() for change in changes]
    _finish(run, now)
    return True


def homes_of(run: DryRun) -> list[Home]:
    """Give the unarchived pairs that a dry run is about. One query."""
    rows = pairs_under(subject_of(run))
    if run.target_ids is not None:
        rows = rows.filter(pk__in=run.target_ids)
    found = rows.order_by("pk").values_list("environment", "tenant_id", "pk")
    return [Home(*row) for row in found]


def _after(run: DryRun, before: Policies, homes: Sequence[Home]) -> Policies:
    if run.target_ids is None:
        return before.with_layer(subject_of(run), run.overrides)
    return before.with_pairs(changed_pairs(before, homes, run.overrides, replaces=run.replaces))


def _work_through(
    run: DryRun, homes: Sequence[Home], before: Policies, after: Policies, now: datetime
) -> Iterator[Change]:
    DryRun.objects.filter(pk=run.pk).update(pairs_count=len(homes))
    run.pairs_count = len(homes)
    differing = Differing(before, after)
    for start in range(0, len(homes), BATCH):
        batch = homes[start : start + BATCH]
        changes, unread = batch_changes(batch, differing, now)
        yield from changes
        run.done_count += len(batch)
        run.unread_count += unread
        DryRun.objects.filter(pk=run.pk).update(done_count=run.done_count)


# A whole fleet's changes are a megabyte of JSON, tens as Python's objects: pages have them counted
# and cut by the database.
COUNT: Final = """
SELECT t.tenant_id, one ->> 2, one ->> 3, count(*)
FROM inspections_dryrun d CROSS JOIN LATERAL jsonb_array_elements(d.changes) AS one
LEFT JOIN registry_target t ON t.id = (one ->> 0)::int8
WHERE d.id = %b GROUP BY 1, 2, 3
"""
CUT: Final = """
SELECT one FROM inspections_dryrun d
CROSS JOIN LATERAL jsonb_array_elements(d.changes) WITH ORDINALITY AS c(one, place)
WHERE d.id = %b AND place > %b AND place <= %b ORDER BY place
"""


class Moved(NamedTuple):
    """How many findings of one tenant (None: its pair is gone) would move in one way."""

    tenant_id: int | None
    what: str
    severity: str
    findings_count: int


def moved(run_id: int) -> list[Moved]:
    """Count what a run found. One query."""
    return [Moved(*row) for row in rows_of(COUNT, [run_id])]


def changes_between(run_id: int, start: int, stop: int) -> list[list[JSON]]:
    """Give a run's changes from the place `start` (the first is 0) to before `stop`. One query."""
    return [change for (change,) in rows_of(CUT, [run_id, start, stop])]


def _place(change: Change) -> tuple[int, int, str, int]:
    return (
        WORST_FIRST.index(change.what),
        -change.severity.rank,
        change.rule_id,
        change.target_id,
    )


def _finish(run: DryRun, now: datetime, error: str = "") -> None:
    run.error, run.finished_at = error, now
    run.save(update_fields=["changes", "unread_count", "done_count", "error", "finished_at"])


class Differing:
    """The rules that two sets of policies judge differently, worked out once per kind of pair."""

    def __init__(self, before: Policies, after: Policies) -> None:
        self._before, self._after = before, after
        self._found: dict[tuple[Any, Any], tuple[Policy, Policy]] = {}

    def of(self, home: Home) -> tuple[Policy, Policy]:
        """Give both policies of one pair, cut down to the rules that differ."""
        key = (self._before.key_of(*home), self._after.key_of(*home))
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = _cut(self._before.of(*home), self._after.of(*home))
        return found


def _cut(before: Policy, after: Policy) -> tuple[Policy, Policy]:
    changed = [rule_id for rule_id, now in after.settings.items() if before[rule_id] != now]
    return _only(before, changed), _only(after, changed)


def _only(policy: Policy, rule_ids: Sequence[str]) -> Policy:
    return Policy(MappingProxyType({rule_id: policy[rule_id] for rule_id in rule_ids}))


def batch_changes(
    homes: Sequence[Home], differing: Differing, now: datetime
) -> tuple[list[Change], int]:
    """Give the changes of a batch of pairs, and how many pairs have no stored facts. Three queries."""
    concerned = {home.target_id: both for home in homes if (both := differing.of(home))[1].settings}
    if not concerned:
        return [], 0
    ids = list(concerned)
    cadences = {
        one.rule.cadence for both in concerned.values() for one in both[1].settings.values()
    }
    facts = _facts(ids, implied(cadences), now)
    open_findings = _open_findings(
        ids, {one for both in concerned.values() for one in both[1].settings}
    )
    changes = [
        change
        for target_id, (before, after) in concerned.items()
        if target_id in facts
        for change in pair_changes(
            target_id, facts[target_id], before, after, open_findings.get(target_id, {}), now
        )
    ]
    return changes, len(concerned) - len(facts)


def pair_changes(
    target_id: int,
    facts: PairFacts,
    before: Policy,
    after: Policy,
    open_findings: Mapping[str, Standing],
    now: datetime,
) -> Iterator[Change]:
    """Compare one pair's open findings with what these facts say under the new settings.

    A fail that the old settings would report as well is not the change's doing: it is left out.
    """
    now_said = evaluate(facts, EVERY_CADENCE, before)
    for rule_id, verdict in evaluate(facts, EVERY_CADENCE, after).items():
        standing = open_findings.get(rule_id)
        if standing is None:
            said = now_said[rule_id]
            if verdict.outcome is Outcome.FAIL and said.outcome is not Outcome.FAIL:
                severity = verdict.severity or Severity.INFO
                yield Change(target_id, rule_id, "opens", severity, verdict.short)
        else:
            yield from _moved(target_id, rule_id, standing, verdict, after[rule_id], now)


def _moved(
    target_id: int,
    rule_id: str,
    standing: Standing,
    verdict: Verdict,
    settings: Settings,
    now: datetime,
) -> Iterator[Change]:
    """Say how an open finding would move once its results confirm it."""
    at_once = replace(settings, opens=ONCE, resolves=ONCE)
    move = step(standing, verdict, at_once, now).move
    if move is None:
        return
    if move.cause is Cause.SEVERITY:
        rises = move.to_severity.rank > standing.severity.rank
        what: What = "worse" if rises else "milder"
        yield Change(target_id, rule_id, what, move.to_severity, verdict.short)
    elif move.cause is Cause.WITHDRAWN:
        yield Change(target_id, rule_id, "withdrawn", standing.severity, verdict.message)
    else:
        yield Change(target_id, rule_id, "resolves", standing.severity, verdict.short)


def _open_findings(target_ids: Sequence[int], rule_ids: set[str]) -> dict[int, dict[str, Standing]]:
    rows = Finding.objects.filter(
        target_id__in=target_ids, rule_id__in=rule_ids, state=Finding.State.OPEN
    ).values_list("target_id", "rule_id", "severity", "last_event_at")
    found: dict[int, dict[str, Standing]] = defaultdict(dict)
    for target_id, rule_id, severity, last_event_at in rows:
        found[target_id][rule_id] = Standing(
            State.OPEN, Severity(severity), last_event_at=last_event_at
        )
    return found


def _facts(
    target_ids: Sequence[int], cadences: frozenset[Cadence], now: datetime
) -> dict[int, PairFacts]:
    """Put each pair's stored facts of these cadences together, with what is attested now.

    A visit due for these alone reads no more, and its rules tell by it.
    """
    stored: dict[int, list[JSON]] = defaultdict(list)
    rows = LatestFacts.objects.filter(
        target_id__in=target_ids, cadence__in=[one.value for one in cadences]
    ).order_by("read_at")
    for target_id, facts in rows.values_list("target_id", "facts"):
        stored[target_id].append(facts)
    said = attested(target_ids, now)
    found = {}
    for target_id, parts in stored.items():
        try:
            facts = facts_from_json(merged(parts))
        except CodecError as error:
            logger.warning("stored facts of pair=%s not read: %s", target_id, error)
            continue
        found[target_id] = replace(facts, attested=said.get(target_id, NOTHING_ATTESTED))
    return found


def merged(parts: Sequence[Mapping[str, JSON]]) -> dict[str, JSON]:
    """Lay the facts of all cadences together, the newest last: each knows its own part of the server.

    Where the newest reading found no server, there is none.
    """
    together = dict(parts[-1])
    for half in ("redis", "emailengine"):
        newest = together.get(half, {})
        if "missing" in newest:
            continue
        whole: dict[str, JSON] = {}
        for part in parts:
            one = part.get(half, {})
            if "missing" not in one:
                whole.update(one)
        together[half] = whole
    for part in parts:  # only the backup cadence's own part knows it
        if "backup" in part:
            together["backup"] = part["backup"]
    return together

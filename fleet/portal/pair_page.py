"""The pair page: is it compliant, what to do about it, every rule, and what was read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from checks.catalog import BY_ID
from checks.evaluate import EMAILENGINE
from checks.facts import ENGINE_LABELS, Engine
from checks.policy import Policy
from checks.probes.acl import ACL_NOTES, acl_line, queues_line
from checks.remedy import RenderedRemediation
from checks.remedy import render as render_remedy
from checks.rule import Kind, Outcome
from fleet.findings.maintenance import over
from fleet.findings.models import Finding, MaintenanceWindow
from fleet.inspections.models import PairState
from fleet.inspections.terms import terms
from fleet.portal import check_now, matrix, pair_list, reading
from fleet.portal.conditions import Condition, conditions
from fleet.portal.finding_list import SEVERITY_RANK
from fleet.portal.ranges import RANGES
from fleet.portal.reasons import in_words
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.registry.models import Pair, PolicyVersion, Target

DELIVERY_TIME: Final = "emailengine.delivery-time"  # asks for the queues' own keys


@dataclass(frozen=True)
class Lamp:
    """One of the two cards: state, how long, the one reason, and the counts behind it."""

    name: str
    state: str
    answer: str
    since: datetime | None
    detail: str


@dataclass(frozen=True)
class Todo:
    """One open or pending finding, with what to do about it."""

    finding: Finding
    remedy: RenderedRemediation | None

    @property
    def conditions(self) -> list[Condition]:
        """What else is so of it: stale, flapping, acknowledged."""
        return conditions(self.finding, timezone.now())

    @property
    def confirmed(self) -> str:
        """How far a pending finding is confirmed: `1 of 3`."""
        rule = BY_ID.get(self.finding.rule_id)
        fails = (self.finding.results & ((1 << self.finding.results_count) - 1)).bit_count()
        return _("%(fails)d of %(times)d") % {
            "fails": fails,
            "times": rule.opens.times if rule else self.finding.results_count,
        }


def load(rows: Rows, target_id: int) -> Pair:
    """Read the pair with all that its head shows. Http404 where it is not theirs to see."""
    return rows.get(
        Pair,
        "target__tenant",
        "target__zone",
        "target__pair_state",
        "target__schedule",
        pk=target_id,
    )


def show(request: HttpRequest, target_id: int) -> TemplateResponse:
    """Answer with the whole page."""
    rows = rows_of(request)
    pair = load(rows, target_id)
    return page(
        request,
        "portal/pairs/page.html",
        pair.target.name,
        {**shell(rows, pair, "verdict"), **context(rows, pair, timezone.now())},
    )


@scoped_view
def body(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponse:
    """Answer with what a new reading changes, for htmx."""
    pair = load(rows, target_id)
    now = timezone.now()
    values = {**shell(rows, pair, "verdict"), **context(rows, pair, now)}
    return render(request, "portal/pairs/verdict.html", values)


def shell(rows: Rows, pair: Pair, view: str) -> dict[str, Any]:
    """Give what the head and the tabs of every view of a pair need."""
    state, now = pair_list.state_of(pair.target), timezone.now()
    silent = over([pair.pk], now).get(pair.pk)
    windows = rows.of(MaintenanceWindow)
    return {
        "silent": silent,
        "window": windows.filter(pk=silent.window_id).first() if silent else None,
        "pair": pair,
        "target": pair.target,
        "state": state,
        "view": view,
        "opts": Pair._meta,
        "original": pair,
        "engine": pair_list.engine_words(state),
        "object": pair,
        "may_edit": rows.may_edit(Pair, pair),
        "may_set_policy": rows.may_edit(PolicyVersion),
        "show_back_button": True,
        "ranges": RANGES,
        "time_zone": timezone.get_current_timezone_name(),
        "progress": check_now.under_way(pair, now),
    }


def context(rows: Rows, pair: Pair, now: datetime) -> dict[str, Any]:
    """Give the verdict: cards, what to do, every rule."""
    state = pair_list.state_of(pair.target)
    read = reading.latest(rows, pair, state)
    live = _live_findings(rows, pair)
    policy = policy_of(pair.target)
    table = matrix.build(pair, read, {finding.rule_id: finding for finding in live}, policy)
    todo = [Todo(finding, remedy_of(finding, read, policy)) for finding in live]
    waiting = check_now.waiting(rows, pair, now)
    return {
        "now": now,
        "reading": read,
        "lamps": _lamps(state, table, live),
        "coverage": _coverage(state),
        "open_todo": [one for one in todo if _counts(one.finding)],
        "waived": [finding for finding in live if finding.waiver],
        "pending_todo": [one for one in todo if one.finding.state == Finding.State.PENDING],
        "matrix": table,
        "unregistered": _unregistered(read) if state and state.is_redis_only else 0,
        "rights": _rights(read, table, pair),
        "waiting": waiting,
        "unread_words": _unread_words(pair.target, is_manned=not waiting),
        "is_silent": state is not None and pair_list.is_silent(state),
    }


def _unread_words(target: Target, *, is_manned: bool) -> tuple[str, str]:
    """Say of a pair that was never read when it will be: beside its lamp, and in place of what to do."""
    if target.state == Target.State.PAUSED:
        return _("not checked: paused"), _("Paused: it is first read once you resume checking.")
    if target.state == Target.State.ARCHIVED:
        return _("not checked: archived"), _("Archived before it was ever read.")
    if not is_manned:
        return _("no worker to read it"), _("It is first read once its zone has a worker.")
    return _("first reading is due"), _("First reading under way: findings appear here.")


def policy_of(target: Target) -> Policy:
    """Give the policy that the target's pair is judged by; at most 10 s old."""
    return terms().policies.of(target.environment, target.tenant_id, target.pk)


def remedy_of(
    finding: Finding, read: reading.Reading, policy: Policy
) -> RenderedRemediation | None:
    """Render what to do, from the newest evidence; None for a rule this version no longer has."""
    rule = BY_ID.get(finding.rule_id)
    if rule is None:
        return None
    cause, evidence = finding.cause, finding.evidence
    verdict = read.verdicts.get(rule.id)
    if verdict is not None and verdict.outcome is Outcome.FAIL:
        cause, evidence = verdict.cause, dict(verdict.evidence)
    return render_remedy(rule, cause, evidence, read.server, policy[rule.id].limits)


def _live_findings(rows: Rows, pair: Pair) -> list[Finding]:
    live = rows.of(Finding).filter(
        target=pair.pk, state__in=[Finding.State.OPEN, Finding.State.PENDING]
    )
    return list(live.select_related("waiver").order_by(SEVERITY_RANK, "opened_at", "pk"))


def _counts(finding: Finding) -> bool:
    """Tell whether it is open and nothing covers it."""
    return finding.state == Finding.State.OPEN and finding.waiver is None


def _lamps(state: PairState | None, table: matrix.Matrix, live: list[Finding]) -> list[Lamp]:
    compliance = state.compliance if state else PairState.Compliance.UNVERIFIED.value
    health = state.health if state else PairState.Health.UNKNOWN.value
    return [
        Lamp(
            name="compliance",
            state=compliance,
            answer=_answer(Kind.REQUIREMENT, table, live, state),
            since=state.compliance_since if state else None,
            detail=_requirements(table),
        ),
        Lamp(
            name="health",
            state=health,
            answer=_answer(Kind.OPERATION, table, live, state),
            since=state.health_since if state else None,
            detail=_operations(table),
        ),
    ]


def _answer(kind: Kind, table: matrix.Matrix, live: list[Finding], state: PairState | None) -> str:
    """Give the one reason for a lamp: the worst open finding, else why it is not verified."""
    if state is None or state.checked_at is None:
        return _("not read yet")
    for finding in live:
        is_scored = finding.severity != Finding.Severity.INFO
        if finding.kind == kind and _counts(finding) and is_scored:
            return finding.short
    if why := pair_list.unseen_because(state):
        return why
    for line in table.not_verified(kind):
        if line.rule.id in state.core_unknown:
            reason = in_words(state.core_unknown[line.rule.id])
            return f"{reason} ({line.rule.id})"
    return ""


def _fails_words(fails: Mapping[str, int]) -> str:
    words = [
        (fails.get("critical", 0), _("critical")),
        (fails.get("warning", 0), _("warning")),
    ]
    return _(" and ").join(f"{count} {word}" for count, word in words if count)


def _requirements(table: matrix.Matrix) -> str:
    count = table.applicable(Kind.REQUIREMENT)
    fails = table.fails(Kind.REQUIREMENT)
    failing = fails.get("critical", 0) + fails.get("warning", 0)
    if failing:
        text = ngettext(
            "%(fails)s fails among %(count)d requirements.",
            "%(fails)s fail among %(count)d requirements.",
            failing,
        )
    else:
        text = ngettext(
            "Nothing fails; %(count)d requirement applies.",
            "Nothing fails; %(count)d requirements apply.",
            count,
        )
    sentence = text % {"fails": _fails_words(fails), "count": count}
    return f"{sentence} {_unverified_words(table, Kind.REQUIREMENT)}".strip()


def _operations(table: matrix.Matrix) -> str:
    count = table.applicable(Kind.OPERATION)
    fails = table.fails(Kind.OPERATION)
    if fails.get("critical", 0) + fails.get("warning", 0):
        text = ngettext(
            "%(fails)s among %(count)d operation rule.",
            "%(fails)s among %(count)d operation rules.",
            count,
        )
    else:
        text = ngettext(
            "Nothing fails; %(count)d operation rule applies.",
            "Nothing fails; %(count)d operation rules apply.",
            count,
        )
    sentence = text % {"fails": _fails_words(fails), "count": count}
    return f"{sentence} {_unverified_words(table, Kind.OPERATION)}".strip()


def _unverified_words(table: matrix.Matrix, kind: Kind) -> str:
    count, waived = len(table.not_verified(kind)), table.waived(kind)
    unsure = ngettext("%(count)d could not be verified.", "%(count)d could not be verified.", count)
    words = [unsure % {"count": count}] if count else []
    if waived:
        text = ngettext("%(count)d more fails, waived.", "%(count)d more fail, waived.", waived)
        words.insert(0, text % {"count": waived})
    return " ".join(words)


def _coverage(state: PairState | None) -> dict[str, int] | None:
    """Give conclusive and applicable rules, over all cadences."""
    if state is None:
        return None
    applicable = sum(state.applicable_counts)
    if not applicable:
        return None
    conclusive = sum(state.conclusive_counts)
    return {
        "conclusive": conclusive,
        "applicable": applicable,
        "percent": conclusive * 100 // applicable,
    }


def _unregistered(read: reading.Reading) -> int:
    return sum(
        verdict.reason == "not_configured" and rule_id.startswith(EMAILENGINE)
        for rule_id, verdict in read.verdicts.items()
    )


def _rights(read: reading.Reading, table: matrix.Matrix, pair: Pair) -> dict[str, Any] | None:
    """Give the ACL line where something was refused to our account."""
    refused = sum(line.act is not None and line.act.url == "#pk-rights" for line in table.lines)
    if not refused:
        return None
    engine = read.server.engine
    return {
        "count": refused,
        "line": acl_line(engine),
        "engine": ENGINE_LABELS[engine] if engine is not Engine.UNKNOWN else "Redis",
        "note": ACL_NOTES.get(engine, ""),
        "queues": _queues_line(read, pair),
    }


def _queues_line(read: reading.Reading, pair: Pair) -> str:
    """Give the line that opens EmailEngine's queues, where they are closed to our account."""
    verdict = read.verdicts.get(DELIVERY_TIME)
    is_closed = verdict is not None and verdict.reason == "no_permission"
    return queues_line(pair.emailengine_prefix) if is_closed else ""

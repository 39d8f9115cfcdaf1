"""The finding page: why it matters, how to put it right, what happened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _

from checks.catalog import BY_ID
from checks.remedy import title
from checks.render import duration, milliseconds, percent, size
from checks.rule import JSON, Rule
from fleet.findings.cover import COUNTED
from fleet.findings.models import Finding
from fleet.inspections.acknowledge import may_accept
from fleet.portal import addresses, pair_list, pair_page, reading
from fleet.portal.acknowledge import DEFAULT, choices, may_answer
from fleet.portal.conditions import conditions, is_acknowledged
from fleet.portal.scoped_admin import Rows, page, rows_of, scoped_view
from fleet.portal.timeline import timeline
from fleet.registry.models import Pair, Target


def show(request: HttpRequest, finding_id: int) -> TemplateResponse:
    """Answer with the whole page."""
    values = _values(rows_of(request), finding_id)
    return page(request, "portal/findings/page.html", values["finding"].message, values)


@scoped_view
def body(request: HttpRequest, rows: Rows, finding_id: int) -> HttpResponse:
    """Answer with what a new reading changes, for htmx."""
    return render(request, "portal/findings/body.html", _values(rows, finding_id))


def _values(rows: Rows, finding_id: int) -> dict[str, Any]:
    finding = rows.get(
        Finding,
        "target__tenant",
        "target__zone",
        "target__pair",
        "target__pair_state",
        "waiver",
        pk=finding_id,
    )
    now = timezone.now()
    return {
        "opts": Finding._meta,
        "original": finding,
        "object": finding,
        "show_back_button": True,
        "now": now,
        "finding": finding,
        "target": finding.target,
        "evidence": list(shown_evidence(finding.evidence)),
        "timeline": timeline(rows, finding),
        "conditions": conditions(finding, now),
        "others": _others(rows, finding),
        "others_url": addresses.findings(rule=finding.rule_id),
        "live": _live_again(rows, finding),
        **_judged(rows, finding),
        **_answers(rows, finding, now),
    }


def _judged(rows: Rows, finding: Finding) -> dict[str, Any]:
    """Give its rule, how far it is confirmed, and what to do, by what was last read of its pair."""
    pair: Pair = finding.target.pair
    policy = pair_page.policy_of(finding.target)
    read = reading.latest(rows, pair, pair_list.state_of(finding.target))
    rule = BY_ID.get(finding.rule_id)
    return {
        "pair": pair,
        "rule": rule,
        "title_true": title(rule, policy[rule.id].limits) if rule else "",
        "todo": pair_page.Todo(finding, pair_page.remedy_of(finding, read, policy)),
        "read_at": read.read_at(rule) if rule else None,
        "confirmed": _confirmed(rule),
    }


def _answers(rows: Rows, finding: Finding, now: datetime) -> dict[str, Any]:
    """Give what this person may answer to it, and what was answered."""
    return {
        "is_for_people": may_accept(finding),
        "may_answer": may_answer(rows, finding),
        "is_acknowledged": is_acknowledged(finding, now),
        "until_choices": choices(finding),
        "until_default": DEFAULT,
        "may_waive": rows.may_edit(Finding, finding),
    }


def _confirmed(rule: Rule | None) -> str:
    if rule is None:
        return ""
    return _("%(times)d of %(of)d") % {"times": rule.opens.times, "of": rule.opens.of}


def _others(rows: Rows, finding: Finding) -> int:
    """Count the other pairs that fail the same rule now."""
    same = rows.of(Finding).filter(COUNTED, rule_id=finding.rule_id)
    return (
        same.exclude(target=finding.target_id).exclude(target__state=Target.State.ARCHIVED).count()
    )


def _live_again(rows: Rows, finding: Finding) -> Finding | None:
    """Find the later episode of a resolved finding, if it came back."""
    if finding.state != Finding.State.RESOLVED:
        return None
    later = rows.of(Finding).filter(
        target=finding.target_id, rule_id=finding.rule_id, state=Finding.State.OPEN
    )
    return later.first()


def shown_evidence(evidence: Mapping[str, JSON]) -> Iterator[tuple[str, str]]:
    """Give each figure with its unit, which its name's ending tells."""
    for name, value in evidence.items():
        yield name, _shown(name, value)


def _shown(name: str, value: JSON) -> str:
    if value is None:
        return _("not read")
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, int | float):
        return _figure(name, value)
    if isinstance(value, list):
        return ", ".join(_joined(one) for one in value) or "–"
    if isinstance(value, dict):
        return ", ".join(f"{key}={_shown('', one)}" for key, one in value.items()) or "–"
    return str(value)


def _joined(one: JSON) -> str:
    """Write a pair as save points are written: `900/1`."""
    return "/".join(map(str, one)) if isinstance(one, list) else _shown("", one)


def _figure(name: str, value: float) -> str:
    units = {"_bytes": size, "_us": milliseconds, "_ratio": percent, "_s": duration}
    for ending, write in units.items():
        if name.endswith(ending) and value >= 0:
            return write(value)
    return f"{value:,}"

"""A person accepts what happened: the one way in which some findings end."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from checks.catalog import BY_ID
from fleet.findings.models import Finding, Transition
from fleet.inspections.models import PairMemory, PairSchedule

# Their baseline is taken anew: what is there now is what is wanted.
WITH_BASELINE: Final = frozenset({"pair.data-intact"})
LEAST_REASON: Final = 5


class AcknowledgeError(ValueError):
    """An acknowledgement that is refused; the text says which and why."""


def acknowledge(finding_id: int, reason: str, by_id: int | None, at: datetime) -> Finding:
    """Close an open finding that only a person may close, with the reason they give.

    Holds the pair's schedule row, so that no visit records meanwhile. The next visit judges the
    pair anew, and takes what it finds as the new baseline. Raises AcknowledgeError.
    """
    if len(reason.strip()) < LEAST_REASON:
        text = _("Give a reason of %(least)d letters or more.")
        raise AcknowledgeError(text % {"least": LEAST_REASON})
    with transaction.atomic():
        target_id = Finding.objects.values_list("target_id", flat=True).get(pk=finding_id)
        PairSchedule.objects.select_for_update().filter(target_id=target_id).first()
        finding = Finding.objects.select_for_update(of=("self",)).get(pk=finding_id)
        _refuse_others(finding)
        _close(finding, reason.strip(), by_id, at)
        if finding.rule_id in WITH_BASELINE:
            PairMemory.objects.update_or_create(
                target_id=target_id, defaults={"acknowledged_at": at}
            )
    return finding


def may_acknowledge(finding: Finding) -> bool:
    """Say whether this finding is open and ends by an acknowledgement alone."""
    rule = BY_ID.get(finding.rule_id)
    is_for_people = rule is not None and rule.resolves_by_acknowledgement
    return is_for_people and finding.state == Finding.State.OPEN


def _refuse_others(finding: Finding) -> None:
    if finding.state != Finding.State.OPEN:
        raise AcknowledgeError(_("This finding is not open any more."))
    if not may_acknowledge(finding):
        raise AcknowledgeError(
            _("%(rule)s ends by itself once it passes.") % {"rule": finding.rule_id}
        )


def _close(finding: Finding, reason: str, by_id: int | None, at: datetime) -> None:
    finding.state, finding.resolved_at = Finding.State.RESOLVED, at
    finding.results = finding.results_count = 0
    finding.save(update_fields=["state", "resolved_at", "results", "results_count"])
    Transition.objects.create(
        finding=finding,
        at=at,
        cause=Transition.Cause.ACKNOWLEDGED,
        from_state=Finding.State.OPEN,
        to_state=Finding.State.RESOLVED,
        from_severity=finding.severity,
        to_severity=finding.severity,
        note=reason,
        actor_id=by_id,
    )

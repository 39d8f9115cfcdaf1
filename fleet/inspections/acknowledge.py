"""A person answers for a finding: they know of it until a time, or accept what happened and close it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _

from checks.catalog import BY_ID
from checks.lifecycle import accepted, acknowledged, unacknowledged
from fleet.findings import rows
from fleet.findings.models import Finding
from fleet.inspections.models import PairMemory, PairState

# Their baseline is taken anew: what is there now is what is wanted.
WITH_BASELINE: Final = frozenset({"pair.data-intact"})
LEAST_REASON: Final = 5
# What shall be left as it is for longer wants a waiver, which somebody signs.
LONGEST: Final = timedelta(days=30)


class AcknowledgeError(ValueError):
    """An acknowledgement that is refused; the text says which and why."""


def acknowledge(
    finding_id: int,
    reason: str,
    by_id: int | None,
    at: datetime,
    *,
    until: datetime | None = None,
) -> Finding:
    """Note that a person knows of an open finding until a time; without one, that they accept it.

    Known: it stays open, and nobody is reminded until then, or until it grows worse. Accepted:
    it closes, which only findings may that end in no other way; the next visit judges the pair
    anew and takes what it finds as the new baseline. Raises AcknowledgeError.
    """
    reason = checked_reason(reason)
    with transaction.atomic():
        finding = _held(finding_id)
        _refuse(finding, at, until)
        (row,) = rows.by_id([finding_id])
        standing = rows.standing(row)
        found = acknowledged(standing, until) if until else accepted(standing)
        rows.apply(row, found, at, by_id=by_id, note=reason, until=until)
        if until is None and finding.rule_id in WITH_BASELINE:
            PairMemory.objects.update_or_create(
                target_id=finding.target_id, defaults={"acknowledged_at": at}
            )
    finding.refresh_from_db()
    return finding


def end_acknowledgement(finding_id: int, by_id: int | None, at: datetime) -> Finding:
    """End an acknowledgement before its time: reminders go on. Raises AcknowledgeError."""
    with transaction.atomic():
        finding = _held(finding_id)
        until = finding.acknowledged_until
        if finding.state != Finding.State.OPEN or until is None or until <= at:
            raise AcknowledgeError(_("This finding is not acknowledged any more."))
        (row,) = rows.by_id([finding_id])
        found = unacknowledged(rows.standing(row))
        rows.apply(row, found, at, by_id=by_id, note="", until=None)
    finding.refresh_from_db()
    return finding


def acknowledge_all(
    finding_ids: Sequence[int], reason: str, by_id: int | None, at: datetime, *, until: datetime
) -> tuple[int, list[str]]:
    """Acknowledge each of these until a time; returns how many were, and why others were not."""
    refused = []
    for finding_id in finding_ids:
        try:
            acknowledge(finding_id, reason, by_id, at, until=until)
        except AcknowledgeError as error:
            refused.append(str(error))
    return len(finding_ids) - len(refused), refused


def checked_reason(text: str) -> str:
    """Give a reason without its blanks. Raises AcknowledgeError where it is too short to be one."""
    if len(text.strip()) < LEAST_REASON:
        said = _("Give a reason of %(least)d letters or more.")
        raise AcknowledgeError(said % {"least": LEAST_REASON})
    return text.strip()


def may_accept(finding: Finding) -> bool:
    """Say whether this finding is open and ends by a person's acceptance alone."""
    rule = BY_ID.get(finding.rule_id)
    is_for_people = rule is not None and rule.resolves_by_acknowledgement
    return is_for_people and finding.state == Finding.State.OPEN


def _held(finding_id: int) -> Finding:
    """Read a finding whose pair nobody records meanwhile: recordings lock the pair's state too."""
    target_id = Finding.objects.values_list("target_id", flat=True).get(pk=finding_id)
    PairState.objects.select_for_update(of=("self",)).filter(target_id=target_id).first()
    return Finding.objects.get(pk=finding_id)


def _refuse(finding: Finding, at: datetime, until: datetime | None) -> None:
    if finding.state != Finding.State.OPEN:
        raise AcknowledgeError(_("This finding is not open any more."))
    if until is None and not may_accept(finding):
        raise AcknowledgeError(
            _("%(rule)s ends by itself once it passes.") % {"rule": finding.rule_id}
        )
    if until is not None and not at < until <= at + LONGEST:
        text = _("Acknowledge until a time within the next %(days)d days.")
        raise AcknowledgeError(text % {"days": LONGEST.days})

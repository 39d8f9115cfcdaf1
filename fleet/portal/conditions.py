"""What else is so of a finding: acknowledged, flapping, stale, opened before. One line each."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from django.utils.translation import gettext as _

from fleet.findings.models import Finding
from fleet.portal.figures import clock, instant

DAY_S: Final = 86_400


class Condition(NamedTuple):
    """A mark of marks.py, and its words."""

    mark: str
    words: str


def conditions(finding: Finding, now: datetime) -> list[Condition]:
    """List what is so of this finding now, what casts doubt first."""
    found = []
    if finding.stale_since and finding.state == Finding.State.OPEN:
        words = _("Stale since %(at)s") % {"at": _at(finding.stale_since, now)}
        found.append(Condition("stale", words))
    if finding.flapping_since:
        words = _("Flapping since %(at)s") % {"at": _at(finding.flapping_since, now)}
        found.append(Condition("flapping", words))
    if is_acknowledged(finding, now) and finding.acknowledged_until:
        words = _("Acknowledged until %(at)s") % {"at": _at(finding.acknowledged_until, now)}
        found.append(Condition("acknowledged", words))
    return found


def is_acknowledged(finding: Finding, now: datetime) -> bool:
    """Say whether somebody answers for the open finding now."""
    until = finding.acknowledged_until
    return finding.state == Finding.State.OPEN and until is not None and until > now


def _at(at: datetime, now: datetime) -> str:
    """Write an instant of about today as a time of day."""
    return clock(at) if abs((now - at).total_seconds()) < DAY_S / 2 else instant(at)

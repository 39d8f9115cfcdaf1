"""How a message writes instants, counts and severities, in the reader's own time zone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.utils.dateformat import format as date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from checks.render import duration
from checks.rule import Severity
from fleet.alerts.letter import Move
from fleet.alerts.writing.document import Mark

CRITICAL: Final = Mark("■", gettext_lazy("Critical"), "bad")
WARNING: Final = Mark("▲", gettext_lazy("Warning"), "warn")
INFO: Final = Mark("□", gettext_lazy("Info"), "note")
OF_SEVERITY: Final = {
    Severity.CRITICAL: CRITICAL,
    Severity.WARNING: WARNING,
    Severity.INFO: INFO,
}
OF_MOVE: Final = {
    Move.RESOLVED: Mark("✓", gettext_lazy("Resolved"), "good"),
    Move.STALE: Mark("?", gettext_lazy("Stale"), "doubt"),
    Move.FRESH: Mark("□", gettext_lazy("Read again"), "note"),
    Move.FLAPPING: Mark("□", gettext_lazy("Flapping"), "note"),
    Move.CALM: Mark("□", gettext_lazy("Calm again"), "note"),
}


@dataclass(frozen=True)
class Clock:
    """Writes instants in one time zone, always with its name."""

    zone: tzinfo

    @classmethod
    def of(cls, name: str) -> Clock:
        """Take a zone by its IANA name; a name the system lost is UTC."""
        try:
            return cls(ZoneInfo(name))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return cls(UTC)

    def full(self, at: datetime) -> str:
        """Write `21 Nov 2026, 14:18 UTC`."""
        return self._write(at, "j M Y, H:i")

    def short(self, at: datetime) -> str:
        """Write `21 Nov 14:18 UTC`."""
        return self._write(at, "j M H:i")

    def near(self, at: datetime, now: datetime) -> str:
        """Write `14:18 UTC` for the same day, else the full instant."""
        if at.astimezone(self.zone).date() == now.astimezone(self.zone).date():
            return self._write(at, "H:i")
        return self.full(at)

    def _write(self, at: datetime, form: str) -> str:
        local = at.astimezone(self.zone)
        name = local.tzname() or "UTC"
        # Zones without letters of their own are called by their offset: +03.
        return f"{date_format(local, form)} {name if name[0].isalpha() else f'UTC{name}'}"


def day(on: date) -> str:
    """Write `Mon 16 Nov`."""
    return date_format(on, "D j M")


def span(since: datetime, until: datetime) -> str:
    """Write how long it lasted: `14 min`, `3 h 12 min`."""
    return duration(max(int((until - since).total_seconds()), 0))


def share(ratio: float) -> str:
    """Write a share (0 to 1) with one decimal, rounded down: 100.0% is only for all."""
    return f"{int(ratio * 1000 + 1e-9) / 10:.1f}%"


def pairs(count: int) -> str:
    """Write `1 pair`, `2,140 pairs`."""
    return ngettext("%(n)s pair", "%(n)s pairs", count) % {"n": f"{count:,}"}


def listed(names: Sequence[str], most: int) -> str:
    """Write `a, b and 3 more`."""
    shown = ", ".join(names[:most])
    if len(names) <= most:
        return shown
    more = f"{len(names) - most:,}"
    return _("%(names)s and %(more)s more") % {"names": shown, "more": more}

"""Symbol and word of every state: colour means severity or doubt, and never stands alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Final

from django.templatetags.static import static
from django.utils.functional import Promise
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from fleet.portal import figures


@dataclass(frozen=True)
class Mark:
    """A tone (also the symbol's name in sprite.svg and the colour's in portal.css) and a word."""

    tone: str
    word: str | Promise


BAD, WARN, DOUBT, GOOD, NOTE, OUTSIDE = "bad", "warn", "doubt", "good", "note", "outside"
MARKS: Final[dict[str, Mark]] = {
    "critical": Mark(BAD, _("Critical")),
    "non_compliant": Mark(BAD, _("Non-compliant")),
    "failing": Mark(BAD, _("Failing")),
    "warning": Mark(WARN, _("Warning")),
    "at_risk": Mark(WARN, _("At risk")),
    "degraded": Mark(WARN, _("Degraded")),
    "unverified": Mark(DOUBT, _("Unverified")),
    "unknown": Mark(DOUBT, _("Unknown")),
    "not_verified": Mark(DOUBT, _("Not verified")),
    "stale": Mark(DOUBT, _("Stale")),
    "compliant": Mark(GOOD, _("Compliant")),
    "healthy": Mark(GOOD, _("Healthy")),
    "pass": Mark(GOOD, _("Pass")),
    "resolved": Mark(GOOD, _("Resolved")),
    "info": Mark(NOTE, _("Info")),
    "pending": Mark(NOTE, _("Pending")),
    "flapping": Mark(NOTE, _("Flapping")),
    "acknowledged": Mark(NOTE, _("Acknowledged")),
    "waived": Mark(NOTE, _("Waived")),
    "maintenance": Mark(NOTE, _("Maintenance")),
    "withdrawn": Mark(NOTE, _("Withdrawn")),
    "paused": Mark(NOTE, _("Paused")),
    "archived": Mark(NOTE, _("Archived")),
    "not_applicable": Mark(OUTSIDE, _("Not applicable")),
    "disabled": Mark(OUTSIDE, _("Disabled")),
}
# Worst first, as bars, chips and legends show them.
COMPLIANCE_ORDER: Final = ("non_compliant", "at_risk", "unverified", "compliant")
HEALTH_ORDER: Final = ("failing", "degraded", "unknown", "healthy")


@cache
def svg(tone: str, size: int = 16) -> SafeString:
    """Give a symbol of the sprite; it says nothing to a screen reader."""
    return format_html(
        '<svg class="pk-sym" width="{0}" height="{0}" aria-hidden="true" focusable="false">'
        '<use href="{1}#{2}"></use></svg>',
        size,
        static("portal/sprite.svg"),
        tone,
    )


def mark(state: str, word: str = "", *, is_dim: bool = False) -> SafeString:
    """Give symbol and word of a state ("critical", "at_risk", …), or the symbol with another word."""
    found = MARKS[state]
    return format_html(
        '<span class="pk-mark pk-{}{}">{}<span>{}</span></span>',
        found.tone,
        " pk-dim" if is_dim else "",
        svg(found.tone),
        word or found.word,
    )


def waived(severity: str, until: datetime) -> SafeString:
    """Give the severity's symbol in the colour of a note, and until when it is waived."""
    words = gettext("Waived until %(day)s") % {"day": figures.day(until)}
    return format_html(
        '<span class="pk-mark pk-note">{}<span>{}</span></span>',
        svg(MARKS[severity].tone),
        figures.time_tag(until, words),
    )


def silent(until: datetime) -> SafeString:
    """Say in the colour of a note until when mail waits."""
    words = gettext("Maintenance until %(at)s") % {"at": figures.clock_or_day(until)}
    return format_html(
        '<span class="pk-mark pk-note">{}<span>{}</span></span>',
        svg(NOTE),
        figures.time_tag(until, words),
    )


def symbol(state: str, size: int = 16) -> SafeString:
    """Give the symbol of a state where the row says the rest; its word is there for screen readers."""
    found = MARKS[state]
    return format_html(
        '<span class="pk-mark pk-{}">{}<span class="pk-sr">{}</span></span>',
        found.tone,
        svg(found.tone, size),
        found.word,
    )


def tone(state: str) -> str:
    """Give the tone of a state: the class `pk-<tone>` colours its text, `pk-edge-<tone>` a card."""
    return MARKS[state].tone

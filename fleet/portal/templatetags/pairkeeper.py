"""Template tags of the portal: mark, symbol, age, instant, code, and the figures' filters."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import template
from django.utils import timezone
from django.utils.safestring import SafeString

from checks.render import milliseconds, percent, size
from fleet.portal import figures, marks

register = template.Library()

register.simple_tag(marks.mark)
register.simple_tag(marks.symbol)
register.simple_tag(marks.svg)
register.simple_tag(marks.waived)
register.simple_tag(marks.silent)
register.filter("tone", marks.tone)
register.filter("bytes", size)
register.filter("ms", milliseconds)
register.filter("percent", percent)
register.filter("clock", figures.clock)


@register.simple_tag(takes_context=True)
def age(
    context: template.Context, at: datetime | None, *, is_long: bool = False
) -> SafeString | str:
    """Show how long ago: `{% age row.checked_at %}`, `{% age row.opened_at is_long=True %}`."""
    if at is None:
        return ""
    return figures.age(at, _now(context), is_long=is_long)


@register.simple_tag
def instant(at: datetime) -> SafeString:
    """Show an instant in the reader's time zone, as <time>."""
    return figures.time_tag(at)


@register.filter
def count(value: int) -> str:
    """Write thousands: `3,000`."""
    return f"{value:,}"


@register.filter
def share(part: int, whole: int) -> str:
    """Write a share of a fleet: `{{ row.compliant|share:row.pairs }}`."""
    return figures.share(part, whole)


@register.inclusion_tag("portal/code.html")
def code(text: str, what: str = "") -> dict[str, Any]:
    """Show one command as a block with Copy; `what` names it for screen readers."""
    return {"text": text, "what": what}


def _now(context: template.Context) -> datetime:
    now = context.get("now")
    return now if isinstance(now, datetime) else timezone.now()

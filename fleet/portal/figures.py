"""Figures as people read them: shares, ages and instants, always floored, never rounded up."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from checks.render import THIN, duration
from fleet.registry.instants import instant as instant

MINUTE, HOUR, DAY = 60, 3600, 86400


def share(part: int, whole: int) -> str:
    """Write a share of a fleet with one decimal: `91.0%`, and 100.0% only for all of them."""
    if whole == 0:
        return "–"
    return f"{part * 1000 // whole / 10:.1f}%"


def short_age(seconds: float) -> str:
    """Write an age in one unit: `38 s` below 2 min, `97 min` below 2 h, `27 h` below 2 d, `3 d`."""
    whole = max(int(seconds), 0)
    if whole < 2 * MINUTE:
        return f"{whole}{THIN}s"
    if whole < 2 * HOUR:
        return f"{whole // MINUTE}{THIN}min"
    if whole < 2 * DAY:
        return f"{whole // HOUR}{THIN}h"
    return f"{whole // DAY:,}{THIN}d"


def long_age(seconds: float) -> str:
    """Write an age in two units at most: `14 min`, `3 h 12 min`, `6 d 13 h`."""
    return duration(max(int(seconds), 0))


def clock(at: datetime) -> str:
    """Write the time of day in the reader's time zone: `14:18 UTC`."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'H:i')} {local.tzname()}"


def day(at: datetime) -> str:
    """Write the day in the reader's time zone: `12 Dec`, with its year where that is another."""
    local = timezone.localtime(at)
    is_this_year = local.year == timezone.localtime().year
    return date_format(local, "j M" if is_this_year else "j M Y")


def clock_or_day(at: datetime) -> str:
    """Write an instant to come: `15:30 UTC` today, `12 Dec, 15:30 UTC` on another day."""
    is_today = timezone.localdate(at) == timezone.localdate()
    return clock(at) if is_today else f"{day(at)}, {clock(at)}"


def age(at: datetime, now: datetime, *, is_long: bool = False) -> SafeString:
    """Give an age as <time>, with the instant as its title."""
    seconds = (now - at).total_seconds()
    text = long_age(seconds) if is_long else short_age(seconds)
    return time_tag(at, text)


def ago(at: datetime, now: datetime) -> SafeString:
    """Give how long ago it was, as <time>: `14 min ago`."""
    return format_html(_("{age} ago"), age=age(at, now))


def time_tag(at: datetime, text: str = "") -> SafeString:
    """Give a <time> that shows `text`, or else the instant, and knows the instant."""
    told = instant(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', at.isoformat(), told, text or told
    )

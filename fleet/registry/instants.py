"""Instants as people read them: in the time zone that is active, with its name."""

from __future__ import annotations

from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format


def instant(at: datetime) -> str:
    """Write an instant in the reader's time zone: `21 Nov 2026, 14:18 UTC`."""
    local = timezone.localtime(at)
    return f"{date_format(local, 'j M Y, H:i')} {local.tzname()}"

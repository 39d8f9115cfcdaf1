"""What a row's history tells: who changed it, when and what; secrets never among it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.db.models import Model
from django.utils.text import capfirst
from django.utils.translation import gettext as _

SHOWN: Final = 50


@dataclass(frozen=True)
class Change:
    """One change: by whom, and each column's value before and after."""

    at: datetime
    by: str
    words: str
    columns: tuple[tuple[str, str, str], ...]


def of_row(row: Any) -> list[Change]:
    """Give the newest changes of a row whose model keeps its history. One query."""
    return list(compared(row, type(row), _("Added")))[:SHOWN]


def compared(row: Any, model: type[Model], added: str) -> Iterator[Change]:
    """Compare each record with the one before it; `added` is said of the first. One query."""
    newest = row.history.select_related("history_user").order_by("-history_date", "-history_id")
    records = list(newest[: SHOWN + 1])
    for place, record in enumerate(records):
        before = records[place + 1] if place + 1 < len(records) else None
        if record.history_type == "+":
            yield Change(record.history_date, _who(record), added, ())
        elif before is not None:
            columns = tuple(_differences(record, before, model))
            words = record.history_change_reason or ""
            if columns or words:
                yield Change(record.history_date, _who(record), words, columns)


def _who(record: Any) -> str:
    return str(record.history_user) if record.history_user else _("the portal")


def _differences(record: Any, before: Any, model: type[Model]) -> Iterator[tuple[str, str, str]]:
    for field in record.tracked_fields:
        old, new = getattr(before, field.attname), getattr(record, field.attname)
        if old != new:
            column = model._meta.get_field(field.name)
            words = capfirst(str(getattr(column, "verbose_name", field.name)))
            yield words, _shown(old), _shown(new)


def _shown(value: object) -> str:
    if value in (None, "", [], {}):
        return "–"
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, dict):
        return ", ".join(f"{name}={one}" for name, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value)


def merged(changes: list[Change]) -> list[Change]:
    """Put into one what one form saved: the pair and its target within a second, by one person."""
    merged: list[Change] = []
    for change in changes:
        last = merged[-1] if merged else None
        if last and last.by == change.by and (last.at - change.at).total_seconds() < 1:
            words = last.words or change.words
            merged[-1] = Change(last.at, last.by, words, (*last.columns, *change.columns))
        else:
            merged.append(change)
    return merged

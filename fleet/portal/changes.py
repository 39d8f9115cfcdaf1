"""Who changed a pair, when and what: from its history, secrets never among it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Model
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.text import capfirst
from django.utils.translation import gettext as _

from fleet.portal import pair_page
from fleet.portal.scoped_admin import Rows, page, scoped_view
from fleet.registry.models import Pair, Target

SHOWN = 50


@dataclass(frozen=True)
class Change:
    """One change: by whom, and each column's value before and after."""

    at: datetime
    by: str
    words: str
    columns: tuple[tuple[str, str, str], ...]


@scoped_view
def show(request: HttpRequest, rows: Rows, target_id: int) -> HttpResponseBase:
    """Answer with the newest changes of the pair and its target."""
    pair = pair_page.load(rows, target_id)
    found = [*_of(pair, Pair), *_of(pair.target, Target)]
    found.sort(key=lambda change: change.at, reverse=True)
    values = {**pair_page.shell(rows, pair, "changes"), "changes": _merged(found)[:SHOWN]}
    return page(request, "portal/pairs/changes.html", pair.target.name, values)


def _of(row: Pair | Target, model: type[Model]) -> Iterator[Change]:
    """Compare each record with the one before it; one query per model."""
    newest = row.history.select_related("history_user").order_by("-history_date", "-history_id")
    records = list(newest[: SHOWN + 1])
    for place, record in enumerate(records):
        before = records[place + 1] if place + 1 < len(records) else None
        if record.history_type == "+":
            words = _("Registered") if model is Pair else _("Target added")
            yield Change(record.history_date, _who(record), words, ())
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


def _merged(changes: list[Change]) -> list[Change]:
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

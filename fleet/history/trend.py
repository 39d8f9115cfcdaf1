"""One pair's numbers over time, for the charts of its page."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import FloatField
from django.db.models.functions import Cast, Extract

from fleet.history.models import Visit

# What a chart may ask for: every measured column.
COLUMNS = frozenset(field.name for field in Visit._meta.get_fields()) - {"pk", "target_id", "at"}

Row = list[float | int | None]  # [Unix time in s, a value per column]; None = not read


def trend(target_id: int, since: datetime, until: datetime, columns: Sequence[str]) -> list[Row]:
    """Return [Unix time, value, …] per visit of since <= at < until, oldest first, ready for JSON.

    One query over the raw visits, which go back FleetSettings.raw_days (3 by default). A visit
    that got no answer is a row of None: a gap. Raises ValueError for an unknown column.
    """
    unknown = set(columns) - COLUMNS
    if unknown:
        raise ValueError(f"no column {min(unknown)} in history; it has {sorted(COLUMNS)}")
    visits = Visit.objects.filter(target_id=target_id, at__gte=since, at__lt=until)
    second = Cast(Extract("at", "epoch"), FloatField())
    return [list(row) for row in visits.order_by("at").values_list(second, *columns)]

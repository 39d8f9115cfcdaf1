"""Visits as they lie in history: what a test does not name was not read."""

from datetime import datetime

from fleet.history import partitions
from fleet.history.models import Visit


def make_visit(at: datetime, target_id: int = 1, **columns: float) -> Visit:
    partitions.ensure_day(at.date())
    values = {"fails_count": 0, "unknowns_count": 0, "outcome": 0, **columns}
    return Visit.objects.create(target_id=target_id, at=at, **values)

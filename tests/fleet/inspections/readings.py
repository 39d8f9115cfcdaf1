"""Visits of chosen pairs, asked for by name: the other pairs that are due stay as they are."""

from datetime import timedelta

from fleet.history.partitions import ensure_day
from fleet.inspections import neighbours
from fleet.inspections.record import record
from fleet.inspections.schedule import check_now
from fleet.inspections.terms import forget
from tests.fleet.factories import NOW, make_worker
from tests.fleet.visiting import EVERYTHING, claimed, judged


def visit(*pairs, now=NOW, **facts):
    """Visit these pairs, each of which reads as the healthy pair with these facts changed."""
    ensure_day(now.date())
    wanted = [pair.pk for pair in pairs]
    make_worker(now=now)
    check_now(wanted, now)
    forget()
    neighbours.forget()
    dues = [due for due in claimed(now) if due.target_id in wanted]
    return record([judged(due, now + timedelta(seconds=1), EVERYTHING, **facts) for due in dues])

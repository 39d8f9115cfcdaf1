"""What a visit leaves in its row of mail rates, and that a row stays as small as it must."""

from datetime import UTC, datetime

import pytest
from django.db import connection

from checks.facts import Missing
from fleet.history import partitions
from fleet.history.record import COLUMNS, row, write
from tests.checks.pairs import facts_with

NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
READ = {
    "processed_rise": {"submit/completed": 450, "notify/completed": 9},
    "processed_over_s": 300.0,
    "events_day": {"messageSent": 190, "messageFailed": 10, "messageBounce": 6},
    "has_seen_bounce": True,
}
NOT_READ = Missing("no_history", "not read")


def mail(**changes) -> tuple[object, object]:
    found = row(1, NOW, facts_with(since=READ | changes), 0, 0)
    values = dict(zip(COLUMNS, found, strict=True))
    return values["processed_per_minute"], values["bounce_ratio"]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, (90, 0.08)),
        ({"processed_rise": {}}, (0, 0.08)),
        ({"processed_rise": NOT_READ, "events_day": NOT_READ}, (None, None)),
        ({"processed_over_s": 0.0}, (None, 0.08)),
        ({"has_seen_bounce": False}, (90, None)),
        ({"events_day": {"messageBounce": 3}}, (90, None)),
    ],
)
def test_how_fast_mail_went_and_what_bounced(changes, expected):
    assert mail(**changes) == expected


@pytest.mark.django_db
def test_a_row_with_all_that_can_be_read_takes_260_bytes_with_its_index():
    partitions.forget_days()
    partitions.ensure_day(NOW.date())
    values = [10**9 + n for n in range(len(COLUMNS) - 2)]
    write([(1, NOW, *[one % 30_000 if n > 20 else one for n, one in enumerate(values)])])
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_column_size(v.*) FROM history_visit v")
        (row_bytes,) = cursor.fetchone()
    partitions.forget_days()

    # 4 bytes point to the row on its page, 45 are its share of the index (docs: performance, D).
    assert row_bytes + 4 + 45 <= 260

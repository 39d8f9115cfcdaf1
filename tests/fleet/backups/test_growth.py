"""Is the line of each source's copies drawn through its days, once a day, whoever draws it?"""

from datetime import UTC, datetime, timedelta

import pytest

from fleet.backups.growth import keep_growth, sizes
from fleet.backups.models import CopyGrowth
from tests.fleet.backups.sources import make_artefact, make_source
from tests.fleet.factories import make_pair

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 21, 14, 40, tzinfo=UTC)
TODAY = int(NOW.timestamp() // 86_400)
DAY = timedelta(days=1)


def copies(source, count: int, every: int = 1, **fields) -> None:
    """A copy each `every` days, a thousand bytes more each day, the newest of today."""
    for number in range(count):
        size = 1_000_000 - 1_000 * number * every
        at = NOW - number * every * DAY
        make_artefact(source, at=at, **{"size_bytes": size, **fields})


def test_days_hold_their_largest_good_copy_whether_it_is_gone_or_not():
    source = make_source(make_pair())
    make_artefact(source, at=NOW - DAY, size_bytes=10, gone_at=NOW)
    make_artefact(source, at=NOW - DAY - timedelta(hours=2), size_bytes=30)
    make_artefact(source, at=NOW, size_bytes=None, stored_bytes=20, state="reported")
    make_artefact(source, at=NOW, size_bytes=99, state="corrupt")
    make_artefact(source, at=NOW - 28 * DAY, size_bytes=99)
    off = make_source(make_pair(), is_enabled=False)
    make_artefact(off, at=NOW)

    assert list(sizes(NOW)) == [(source.pk, [(TODAY - 1, 30), (TODAY, 20)])]


def test_a_weekly_source_is_read_as_many_weeks_back():
    source = make_source(make_pair(), interval_s=7 * 86_400)
    copies(source, 20, every=7)

    ((_source_id, days),) = sizes(NOW)

    assert len(days) == 20


@pytest.mark.parametrize(("count", "slope"), [(13, None), (14, 1000), (40, 1000)])
def test_a_line_wants_a_fortnight_of_copies(count, slope):
    source = make_source(make_pair())
    copies(source, count)

    assert keep_growth(NOW) == 1

    row = CopyGrowth.objects.get()
    assert (row.source_id, row.made_of, row.last_day, row.newest_bytes) == (
        source.pk,
        NOW.date(),
        TODAY,
        1_000_000,
    )
    assert (row.days_count, row.slope_bytes) == (min(count, 28), slope)


def test_lines_are_drawn_once_a_day_and_anew_on_the_next():
    source = make_source(make_pair())
    copies(source, 14)
    keep_growth(NOW)
    make_artefact(source, at=NOW, size_bytes=9_000_000)

    assert keep_growth(NOW + timedelta(hours=9)) == 0
    assert CopyGrowth.objects.get().newest_bytes == 1_000_000
    assert keep_growth(NOW + timedelta(hours=10)) == 1
    assert CopyGrowth.objects.get().newest_bytes == 9_000_000

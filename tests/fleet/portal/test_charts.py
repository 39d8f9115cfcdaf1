"""Lines, breaks and rises, from points alone."""

import pytest

from fleet.portal.chart import break_at, gaps_of
from fleet.portal.charts import rises_of


@pytest.mark.parametrize(
    ("points", "gaps"),
    [
        ([], []),
        ([(0, None), (60, None)], []),
        ([(0, 1), (180, 1), (360, 1), (540, 1), (600, 1)], []),
        ([(0, 1), (181, 1), (600, 1)], [(0, 181), (181, 600)]),
        ([(0, 1), (100, None), (200, 1), (400, 1)], [(0, 200), (200, 400), (400, 600)]),
        ([(500, 1)], []),
    ],
)
def test_gaps(points, gaps):
    assert list(gaps_of(points, 600, 180)) == gaps


def test_a_line_breaks_at_a_gap_and_skips_what_was_not_read():
    points = [(0.0, 1.0), (60.0, None), (900.0, 2.0)]

    assert break_at(points, [(0.0, 900.0)]) == [(0.0, 1.0), (1.0, None), (900.0, 2.0)]


@pytest.mark.parametrize(
    ("points", "rises"),
    [
        ([], []),
        ([(0, 5)], []),
        ([(0, 5), (60, 9)], [(60, 4)]),
        ([(0, 5), (60, 3)], [(60, 3)]),
        ([(0, 5), (60, None), (180, 9)], [(180, 4)]),
        ([(0, 5), (181, 9), (200, 10)], [(200, 1)]),
    ],
)
def test_a_counters_rises(points, rises):
    assert list(rises_of(points, 180)) == rises

"""Are sizes computed as the page says, and is only what was measured written anew?"""

import pytest

from fleet.registry.models import FleetSettings
from tests.bench import report, sizing
from tests.bench.figure import Figure

COSTS = sizing.Costs(
    worker_ms=2.0,
    database_ms=0.5,
    visit_row_bytes=200,
    hour_row_bytes=200,
    day_row_bytes=200,
    state_bytes=10_000,
    visit_wal_bytes=600,
    portal_mb=300,
    database_mb=400,
)


BEGIN, END = "<!-- x: measured, not typed -->\n", "<!-- x: end -->"


def test_ten_thousand_pairs_every_minute():
    row = next(line for line in sizing.table(COSTS) if line.startswith("| 10,000 | 60 s"))

    # 166.7 visits a second: a third of a processor at 2 ms, two thirds of half of one.
    # 2.88 GB a day raw, four days of it; 10,000 × (2,160 + 730) × 200 B; 0.1 GB of state.
    # 14.4 million visits × 600 B of log.
    assert row == "| 10,000 | 60 s | 166.7 | 1 | 0.08 | 0.7 GB | 17.4 GB | 8.6 GB |"


@pytest.mark.parametrize(("visits_s", "workers"), [(0.1, 1), (250, 1), (250.1, 2), (1000, 4)])
def test_a_worker_is_half_busy_at_most(visits_s, workers):
    assert COSTS.workers(visits_s) == workers


def test_the_defaults_of_retention_are_those_of_the_settings():
    kept = FleetSettings()

    assert (kept.raw_days, kept.hourly_days, kept.daily_days) == (
        sizing.RAW_DAYS,
        sizing.HOURLY_DAYS,
        sizing.DAILY_DAYS,
    )


def test_only_the_block_of_that_name_is_written(tmp_path):
    page = tmp_path / "page.md"
    text = f"a\n{BEGIN}old\n{END}\nb\n"
    page.write_text(text)

    report.write(page, "x", ["new", "newer"])

    assert page.read_text() == text.replace("old", "new\nnewer")
    with pytest.raises(ValueError, match=r"page\.md has no marks for z"):
        report.write(page, "z", [])


def test_a_page_over_its_budget_is_marked():
    figures = {
        name: Figure(name, value, unit, budget, ok)
        for name, value, unit, budget, ok in (
            ("page_pairs_p50", 70.4, "ms", None, True),
            ("page_pairs_p95", 260.0, "ms", 250, False),
            ("page_pairs_cpu", 45.0, "ms", None, True),
            ("page_pairs_queries", 8, "", 12, True),
            ("wal_per_visit", 659.2, "B", 700, True),
        )
    }

    assert list(report.pages(figures))[2:] == ["| pairs | 70 | 260 | 45 | 8 | over |"]
    assert list(report.budgets(figures))[2:] == ["| wal_per_visit | 659 B | 700 B | kept |"]

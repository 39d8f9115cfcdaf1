"""The fleet's trends as they look: charts with a gap, two years, bars, forecasts, an instant."""

from datetime import timedelta

import pytest
from django.core.cache import cache

from fleet.history.models import LampMove, MailboxUse, MemoryGrowth, ScoreDay
from fleet.inspections.terms import forget
from tests.fleet.factories import make_finding, make_pair, make_state, make_worker

LOOKS = [("light", "desktop"), ("dark", "phone")]
MIB = 1024**2


@pytest.fixture
def fleet(transactional_db, now):
    """A few pairs, and scores of a year with a week that nobody wrote."""
    cache.clear()
    forget()
    make_worker(now=now)
    today = now.date()
    for number in range(4):
        pair = make_pair(name=f"northwind-eu-{number}")
        since = now - timedelta(days=number)
        compliance = ("compliant", "at_risk", "non_compliant", "unverified")[number]
        make_state(
            pair, now=now, compliance=compliance, compliance_since=since, rtt_us=900 * number
        )
        LampMove.objects.create(
            target_id=pair.pk, at=now - timedelta(days=90), compliance="compliant", health="healthy"
        )
        MemoryGrowth.objects.create(
            target_id=pair.pk,
            made_of=today,
            days_count=28,
            last_day=today.toordinal() - 719_163,
            level_bytes=900 * MIB,
            slope_bytes=9 * MIB,
            low_bytes=(6 - 3 * number) * MIB,
            high_bytes=12 * MIB,
        )
        MailboxUse.objects.create(
            target_id=pair.pk, made_of=today, mailboxes_count=600, used_memory_bytes=900 * MIB
        )
    make_finding(pair, now=now)
    for number in range(365):
        if not 30 <= number < 37:
            score(today - timedelta(days=number), number)
    return pair


def score(day, number):
    ScoreDay.objects.create(
        day=day,
        pairs_count=100,
        compliant_count=91 - number % 7,
        at_risk_count=5,
        non_compliant_count=3,
        unverified_count=1,
        raw_compliant_count=90 - number % 7,
        conclusive_count=4100,
        applicable_count=4400,
        open_findings={"pair.rtt": [2, 6 + number % 5, 1]} if number < 300 else None,
    )


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_every_view_is_drawn_and_clean(visitor, fleet):
    found = []
    for path in (
        "/admin/trends/",
        "/admin/trends/spread/",
        "/admin/trends/forecasts/",
        f"/admin/trends/instant/?pair={fleet.pk}&at=2026-01-01T10:00",
    ):
        page = visitor.open(path)
        if path == "/admin/trends/":
            page.wait_for_selector("[data-pk-chart=rule-0] canvas")
            page.locator("[data-pk-range='2y']").click()
            page.locator("[data-pk-chart=compliance] summary").click()
            page.wait_for_selector("[data-pk-chart=compliance] table")
            assert page.locator(".pk-plot canvas").count() == 5
            assert "Axis starts at" in page.locator(".pk-axisstart").first.inner_text()
        found += [visitor.overflow(), *visitor.violations()]

    assert found == [0] * 4
    assert visitor.faults == []


def test_the_overviews_chart_outlives_a_poll(visitor, fleet):
    page = visitor.open("/admin/")
    page.wait_for_selector("#pk-compliance-days canvas")
    page.evaluate("document.querySelector('#pk-compliance-days canvas').dataset.kept = 'yes'")

    page.evaluate("""() => new Promise((settled) => {
        htmx.on("htmx:afterSettle", () => settled());
        htmx.trigger(document.querySelector("#pk-overview"), "pk:refresh");
    })""")

    assert page.locator("#pk-compliance-days canvas").get_attribute("data-kept") == "yes"
    assert visitor.faults == []

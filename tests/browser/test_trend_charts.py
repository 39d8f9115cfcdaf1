"""Charts over every range, as they look: bands, gaps, one point only, and none at all."""

from datetime import timedelta
from math import sin

import pytest
from django.core.cache import cache

from fleet.backups.models import Artefact, BackupSource
from fleet.history import partitions, rollup
from fleet.history.models import RolledDay, Visit, VisitDay, VisitHour
from tests.fleet.factories import make_finding, make_pair, make_state, make_worker

LOOKS = [("light", "desktop"), ("dark", "phone")]
RANGES = ("24h", "7d", "30d", "90d", "2y")
DAYS = 200


@pytest.fixture(autouse=True)
def _fresh_caches():
    cache.clear()
    partitions.forget_days()
    yield
    partitions.forget_days()


@pytest.fixture
def watched(transactional_db, now):
    """A pair with visits of a day, hours of a month, days of half a year, and a week unwatched."""
    make_worker(now=now)
    pair = make_pair(name="northwind-eu-0417", emailengine_url="http://ee.example.com:3000")
    make_state(pair, now=now)
    make_finding(pair, "pair.rtt", severity="warning", opened_at=now - timedelta(days=20))
    back_up(pair, now)
    today = now.date()
    partitions.make(partitions.VISITS, [today, today - timedelta(days=1)])
    days = [today - timedelta(days=n) for n in range(1, DAYS) if not 40 <= n < 47]
    for table in (partitions.HOURS, partitions.DAYS):
        partitions.make(table, days)
    VisitDay.objects.bulk_create(row(VisitDay, pair, rollup.bounds(day)[0]) for day in days)
    VisitHour.objects.bulk_create(
        row(VisitHour, pair, rollup.bounds(day)[0] + timedelta(hours=hour))
        for day in days[:30]
        for hour in range(24)
    )
    RolledDay.objects.create(day=days[0], rolled_at=now, visits_count=1)
    Visit.objects.bulk_create(
        visit(pair, now - timedelta(minutes=n), n)
        for n in (*range(1, 300), *range(420, 800))
        if (now - timedelta(minutes=n)).date() >= today - timedelta(days=1)
    )
    return pair


def back_up(pair, now):
    """A copy a night, but for two nights."""
    source = BackupSource.objects.create(target=pair.target, kind="directory", label="nightly")
    for number in range(DAYS):
        if number not in (3, 4):
            at = now - timedelta(days=number, hours=5)
            Artefact.objects.create(
                source=source,
                key=f"dump-{number}",
                state="intact",
                seen_at=at,
                stored_at=at,
                content_at=at,
                size_bytes=(900 - number) * 1024**2,
            )


def row(model, pair, at):
    wave = sin(at.timestamp() / 90_000)
    used = int(2e9 + 1e8 * wave + (at.timestamp() - 1.79e9) * 20)
    return model(
        target_id=pair.pk,
        at=at,
        visits_count=60,
        silent_count=0,
        blind_count=0,
        fails_max_count=1,
        rtt_min_us=250,
        rtt_median_us=int(420 + 60 * wave),
        rtt_max_us=int(900 + 300 * wave),
        used_memory_bytes=used,
        used_memory_min_bytes=used - 100_000_000,
        used_memory_max_bytes=used + 150_000_000,
        maxmemory_bytes=4 * 1024**3,
        last_save_age_max_s=int(900 + 600 * wave),
        fragmentation_ratio=1.1,
        fragmentation_max_ratio=1.2,
        processed_per_minute=int(90 + 40 * wave),
        processed_per_minute_max=160,
        bounce_ratio=0.006 + 0.003 * wave,
        bounce_max_ratio=0.012,
        submit_waiting_count=3,
        submit_waiting_max_count=int(40 + 30 * wave),
        notify_waiting_count=1,
        notify_waiting_max_count=5,
        connected_clients=30,
        connected_clients_max=36,
        api_response_us=40_000,
        api_response_max_us=90_000,
        evicted_keys=0,
        rdb_changes_since_last_save=500,
    )


def visit(pair, at, n):
    return Visit(
        target_id=pair.pk,
        at=at,
        fails_count=0,
        unknowns_count=0,
        outcome=0,
        rtt_median_us=400 + n % 40,
        emailengine_rtt_us=900 + n % 90,
        used_memory_bytes=2_000_000_000 + n * 100_000,
        maxmemory_bytes=4 * 1024**3,
        last_save_age_s=n * 60 % 900,
        submit_waiting_count=n % 17,
        notify_waiting_count=n % 5,
        api_response_us=40_000,
        connected_clients=30,
        fragmentation_ratio=1.1,
        processed_per_minute=90 + n % 30 if n % 5 == 0 else None,
        bounce_ratio=0.006 if n % 5 == 0 else None,
        rdb_changes_since_last_save=n,
        evicted_keys=0,
    )


def is_drawn(page) -> bool:
    """Say whether the RTT's canvas shows its line, in the line's own colour."""
    return page.locator("[data-pk-chart=rtt] canvas").evaluate(
        """(canvas) => {
          const wanted = getComputedStyle(document.documentElement).getPropertyValue("--pk-link").trim();
          const [red, green, blue] = [1, 3, 5].map((at) => parseInt(wanted.slice(at, at + 2), 16));
          // Of a copy: Chromium complains in the console of a canvas that is read again and again.
          const copy = new OffscreenCanvas(canvas.width, canvas.height);
          const pixels = copy.getContext("2d", { willReadFrequently: true });
          pixels.drawImage(canvas, 0, 0);
          const { data } = pixels.getImageData(0, 0, copy.width, copy.height);
          const wants = (at) => data[at] === red && data[at + 1] === green && data[at + 2] === blue;
          for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255 && wants(at)) return true;
          return false;
        }"""
    )


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_every_range_is_drawn_and_clean(visitor, watched):
    page = visitor.open(f"/admin/registry/pair/{watched.pk}/change/")
    page.locator("#pk-trends").scroll_into_view_if_needed()
    page.wait_for_selector("[data-pk-chart=queues] canvas")
    page.locator(".pk-morecharts > summary").click()
    page.wait_for_selector("[data-pk-chart=clients] canvas")
    found = {}
    for name in RANGES:
        with page.expect_response(lambda answer: "/trend/?range=" in answer.url) as answer:
            page.locator(f"[data-pk-range='{name}']").click()
        page.wait_for_function(
            "(name) => document.querySelector('[data-pk-trends]').pkTrends.shown === name", arg=name
        )
        found[name] = [
            is_drawn(page),
            answer.value.status,
            page.locator(".pk-plot canvas").count(),
            visitor.overflow(),
        ]

    assert found == {name: [True, 200, 13, 0] for name in RANGES}
    page.locator(".pk-eventfold > summary").click()
    assert page.locator(".pk-events li").count() == 1
    assert [*visitor.violations(), *visitor.faults] == []


def test_one_point_is_shown_and_nothing_says_so(visitor, transactional_db, now):
    make_worker(now=now)
    pair = make_pair()
    make_state(pair, now=now)
    partitions.make(partitions.VISITS, [now.date()])
    Visit.objects.bulk_create([visit(pair, now, 1)])
    page = visitor.open(f"/admin/registry/pair/{pair.pk}/change/")
    page.locator("#pk-trends").scroll_into_view_if_needed()
    page.wait_for_selector("[data-pk-chart=memory] canvas")
    assert page.locator("[data-pk-chart=queues]").count() == 0
    assert page.locator("[data-pk-chart=backup-age]").is_hidden()

    Visit.objects.all().delete()
    page.locator("[data-pk-range='7d']").click()
    page.wait_for_selector("[data-pk-chart=memory] .pk-plot .pk-quiet")

    assert (
        page.locator("[data-pk-chart=memory] .pk-plot").inner_text() == "No reading in this time."
    )
    assert page.locator("[data-pk-chart=memory] [data-pk-csv]").is_hidden()

    page.route("**/trend/?range=30d", lambda route: route.abort())
    page.locator("[data-pk-range='30d']").click()
    failed = "The readings could not be loaded. Choose a time above to ask again."
    page.get_by_text(failed).first.wait_for()
    assert page.locator("[data-pk-chart=rtt] .pk-plot").inner_text() == failed
    assert all("ERR_FAILED" in fault for fault in visitor.faults)

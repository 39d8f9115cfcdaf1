"""Pairs and findings in a browser: clean in every look, usable by keyboard, alive while checking."""

import threading
import time
from datetime import timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.utils import timezone

from fleet.history import partitions
from fleet.history.models import Visit
from fleet.inspections.ladder import Rung, to_json
from fleet.inspections.models import ConnectionTest, PairSchedule, PairState
from fleet.inspections.schedule import claim_due, ensure_schedule
from tests.checks.pairs import HIDDEN, facts_with
from tests.fleet.factories import (
    make_finding,
    make_pair,
    make_reading,
    make_state,
    make_tenant,
    make_worker,
)

LOOKS = [(theme, size) for theme in ("light", "dark") for size in ("desktop", "phone")]


@pytest.fixture(autouse=True)
def _fresh_caches():
    cache.clear()
    partitions.forget_days()
    yield
    partitions.forget_days()


@pytest.fixture
def pair(transactional_db, now):
    """A pair with a bit of everything: fails, doubts, passes, history with a gap, a past finding."""
    make_worker(now=now)
    pair = make_pair(
        name="northwind-eu-0417",
        emailengine_url="http://ee.example.com:3000",
        labels={"team": "mail"},
        expected_mailboxes=2480,
        redis_password="env:PAIRKEEPER_SECRET_REDIS",
    )
    make_state(
        pair,
        now=now,
        compliance="non_compliant",
        compliance_since=now - timedelta(minutes=14),
        rank=1,
        critical_count=1,
        worst_short="maxmemory-policy is allkeys-lru",
    )
    facts = facts_with(
        maxmemory_policy="allkeys-lru", tcp_keepalive_s=HIDDEN, save=((3600, 1),), config_file=""
    )
    make_reading(pair, facts, now, raw=[["INFO", "redis_version:7.2.4\r\n" * 40]])
    make_finding(pair, now=now, evidence={"used_ratio": 0.71, "maxmemory_policy": "allkeys-lru"})
    make_finding(pair, "redis.rdb-schedule", now=now, severity="warning", message="Weak schedule")
    make_finding(pair, "redis.stall", now=now, state="pending", results=1, results_count=1)
    make_finding(
        pair,
        "pair.rtt",
        now=now,
        severity="warning",
        state="resolved",
        opened_at=now - timedelta(hours=4),
        resolved_at=now - timedelta(hours=3),
    )
    for minutes in (*range(1, 60), *range(120, 300)):
        at = now - timedelta(minutes=minutes)
        partitions.ensure_day(at.date())
        Visit.objects.create(
            target_id=pair.pk,
            at=at,
            rtt_median_us=300,
            emailengine_rtt_us=700 + minutes,
            used_memory_bytes=700,
            maxmemory_bytes=1000,
            fails_count=1,
            unknowns_count=1,
            outcome=0,
        )
    return pair


@pytest.fixture
def addresses(pair):
    finding = pair.target.findings.get(rule_id="redis.eviction-policy")
    past = pair.target.findings.get(rule_id="pair.rtt")
    make_state(make_pair("Halden Clinics", name="halden-eu-0001"))
    make_pair("Halden Clinics", name="never-read")
    of_pair = f"/admin/registry/pair/{pair.pk}"
    return [
        "/admin/registry/pair/",
        "/admin/registry/pair/?q=nothing-is-called-so",
        "/admin/registry/pair/?state=paused&engine=valkey",
        "/admin/registry/pair/add/",
        f"{of_pair}/change/",
        f"{of_pair}/edit/",
        f"{of_pair}/findings/",
        f"{of_pair}/changes/",
        "/admin/findings/finding/",
        "/admin/findings/finding/?state=pending",
        "/admin/findings/finding/?state=resolved",
        f"/admin/findings/finding/{finding.pk}/change/",
        f"/admin/findings/finding/{past.pk}/change/",
    ]


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_every_page_is_clean(visitor, addresses):
    found = {}
    for path in addresses:
        visitor.open(path)
        found[path] = [*visitor.violations(), *visitor.faults]
        if visitor.overflow():
            found[path].append(f"{visitor.overflow()} px too wide")
        visitor.faults.clear()

    assert found == {path: [] for path in addresses}


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_everything_that_opens_is_clean_too(visitor, pair):
    page = visitor.open(f"/admin/registry/pair/{pair.pk}/change/")
    page.locator("[data-pk-unfold]").click()
    page.locator("#pk-evidence > summary").click()
    page.locator(".pk-reply > summary").first.click()
    page.locator("#pk-trends").scroll_into_view_if_needed()
    page.wait_for_selector("[data-pk-chart=memory] canvas")
    page.locator("[data-pk-chart=rtt] summary").click()
    page.wait_for_selector(".pk-trendtable table")
    page.locator(".pk-more > summary").click()

    assert [*visitor.violations(), *visitor.faults, visitor.overflow()] == [0]


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_the_filter_sheet_is_clean(visitor, pair):
    page = visitor.open("/admin/registry/pair/")
    page.get_by_role("button", name="Filters").click()
    page.wait_for_selector("#changelist-filter", state="visible")

    assert [*visitor.violations(), *visitor.faults, visitor.overflow()] == [0]


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_the_bar_of_bulk_actions_is_clean(visitor, pair):
    page = visitor.open("/admin/registry/pair/")
    page.locator("#action-toggle").check()
    page.wait_for_selector("#changelist-actions", state="visible")

    assert [*visitor.violations(), *visitor.faults, visitor.overflow()] == [0]


def test_the_filter_sheet_narrows_by_a_tenant_as_typed(visitor, pair):
    make_pair("Halden Clinics", name="halden-eu-0001")
    page = visitor.open("/admin/registry/pair/")
    page.get_by_role("button", name="Filters").focus()
    page.keyboard.press("Enter")
    page.fill("#pk-filter-tenant", "Hal")
    page.wait_for_selector("#pk-filter-tenants option[value='Halden Clinics']", state="attached")
    page.fill("#pk-filter-tenant", "Halden Clinics")
    with page.expect_navigation():
        page.get_by_role("button", name="Apply Filters").click()

    assert page.locator("a.pk-name").all_inner_texts() == ["halden-eu-0001"]
    assert visitor.faults == []


def test_chips_narrow_the_rules_by_keyboard(visitor, pair):
    page = visitor.open(f"/admin/registry/pair/{pair.pk}/change/")
    chip = page.locator("[data-pk-only=not_verified]")
    chip.focus()
    page.keyboard.press("Enter")

    shown = page.locator("tr[data-outcome]:visible")
    outcomes = {row.get_attribute("data-outcome") for row in shown.all()}
    assert outcomes == {"not_verified"}
    assert chip.get_attribute("aria-pressed") == "true"
    page.locator("[data-pk-only='']").click()
    assert page.locator("tr[data-outcome=fail]:visible").count() >= 2


def test_check_now_follows_the_visit_and_shows_its_result_without_moving_focus(visitor, pair, now):
    ensure_schedule(now)
    page = visitor.open(f"/admin/registry/pair/{pair.pk}/change/")
    page.locator("[data-pk-only=fail]").click()
    button = page.locator(".pk-acts [data-pk-check] button")
    button.focus()
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('#pk-progress').innerText === 'Queued…'")
    assert button.get_attribute("aria-disabled") == "true"

    assert claim_due(timezone.now(), 10)
    page.wait_for_function(
        "() => document.querySelector('#pk-progress').innerText.startsWith('Checking…')"
    )
    PairState.objects.update(compliance="compliant", checked_at=timezone.now())
    pair.target.findings.filter(state="open").update(state="resolved", resolved_at=timezone.now())
    PairSchedule.objects.update(asked_at=None, lease_until=None)
    page.wait_for_selector("#pk-verdict .pk-edge.pk-good >> text=/^\\s*Compliant for/")

    assert page.locator("#pk-progress").inner_text() == "Checked: Compliant, Healthy."
    assert page.evaluate("() => document.activeElement.closest('[data-pk-check]') !== null")
    assert button.get_attribute("aria-disabled") == "false"
    assert page.locator("[data-pk-only=fail]").get_attribute("aria-pressed") == "true"
    assert visitor.faults == []


def span(page, name) -> float:
    """Give how many seconds a chart shows."""
    return page.locator(f"[data-pk-chart={name}]").evaluate(
        "(box) => box.pkPlot.scales.x.max - box.pkPlot.scales.x.min"
    )


def test_a_chart_answers_to_its_keys_and_a_change_of_theme(visitor, pair):
    page = visitor.open(f"/admin/registry/pair/{pair.pk}/change/")
    page.locator("#pk-trends").scroll_into_view_if_needed()
    page.wait_for_selector("[data-pk-chart=rtt] canvas")
    plot = page.locator("[data-pk-chart=rtt] .pk-plot")
    plot.focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("[data-pk-chart=rtt] .pk-tip:not([hidden])")

    assert "EmailEngine to Redis 0.7" in page.locator("[data-pk-chart=rtt] .pk-tip").inner_text()
    assert plot.get_attribute("aria-label").startswith("RTT, EmailEngine to Redis: lowest 0.70")
    assert page.locator("[data-pk-chart=memory] .pk-tip").is_visible()
    spans = [span(page, "memory")]
    for key in ("+", "-", "+", "+", "0"):
        page.keyboard.press(key)
        spans.append(span(page, "memory"))
    assert [one / spans[0] for one in spans] == pytest.approx([1, 0.5, 1, 0.5, 0.25, 1], abs=0.01)
    page.evaluate("() => document.documentElement.classList.add('dark')")
    page.wait_for_selector("[data-pk-chart=rtt] canvas")
    page.locator("[data-pk-range='7d']").click()
    page.wait_for_load_state("networkidle")
    assert visitor.faults == []


def test_the_finding_page_reads_itself_anew_after_a_check(visitor, pair, now):
    ensure_schedule(now)
    finding = pair.target.findings.get(rule_id="redis.eviction-policy")
    page = visitor.open(f"/admin/findings/finding/{finding.pk}/change/")
    page.locator(".pk-then button").click()
    page.wait_for_selector("#pk-progress .pk-progress")
    finding.state, finding.resolved_at = "resolved", timezone.now()
    finding.save()
    PairSchedule.objects.update(asked_at=None)
    page.wait_for_selector("text=Observed then")

    assert visitor.faults == []


FAILED = to_json(
    (
        Rung("name", "ok", "redis-0613.example.com is 10.31.4.17", ms=3.0),
        Rung("connection", "ok", "port 6380 answers", ms=0.4),
        Rung("tls", "ok", "the certificate is trusted"),
        Rung("sign_in", "failed", "WRONGPASS invalid username-password pair", "auth"),
        Rung("rights", "not_tried"),
        Rung("emailengine", "not_tried"),
    )
)


@pytest.fixture
def failing_worker():
    """Answer one connection test as a worker whose sign-in failed."""

    def serve():
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if ConnectionTest.objects.filter(result__isnull=True).update(result=FAILED):
                break
            time.sleep(0.05)
        connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield
    thread.join(timeout=65)


@pytest.mark.parametrize("visitor", [("dark", "phone")], indirect=True)
def test_on_a_phone_nothing_of_a_pair_lies_beside_the_screen(visitor, pair, now):
    page = visitor.open(f"/admin/registry/pair/{pair.pk}/changes/")
    assert page.get_by_role("link", name="Changes", exact=True).bounding_box()["x"] < 390
    page.locator(".pk-more summary").click()
    menu = page.locator(".pk-more form").bounding_box()
    assert (menu["x"] >= 0, menu["x"] + menu["width"] <= 390) == (True, True)

    visitor.open(f"/admin/registry/pair/{make_pair(zone='ap-1').pk}/change/")
    assert page.get_by_text("This pair is not checked.").is_visible()
    assert [*visitor.violations(), *visitor.faults, visitor.overflow()] == [0]


@pytest.mark.parametrize("visitor", [LOOKS[0], LOOKS[-1]], indirect=True, ids="-".join)
def test_a_test_that_did_not_begin_takes_the_focus_and_shows_no_step(visitor, now):
    make_worker("us-9", timedelta(minutes=12), now)
    make_tenant("Halden Clinics")
    page = visitor.open("/admin/registry/pair/add/")
    page.fill("[name=name]", "halden-us-0613")
    page.fill("[name=redis_url]", "redis://redis-0613.example.com:6379/0")
    page.locator("[name=_test_save]").click()
    page.wait_for_selector("[role=alert]")

    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "alert"
    said = " ".join(page.inner_text("[role=alert]").split())
    assert "No worker in zone us-9 was seen within 60 s. The last one was seen 12 min ago." in said
    assert page.locator(".pk-ladder").count() == 0
    assert [*visitor.violations(), *visitor.faults, visitor.overflow()] == [0]


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_a_failed_test_takes_the_focus_and_loses_the_password(visitor, now, failing_worker):
    make_worker(now=now)
    make_tenant("Halden Clinics")
    page = visitor.open("/admin/registry/pair/add/")
    page.fill("[name=name]", "halden-eu-0613")
    page.locator(".field-tenant .select2-selection").click()
    page.locator(".select2-results__option", has_text="Halden Clinics").click()
    page.fill("[name=redis_url]", "rediss://pairkeeper:hunter2@redis-0613.example.com:6380/0")
    page.locator("[name=_test_save]").click()
    page.wait_for_selector("[role=alert]")

    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "alert"
    assert "Connection test failed at sign-in. Nothing was saved." in page.inner_text(
        "[role=alert]"
    )
    assert "hunter2" not in page.content()
    assert page.input_value("[name=redis_url]") == (
        "rediss://pairkeeper@redis-0613.example.com:6380/0"
    )
    assert [*visitor.violations(), *visitor.faults, visitor.overflow()] == [0]

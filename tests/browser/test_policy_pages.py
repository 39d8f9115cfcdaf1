"""Policies and attestations in a browser: clean in both themes and sizes, and used by keyboard and mouse."""

from datetime import timedelta

import pytest
from django.core.cache import cache

from fleet.inspections.dryrun import run_dry
from fleet.inspections.models import DryRun, LatestFacts
from fleet.inspections.terms import forget
from fleet.registry.attestations import Claim, attest_targets, attest_tenant
from fleet.registry.models import Attestation, PolicyVersion
from fleet.registry.policies import FLEET, Level, Subject, save_layer
from tests.fleet.factories import make_pair, make_state, make_worker

LOOKS = [(theme, size) for theme in ("light", "dark") for size in ("desktop", "phone")]
HEADROOM, RTT = "redis.memory-headroom", "pair.rtt"


@pytest.fixture(autouse=True)
def _fresh():
    cache.clear()
    forget()
    yield
    forget()


@pytest.fixture
def pair(transactional_db, now):
    """A pair with a layer on every level, something attested and something waiting."""
    make_worker(now=now)
    pair = make_pair(name="northwind-eu-0417", emailengine_url="https://ee.example.com")
    other = make_pair("Halden Clinics", name="halden-eu-0613")
    for one in (pair, other):
        make_state(one, now=now)
        LatestFacts.objects.create(
            target=one.target, cadence="persistence", facts={}, verdicts={}, digest=0,
            read_at=now, unattested=["disk_iops", "managed_durability"],
        )  # fmt: skip
    home = pair.target.tenant_id
    layers = {
        FLEET: {HEADROOM: {"warn_used_ratio": 0.75}, RTT: {"open_after": [3, 5]}},
        Subject(Level.ENVIRONMENT.value, environment="production"): {RTT: {"warn_rtt_ms": 0.8}},
        Subject(Level.TENANT.value, tenant_id=home): {"redis.stall": {"enabled": False}},
        Subject(Level.PAIR.value, tenant_id=home, target_id=pair.pk): {
            HEADROOM: {"severity": "warning", "warn_used_ratio": 0.7}
        },
    }
    for subject, overrides in layers.items():
        note = "agreed with the customer on 3 November"
        save_layer(subject, overrides, note=note, base=0, by_id=None, at=now)
    vouch = ("Ida Holm, storage", "fio run of 3 November, ticket OPS-118")
    attest_targets([pair.target], Claim("disk_iops", 12_000, *vouch, now - timedelta(1)), None, now)
    attest_tenant(
        pair.target.tenant, Claim("ram_bytes", 2**33, *vouch, now + timedelta(9)), None, now
    )
    return pair


def tried(now, changes):
    run = DryRun.objects.create(
        level="fleet", base=1, overrides={HEADROOM: {"warn_used_ratio": 0.5}}, note="tighter",
        asked_at=now, started_at=now, finished_at=now, pairs_count=2, done_count=2, changes=changes,
    )  # fmt: skip
    return f"/admin/policies/tries/{run.pk}/"


def tried_on_many(pair, now):
    return DryRun.objects.create(
        level="pair", target_ids=[pair.pk], base=9, overrides={HEADROOM: {"warn_used_ratio": 0.5}},
        note="tighter", asked_at=now, started_at=now, finished_at=now, pairs_count=1, done_count=1,
    ).pk  # fmt: skip


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_every_page_is_clean(visitor, pair, now):
    changes = [
        [pair.pk, HEADROOM, "opens", "warning", "Memory at 61%"],
        [pair.pk, RTT, "resolves", "critical", "RTT 0.42 ms"],
    ]
    pages = [
        "/admin/policies/",
        "/admin/policies/edit/?level=fleet",
        f"/admin/policies/edit/?level=pair&pair={pair.pk}",
        f"/admin/policies/versions/?level=pair&pair={pair.pk}",
        tried(now, changes),
        f"/admin/policies/pairs/?try={tried_on_many(pair, now)}",
        f"/admin/policies/tries/{tried_on_many(pair, now)}/",
        "/admin/attestations/",
        "/admin/attestations/?key=disk_iops",
        f"/admin/registry/pair/{pair.pk}/attestations/?key=managed_durability",
    ]
    found = {}
    for path in pages:
        visitor.open(path)
        found[path] = [*visitor.violations(), *visitor.faults]
        if visitor.overflow():
            found[path].append(f"{visitor.overflow()} px too wide")
        visitor.faults.clear()

    assert found == {path: [] for path in pages}


def test_a_policy_is_edited_tried_and_put_in_force(visitor, pair, now):
    page = visitor.open("/admin/policies/edit/?level=fleet")
    page.get_by_role("searchbox", name="Find a rule").fill("redis.memory-headroom")
    assert page.locator("[data-pk-rule]:visible").count() == 1
    page.locator(f"[name='{HEADROOM}:warn_used_ratio']").fill("7")
    page.get_by_label("Why").fill("tighter")
    page.get_by_role("button", name="Try it").click()
    page.get_by_role("alert").wait_for()
    assert "allowed is a number from 0 to 1" in page.get_by_role("alert").inner_text()
    assert page.evaluate("() => document.activeElement.getAttribute('role')") == "alert"

    page.locator(f"[name='{HEADROOM}:warn_used_ratio']").fill("0.7")
    page.get_by_role("button", name="Try it").click()
    page.get_by_text("Queued").wait_for()
    run_dry(DryRun.objects.get().pk, now)
    page.get_by_text("No finding would open, resolve or change.").wait_for()
    page.get_by_role("button", name="Put it in force").click()
    page.get_by_text("Version 2 for the fleet is in force").wait_for()

    assert PolicyVersion.objects.get(level="fleet", is_current=True).overrides == {
        HEADROOM: {"warn_used_ratio": 0.7},
        RTT: {"open_after": [3, 5]},
    }
    assert visitor.faults == []


def test_the_policy_of_chosen_pairs_is_set_from_the_list(visitor, pair, now):
    page = visitor.open("/admin/registry/pair/")
    for name in ("northwind-eu-0417", "halden-eu-0613"):
        page.get_by_role("row", name=name).get_by_role("checkbox").check()
    page.locator("select[name=action]").select_option("set_policy")
    page.get_by_role("button", name="Run").click()
    page.get_by_role("heading", name="Policy of 2 pairs").first.wait_for()
    page.get_by_role("searchbox", name="Find a rule").fill(RTT)
    page.locator(f"[data-pk-rule^='{RTT}'] summary").click()
    page.locator(f"[name='{RTT}:warn_rtt_ms']").fill("0.6")
    page.get_by_label("Why").fill("they stand in one rack")
    page.get_by_role("button", name="Try it").click()
    page.get_by_text("Queued").wait_for()
    run_dry(DryRun.objects.get().pk, now)
    page.get_by_role("button", name="Put it in force").click()
    page.get_by_text("The policy of 2 pairs is in force").wait_for()

    versions = PolicyVersion.objects.filter(level="pair", is_current=True)
    assert {one.overrides.get(RTT, {}).get("warn_rtt_ms") for one in versions} == {0.6}
    assert versions.count() == 2
    assert visitor.faults == []


def test_many_pairs_are_attested_at_once(visitor, pair):
    page = visitor.open("/admin/attestations/?key=managed_durability")
    page.get_by_label("Value").fill("yes")
    page.get_by_label("Who says so").fill("Ida Holm")
    page.get_by_label("Evidence").fill("contract of 3 November")
    page.get_by_label("Tick all on this page").check()
    page.get_by_role("button", name="Attest", exact=True).click()
    page.get_by_text("Attested for 2 pairs.").wait_for()

    assert Attestation.objects.filter(key="managed_durability", value=True).count() == 2
    assert visitor.faults == []

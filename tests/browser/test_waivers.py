"""A rule is waived from its finding, and maintenance started from a pair's page: clean under axe."""

from datetime import timedelta

import pytest
from django.core.cache import cache

from fleet.findings.maintenance import Plan, start
from fleet.findings.models import Finding, Waiver
from fleet.findings.waivers import Ask
from fleet.inspections import waive
from fleet.people.models import User
from fleet.registry.models import FleetSettings
from tests.fleet.factories import make_finding, make_pair, make_person, make_state

LOOKS = [(theme, size) for theme in ("light", "dark") for size in ("desktop", "phone")]
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def memory(pair, now, ratio, **fields) -> Finding:
    return make_finding(
        pair,
        "redis.memory-headroom",
        now=now,
        severity="critical" if ratio >= 0.9 else "warning",
        message=f"Redis uses {ratio:.0%} of its memory; keep it below 80%",
        short=f"Memory at {ratio:.0%}",
        observed=f"{ratio:.0%} of 4.0 GiB",
        required="< 80%",
        worst=f"{ratio:.0%} of 4.0 GiB",
        worst_measure=ratio,
        **fields,
    )


def ask(finding, now, **fields) -> Ask:
    target = finding.target
    values = {
        "rule_id": finding.rule_id,
        "tenant_id": target.tenant_id,
        "target_id": target.pk,
        "severity": "critical",
        "kind": "fix_scheduled",
        "reason": "A larger plan is ordered; delivery by the end of next week, ticket OPS-2211.",
        "expires_at": now + 5 * DAY,
        **fields,
    }
    return Ask(**values)


@pytest.fixture
def fleet(visitor, now):
    """Two pairs that fail, one covered and in maintenance, and a request that waits."""
    cache.clear()
    noor = make_person("noor", first_name="Noor", last_name="Haddad")
    pairs = [make_pair(name=f"northwind-eu-04{n}") for n in range(3)]
    for pair in pairs:
        make_state(pair, now=now, compliance="non_compliant", critical_count=1, rank=1)
    found = [make_finding(pair, now=now) for pair in pairs]
    memory(pairs[1], now, 0.84)
    memory(pairs[2], now, 0.93)
    covered = waive.request(ask(found[0], now), noor.pk, now)
    FleetSettings.objects.update_or_create(pk=1, defaults={"second_person": True})
    waiting = waive.request(ask(found[1], now, kind="accepted_risk"), noor.pk, now)
    ids = frozenset([pairs[0].pk])
    window = start(Plan(now, now + HOUR, ids, pairs[0].target.tenant_id), noor.pk, now)
    return {
        "pair": pairs[0],
        "finding": found[2],
        "other": found[1],
        "covered": covered,
        "waiting": waiting,
        "window": window,
        "pairs": pairs,
    }


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_the_pages_of_waivers_and_maintenance_are_clean(visitor, fleet):
    register = "/admin/findings/waiver/"
    windows = "/admin/findings/maintenancewindow/"
    pages = {
        "list": register,
        "waiting": f"{register}?view=waiting",
        "form": f"{register}add/?finding={fleet['finding'].pk}",
        "several": f"{register}add/?finding={fleet['finding'].pk}&finding={fleet['other'].pk}",
        "page": f"{register}{fleet['covered'].pk}/change/",
        "approve": f"{register}{fleet['waiting'].pk}/change/",
        "windows": windows,
        "window": f"{windows}{fleet['window'].pk}/change/",
        "window-form": f"{windows}add/?pair={fleet['pairs'][1].pk}",
        "findings": "/admin/findings/finding/",
        "pairs": "/admin/registry/pair/",
        "pair": f"/admin/registry/pair/{fleet['pair'].pk}/change/",
    }
    for name, path in pages.items():
        visitor.open(path)
        assert (name, [*visitor.violations(), *visitor.faults]) == (name, [])
        assert (name, visitor.overflow()) == (name, 0)


def test_a_rule_is_waived_from_its_finding_and_the_preview_follows(visitor, fleet):
    finding = Finding.objects.get(rule_id="redis.memory-headroom", severity="critical")
    page = visitor.open(f"/admin/findings/finding/{finding.pk}/change/")
    page.get_by_role("link", name="Waive", exact=True).click()
    preview = page.locator("#pk-covers + div")
    assert "1 open finding" in preview.inner_text()

    page.get_by_label("Pair", exact=True).fill("")
    page.get_by_label("Pair", exact=True).blur()
    page.wait_for_function("() => document.body.innerText.includes('2 open findings')")
    page.get_by_label("Up to a worst value of").fill("90%")
    page.get_by_label("Up to a worst value of").blur()
    page.wait_for_function("() => document.body.innerText.includes('its worst value is 93%')")
    page.get_by_label("Reason", exact=True).fill("The plan is being changed, OPS-2211")
    page.get_by_role("button", name="Waive", exact=True).click()
    page.wait_for_selector("text=Asked for: it waits until somebody else approves it.")

    waiver = Waiver.objects.latest("pk")
    assert (waiver.target, waiver.ceiling, waiver.needs_second) == (None, 0.9, True)
    assert waiver.requested_by == User.objects.get(username="mara")
    assert visitor.faults == []


def test_half_an_hour_of_maintenance_is_one_click(visitor, fleet):
    page = visitor.open(f"/admin/registry/pair/{fleet['pairs'][1].pk}/change/")

    page.get_by_role("button", name="Maintenance 30 min").click()
    page.wait_for_selector("text=mail about this pair waits for 30 minutes")

    assert page.get_by_text("Maintenance until").count() == 1
    assert page.get_by_role("button", name="Maintenance 30 min").count() == 0
    assert visitor.faults == []

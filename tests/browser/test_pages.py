from datetime import timedelta

import pytest
from django.core.cache import cache

from fleet.inspections.models import PairState
from tests.fleet.factories import (
    make_finding,
    make_pair,
    make_state,
    make_tenant,
    make_worker,
)

LOOKS = [(theme, size) for theme in ("light", "dark") for size in ("desktop", "phone")]
PAGES = [
    "/admin/",
    "/admin/zones/",
    "/admin/rules/",
    "/admin/rules/redis.eviction-policy/",
    "/admin/registry/tenant/",
    "/admin/registry/tenant/add/",
    "/admin/registry/zone/add/",
    "/admin/registry/fleetsettings/",
    "/admin/people/user/",
    "/admin/people/user/add/",
    "/admin/password_change/",
]


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def fleet(transactional_db, now):
    """A little of everything that the pages show."""
    make_worker(now=now)
    make_worker(zone="ap-1", seen=timedelta(minutes=11), now=now)
    bad = make_pair(emailengine_url="https://ee.example.com", expected_mailboxes=2400)
    make_state(bad, now=now, compliance="non_compliant", critical_count=1)
    make_finding(bad, now=now)
    make_finding(
        bad,
        "pair.rtt",
        now=now,
        severity="warning",
        state="resolved",
        short="RTT 1.42 ms to EmailEngine",
        resolved_at=now - timedelta(minutes=3),
    )
    silent = make_pair("Halden Clinics", "ap-1")
    make_state(
        silent, now=now, compliance="unverified", core_unknown={"redis.durability": "no_worker"}
    )
    make_state(make_pair("Halden Clinics"), now=now)
    make_pair("Tessera Travel")
    make_tenant("Tenant without pairs")
    cache.clear()


def test_axe_would_say_so(visitor):
    page = visitor.open("/admin/")
    page.evaluate("() => { document.querySelector('.pk-h1').style.color = '#ddd'; }")

    assert [one.split(":")[0] for one in visitor.violations()] == ["color-contrast"]


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_every_page_is_clean(visitor, fleet):
    found = {}
    for path in PAGES:
        visitor.open(path)
        found[path] = [*visitor.violations(), *visitor.faults]
        if visitor.overflow():
            found[path].append(f"{visitor.overflow()} px too wide")
        visitor.faults.clear()

    assert found == {path: [] for path in PAGES}


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_the_first_run_page_is_clean(visitor):
    page = visitor.open("/admin/")

    assert page.get_by_role("heading", name="No pair yet").is_visible()
    page.get_by_text("Lines for Dragonfly, KeyDB").click()
    assert [*visitor.violations(), *visitor.faults] == []
    assert visitor.overflow() == 0


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_the_sign_in_page_is_clean(visitor):
    visitor.context.clear_cookies()
    visitor.open("/admin/login/")

    assert [*visitor.violations(), *visitor.faults] == []


def test_copy_says_copied_and_selects_without_clipboard_rights(visitor):
    page = visitor.open("/admin/")
    button = page.locator("[data-pk-copy]").first

    button.click()
    # Read at once: it says "Copy" again after two seconds.
    label = page.wait_for_function(
        """() => {
            const said = document.querySelector('[data-pk-copy-label]').textContent;
            return said !== 'Copy' && said;
        }"""
    ).json_value()
    selected = page.evaluate("() => window.getSelection().toString()")

    assert label == "Copied" or (label == "Press Ctrl+C" and selected.startswith("ACL SETUSER"))


def test_the_poll_brings_what_is_new_and_leaves_focus_alone(visitor, fleet):
    page = visitor.open("/admin/")
    assert page.get_by_text("1 of 4 pairs is non-compliant").is_visible()
    PairState.objects.filter(compliance="compliant").update(compliance="non_compliant")
    cache.clear()
    page.get_by_role("link", name="Tenants", exact=True).first.focus()

    poll(page)
    page.wait_for_function(
        "() => document.querySelector('#pk-overview').innerText.includes('2 of 4 pairs')"
    )

    assert page.evaluate("() => document.activeElement.innerText.includes('Tenants')")


def test_a_portal_that_does_not_answer_is_told(visitor, fleet):
    page = visitor.open("/admin/")
    notice = page.get_by_text("The portal does not answer")

    visitor.context.set_offline(True)
    poll(page)
    notice.wait_for(state="visible")
    visitor.context.set_offline(False)
    poll(page)
    notice.wait_for(state="hidden")


def test_the_poll_waits_while_somebody_is_in_the_page(visitor, fleet):
    page = visitor.open("/admin/")
    page.locator("#pk-overview a").first.focus()
    with page.expect_event("console", predicate=lambda _: True) as said:
        page.evaluate(
            "() => { htmx.on('htmx:beforeRequest', (e) => setTimeout("
            "() => console.log(e.defaultPrevented), 0)); }"
        )
        poll(page)

    assert said.value.text == "true"


def poll(page):
    """Do now what every 30 s brings."""
    page.evaluate("() => htmx.trigger('#pk-overview', 'pk:refresh')")


def test_the_menu_is_reached_by_keyboard(visitor):
    page = visitor.open("/admin/")
    user = page.get_by_role("button", name="Mara Lindt")

    user.focus()
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Dark").wait_for(state="visible")
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Dark").wait_for(state="hidden")


def test_the_first_step_of_the_keyboard_leads_past_the_menu(visitor):
    page = visitor.open("/admin/")

    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.innerText") == "Skip to the content"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("() => document.activeElement.closest('#content') !== null")

import pytest
from django.core.cache import cache

from tests.fleet.factories import make_finding, make_pair, make_state

LOOKS = [(theme, size) for theme in ("light", "dark") for size in ("desktop", "phone")]


@pytest.fixture
def loss(transactional_db, now):
    cache.clear()
    pair = make_pair(emailengine_url="https://ee.example.com")
    make_state(pair, now=now, health="failing", critical_count=1)
    return make_finding(
        pair,
        "pair.data-intact",
        now=now,
        kind="operation",
        message="Data is gone: 5,000 keys → 3; it must all be there",
        short="Data lost: 5,000 keys → 3",
        observed="5,000 keys → 3",
        required="about as before",
        evidence={"keys_count": 3, "baseline_keys_count": 5000, "database": 8},
    )


@pytest.mark.parametrize("visitor", LOOKS, indirect=True, ids="-".join)
def test_a_loss_is_acknowledged_on_its_page(visitor, loss):
    page = visitor.open(f"/admin/findings/finding/{loss.pk}/change/")
    form = page.get_by_role("textbox", name="Reason")
    form.scroll_into_view_if_needed()

    assert [*visitor.violations(), *visitor.faults] == []
    assert not visitor.overflow()
    form.fill("accounts were moved to another pair")
    page.get_by_role("combobox", name="How long").select_option("accept")
    page.get_by_role("button", name="Acknowledge").click()
    page.wait_for_selector("text=Accepted, and closed. The pair is checked again.")
    assert form.count() == 0

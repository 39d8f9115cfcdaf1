"""Maintenance in the portal: one click, the form's fields, who may, and what lists show."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client

from fleet.findings.maintenance import Plan, silenced, start
from fleet.findings.models import MaintenanceWindow
from tests.fleet.factories import NOW, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db
ADD = "/admin/findings/maintenancewindow/add/"
LIST = "/admin/findings/maintenancewindow/"
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def _at_noon():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def pair():
    found = make_pair(name="northwind-eu-1", labels={"rack": "7"})
    make_state(found)
    return found


@pytest.fixture
def mara():
    return signed_in(make_person())


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person)
    return client


def role(name, tenant="Northwind Mail") -> Client:
    return signed_in(make_person(name, is_operator=False, roles=[(name, tenant)]))


def typed(**changes):
    values = {
        "tenant": "Northwind Mail",
        "label": "",
        "starts_at": "",
        "ends_at": "2026-11-21T16:00",
        "reason": "Resizing",
        "zone": "own",
    }
    return values | changes


def test_half_an_hour_is_one_click_and_the_pair_says_so(mara, pair):
    answer = mara.post(f"/admin/registry/pair/{pair.pk}/maintenance/", follow=True)

    window = MaintenanceWindow.objects.get()
    assert (window.starts_at, window.ends_at) == (NOW, NOW + 30 * MINUTE)
    assert silenced([pair.pk], NOW) == {pair.pk}
    page = answer.content.decode()
    assert "Maintenance until 15:02 UTC" in page
    assert f'href="/admin/findings/maintenancewindow/{window.pk}/change/"' in page
    assert "Maintenance until 15:02 UTC" in mara.get("/admin/registry/pair/").content.decode()


def test_a_second_click_says_that_there_is_maintenance_already(mara, pair):
    for _ in range(2):
        answer = mara.post(f"/admin/registry/pair/{pair.pk}/maintenance/", follow=True)

    assert MaintenanceWindow.objects.count() == 1
    assert "There is maintenance already" in answer.content.decode()


def test_a_tenants_window_is_saved_as_typed_in_ones_own_time_zone(pair):
    client = signed_in(make_person(time_zone="Europe/Berlin"))

    client.post(ADD, typed(starts_at="2026-11-21T16:00", ends_at="2026-11-21T18:00"))

    window = MaintenanceWindow.objects.get()
    assert (window.scope, window.tenant.name) == ("tenant", "Northwind Mail")
    assert window.starts_at == datetime(2026, 11, 21, 15, tzinfo=UTC)
    assert window.ends_at == datetime(2026, 11, 21, 17, tzinfo=UTC)


def test_a_label_holds_within_a_tenant_or_for_operators_everywhere(mara, pair):
    theirs = make_pair("Contoso", labels={"rack": "7"})
    mara.post(ADD, typed(tenant="", label="rack=7"))
    assert silenced([pair.pk, theirs.pk], NOW) == {pair.pk, theirs.pk}

    editor = role("editor")
    form = editor.post(ADD, typed(tenant="", label="rack = 7")).context["form"]
    assert form.errors == {"tenant": ["Name a tenant."]}


def test_pairs_of_two_tenants_are_a_window_each(mara, pair):
    theirs = make_pair("Contoso")
    query = f"?pair={pair.pk}&pair={theirs.pk}"

    answer = mara.post(ADD + query, typed())

    assert answer["Location"] == LIST
    assert MaintenanceWindow.objects.count() == 2
    assert silenced([pair.pk, theirs.pk], NOW) == {pair.pk, theirs.pk}


def test_the_lists_action_leads_to_the_form_of_the_pairs_ticked(mara, pair):
    other = make_pair()
    ticked = {"action": "silence_chosen", "_selected_action": [pair.pk, other.pk]}

    answer = mara.post("/admin/registry/pair/", ticked)

    assert set(answer["Location"].partition("?")[2].split("&")) == {
        f"pair={pair.pk}",
        f"pair={other.pk}",
    }
    assert "2 pairs" in mara.get(answer["Location"]).content.decode()


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"tenant": "Contoso"}, "tenant", "There is no tenant Contoso that you may change."),
        ({"label": "rack"}, "label", "Write name=value, such as rack=7."),
        (
            {"starts_at": "2026-11-21T14:30"},
            "starts_at",
            (
                "21 Nov 2026, 14:30 UTC has passed: it is 21 Nov 2026, 14:32 UTC. "
                "Leave it empty to start now."
            ),
        ),
        (
            {"ends_at": "2026-11-21T14:32"},
            "ends_at",
            "It must end after it starts, 21 Nov 2026, 14:32 UTC.",
        ),
        (
            {"ends_at": "2026-11-24T14:33"},
            "ends_at",
            "At most 72 hours, as the settings say: until 24 Nov 2026, 14:32 UTC at the latest.",
        ),
    ],
)
def test_faults_are_told_at_their_field_and_nothing_is_saved(mara, pair, changes, field, text):
    form = mara.post(ADD, typed(**changes)).context["form"]

    assert form.errors == {field: [text]}
    assert not MaintenanceWindow.objects.exists()


def test_an_hour_that_the_clocks_repeat_is_told_at_its_field(pair):
    client = signed_in(make_person(time_zone="Europe/Berlin"))
    with time_machine.travel(datetime(2026, 10, 24, 12, tzinfo=UTC), tick=False):
        form = client.post(ADD, typed(ends_at="2026-10-25T02:30")).context["form"]
        assert form.errors["ends_at"][0].startswith("02:30 comes twice on 25 Oct 2026")

        client.post(ADD, typed(ends_at="2026-10-25T01:30", zone="utc"))

    assert MaintenanceWindow.objects.get().ends_at == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


def test_a_conflict_is_told_with_a_link_and_leaves_none_of_several_windows(mara, pair):
    theirs = make_pair("Contoso")
    person = make_person("noor")
    plan = Plan(NOW, NOW + HOUR, frozenset([theirs.pk]), theirs.target.tenant_id)
    first = start(plan, person.pk, NOW)

    answer = mara.post(f"{ADD}?pair={pair.pk}&pair={theirs.pk}", typed())

    assert MaintenanceWindow.objects.count() == 1
    assert f"/admin/findings/maintenancewindow/{first.pk}/change/" in answer.content.decode()


def test_a_window_is_ended_on_its_page(mara, pair):
    mara.post(f"/admin/registry/pair/{pair.pk}/maintenance/")
    window = MaintenanceWindow.objects.get()
    page = f"/admin/findings/maintenancewindow/{window.pk}/"
    assert "End it now" in mara.get(f"{page}change/").content.decode()

    with time_machine.travel(NOW + MINUTE, tick=False):
        mara.post(f"{page}end/")
        assert silenced([pair.pk], NOW + MINUTE) == set()
        assert "Ended early" in mara.get(f"{page}change/").content.decode()


def test_the_views_count_what_they_list(mara, pair):
    for starts_at in (NOW, NOW + 2 * HOUR):
        plan = Plan(starts_at, starts_at + HOUR, tenant_id=pair.target.tenant_id)
        start(plan, make_person(f"p{starts_at.hour}").pk, NOW)

    views = mara.get(LIST).context["views"]
    listed = [len(mara.get(view["url"]).context["cl"].result_list) for view in views]

    assert [view["count"] for view in views] == listed == [1, 1, 0]


@pytest.mark.parametrize("name", ["viewer", "auditor"])
def test_who_only_reads_may_see_and_change_nothing(name, pair):
    plan = Plan(NOW, NOW + HOUR, tenant_id=pair.target.tenant_id, reason="Resizing")
    window = start(plan, make_person("noor").pk, NOW)
    client = role(name, "Northwind Mail" if name == "viewer" else None)
    page = f"/admin/findings/maintenancewindow/{window.pk}/"

    assert "Resizing" in client.get(f"{page}change/").content.decode()
    assert "End it now" not in client.get(f"{page}change/").content.decode()
    answers = [
        client.get(ADD),
        client.post(ADD, typed()),
        client.post(f"{page}end/"),
        client.post(f"/admin/registry/pair/{pair.pk}/maintenance/"),
        client.get("/admin/maintenance/preview/", typed()),
    ]
    assert [answer.status_code for answer in answers] == [403] * 5


def test_the_number_of_pairs_is_shown_before_it_is_saved(mara, pair):
    make_pair(name="northwind-eu-2")

    def count(**changes):
        return mara.get("/admin/maintenance/preview/", typed(**changes)).context["count"]

    assert (count(), count(label="rack=7"), count(label="rack=8"), count(tenant="")) == (
        2,
        1,
        0,
        None,
    )

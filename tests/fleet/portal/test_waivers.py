"""Waivers in the portal: who may ask, what the form says at its fields, what pages count."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.test import Client
from django.urls import reverse

from fleet.findings.models import Finding, Waiver
from fleet.findings.waivers import Ask
from fleet.inspections import waive
from fleet.inspections.models import PairState
from fleet.portal.search_words import MOST_WORDS
from fleet.registry.models import FleetSettings
from tests.fleet.factories import NOW, make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)
ADD = "/admin/findings/waiver/add/"
LIST = "/admin/findings/waiver/"
PREVIEW = "/admin/waivers/preview/"


@pytest.fixture(autouse=True)
def _at_noon():
    cache.clear()
    with time_machine.travel(NOW, tick=False):
        yield


@pytest.fixture
def finding():
    pair = make_pair(name="northwind-eu-1")
    make_state(pair, compliance="non_compliant", critical_count=1, rank=1)
    return make_finding(pair)


@pytest.fixture
def mara():
    return signed_in(make_person())


def signed_in(person) -> Client:
    client = Client()
    client.force_login(person)
    client.person = person
    return client


def role(name, tenant="Northwind Mail") -> Client:
    return signed_in(make_person(name, is_operator=False, roles=[(name, tenant)]))


def typed(**changes):
    values = {
        "tenant": "Northwind Mail",
        "pair": "northwind-eu-1",
        "rule_id": "redis.eviction-policy",
        "severity": "critical",
        "ceiling": "",
        "kind": "fix_scheduled",
        "reason": "A larger plan is ordered",
        "expires_at": "2026-12-01T12:00",
        "zone": "own",
    }
    return values | changes


def asked(finding, by, **fields) -> Waiver:
    target = finding.target
    values = {
        "rule_id": finding.rule_id,
        "tenant_id": target.tenant_id,
        "target_id": target.pk,
        "severity": "critical",
        "kind": "fix_scheduled",
        "reason": "A larger plan is ordered",
        "expires_at": NOW + 5 * DAY,
    }
    return waive.request(Ask(**values | fields), by.pk, NOW)


def test_the_form_begins_with_its_finding_and_shows_what_it_covers(mara, finding):
    answer = mara.get(ADD, {"finding": finding.pk})
    page = answer.content.decode()

    assert answer.context["form"].initial == {
        "tenant": "Northwind Mail",
        "pair": "northwind-eu-1",
        "rule_id": "redis.eviction-policy",
        "severity": "critical",
        "expires_at": "2026-12-05T14:32",
    }
    assert "1 open finding</b>" in page
    assert "30 days at most, until" in page
    assert finding.message in page


def test_saving_waives_at_once_and_leads_to_its_page(mara, finding):
    answer = mara.post(ADD, typed())

    waiver = Waiver.objects.get()
    assert answer["Location"] == f"/admin/findings/waiver/{waiver.pk}/change/"
    assert waiver.expires_at == datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert (waiver.requested_by, waiver.approved_by) == (mara.person, mara.person)
    assert Finding.objects.get().waiver == waiver
    assert PairState.objects.get().waived_count == 1


def test_what_was_typed_is_in_the_persons_own_time_zone(finding):
    client = signed_in(make_person(time_zone="Europe/Berlin"))
    page = client.get(ADD, {"finding": finding.pk}).content.decode()
    assert "It ends 5 Dec 2026, 15:32 CET (5 Dec 2026, 14:32 UTC)." in page
    assert "It is now" in page

    client.post(ADD, typed())

    assert Waiver.objects.get().expires_at == datetime(2026, 12, 1, 11, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "field", "text"),
    [
        ({"tenant": "Contoso"}, "tenant", "There is no tenant Contoso that you may change."),
        ({"pair": "nobody"}, "pair", "There is no pair nobody of Northwind Mail."),
        (
            {"rule_id": "redis.no-such"},
            "rule_id",
            "Select a valid choice. redis.no-such is not one of the available choices.",
        ),
        ({"reason": "so"}, "reason", "Give a reason of 5 letters or more."),
        (
            {"ceiling": "87%"},
            "ceiling",
            "No single figure decides this rule: leave it empty.",
        ),
        (
            {"expires_at": "2026-11-21T14:31"},
            "expires_at",
            "21 Nov 2026, 14:31 UTC has passed: it is 21 Nov 2026, 14:32 UTC.",
        ),
        (
            {"expires_at": "2026-12-21T14:33"},
            "expires_at",
            "A waiver of a critical lasts 30 days at most: until 21 Dec 2026, 14:32 UTC.",
        ),
        (
            {"expires_at": "soon"},
            "expires_at",
            "soon is no date and time, such as 2026-12-24 14:30.",
        ),
    ],
)
def test_faults_are_told_at_their_field_and_nothing_is_saved(mara, finding, changes, field, text):
    form = mara.post(ADD, typed(**changes)).context["form"]

    assert form.errors == {field: [text]}
    assert not Waiver.objects.exists()


def test_the_longest_waiver_allowed_can_be_typed(mara, finding):
    mara.post(ADD, typed(expires_at="2026-12-21T14:32"))

    assert Waiver.objects.get().expires_at == NOW + 30 * DAY


def test_a_conflict_names_the_waiver_in_the_way_with_a_link(mara, finding):
    first = asked(finding, mara.person)

    answer = mara.post(ADD, typed())

    (error,) = answer.context["form"].errors["rule_id"]
    assert error.startswith("One of the same scope is in force until 26 Nov 2026, 14:32 UTC.")
    assert f'href="/admin/findings/waiver/{first.pk}/change/"' in answer.content.decode()


def test_the_preview_says_what_would_go_on_counting_and_why(mara, finding):
    headroom = "redis.memory-headroom"
    for number, worst in enumerate((0.85, 0.87, 0.89)):
        pair = make_pair(name=f"northwind-eu-2{number}")
        make_finding(pair, headroom, severity="warning", worst_measure=worst, worst=f"{worst:.0%}")
    query = typed(pair="", rule_id=headroom, severity="warning", ceiling="87%")

    found = mara.get(PREVIEW, query).context["preview"]

    assert (found.covered_count, found.left_count) == (2, 1)
    assert [one.why_not for one in found.matches] == ["", "", "its worst value is 89%"]
    assert (found.unit, found.worst) == ("%", "89%")


def test_the_preview_lists_no_more_than_twenty(mara):
    for number in range(22):
        make_finding(make_pair(name=f"p{number}"))

    found = mara.get(PREVIEW, typed(pair="")).context["preview"]

    assert (len(found.matches), found.covered_count, found.is_cut) == (20, 22, True)


def test_a_renewal_keeps_rule_and_scope_whatever_is_posted(mara, finding):
    first = asked(finding, mara.person)
    other = make_pair(name="northwind-eu-9")

    mara.post(f"{ADD}?renew={first.pk}", typed(pair=other.target.name, rule_id="pair.rtt"))

    second = Waiver.objects.latest("pk")
    assert (second.rule_id, second.target) == (finding.rule_id, finding.target)
    assert second.renews == first
    first.refresh_from_db()
    assert first.end == "renewed"


def test_a_second_person_approves_on_the_waivers_page(mara, finding):
    FleetSettings.objects.update_or_create(pk=1, defaults={"second_person": True})
    mara.post(ADD, typed())
    waiver = Waiver.objects.get()
    page = f"/admin/findings/waiver/{waiver.pk}/change/"
    approve = reverse("admin:findings_waiver_approve", args=[waiver.pk])
    assert approve not in mara.get(page).content.decode()
    mara.post(approve)
    waiver.refresh_from_db()
    assert waiver.approved_at is None

    noor = role("editor")
    shown = noor.get(page)
    assert approve in shown.content.decode()
    assert shown.context["preview"].covered_count == 1
    noor.post(approve)

    waiver.refresh_from_db()
    assert waiver.approved_by == noor.person
    assert PairState.objects.get().waived_count == 1


def test_a_request_is_rejected_and_a_waiver_revoked_with_a_reason(mara, finding):
    FleetSettings.objects.update_or_create(pk=1, defaults={"second_person": True})
    waiting = asked(finding, mara.person)
    mara.post(reverse("admin:findings_waiver_reject", args=[waiting.pk]), {"note": "Fixed it"})
    waiting.refresh_from_db()
    assert (waiting.end, waiting.end_note) == ("rejected", "Fixed it")

    live = asked(finding, mara.person, rule_id="pair.rtt", severity="warning")
    revoke = reverse("admin:findings_waiver_revoke", args=[live.pk])
    mara.post(revoke, {"note": ""})
    live.refresh_from_db()
    assert live.ended_at is None
    mara.post(revoke, {"note": "Not needed"})
    live.refresh_from_db()
    assert live.end == "revoked"


@pytest.mark.parametrize("name", ["viewer", "auditor"])
def test_who_only_reads_may_see_and_change_nothing(name, finding):
    waiver = asked(finding, make_person("noor"))
    client = role(name, "Northwind Mail" if name == "viewer" else None)
    page = client.get(f"/admin/findings/waiver/{waiver.pk}/change/").content.decode()

    assert "A larger plan is ordered" in page
    assert "Revoke" not in page
    assert "Renew" not in page
    answers = [
        client.get(ADD),
        client.post(ADD, typed()),
        client.get(PREVIEW, typed()),
        *(
            client.post(
                reverse(f"admin:findings_waiver_{what}", args=[waiver.pk]), {"note": "No, sir"}
            )
            for what in ("approve", "reject", "revoke")
        ),
    ]
    assert [answer.status_code for answer in answers] == [403] * 6
    assert (
        "Waive</a>"
        not in client.get(f"/admin/findings/finding/{finding.pk}/change/").content.decode()
    )


def test_an_editor_waives_for_their_own_tenant_alone(finding):
    theirs = make_pair("Contoso", name="contoso-1")
    make_finding(theirs)
    client = role("editor")

    stranger = client.post(ADD, typed(tenant="Contoso", pair="contoso-1")).context["form"]
    assert stranger.errors == {"tenant": ["There is no tenant Contoso that you may change."]}
    assert client.get(PREVIEW, typed(tenant="Contoso", pair="")).context["preview"] is None
    assert client.get(ADD, {"finding": theirs.target.findings.get().pk}).status_code == 404
    client.post(ADD, typed())
    assert Waiver.objects.get().tenant.name == "Northwind Mail"


def test_the_views_count_what_they_list(mara, finding):
    asked(finding, mara.person)
    asked(finding, mara.person, rule_id="pair.rtt", severity="warning", expires_at=NOW + 20 * DAY)
    ended = asked(finding, mara.person, rule_id="redis.version", severity="warning")
    waive.revoke(ended.pk, mara.person.pk, "Not needed", NOW)
    FleetSettings.objects.update_or_create(pk=1, defaults={"second_person": True})
    asked(finding, mara.person, rule_id="redis.durability")

    views = mara.get(LIST).context["views"]
    listed = [len(mara.get(view["url"]).context["cl"].result_list) for view in views]

    assert [view["count"] for view in views] == listed == [2, 1, 1, 1]
    page = mara.get(LIST).content.decode()
    assert "1 finding</a>" in page
    assert "Waived until 26 Nov" in page


def test_the_list_takes_few_queries_however_many_rows(mara, django_assert_max_num_queries):
    for number in range(6):
        asked(make_finding(make_pair(name=f"p{number}")), mara.person)

    with django_assert_max_num_queries(12):
        mara.get(LIST)


def test_every_page_takes_few_queries(mara, finding, django_assert_max_num_queries):
    waiver = asked(finding, mara.person)
    for path in (
        f"/admin/findings/waiver/{waiver.pk}/change/",
        f"{ADD}?finding={finding.pk}",
        f"/admin/findings/finding/{finding.pk}/change/",
        f"/admin/registry/pair/{finding.target_id}/change/",
        "/admin/registry/pair/",
    ):
        with django_assert_max_num_queries(12):
            assert mara.get(path).status_code == 200


def test_waived_findings_are_counted_apart_and_listed_in_their_view(mara, finding):
    other = make_finding(make_pair(name="northwind-eu-2"))
    waiver = asked(finding, mara.person)

    shown = mara.get("/admin/findings/finding/").context
    assert [one.pk for one in shown["cl"].result_list] == [other.pk]
    assert [(view["word"], view["count"]) for view in shown["views"]][:5] == [
        ("Open", 1),
        ("Mine", None),
        ("Stale", 0),
        ("Waived", 1),
        ("Pending", 0),
    ]
    waived = mara.get("/admin/findings/finding/", {"state": "waived", "waiver": waiver.pk})
    assert [one.pk for one in waived.context["cl"].result_list] == [finding.pk]
    assert "Waived until 26 Nov" in waived.content.decode()


def test_the_overview_shows_scores_with_and_without_waivers(mara, finding):
    make_state(make_pair(name="northwind-eu-2"))
    waiver = asked(finding, mara.person)
    PairState.objects.filter(pk=finding.target_id).update(compliance="compliant")

    answer = mara.get("/admin/")
    found, page = answer.context["overview"], answer.content.decode()

    assert (found.compliance.best.count, found.raw_count) == (2, 1)
    assert found.open_counts == {"critical": 0, "warning": 0, "pending": 0, "waived": 1}
    assert (found.tasks, found.failed_rules) == ([], [])
    assert "compliant with waivers, <b>50.0%</b> without" in page
    assert [one.waiver_id for one in found.ending.first] == [waiver.pk]
    tenants = mara.get("/admin/registry/tenant/").content.decode()
    assert "100.0% with waivers, 50.0% without" in tenants


def test_a_waived_operation_rule_does_not_touch_the_raw_score(mara):
    pair = make_pair()
    make_state(pair)
    failing = make_finding(pair, "emailengine.queue-size", kind="operation", severity="warning")
    asked(failing, mara.person, severity="warning")

    assert mara.get("/admin/").context["overview"].raw_count == 1


def test_the_pair_page_lists_what_is_waived_apart(mara, finding):
    asked(finding, mara.person)

    answer = mara.get(f"/admin/registry/pair/{finding.target_id}/change/")

    assert (answer.context["open_todo"], len(answer.context["waived"])) == ([], 1)
    assert "Waived until" in answer.content.decode()
    assert "Nothing to do." in answer.content.decode()
    assert "1 waived" in mara.get("/admin/registry/pair/").content.decode()


def test_several_findings_are_waived_at_once_each_on_its_own_pair(mara, finding):
    other = make_finding(make_pair(name="northwind-eu-2"), "pair.rtt", severity="warning")
    theirs = make_finding(make_pair("Contoso"))
    ticked = {"action": "waive_chosen", "_selected_action": [finding.pk, other.pk, theirs.pk]}
    address = mara.post("/admin/findings/finding/", ticked)["Location"]
    assert "3 findings, listed below" in mara.get(address).content.decode()

    mara.post(address, typed())

    scopes = Waiver.objects.values_list("rule_id", "target", "tenant__name").order_by("pk")
    assert set(scopes) == {
        (one.rule_id, one.target_id, one.target.tenant.name) for one in (finding, other, theirs)
    }
    assert Finding.objects.filter(waiver=None).count() == 0


def test_where_one_of_several_is_refused_none_is_saved(mara, finding):
    other = make_finding(make_pair(name="northwind-eu-2"))
    FleetSettings.objects.update_or_create(pk=1, defaults={"second_person": True})
    waiting = asked(other, mara.person)

    answer = mara.post(f"{ADD}?finding={finding.pk}&finding={other.pk}", typed())

    assert list(Waiver.objects.all()) == [waiting]
    assert "One of the same scope waits for approval." in answer.content.decode()


def test_an_editor_waives_several_of_their_own_alone(finding):
    theirs = make_finding(make_pair("Contoso"))
    mine = make_finding(make_pair(name="northwind-eu-2"))
    query = f"?finding={finding.pk}&finding={mine.pk}&finding={theirs.pk}"

    role("editor").post(ADD + query, typed())

    assert set(Waiver.objects.values_list("tenant__name", flat=True)) == {"Northwind Mail"}
    assert Waiver.objects.count() == 2


@pytest.mark.parametrize("name", ["viewer", "auditor"])
def test_who_only_reads_is_not_offered_to_waive(name, finding):
    client = role(name, "Northwind Mail" if name == "viewer" else None)

    assert "waive_chosen" not in client.get("/admin/findings/finding/").content.decode()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (LIST, "No waiver is in force."),
        (f"{LIST}?view=ended", "No waiver matches."),
        ("/admin/findings/maintenancewindow/", "No maintenance is under way."),
        ("/admin/findings/maintenancewindow/?view=over", "No maintenance matches."),
        ("/admin/findings/finding/?state=waived", "No finding is waived."),
    ],
)
def test_an_empty_view_says_so(mara, path, words):
    assert words in mara.get(path).content.decode()


@pytest.mark.parametrize(
    ("count", "is_in_order", "is_found"),
    [
        (MOST_WORDS, False, True),
        (MOST_WORDS + 1, True, True),
        (MOST_WORDS + 1, False, False),
    ],
)
def test_a_long_text_is_looked_for_as_it_stands(mara, finding, count, is_in_order, is_found):
    words = ['said "so"', "C:\\", *(f"w{number}" for number in range(count - 3))]
    waiver = asked(finding, mara.person, reason=" ".join(words))
    text = " ".join(words if is_in_order else reversed(words))

    page = mara.get("/admin/findings/waiver/", {"q": text})
    assert list(page.context["cl"].result_list) == ([waiver] if is_found else [])

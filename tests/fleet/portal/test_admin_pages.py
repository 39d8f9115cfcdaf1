from datetime import date, timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from checks.catalog import RULES
from fleet.alerts.models import Channel, Mail
from fleet.findings.models import MaintenanceWindow
from fleet.history import partitions
from fleet.history.models import RolledDay
from fleet.people.models import Membership, User
from fleet.registry.models import FleetSettings, Tenant, Worker, Zone
from tests.fleet.factories import (
    NOW,
    PASSWORD,
    make_finding,
    make_pair,
    make_person,
    make_state,
    make_tenant,
    make_worker,
    make_zone,
)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_cache():
    cache.clear()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def shown(response):
    return " ".join(response.content.decode().split())


# --- tenants


def test_tenants_stand_least_compliant_first_and_those_without_pairs_last(operator):
    make_state(make_pair("Good"))
    make_state(make_pair("Bad"), compliance="non_compliant")
    make_state(make_pair("Bad"))
    make_state(make_pair("Bad", state="archived"), compliance="non_compliant")
    make_tenant("Empty")

    rows = operator.get(reverse("admin:registry_tenant_changelist")).context["cl"].result_list

    assert [
        (row.name, row.pairs_count, row.compliant_count, row.non_compliant_count) for row in rows
    ] == [("Bad", 2, 1, 1), ("Good", 1, 1, 0), ("Empty", 0, 0, 0)]


def test_the_tenant_list_takes_few_queries(operator, django_assert_max_num_queries):
    for number in range(60):
        make_state(make_pair(f"Tenant {number}"))

    with django_assert_max_num_queries(8):
        operator.get(reverse("admin:registry_tenant_changelist"))


def test_a_tenant_with_pairs_is_not_deleted(operator):
    tenant = make_pair().target.tenant

    operator.post(reverse("admin:registry_tenant_delete", args=[tenant.pk]), {"post": "yes"})

    assert Tenant.objects.filter(pk=tenant.pk).exists()


def test_a_tenants_page_says_how_it_stands(client, django_assert_max_num_queries):
    good, bad = make_pair(), make_pair()
    make_state(good)
    make_state(bad, compliance="non_compliant")
    make_finding(bad)
    make_finding(make_pair("Another"))
    client.force_login(make_person("vera", is_operator=False, roles=[("viewer", "Northwind Mail")]))
    path = reverse("admin:registry_tenant_change", args=[good.target.tenant_id])

    with django_assert_max_num_queries(12):
        page = client.get(path)

    found = page.context["stands"]
    assert (found["tenant"].pairs_count, found["critical_count"], found["warning_count"]) == (
        2,
        1,
        0,
    )
    assert "50.0%" in shown(page)
    assert "policies/edit" not in shown(page)


# --- zones and workers


@time_machine.travel(NOW, tick=False)
def test_zones_say_who_checks_how_many_pairs(operator):
    make_worker("eu-1", name="eu-1-a")
    make_pair(zone="eu-1")
    make_worker("ap-1", name="ap-1-a", seen=timedelta(minutes=11))
    make_pair(zone="ap-1")

    text = shown(operator.get(reverse("portal:zones")))

    assert text.count("Worker seen") == 1
    assert text.count("No worker: pairs cannot be checked") == 1
    assert "11 min" in text


@time_machine.travel(NOW, tick=False)
def test_a_zone_that_is_blind_or_suspected_says_so(operator):
    hour_ago = NOW - timedelta(hours=1)
    make_zone("eu-1", blind_since=hour_ago, self_check_failure="none of 3 hosts answers")
    make_zone("us-1", suspect_since=NOW)

    text = shown(operator.get(reverse("portal:zones")))

    assert "Blind: its own network is cut off" in text
    assert ": none of 3 hosts answers. Nothing it sees counts" in text
    assert "Suspected: its workers are checking themselves" in text


@time_machine.travel(NOW, tick=False)
def test_only_a_worker_that_is_gone_is_forgotten(operator):
    gone = make_worker(seen=timedelta(seconds=61))
    alive = make_worker(seen=timedelta(seconds=60))

    answers = [
        operator.post(reverse("portal:forget_worker", args=[one.pk])) for one in (gone, alive)
    ]

    assert [one.status_code for one in answers] == [302, 404]
    assert list(Worker.objects.all()) == [alive]


@time_machine.travel(NOW, tick=False)
def test_forgetting_needs_the_right_to_change_the_fleet(client):
    gone = make_worker(seen=timedelta(hours=1))
    client.force_login(make_person(is_operator=False, roles=[("auditor", None)]))

    assert client.post(reverse("portal:forget_worker", args=[gone.pk])).status_code == 404
    assert "Forget" not in shown(client.get(reverse("portal:zones")))


def test_a_zone_is_added_and_leads_back_to_the_zones(operator):
    answer = operator.post(
        reverse("admin:registry_zone_add"), {"slug": "sa-1", "location": "sa-1/a"}, follow=True
    )

    assert answer.redirect_chain[-1][0] == reverse("portal:zones")
    assert Zone.objects.get(slug="sa-1").location == "sa-1/a"


def test_a_zone_with_pairs_is_not_deleted(operator):
    make_pair(zone="eu-1")
    zone = make_zone("eu-1")

    operator.post(reverse("admin:registry_zone_delete", args=[zone.pk]), {"post": "yes"})

    assert Zone.objects.filter(pk=zone.pk).exists()


# --- settings

FORM = {
    "health_s": 30,
    "latency_s": 60,
    "persistence_s": 300,
    "stats_s": 300,
    "upstash_health_s": 600,
    "upstash_latency_s": 300,
    "raw_days": 5,
    "hourly_days": 90,
    "daily_days": 730,
    "mail_days": 30,
    "core_rules": [rule.id for rule in RULES if rule.is_core],
    "reference_address": " 10.0.0.9:53 ",
    "critical_waiver_days": 14,
    "warning_waiver_days": 90,
    "second_person": "on",
    "maintenance_hours": 24,
}
SETTINGS = "admin:registry_fleetsettings_change"


@pytest.mark.parametrize("is_saved", [True, False])
def test_settings_are_saved_and_other_overrides_stay(operator, is_saved):
    FleetSettings.objects.all().delete()
    if is_saved:
        FleetSettings.objects.create(intervals={"default": {}, "memurai": {"health": 90}})

    answer = operator.post(reverse(SETTINGS, args=[1]), FORM)

    assert answer.status_code == 302
    row = FleetSettings.objects.get()
    assert (row.raw_days, row.mail_days, row.reference_address) == (5, 30, "10.0.0.9:53")
    assert (row.critical_waiver_days, row.warning_waiver_days) == (14, 90)
    assert (row.second_person, row.maintenance_hours) == (True, 24)
    assert row.intervals["default"] == {
        "health": 30,
        "latency": 60,
        "persistence": 300,
        "stats": 300,
        **({} if is_saved else {"backup": 3600}),
    }
    assert row.intervals["upstash"]["health"] == 600
    assert row.intervals.get("memurai") == ({"health": 90} if is_saved else None)


@pytest.mark.parametrize(("seconds", "is_taken"), [(9, False), (10, True)])
def test_an_interval_has_a_least_value(operator, seconds, is_taken):
    answer = operator.post(reverse(SETTINGS, args=[1]), {**FORM, "health_s": seconds})

    assert (answer.status_code == 302) is is_taken


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("gateway.example.com", "gateway.example.com names no port: write host:port."),
        ("10.0.0.9:x", "port"),
        ("http://10.0.0.9:80", "host"),
        ("", None),
        ("[fd00::1]:53", None),
    ],
)
def test_a_reference_is_a_host_and_a_port(operator, address, why):
    answer = operator.post(reverse(SETTINGS, args=[1]), {**FORM, "reference_address": address})

    assert (answer.status_code == 302) is (why is None)
    if why:
        (error,) = answer.context["adminform"].form.errors["reference_address"]
        assert why in error


def test_the_page_asks_for_every_field_that_it_wants_back(operator):
    page = operator.get(reverse(SETTINGS, args=[1])).content.decode()

    assert [name for name in FORM if f'name="{name}"' not in page] == []


def test_core_rules_are_the_catalogues_own_until_others_are_chosen(operator):
    operator.post(reverse(SETTINGS, args=[1]), FORM)
    assert FleetSettings.objects.get().core_rules is None

    operator.post(reverse(SETTINGS, args=[1]), {**FORM, "core_rules": ["pair.rtt"]})
    assert FleetSettings.objects.get().core_rules == ["pair.rtt"]


def test_settings_are_one_row(operator):
    assert operator.get(reverse("admin:registry_fleetsettings_add")).status_code == 403
    listed = operator.get(reverse("admin:registry_fleetsettings_changelist"))
    assert listed["Location"] == reverse(SETTINGS, args=[1])


# --- people


def memberships(*rows):
    values = {"memberships-TOTAL_FORMS": len(rows), "memberships-INITIAL_FORMS": 0}
    for number, (role, tenant) in enumerate(rows):
        values[f"memberships-{number}-role"] = role
        values[f"memberships-{number}-tenant"] = tenant.pk if tenant else ""
    return values


def new_person(*rows, **fields):
    return {
        "username": "vera",
        "usable_password": "true",
        "password1": PASSWORD,
        "password2": PASSWORD,
        "time_zone": "Europe/Berlin",
        **memberships(*rows),
        **fields,
    }


def test_a_person_is_added_with_a_role_and_can_sign_in(operator, client):
    tenant = make_tenant()

    operator.post(reverse("admin:people_user_add"), new_person(("viewer", tenant)))

    vera = User.objects.get(username="vera")
    assert (vera.is_staff, vera.is_superuser, vera.time_zone) == (True, False, "Europe/Berlin")
    assert [(one.role, one.tenant) for one in vera.memberships.all()] == [("viewer", tenant)]
    assert vera.check_password(PASSWORD)


@pytest.mark.parametrize(
    ("role", "is_taken"), [("viewer", False), ("editor", False), ("auditor", True)]
)
def test_a_tenants_role_names_its_tenant(operator, role, is_taken):
    operator.post(reverse("admin:people_user_add"), new_person((role, None)))

    assert Membership.objects.exists() is is_taken


def test_an_unknown_time_zone_is_refused(operator):
    operator.post(reverse("admin:people_user_add"), new_person(time_zone="Mars/Olympus"))

    assert not User.objects.filter(username="vera").exists()


def test_no_password_and_no_hash_is_shown(operator):
    person = make_person("vera")

    text = shown(operator.get(reverse("admin:people_user_change", args=[person.pk])))

    assert "Change the password" in text
    assert person.password not in text
    assert "pbkdf2" not in text


def test_one_does_not_lock_oneself_out(operator):
    me = User.objects.get(username="mara")
    form = {"username": "mara", "time_zone": "UTC", **memberships()}  # both boxes unticked

    operator.post(reverse("admin:people_user_change", args=[me.pk]), form)

    me.refresh_from_db()
    assert (me.is_active, me.is_superuser) == (True, True)


# --- catalogue


def test_the_catalogue_lists_every_rule_with_the_pairs_that_fail_it(operator):
    make_finding(make_pair(), "redis.version")

    page = operator.get(reverse("portal:catalogue"))

    lines = {one.id: one.pairs_count for one in page.context["rules"]}
    assert lines == {rule.id: int(rule.id == "redis.version") for rule in RULES}


def test_the_catalogue_tells_a_long_time_in_days_too(operator):
    page = operator.get(reverse("portal:catalogue"))

    found = [limit for rule in page.context["rules"] for limit in rule.limits]
    assert ("warn_within_s", "2,592,000\u202fs (30\u202fd)") in found


def test_the_catalogue_is_narrowed_by_kind(operator):
    page = operator.get(reverse("portal:catalogue"), {"kind": "operation"})

    assert {str(one.kind) for one in page.context["rules"]} == {"Operation"}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.id)
def test_every_rule_has_a_page_without_a_blank_left_open(operator, rule):
    answer = operator.get(reverse("portal:rule", args=[rule.id]))
    text = shown(answer)

    assert answer.status_code == 200
    assert "did not give" not in text
    assert f">{rule.id}<" in text


def test_an_unknown_rule_is_not_found(operator):
    assert operator.get(reverse("portal:rule", args=["redis.nothing"])).status_code == 404


@pytest.mark.parametrize(
    ("model", "none", "one"),
    [
        ("findings/maintenancewindow", "0 Maintenance windows", "1 Maintenance window"),
        ("alerts/mail", "0 Deliveries", "1 Delivery"),
        ("registry/tenant", "0 Tenants", "1 Tenant"),
    ],
)
def test_lists_count_in_the_right_number(operator, model, none, one):
    now, tenant = timezone.now(), make_tenant()
    person = operator.get("/admin/").context["user"]
    MaintenanceWindow.objects.create(
        scope="tenant", tenant=tenant, reason="An upgrade", made_at=now, made_by=person,
        starts_at=now, ends_at=now + timedelta(hours=1),
    )  # fmt: skip
    channel = Channel.objects.create(name="On call", address="oncall@example.com")
    Mail.objects.create(channel=channel, kind="test", made_at=now, next_attempt_at=now)

    counted = [operator.get(f"/admin/{model}/", {"q": q}).content.decode() for q in ("zzz", "")]

    for page, words in zip(counted, (none, one), strict=True):
        assert f'<p class="pk-pager-count">{words}</p>' in page


# --- how long history is kept

HISTORY = {"raw_days": 5, "hourly_days": 90, "daily_days": 730, "mail_days": 90}


def save_history(operator, **asked):
    return operator.post(reverse(SETTINGS, args=[1]), {**FORM, **HISTORY, **asked})


def days_ago(count: int) -> date:
    return timezone.now().date() - timedelta(days=count)


def written(count: int) -> str:
    return date_format(days_ago(count), "j M Y")


@pytest.fixture
def history():
    """Visits of 6 days, hours and days of 500, the wording of a mail of 80 days ago."""
    FleetSettings.objects.update_or_create(pk=1, defaults=HISTORY)
    for ago in range(6):
        partitions.make(partitions.VISITS, [days_ago(ago)])
    partitions.make(partitions.HOURS, [days_ago(500)])
    RolledDay.objects.create(day=days_ago(500), rolled_at=timezone.now(), visits_count=1)
    made_at = timezone.now() - timedelta(days=80)
    channel = Channel.objects.create(name="Operators", address="ops@example.com")
    mail = {"kind": "alert", "state": "sent", "text": "x", "channel": channel}
    Mail.objects.create(**mail, made_at=made_at, next_attempt_at=made_at)


@pytest.mark.parametrize(
    ("asked", "name", "oldest"),
    [
        ({"raw_days": 4}, "raw_days", 5),
        ({"hourly_days": 80}, "hourly_days", 500),
        ({"daily_days": 499}, "daily_days", 500),
        ({"mail_days": 79}, "mail_days", 80),
    ],
)
def test_a_shorter_history_says_what_goes_and_is_saved_once_that_is_wanted(
    operator, history, asked, name, oldest
):
    refused = save_history(operator, **asked)

    form = refused.context["adminform"].form
    assert form.errors == {
        name: [
            (
                f"Keeping {asked[name]} days drops all from {written(oldest)} to"
                f" {written(asked[name] + 1)}, for good: tick the box below to save it so."
            )
        ]
    }
    assert 'name="drops"' in refused.content.decode()
    assert getattr(FleetSettings.objects.get(), name) == HISTORY[name]

    assert save_history(operator, **asked, drops="on").status_code == 302
    assert getattr(FleetSettings.objects.get(), name) == asked[name]


def test_days_are_read_as_the_form_reads_them(operator, history):
    refused = save_history(operator, raw_days=" 4.0 ")
    assert 'name="drops"' in refused.content.decode()

    refused = save_history(operator, raw_days="9" * 5_000)  # more digits than Python takes
    assert refused.context["adminform"].form.errors["raw_days"] == ["Enter a whole number."]


@pytest.mark.parametrize(
    "asked",
    [{"raw_days": 6}, {"raw_days": 5}, {"daily_days": 500}, {"daily_days": 731}, {"mail_days": 80}],
)
def test_a_history_that_loses_nothing_is_saved_at_once(operator, history, asked):
    assert save_history(operator, **asked).status_code == 302
    assert 'name="drops"' not in operator.get(reverse(SETTINGS, args=[1])).content.decode()


@pytest.mark.parametrize(
    ("asked", "field", "error"),
    [
        ({"raw_days": 0}, "raw_days", "Ensure this value is greater than or equal to 1."),
        (
            {"raw_days": 91, "hourly_days": 91},
            "raw_days",
            "Ensure this value is less than or equal to 90.",
        ),
        ({"hourly_days": 6}, "hourly_days", "Ensure this value is greater than or equal to 7."),
        (
            {"hourly_days": 731, "daily_days": 731},
            "hourly_days",
            "Ensure this value is less than or equal to 730.",
        ),
        ({"daily_days": 89}, "daily_days", "Ensure this value is greater than or equal to 90."),
        ({"daily_days": 3651}, "daily_days", "Ensure this value is less than or equal to 3650."),
        (
            {"raw_days": 8, "hourly_days": 7},
            "raw_days",
            "Visits kept for 8 days would outlast their hours, which are kept for 7.",
        ),
        (
            {"hourly_days": 101, "daily_days": 100},
            "hourly_days",
            "Hours kept for 101 days would outlast their days, which are kept for 100.",
        ),
    ],
)
def test_days_of_history_have_bounds_and_the_finer_outlasts_no_coarser(
    operator, asked, field, error
):
    answer = save_history(operator, **asked)

    assert error in answer.context["adminform"].form.errors[field]


def test_the_bounds_themselves_are_taken(operator):
    for asked in ((7, 7, 90), (90, 730, 730), (1, 7, 3650)):
        days = dict(zip(("raw_days", "hourly_days", "daily_days"), asked, strict=True))
        assert save_history(operator, **days, drops="on").status_code == 302

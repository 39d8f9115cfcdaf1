"""What the trends say besides values: why there are gaps, what is old, from where, and what it leads to."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone

from fleet.alerts.models import PortalAlarm
from fleet.findings.models import MaintenanceWindow, Waiver
from fleet.history import partitions
from fleet.history.models import FleetHour, RolledDay, Visit, VisitDay, VisitHour
from fleet.inspections.terms import forget
from fleet.people.models import User
from fleet.registry.models import Target
from tests.fleet.factories import make_pair, make_person, make_state, make_zone

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture(autouse=True)
def noon():
    cache.clear()
    forget()
    partitions.forget_days()
    with time_machine.travel(NOON, tick=False):
        yield timezone.now()
    partitions.forget_days()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


@pytest.fixture
def pair():
    """One that is registered for a month, and read."""
    made = make_pair(name="northwind-eu-0417")
    make_state(made, now=NOON)
    Target.history.update(history_date=NOON - timedelta(days=30))
    return made


def turn(pair, at, **fields):
    """Change the pair's registration at an instant."""
    Target.objects.filter(pk=pair.pk).update(**fields)
    row = Target.history.filter(id=pair.pk).latest("history_date")
    row.pk, row.history_date, row.history_type = None, at, "~"
    for name, value in fields.items():
        setattr(row, name, value)
    row.save()


def visit(pair, ago, **columns):
    at = NOON - ago
    partitions.ensure_day(at.date())
    values = {"fails_count": 0, "unknowns_count": 0, "outcome": 0, **columns}
    Visit.objects.create(target_id=pair.pk, at=at, **values)


def hour_of_fleet(at):
    FleetHour.objects.create(
        at=at, zone=make_zone(), engine="valkey", pairs_count=1, visits_count=60, silent_count=0
    )


def row(model, pair, at, **columns):
    table = partitions.HOURS if model is VisitHour else partitions.DAYS
    partitions.make(table, [at.date()])
    counts = {"visits_count": 60, "silent_count": 0, "blind_count": 0, "fails_max_count": 0}
    model.objects.create(target_id=pair.pk, at=at, **counts, **columns)


def asked(client, pair, span="24h"):
    return client.get(f"/admin/registry/pair/{pair.pk}/trend/", {"range": span}).json()


def chart(client, pair, name="rtt", span="24h"):
    return next(one for one in asked(client, pair, span)["charts"] if one["name"] == name)


def reasons(client, pair, span="24h"):
    return [gap[2] for gap in chart(client, pair, span=span)["gaps"]]


# --- Gaps


@pytest.mark.parametrize(
    ("state", "why"), [("paused", "paused"), ("archived", "archived"), ("active", "not checked")]
)
def test_a_gap_says_that_the_pair_was_not_to_be_checked(operator, pair, state, why):
    visit(pair, 5 * HOUR, rtt_median_us=300)
    turn(pair, NOON - 5 * HOUR + timedelta(minutes=1), state=state)

    assert reasons(operator, pair) == [why]


def test_a_pause_that_was_short_does_not_explain_a_long_gap(operator, pair):
    visit(pair, 5 * HOUR, rtt_median_us=300)
    turn(pair, NOON - 4 * HOUR, state="paused")
    turn(pair, NOON - 3 * HOUR, state="active")

    assert reasons(operator, pair) == ["not checked"]


def test_a_gap_of_hours_in_which_no_pair_was_visited_is_the_portals(operator, pair):
    for n in (9, 8, 3, 2):
        hour_of_fleet(NOON.replace(minute=0) - n * HOUR)
    visit(pair, 7 * HOUR, rtt_median_us=300)
    visit(pair, 3 * HOUR, rtt_median_us=300)
    visit(pair, timedelta(minutes=1), rtt_median_us=300)

    assert reasons(operator, pair) == ["portal down, no pair checked", "not checked"]


@pytest.mark.parametrize(
    ("key", "began_ago", "ended_ago", "why"),
    [
        ("portal.stood-still", 40, 15, "portal down"),
        ("portal.stood-still", 30, 18, "not checked"),  # less than half of the gap
        ("zone.eu-1.no-worker", 38, 15, "no worker in zone eu-1"),
        ("zone.eu-1.no-worker", 27, 15, "no worker in zone eu-1"),  # not seen a minute before
        ("zone.us-2.no-worker", 40, 15, "not checked"),
        ("mail.refusing", 40, 15, "not checked"),
    ],
)
def test_a_gap_of_less_than_an_hour_is_the_portals_too(
    operator, pair, key, began_ago, ended_ago, why
):
    for ago in (42, 41, 40, 15, 14, 1):
        visit(pair, timedelta(minutes=ago), rtt_median_us=300)
    times = {"since": NOON - began_ago * MINUTE, "ended_at": NOON - ended_ago * MINUTE}
    PortalAlarm.objects.create(key=key, text="", cure="", **times)

    assert reasons(operator, pair) == [why, "not checked"]


def test_a_zone_that_still_has_no_worker_is_why_a_gap_goes_on(operator, pair):
    visit(pair, HOUR, rtt_median_us=300)
    PortalAlarm.objects.create(key="zone.eu-1.no-worker", text="", cure="", since=NOON - HOUR)

    assert reasons(operator, pair) == ["no worker in zone eu-1"]


def test_a_gap_of_days_in_which_no_pair_was_visited_is_the_portals(operator, pair):
    begin = NOON.replace(hour=0, minute=0)
    for n in (9, 8, 3, 2, 1):
        day = begin - n * DAY
        row(VisitDay, pair, day, rtt_median_us=300)
        RolledDay.objects.create(day=day.date(), rolled_at=NOON, visits_count=1440)
    # Partitions are made ahead: days without a visit are rolled up too.
    RolledDay.objects.create(day=(begin - 5 * DAY).date(), rolled_at=NOON, visits_count=0)
    visit(pair, timedelta(minutes=1), rtt_median_us=300)

    assert reasons(operator, pair, "90d") == ["portal down, no pair checked"]


def test_the_table_tells_the_gaps_too(operator, pair):
    visit(pair, 5 * HOUR, rtt_median_us=300)
    turn(pair, NOON - 5 * HOUR, state="paused")

    answer = operator.get(f"/admin/registry/pair/{pair.pk}/trend/rtt/")

    assert answer.context["gaps"] == [(NOON - 5 * HOUR, NOON, "paused")]
    assert "(paused)" in answer.content.decode()


# --- What is told where nothing was read, or not of late


def test_without_a_reading_charts_say_why(operator, pair):
    assert asked(operator, pair)["words"]["none"] == "No reading in this time."
    turn(pair, NOON - HOUR, state="paused")
    why = "No reading in this time: the pair is not checked now."
    assert asked(operator, pair)["words"]["none"] == why
    why = "Not read yet: its first reading is still to come."
    assert asked(operator, make_pair())["words"]["none"] == why


def test_what_was_read_long_ago_is_not_told_as_of_now(operator, pair):
    visit(pair, 5 * HOUR, rtt_median_us=470, used_memory_bytes=51, maxmemory_bytes=100)

    found = chart(operator, pair)

    assert (found["now"], found["series"][0]["now"]) == ("last read 0.47\u202fms",) * 2
    assert found["sentence"].endswith("highest 0.47\u202fms, last read 0.47\u202fms.")
    visit(pair, timedelta(minutes=1), rtt_median_us=480)
    assert chart(operator, pair)["sentence"].endswith("now 0.48\u202fms.")
    assert chart(operator, pair)["now"] == "0.48\u202fms"


def test_one_reading_tells_of_no_eviction_and_is_not_called_none(operator, pair):
    assert chart(operator, pair, "evictions")["empty"] == ""
    visit(pair, timedelta(minutes=1), evicted_keys=7)

    assert chart(operator, pair, "evictions")["empty"] == "Told from the second reading on."


# --- RTT and memory


def test_emailengines_own_rtt_is_a_line_though_stats_are_read_more_seldom(operator, pair):
    for n in range(30, 0, -1):
        theirs = {"emailengine_rtt_us": 900} if n % 5 == 3 else {}
        visit(pair, timedelta(minutes=n), rtt_median_us=300, **theirs)

    found = chart(operator, pair)

    assert [one["label"] for one in found["series"]] == [
        "EmailEngine to Redis",
        "probe in eu-1 to Redis",
    ]
    assert (found["series"][0]["values"], found["gaps"]) == ([0.9] * 6, [])
    assert found["series"][0]["now"] == "0.90\u202fms"


def test_a_visits_own_least_and_most_are_drawn_and_from_where(operator, pair):
    visit(pair, timedelta(minutes=1), rtt_min_us=200, rtt_median_us=300, rtt_max_us=900)

    found = chart(operator, pair)

    assert found["title"] == "RTT, our probe in eu-1 to Redis"
    assert [(one["label"], [at[1:] for at in one["band"]]) for one in found["series"]] == [
        ("probe in eu-1 to Redis", [[0.2, 0.9]])
    ]


@pytest.mark.parametrize(
    ("ceiling", "title", "limits"),
    [
        (4 * 1024**3, "Memory used, of 4.0\u202fGiB; no maxmemory set", [3.2, 3.6]),
        (None, "Memory used; no maxmemory set, no ceiling known", []),
    ],
)
def test_memory_without_maxmemory_stands_against_the_ram_that_is_known(
    operator, pair, ceiling, title, limits
):
    pair.target.pair_state.ceiling_bytes = ceiling
    pair.target.pair_state.save()
    visit(pair, timedelta(minutes=1), used_memory_bytes=1024**3, maxmemory_bytes=0)

    found = chart(operator, pair, "memory")

    assert (found["title"], found["unit"]) == (title, "GiB")
    assert [one["value"] for one in found["limits"]] == limits


def test_nothing_is_claimed_of_maxmemory_before_it_was_read(operator):
    assert chart(operator, make_pair(), "memory")["title"] == "Memory used"


# --- What happened


def test_every_mark_of_what_people_did_leads_to_it(operator, pair):
    who = make_person("approver")
    times = {"requested_at": NOON - 9 * HOUR, "approved_at": NOON - 8 * HOUR}
    waiver = Waiver.objects.create(
        tenant=pair.target.tenant,
        rule_id="pair.rtt",
        severity="warning",
        kind="accepted_risk",
        requested_by=who,
        approved_by=who,
        expires_at=NOON + DAY,
        ended_at=NOON - 7 * HOUR,
        end="revoked",
        **times,
    )
    window = MaintenanceWindow.objects.create(
        scope="label",
        label_name="tier",
        label_value="gold",
        starts_at=NOON - 6 * HOUR,
        ends_at=NOON - 5 * HOUR,
        made_at=NOON - DAY,
        made_by=who,
    )
    turn(pair, NOON - 4 * HOUR, labels={"tier": "gold"}, state="paused")
    turn(pair, NOON - 3 * HOUR, state="active", zone=make_zone("us-1"))

    found = [(one["words"], one["url"]) for one in asked(operator, pair)["events"]]

    changes = f"/admin/registry/pair/{pair.pk}/changes/"
    assert found == [
        ("Probed from zone us-1 from here on", changes),
        ("Resumed: checked again", changes),
        ("Paused: checked no more", changes),
        ("Maintenance ends", f"/admin/findings/maintenancewindow/{window.pk}/change/"),
        ("Maintenance begins", f"/admin/findings/maintenancewindow/{window.pk}/change/"),
        ("Waiver ends: pair.rtt", f"/admin/findings/waiver/{waiver.pk}/change/"),
        ("Waived: pair.rtt", f"/admin/findings/waiver/{waiver.pk}/change/"),
    ]


# --- CSV

GAPS = "nothing read until (UTC),why"


def test_the_csv_has_the_band_that_is_drawn_and_no_other(operator, pair):
    hour = NOON.replace(minute=0) - 3 * HOUR
    row(
        VisitHour,
        pair,
        hour,
        rtt_min_us=200,
        rtt_median_us=300,
        rtt_max_us=900,
        connected_clients=30,
        connected_clients_max=36,
    )
    RolledDay.objects.create(day=hour.date(), rolled_at=NOON, visits_count=60)
    lines = [
        operator.get(f"/admin/registry/pair/{pair.pk}/trend/{name}/csv/", {"range": "7d"})
        .content.decode()
        .splitlines()
        for name in ("rtt", "clients")
    ]

    probe = "probe in eu-1 to Redis"
    assert lines == [
        [
            f'at (UTC),{probe} (ms),"{probe}, lowest (ms)","{probe}, highest (ms)",{GAPS}',
            "2026-11-20T09:00:00+00:00,0.3,0.2,0.9,,",
            "2026-11-20T09:00:00+00:00,,,,2026-11-20T12:30:00+00:00,not checked",
        ],
        [
            f'at (UTC),Connected clients (count),"Connected clients, highest (count)",{GAPS}',
            "2026-11-20T09:00:00+00:00,30,36,,",
            "2026-11-20T09:00:00+00:00,,,2026-11-20T12:30:00+00:00,not checked",
        ],
    ]


@pytest.mark.parametrize("zone", ["Asia/Kathmandu", "America/New_York"])
@pytest.mark.parametrize(("span", "model"), [("24h", None), ("7d", VisitHour), ("90d", VisitDay)])
def test_a_point_is_at_its_instant_whatever_the_readers_time_zone(
    operator, pair, zone, span, model
):
    User.objects.update(time_zone=zone)
    at = NOON.replace(hour=0, minute=0) - 2 * DAY if model else NOON - 3 * HOUR
    if model is None:
        visit(pair, 3 * HOUR, rtt_median_us=300)
    else:
        row(model, pair, at, rtt_median_us=300)
        RolledDay.objects.create(day=at.date(), rolled_at=NOON, visits_count=60)

    assert chart(operator, pair, span=span)["series"][0]["at"][0] == at.timestamp()

"""The trends' JSON and their table: values, limits, gaps, marks."""

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.core.cache import cache
from django.utils import timezone

from fleet.history import partitions
from fleet.history.models import RolledDay, Visit, VisitDay, VisitHour
from fleet.history.rollup import roll_day
from fleet.inspections.terms import forget, terms
from fleet.portal.charts import BY_VISIT
from fleet.registry.models import FleetSettings, PolicyVersion
from tests.fleet.factories import make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_caches():
    cache.clear()
    forget()
    partitions.forget_days()
    yield
    partitions.forget_days()  # the test's own were rolled back


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def visit(pair, at, **columns):
    partitions.ensure_day(at.astimezone(UTC).date())
    values = {"fails_count": 0, "unknowns_count": 0, "outcome": 0, **columns}
    Visit.objects.create(target_id=pair.pk, at=at, **values)


def charts(client, pair, span="24h"):
    answer = client.get(f"/admin/registry/pair/{pair.pk}/trend/", {"range": span})
    return answer.json()


def test_without_history_every_chart_is_empty(operator):
    found = charts(operator, make_pair())

    assert {(one["now"], *one["gaps"], *one["marks"]) for one in found["charts"]} == {("",)}
    assert (
        found["charts"][0]["sentence"]
        == "RTT, our probe in eu-1 to Redis: no reading in this time."
    )


def test_what_emailengine_measures_comes_first_and_our_probe_beside_it(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(minutes=2), rtt_median_us=300, emailengine_rtt_us=1100)
    visit(pair, now - timedelta(minutes=1), rtt_median_us=310, emailengine_rtt_us=1420)

    rtt = charts(operator, pair)["charts"][0]

    assert rtt["title"] == "RTT, EmailEngine to Redis"
    assert rtt["now"] == "1.42\u202fms"
    assert [(one["label"], one["values"]) for one in rtt["series"]] == [
        ("EmailEngine to Redis", [1.1, 1.42]),
        ("probe in eu-1 to Redis", [0.3, 0.31]),
    ]
    assert [(one["value"], one["label"]) for one in rtt["limits"]] == [
        (1.0, "1\u202fms warning"),
        (5.0, "5\u202fms critical"),
    ]
    assert rtt["sentence"] == (
        "RTT, EmailEngine to Redis: lowest 1.10\u202fms, highest 1.42\u202fms, now 1.42\u202fms."
    )


def test_memory_is_a_share_of_maxmemory_where_one_is_set(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(minutes=1), used_memory_bytes=710, maxmemory_bytes=1000)

    memory = charts(operator, pair)["charts"][1]

    assert (memory["title"], memory["unit"], memory["now"]) == (
        "Memory, share of maxmemory",
        "%",
        "71%",
    )
    assert memory["series"][0]["values"] == [71.0]
    assert [one["label"] for one in memory["limits"]] == ["80% warning", "90% critical"]


def test_memory_without_a_limit_is_in_bytes(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(minutes=1), used_memory_bytes=512 * 1024**2, maxmemory_bytes=0)

    memory = charts(operator, pair)["charts"][1]

    assert (memory["unit"], memory["now"], memory["limits"]) == ("GiB", "512\u202fMiB", [])


def test_a_silence_of_over_three_intervals_is_a_gap(operator):
    pair, now = make_pair(), timezone.now()
    make_state(pair)
    for minutes in (30, 29, 20, 19, 1):
        visit(pair, now - timedelta(minutes=minutes), rtt_median_us=300)

    rtt = charts(operator, pair)["charts"][0]

    spans = [tuple(round((now.timestamp() - at) / 60) for at in gap[:2]) for gap in rtt["gaps"]]
    assert spans == [(29, 20), (19, 1)]
    assert {gap[2] for gap in rtt["gaps"]} == {"not checked"}
    assert rtt["series"][0]["values"] == [0.3, 0.3, None, 0.3, 0.3, None, 0.3]


def test_a_pair_read_every_five_minutes_has_no_gap_at_five_minutes(operator):
    pair, now = make_pair(), timezone.now()
    make_state(pair, engine="upstash")
    for minutes in (11, 6, 1):
        visit(pair, now - timedelta(minutes=minutes), rtt_median_us=300)

    assert charts(operator, pair)["charts"][0]["gaps"] == []


def test_what_only_stats_tell_has_no_gap_between_two_readings_of_them(operator):
    pair, now = make_pair(), timezone.now()
    make_state(pair)
    for minutes in range(30, 0, -1):
        stats = {"submit_waiting_count": 4, "processed_per_minute": 90, "bounce_ratio": 0.004}
        at = now - timedelta(minutes=minutes)
        visit(pair, at, rtt_median_us=300, **(stats if minutes % 5 == 0 and minutes != 20 else {}))

    found = {one["name"]: one for one in charts(operator, pair)["charts"]}

    assert [found[name]["gaps"] for name in ("rtt", "queues", "pace", "bounces")] == [[]] * 4
    assert found["pace"]["title"] == "Messages sent a minute; the limits hold while 100 wait"
    assert (found["pace"]["now"], found["bounces"]["now"]) == ("90\u202f/min", "0.4%")
    assert [one["label"] for one in found["bounces"]["limits"]] == ["1% warning", "3% critical"]
    assert [one["label"] for one in found["pace"]["limits"]] == [
        "100\u202f/min warning",
        "50\u202f/min critical",
    ]


@pytest.mark.parametrize("span", ["24h", "7d", "90d"])
def test_every_column_that_a_visit_may_hold_is_drawn(operator, span):
    pair = make_pair()
    everything = dict.fromkeys(BY_VISIT, 1) | {"maxmemory_bytes": 4}
    visit(pair, timezone.now() - timedelta(minutes=1), **everything)

    found = charts(operator, pair, span)["charts"]

    assert [one["name"] for one in found if not one["now"]] == ["evictions"]
    assert next(one for one in found if one["name"] == "queues")["series"][2]["values"] == [1]


def test_findings_are_marked_where_they_opened_and_resolved(operator):
    pair, now = make_pair(), timezone.now()
    make_finding(
        pair,
        "pair.rtt",
        severity="warning",
        state="resolved",
        opened_at=now - timedelta(hours=5),
        resolved_at=now - timedelta(hours=2),
    )
    make_finding(pair, "pair.rtt", opened_at=now - timedelta(days=2))
    make_finding(pair, "redis.memory-headroom", opened_at=now - timedelta(hours=1))

    rtt, memory, *_rest = charts(operator, pair)["charts"]

    assert [mark["tone"] for mark in rtt["marks"]] == ["warning", "resolved"]
    assert [mark["tone"] for mark in memory["marks"]] == ["critical"]


def test_the_axis_begins_with_the_first_reading(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(hours=3), rtt_median_us=300)

    found = charts(operator, pair)

    assert found["to"] - found["from"] == pytest.approx(3 * 3600, abs=5)


@pytest.mark.parametrize(
    ("span", "least"),
    [
        ("24h", timedelta(minutes=15)),
        ("30d", timedelta(hours=6)),
        ("90d", timedelta(days=7)),
        ("2y", timedelta(days=7)),
    ],
)
def test_one_point_alone_stands_in_a_time_of_its_pace(operator, noon, span, least):
    pair = make_pair()
    visit(pair, noon, rtt_median_us=300)

    found = charts(operator, pair, span)

    assert found["to"] - found["from"] == least.total_seconds()


def test_the_range_is_one_that_exists(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(hours=40), rtt_median_us=300)

    assert charts(operator, pair, "7d")["charts"][0]["series"][0]["values"] == [0.3, None]
    assert charts(operator, pair, "century")["charts"][0]["series"][0]["values"] == []


def test_the_table_has_an_hour_a_row_newest_first(operator):
    pair = make_pair()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    visit(pair, hour - timedelta(minutes=50), rtt_median_us=200)
    visit(pair, hour - timedelta(minutes=10), rtt_median_us=400)
    visit(pair, hour - timedelta(minutes=70), rtt_median_us=900)

    answer = operator.get(f"/admin/registry/pair/{pair.pk}/trend/rtt/")

    assert [
        (line["at"], line["average"], line["highest"], line["count"])
        for line in answer.context["lines"]
    ] == [
        (hour - timedelta(hours=1), "0.30\u202fms", "0.40\u202fms", 2),
        (hour - timedelta(hours=2), "0.90\u202fms", "0.90\u202fms", 1),
    ]


def test_the_table_has_a_column_for_every_line(operator):
    pair = make_pair()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    visit(pair, hour - timedelta(minutes=50), rtt_median_us=200, emailengine_rtt_us=1100)
    visit(pair, hour - timedelta(minutes=70), rtt_median_us=900)

    answer = operator.get(f"/admin/registry/pair/{pair.pk}/trend/rtt/")

    lines = answer.context["lines"]
    assert [(one["average"], one["count"], one["others"]) for one in lines] == [
        ("1.10\u202fms", 1, ["0.20\u202fms"]),
        ("not read", 0, ["0.90\u202fms"]),
    ]
    text = answer.content.decode()
    assert ">EmailEngine to Redis</th>" in text
    assert ">Probe in eu-1 to Redis</th>" in text


def test_a_table_of_nothing_says_so(operator):
    pair = make_pair()

    for name in ("rtt", "memory"):
        text = operator.get(f"/admin/registry/pair/{pair.pk}/trend/{name}/").content.decode()
        assert "No reading in this time." in text
    assert operator.get(f"/admin/registry/pair/{pair.pk}/trend/nonsense/").status_code == 404


def test_times_are_the_readers(client):
    client.force_login(make_person(time_zone="Asia/Tokyo"))

    assert charts(client, make_pair())["time_zone"] == "Asia/Tokyo"


def ago(days: int, hour: int = 12) -> datetime:
    """An hour of a day (UTC) some days before the fixed one of the rolled tests."""
    return datetime(2026, 11, 20, hour, tzinfo=UTC) - timedelta(days=days)


@pytest.fixture
def noon():
    with time_machine.travel(datetime(2026, 11, 20, 12, 30, tzinfo=UTC), tick=False):
        yield timezone.now()


def roll(now, *days):
    for table in (partitions.HOURS, partitions.DAYS):
        partitions.make(table, [now.date() - timedelta(days=n) for n in days])
    for n in days:
        roll_day(now.date() - timedelta(days=n), now)


def read(line) -> list[tuple[float, float]]:
    points = zip(line["at"], line["values"], strict=True)
    return [(at, value) for at, value in points if value is not None]


def test_a_week_is_hours_written_and_live_without_a_hole(operator, noon):
    pair = make_pair()
    for at, rtt_us in ((ago(3), 100), (ago(1), 200), (ago(0, 11), 300), (ago(0), 500)):
        visit(pair, at, rtt_min_us=rtt_us - 50, rtt_median_us=rtt_us, rtt_max_us=rtt_us + 50)
        visit(
            pair,
            at + timedelta(minutes=20),
            rtt_min_us=rtt_us,
            rtt_median_us=rtt_us + 100,
            rtt_max_us=2 * rtt_us,
        )
    roll(noon, 3)

    found = charts(operator, pair, "7d")
    (line,) = found["charts"][0]["series"]

    assert found["pace"] == "hour"
    assert read(line) == [
        (ago(3).timestamp(), 0.15),
        (ago(1).timestamp(), 0.25),
        (ago(0, 11).timestamp(), 0.35),
        (ago(0).timestamp(), 0.55),
    ]
    assert [band[1:] for band in line["band"] if band[1] is not None] == [
        [0.05, 0.2],
        [0.15, 0.4],
        [0.25, 0.6],
        [0.45, 1.0],
    ]


def test_two_years_are_days(operator, noon):
    pair = make_pair()
    for n in (5, 4, 0):
        visit(pair, ago(n), used_memory_bytes=100 + n, maxmemory_bytes=1000)
    roll(noon, 5, 4)

    memory = charts(operator, pair, "2y")["charts"][1]

    (line,) = memory["series"]
    assert read(line) == [
        (ago(5, 0).timestamp(), 10.5),
        (ago(4, 0).timestamp(), 10.4),
        (ago(0, 0).timestamp(), 10.0),
    ]
    assert [gap[2] for gap in memory["gaps"]] == ["not checked"]


def test_evictions_are_rises_and_a_restart_counts_from_zero(operator):
    pair, now = make_pair(), timezone.now()
    for minutes, evicted in ((9, 100), (8, 130), (7, 5), (2, 50), (1, 50)):
        visit(pair, now - timedelta(minutes=minutes), evicted_keys=evicted)

    chart = next(one for one in charts(operator, pair)["charts"] if one["name"] == "evictions")

    values = [value for value in chart["series"][0]["values"] if value is not None]
    assert values == [30, 5, 0]


@pytest.mark.parametrize(
    ("outcome", "why"), [(1, "Redis did not answer"), (2, "our probe was blind"), (0, "not read")]
)
def test_a_gap_says_why_nothing_was_read(operator, outcome, why):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(minutes=20), rtt_median_us=300)
    visit(pair, now - timedelta(minutes=10), outcome=outcome)
    visit(pair, now - timedelta(minutes=1), rtt_median_us=300)

    (gap,) = charts(operator, pair)["charts"][0]["gaps"]

    assert gap[2] == why


def test_the_csv_is_what_is_shown(operator, noon):
    pair = make_pair(name="northwind-eu-0417")
    visit(pair, ago(0, 11), rtt_median_us=300, emailengine_rtt_us=1100)
    visit(pair, ago(0, 12), rtt_median_us=310)

    answer = operator.get(f"/admin/registry/pair/{pair.pk}/trend/rtt/csv/", {"range": "24h"})

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="{pair.pk}-rtt-24h.csv"'
    assert answer.content.decode().splitlines() == [
        "at (UTC),EmailEngine to Redis (ms),probe in eu-1 to Redis (ms),nothing read until (UTC),why",
        "2026-11-20T11:00:00+00:00,1.1,0.3,,",
        "2026-11-20T11:00:00+00:00,,,2026-11-20T12:00:00+00:00,not checked",
        "2026-11-20T12:00:00+00:00,,0.31,,",
        "2026-11-20T12:00:00+00:00,,,2026-11-20T12:30:00+00:00,not checked",
    ]


def test_what_happened_is_listed_newest_first_with_a_link(operator):
    pair, now = make_pair(), timezone.now()
    finding = make_finding(pair, "pair.rtt", opened_at=now - timedelta(hours=2), short="RTT 6 ms")
    PolicyVersion.objects.create(
        level="fleet", number=3, made_at=now - timedelta(hours=1), overrides={"pair.rtt": {}}
    )

    found = charts(operator, pair)

    assert [(one["words"], one["url"]) for one in found["events"]] == [
        ("Policy changed: Fleet, version 3", "/admin/policies/"),
        ("Opened: RTT 6 ms", f"/f/{finding.pk}/"),
    ]
    assert [len(one["marks"]) for one in found["charts"]][:2] == [2, 0]


@pytest.mark.parametrize("span", ["24h", "7d", "2y"])
def test_a_trend_takes_few_queries(operator, django_assert_max_num_queries, span):
    pair = make_pair()
    visit(pair, timezone.now(), rtt_median_us=300)
    terms()  # read once by a process, and again after a change

    with django_assert_max_num_queries(12):
        charts(operator, pair, span)


def keep_for(**days):
    FleetSettings.objects.update_or_create(pk=1, defaults=days)
    forget()


def test_a_range_longer_than_hours_are_kept_is_drawn_by_days(operator):
    pair, now = make_pair(), timezone.now()
    keep_for(hourly_days=29)
    for days in (1, 20):
        visit(pair, now - timedelta(days=days), rtt_median_us=300)
        roll_day((now - timedelta(days=days)).date(), now)
    VisitHour.objects.filter(at__lt=now - timedelta(days=7)).delete()

    found = charts(operator, pair, "30d")

    read = [one for one in found["charts"][0]["series"][0]["values"] if one is not None]
    assert (found["pace"], read) == ("day", [0.3, 0.3])
    assert found["words"]["kept"] == "Hours are not kept for so long: each point is a day (UTC)."
    keep_for(hourly_days=30)
    found = charts(operator, pair, "30d")
    assert (found["pace"], found["words"]["kept"]) == ("hour", "")


@pytest.mark.parametrize(
    ("daily_days", "words"),
    [(729, "History is kept for 729 days: nothing older is shown."), (730, "")],
)
def test_what_is_older_than_days_are_kept_is_not_shown_and_that_is_said(
    operator, daily_days, words
):
    keep_for(daily_days=daily_days)
    pair = make_pair()

    found = charts(operator, pair, "2y")
    table = operator.get(f"/admin/registry/pair/{pair.pk}/trend/rtt/", {"range": "2y"})

    assert found["words"]["kept"] == words
    assert ("nothing older is shown" in table.content.decode()) is bool(words)


def test_a_month_that_is_only_partly_over_is_shown_as_far_as_it_is_kept(operator):
    """A month's days lie there until all of it is over: what is not kept is not shown."""
    keep_for(daily_days=90)
    pair, now = make_pair(), timezone.now()
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    partitions.make(partitions.DAYS, [(now - timedelta(days=one)).date() for one in (90, 91)])
    for days in (90, 91):
        VisitDay.objects.create(
            target_id=pair.pk,
            at=midnight - timedelta(days=days),
            visits_count=1,
            silent_count=0,
            blind_count=0,
            fails_max_count=0,
            rtt_median_us=300 + days,
        )
    RolledDay.objects.create(day=(now - timedelta(days=1)).date(), rolled_at=now, visits_count=1)

    (line,) = charts(operator, pair, "2y")["charts"][0]["series"]

    assert [one for one in line["values"] if one is not None] == [0.39]

"""The trends' JSON and their table: values, limits, gaps, marks."""

from datetime import UTC, timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from fleet.history import partitions
from fleet.history.models import Visit
from fleet.portal.trends import _broken, _gaps
from tests.fleet.factories import make_finding, make_pair, make_person, make_state

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _fresh_caches():
    cache.clear()
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

    assert [(one["name"], one["now"], one["gaps"], one["marks"]) for one in found["charts"]] == [
        ("rtt", "", [], []),
        ("memory", "", [], []),
    ]
    assert found["charts"][0]["sentence"] == "RTT, our probe to Redis: no reading in this time."


def test_what_emailengine_measures_comes_first_and_our_probe_beside_it(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(minutes=2), rtt_median_us=300, emailengine_rtt_us=1100)
    visit(pair, now - timedelta(minutes=1), rtt_median_us=310, emailengine_rtt_us=1420)

    rtt = charts(operator, pair)["charts"][0]

    assert rtt["title"] == "RTT, EmailEngine to Redis"
    assert rtt["now"] == "1.42\u202fms"
    assert [(one["label"], one["values"]) for one in rtt["series"]] == [
        ("EmailEngine to Redis", [1.1, 1.42]),
        ("probe to Redis", [0.3, 0.31]),
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


def test_memory_without_a_limit_is_in_mebibytes(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(minutes=1), used_memory_bytes=512 * 1024**2, maxmemory_bytes=0)

    memory = charts(operator, pair)["charts"][1]

    assert (memory["unit"], memory["now"], memory["limits"]) == ("MiB", "512\u202fMiB", [])


def test_a_silence_of_over_three_intervals_is_a_gap(operator):
    pair, now = make_pair(), timezone.now()
    make_state(pair)
    for minutes in (30, 29, 20, 19, 1):
        visit(pair, now - timedelta(minutes=minutes), rtt_median_us=300)

    rtt = charts(operator, pair)["charts"][0]

    spans = [(round((now.timestamp() - at) / 60) for at in gap) for gap in rtt["gaps"]]
    assert [tuple(span) for span in spans] == [(29, 20), (19, 1)]
    assert rtt["series"][0]["values"] == [0.3, 0.3, None, 0.3, 0.3, None, 0.3]


def test_a_pair_read_every_five_minutes_has_no_gap_at_five_minutes(operator):
    pair, now = make_pair(), timezone.now()
    make_state(pair, engine="upstash")
    for minutes in (11, 6, 1):
        visit(pair, now - timedelta(minutes=minutes), rtt_median_us=300)

    assert charts(operator, pair)["charts"][0]["gaps"] == []


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

    rtt, memory = charts(operator, pair)["charts"]

    assert [mark["tone"] for mark in rtt["marks"]] == ["warning", "resolved"]
    assert [mark["tone"] for mark in memory["marks"]] == ["critical"]


def test_the_axis_begins_with_the_first_reading(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(hours=3), rtt_median_us=300)

    found = charts(operator, pair)

    assert found["to"] - found["from"] == pytest.approx(3 * 3600, abs=5)


def test_the_range_is_one_that_exists(operator):
    pair, now = make_pair(), timezone.now()
    visit(pair, now - timedelta(hours=40), rtt_median_us=300)

    assert charts(operator, pair, "3d")["charts"][0]["series"][0]["values"][0] == 0.3
    assert charts(operator, pair, "2y")["charts"][0]["series"][0]["values"] == []


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


def test_a_table_of_nothing_says_so(operator):
    pair = make_pair()

    for name in ("rtt", "memory", "nonsense"):
        text = operator.get(f"/admin/registry/pair/{pair.pk}/trend/{name}/").content.decode()
        assert "No reading in this time." in text


@pytest.mark.parametrize(
    ("points", "gaps"),
    [
        ([], []),
        ([(0, None), (60, None)], []),
        ([(0, 1), (180, 1), (360, 1), (540, 1), (600, 1)], []),
        ([(0, 1), (181, 1), (600, 1)], [(0, 181), (181, 600)]),
        ([(0, 1), (100, None), (200, 1), (400, 1)], [(0, 200), (200, 400), (400, 600)]),
        ([(500, 1)], []),
    ],
)
def test_gaps(points, gaps):
    assert list(_gaps(points, (0, 600), 180)) == gaps


def test_a_line_breaks_at_a_gap_and_skips_what_was_not_read():
    points = [(0.0, 1.0), (60.0, None), (900.0, 2.0)]

    assert _broken(points, [(0.0, 900.0)]) == [(0.0, 1.0), (1.0, None), (900.0, 2.0)]


def test_times_are_the_readers(client):
    client.force_login(make_person(time_zone="Asia/Tokyo"))

    assert charts(client, make_pair())["time_zone"] == "Asia/Tokyo"

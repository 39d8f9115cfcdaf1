"""Distributions over the fleet: buckets, limits, outliers, and the lists that each bar leads to."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from fleet.inspections.terms import forget
from fleet.portal.measures import MEASURES, as_filter, bucket_words, parsed
from fleet.registry.models import PolicyVersion
from tests.fleet.factories import make_pair, make_person, make_state, make_tenant

pytestmark = pytest.mark.django_db
URL, PAIRS = "/admin/trends/spread/", "/admin/registry/pair/"
RTT, MEMORY, SNAPSHOT = MEASURES


@pytest.fixture(autouse=True)
def _fresh_caches():
    cache.clear()
    forget()


@pytest.fixture
def operator(client):
    client.force_login(make_person())
    return client


def pair(tenant="Northwind Mail", **state):
    made = make_pair(tenant)
    make_state(made, timezone.now(), **state)
    return made


def bars(client, name, **query):
    found = {one.measure.name: one for one in client.get(URL, query).context["spreads"]}
    return {bar.words: (bar.count, bar.tone) for bar in found[name].bars if bar.count}


def test_a_value_at_an_edge_belongs_above_it(operator, django_assert_max_num_queries):
    for rtt_us in (999, 1000, 1999, 4999, 5000, 60_000):
        pair(rtt_us=rtt_us)

    with django_assert_max_num_queries(12):
        operator.get(URL)

    thin = "\u202f"
    assert bars(operator, "rtt") == {
        f"0.50{thin}ms – 1.00{thin}ms": (1, ""),
        f"1.00{thin}ms – 2.00{thin}ms": (2, "warning"),
        f"2.00{thin}ms – 5.00{thin}ms": (1, "warning"),
        f"5.00{thin}ms – 10.0{thin}ms": (1, "critical"),
        f"≥{thin}50.0{thin}ms": (1, "critical"),
    }


def test_what_the_last_visit_did_not_read_is_left_out(operator):
    now = timezone.now()
    pair(rtt_us=400, rtt_vantage="")
    pair(rtt_us=400, used_ratio=None, last_save_at=None)
    pair(rtt_us=400, answered_at=now - timedelta(hours=1))
    paused = pair(rtt_us=400)
    paused.target.state = "paused"
    paused.target.save()

    found = operator.get(URL).context["spreads"]

    assert [one.read_count for one in found] == [1, 1, 1]
    assert operator.get(URL).context["active_count"] == 3


def test_every_bar_leads_to_the_pairs_it_counts(operator):
    for number in range(7):
        pair(
            rtt_us=300 * 2**number,
            used_ratio=0.15 * number,
            last_save_at=timezone.now() - timedelta(hours=number**2),
        )

    for spread in operator.get(URL).context["spreads"]:
        for bar in spread.bars:
            listed = operator.get(bar.url).context["cl"].result_count
            assert (spread.measure.name, bar.words, listed) == (
                spread.measure.name,
                bar.words,
                bar.count,
            )


@pytest.mark.parametrize("wrong", ["x", "-", "1", "2-x", "nan-3", "-1--2", "1e99-"])
def test_a_range_that_is_none_finds_nothing(operator, wrong):
    pair()

    assert operator.get(PAIRS, {"rtt": wrong}).context["cl"].result_count == 0


def test_a_range_is_written_and_read_alike():
    assert [parsed(as_filter(*edges)) for edges in ((None, 0.25), (1, 2), (50, None))] == [
        (None, 0.25),
        (1, 2),
        (50, None),
    ]
    assert bucket_words(MEMORY, 80, 90) == "80% – 90%"


def test_the_furthest_are_listed_by_their_own_limits(operator):
    mild = pair("Fabrikam", used_ratio=0.86)
    pair(used_ratio=0.10)
    far = pair(used_ratio=0.97)
    PolicyVersion.objects.create(
        level="tenant",
        tenant=make_tenant("Fabrikam"),
        overrides={"redis.memory-headroom": {"warn_used_ratio": 0.88, "critical_used_ratio": 0.95}},
        made_at=timezone.now(),
        number=1,
    )

    found = operator.get(URL).context["spreads"][1]

    assert [(one.target_id, one.value, one.severity) for one in found.outliers[:2]] == [
        (far.pk, "97%", "critical"),
        (mild.pk, "86%", ""),
    ]
    assert (found.median, found.p95) == ("86%", "97%")


def test_each_sees_their_own_pairs(client):
    pair("Northwind Mail", rtt_us=300)
    pair("Fabrikam", rtt_us=300)
    roles = [("viewer", "Fabrikam")]
    client.force_login(make_person("lea", is_operator=False, roles=roles))

    found = client.get(URL).context["spreads"][0]

    assert (found.read_count, [one.tenant for one in found.outliers]) == (1, ["Fabrikam"])
    assert client.get(URL, {"tenant": make_tenant("Northwind Mail").pk}).status_code == 404


def test_without_a_reading_nothing_is_drawn(operator):
    make_pair()

    assert "No pair has been read." in operator.get(URL).content.decode()

"""How large copies will be: said in words on the pair's pages and as a list of the fleet."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from checks.growth import Growth
from fleet.backups.growth import keep_growth
from fleet.inspections.terms import forget
from fleet.portal.backup_growth import Copies
from tests.fleet.backups.sources import make_artefact, make_source
from tests.fleet.factories import make_pair, make_person, make_state

MIB = 1024**2
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _fresh_caches():
    cache.clear()
    forget()


@pytest.fixture
def operator(client, db):
    client.force_login(make_person())
    return client


def copies(pair, mib: float, a_day: float, count: int = 20, ago: int = 0, **fields) -> None:
    """A source with a copy a day that grows by so many MiB, the newest of so many days ago."""
    source, now = make_source(pair, **fields), timezone.now()
    for number in range(count):
        at = now - (number + ago) * DAY
        make_artefact(source, at=at, size_bytes=int((mib - a_day * number) * MIB))


def text(answer) -> str:
    return " ".join(answer.content.decode().replace("\u202f", " ").split())


LINE = Growth(20, 20_000, 500, 10, 5, 20)
FLAT = Growth(20, 20_000, 500, 10, 0, 20)


@pytest.mark.parametrize(
    ("newest", "age_days", "interval_s", "line", "state", "later"),
    [
        (None, 0, 86_400, None, "none", (None, None, None)),
        (500, 0, 86_400, None, "young", (None, None, None)),
        (500, 0, 86_400, FLAT, "steady", (None, None, None)),
        (500, 0, 86_400, LINE, "growing", (650, 800, 1100)),
        (500, 3, 86_400, LINE, "growing", (665, 830, 1160)),
        (500, 4, 86_400, LINE, "stale", (None, None, None)),
        (500, 21, 7 * 86_400, LINE, "growing", (755, 1010, 1520)),
        (500, 22, 7 * 86_400, LINE, "stale", (None, None, None)),
    ],
)
def test_what_is_foretold_of_a_source(newest, age_days, interval_s, line, state, later):
    found = Copies("nightly", interval_s, 20, newest, age_days, line)

    assert found.state == state
    assert (found.least_bytes, found.likely_bytes, found.most_bytes) == later


def test_the_pair_tells_of_each_source(operator):
    pair = make_pair()
    make_state(pair)
    copies(pair, 500, 10, label="a-pulled")
    copies(pair, 500, 0, label="b-flat")
    copies(pair, 500, 10, count=5, label="c-new")
    copies(pair, 500, 10, ago=9, label="d-gone")
    make_source(pair, label="e-empty")
    make_source(pair, label="f-off", is_enabled=False)

    for address in ("forecast/", "backups/"):
        said = text(operator.get(f"/admin/registry/pair/{pair.pk}/{address}"))

        assert "<b>800 MiB</b> in 30 days" in said
        assert "(800 MiB to 800 MiB); 500 MiB now, 10 MiB more a day" in said
        assert "500 MiB, <b>not growing</b>" in said
        assert "as far as 20 days with a copy show" in said
        assert "no forecast yet: 5 of 14 days with a copy that show a trend" in said
        assert "9 days ago; no copy since, so no forecast" in said
        assert "no good copy with a size yet" in said


def test_the_fleet_lists_what_grows_fastest_and_counts_the_rest(
    operator, django_assert_max_num_queries
):
    pairs = {}
    for name, a_day in (("slow", 1), ("fast", 20), ("flat", 0)):
        pairs[name] = make_pair(name=name)
        make_state(pairs[name])
        copies(pairs[name], 500, a_day, label="nightly")
    copies(pairs["slow"], 100, 1, count=3, label="young")
    make_source(pairs["slow"], label="empty")
    paused = make_pair(name="paused")
    copies(paused, 500, 30)
    type(paused.target).objects.filter(pk=paused.pk).update(state="paused")
    keep_growth(timezone.now())

    with django_assert_max_num_queries(12):
        answer = operator.get("/admin/trends/forecasts/")

    found = answer.context["copies"]
    assert [one.name for one in found.fastest] == ["fast", "slow"]
    assert found.counts == {"growing": 2, "steady": 1, "young": 1, "none": 1}
    assert (found.newest_bytes, round(found.later_bytes / MIB)) == (1600 * MIB, 1600 + 600 + 30)
    assert "One copy of each takes 1.6 GiB now and about 2.2 GiB in 30 days" in text(answer)


def test_each_sees_the_sources_of_their_tenants(client, db):
    for tenant in ("Northwind Mail", "Fabrikam"):
        pair = make_pair(tenant, name=f"of {tenant}")
        make_state(pair)
        copies(pair, 500, 10)
    keep_growth(timezone.now())
    client.force_login(make_person("lea", is_operator=False, roles=[("viewer", "Fabrikam")]))

    found = client.get("/admin/trends/forecasts/").context["copies"]

    assert [one.name for one in found.fastest] == ["of Fabrikam"]
    assert found.sources_count == 1


def test_without_sources_it_says_so(operator):
    make_state(make_pair())

    assert "No backup source is on." in text(operator.get("/admin/trends/forecasts/"))

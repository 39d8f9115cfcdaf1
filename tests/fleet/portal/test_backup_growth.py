"""How large copies will be: said in words on the pair's pages and as a list of the fleet."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from fleet.backups.growth import keep_growth
from fleet.backups.models import BackupSource, CopyGrowth
from fleet.inspections.terms import forget
from fleet.portal.backup_growth import of_fleet, of_sources
from fleet.portal.scoped_admin import Rows
from fleet.registry.scoping import EVERYTHING
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


LINE = {"level_bytes": 500, "slope_bytes": 10, "low_bytes": 5, "high_bytes": 20}
FLAT = LINE | {"low_bytes": 0}
LATER = ("least_bytes", "likely_bytes", "most_bytes")


@pytest.mark.parametrize(
    ("age_days", "interval_s", "line", "state", "later"),
    [
        (None, 86_400, {}, "none", (None, None, None)),
        (0, 86_400, {}, "young", (None, None, None)),
        (0, 86_400, FLAT, "steady", (None, None, None)),
        (0, 86_400, LINE, "growing", (650, 800, 1100)),
        (3, 3600, LINE, "growing", (665, 830, 1160)),
        (4, 86_400, LINE, "stale", (None, None, None)),
        (6, 86_401, LINE, "growing", (680, 860, 1220)),
        (7, 86_401, LINE, "stale", (None, None, None)),
    ],
)
def test_a_pair_and_the_fleet_foretell_the_same_of_a_source(
    operator, age_days, interval_s, line, state, later
):
    now = timezone.now()
    source = make_source(make_pair(), interval_s=interval_s)
    if age_days is not None:
        last_day = int(now.timestamp() // 86_400) - age_days
        CopyGrowth.objects.create(
            source=source,
            made_of=now.date(),
            days_count=20,
            last_day=last_day,
            newest_bytes=500,
            **line,
        )

    (found,) = of_sources(BackupSource.objects.select_related("growth"), now)
    fleet = of_fleet(Rows(EVERYTHING, EVERYTHING), None, now)

    assert (found.state, *(getattr(found, name) for name in LATER)) == (state, *later)
    newest = 0 if age_days is None else 500
    assert (fleet.counts, fleet.newest_bytes, fleet.later_bytes) == (
        {state: 1},
        newest,
        later[1] or newest,
    )
    assert [one.copies for one in fleet.fastest] == ([found] if state == "growing" else [])


def test_the_pair_tells_of_each_source(operator):
    pair = make_pair()
    make_state(pair)
    copies(pair, 500, 10, label="a-pulled")
    copies(pair, 500, 0, label="b-flat")
    copies(pair, 500, 10, count=5, label="c-new")
    copies(pair, 500, 10, ago=9, label="d-gone")
    make_source(pair, label="e-empty")
    make_source(pair, label="f-off", is_enabled=False)
    keep_growth(timezone.now())

    for address in ("forecast/", "backups/"):
        said = text(operator.get(f"/admin/registry/pair/{pair.pk}/{address}"))

        assert "<b>800 MiB</b> in 30 days" in said
        assert "(800 MiB to 800 MiB); 500 MiB now, 10 MiB more a day" in said
        assert "500 MiB, <b>not growing</b>" in said
        assert "as far as 20 days with a copy show" in said
        assert "no forecast yet: 5 of 14 days with a copy, which show a trend" in said
        assert "9 days ago; no copy since, so no forecast" in said
        assert "no size of a good copy known by last night" in said


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

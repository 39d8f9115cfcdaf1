"""The age of a pair's newest good copy through time, and the sizes of its copies."""

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone

from fleet.backups.models import Artefact, BackupSource
from fleet.portal.backup_charts import DAY_S, Copied, ages, greatest
from fleet.portal.charts import unit_of
from tests.fleet.backups.sources import make_artefact, make_source
from tests.fleet.factories import make_pair, make_person

HOUR = timedelta(hours=1)


@pytest.mark.parametrize(
    ("copies", "points"),
    [
        ([], []),
        ([Copied(50, 60, 1)], [(100, 50), (200, 150)]),
        ([Copied(110, 120, 1)], [(120, 10), (200, 90)]),
        (
            [Copied(50, 60, 1), Copied(110, 120, 1)],
            [(100, 50), (119, 69), (120, 10), (200, 90)],
        ),
        # An older content that comes later is not the newest; of two at once the newer is.
        ([Copied(90, 95, 1), Copied(50, 130, 1), Copied(80, 95, 1)], [(100, 10), (200, 110)]),
        # The newest goes: the one before is the newest again; the last goes: nothing is left.
        (
            [Copied(50, 60, 1), Copied(90, 95, 1, 150)],
            [(100, 10), (149, 59), (150, 100), (200, 150)],
        ),
        ([Copied(50, 60, 1, 150)], [(100, 50), (149, 99), (150, None)]),
    ],
)
def test_ages(copies, points):
    assert ages(copies, 100, 200) == points


@pytest.mark.parametrize(
    ("points", "days"),
    [
        ([], []),
        ([(DAY_S, 50)], [(DAY_S, 50)]),
        # A copy at noon of each day: the age is greatest just before it.
        (
            [(0, 40_000), (43_199, 83_199), (43_200, 60), (129_599, 86_459), (129_600, 60)],
            [(0, 83_200), (DAY_S, 86_460), (129_600, 60)],
        ),
        # No copy for two days: it grows until the end of each.
        (
            [(DAY_S - 10, 5), (2 * DAY_S + 10, DAY_S + 25)],
            [(0, 15), (DAY_S, DAY_S + 15), (2 * DAY_S, DAY_S + 25), (2 * DAY_S + 10, DAY_S + 25)],
        ),
        # The only copy goes for an hour: that day has no age.
        (
            [(0, 10), (99, 109), (100, None), (3700, 60), (DAY_S + 1, 82_761)],
            [(0, None), (DAY_S, 82_761), (DAY_S + 1, 82_761)],
        ),
    ],
)
def test_by_days_each_has_its_greatest_age(points, days):
    assert greatest(points) == days


@pytest.mark.parametrize(
    ("largest_bytes", "unit"),
    [
        (0, ("MiB", 1024**2)),
        (511, ("B", 1)),
        (512, ("KiB", 1024)),
        (512 * 1024 - 1, ("KiB", 1024)),
        (512 * 1024, ("MiB", 1024**2)),
        (512 * 1024**2 - 1, ("MiB", 1024**2)),
        (512 * 1024**2, ("GiB", 1024**3)),
    ],
)
def test_sizes_are_drawn_in_a_unit_that_fits_the_axis(largest_bytes, unit):
    assert unit_of(largest_bytes) == unit


@pytest.mark.django_db
def test_both_charts_with_the_limits_of_their_source(client):
    cache.clear()
    client.force_login(make_person())
    pair, now = make_pair(), timezone.now()
    source = BackupSource.objects.create(
        target=pair.target, kind="directory", label="nightly", interval_s=86_400, grace_s=10_800
    )
    for number, (hours, state) in enumerate([(60, "intact"), (30, "intact"), (6, "corrupt")]):
        at = now - hours * HOUR
        Artefact.objects.create(
            source=source,
            key=f"dump-{number}",
            state=state,
            seen_at=at,
            stored_at=at,
            content_at=at - HOUR,
            size_bytes=(number + 1) * 1024**2,
        )

    charts = {}
    for span in ("24h", "7d"):
        answer = client.get(f"/admin/registry/pair/{pair.pk}/trend/", {"range": span}).json()
        charts[span] = {one["name"]: one for one in answer["charts"]}

    age, week = charts["24h"]["backup-age"], charts["7d"]
    assert (age["now"], age["unit"], age["gaps"]) == ("31\u202fh", "h", [])
    assert [round(value) for value in age["series"][0]["values"]] == [7, 31]
    assert week["backup-size"]["series"][0]["values"] == [1, 2]
    assert [round(one["value"], 3) for one in week["backup-age"]["limits"]] == [27, 51]
    assert charts["24h"]["backup-size"]["now"] == ""


@pytest.mark.django_db
def test_the_sizes_of_each_source_are_a_line_of_their_own(client):
    client.force_login(make_person())
    pair, now = make_pair(), timezone.now()
    for label, size in (("pull", 4), ("nightly", 1)):
        source = make_source(pair, label=label)
        for hours in (30, 6):
            at = now - hours * HOUR
            told = {"size_bytes": None} if label == "nightly" else {}
            size_bytes = (size + hours) * 1024**2
            make_artefact(
                source, at=at, **{"size_bytes": size_bytes, **told, "stored_bytes": size_bytes}
            )

    answer = client.get(f"/admin/registry/pair/{pair.pk}/trend/", {"range": "7d"}).json()

    chart = next(one for one in answer["charts"] if one["name"] == "backup-size")
    assert [(one["label"], one["values"]) for one in chart["series"]] == [
        ("nightly", [31, 7]),
        ("pull", [34, 10]),
    ]


@pytest.mark.django_db
def test_a_label_is_no_formula_to_the_spreadsheet_that_reads_the_csv(client):
    client.force_login(make_person())
    pair, now = make_pair(), timezone.now()
    for label in ("=1+1", "nightly"):
        make_artefact(make_source(pair, label=label), at=now - 6 * HOUR)

    file = client.get(f"/admin/registry/pair/{pair.pk}/trend/backup-size/csv/", {"range": "7d"})

    gaps = "nothing read until (UTC),why"
    assert file.content.decode().splitlines()[0] == (f"at (UTC),'=1+1 (MiB),nightly (MiB),{gaps}")


@pytest.mark.django_db
def test_a_pair_without_a_copy_has_neither_chart(client):
    client.force_login(make_person())
    answer = client.get(f"/admin/registry/pair/{make_pair().pk}/trend/").json()

    assert not [one for one in answer["charts"] if one["name"].startswith("backup")]

"""How full the disk of the pull folder is: read, kept by day, and asked of every zone on the hour."""

from datetime import timedelta

import pytest
from django.conf import settings as given

from fleet.backups.models import PullRoom
from fleet.backups.room import Disk, disk_of, look, with_day, zones_to_look_in
from tests.fleet.backups.sources import make_artefact, make_source
from tests.fleet.factories import NOW, make_pair, make_worker, make_zone

pytestmark = pytest.mark.django_db
TODAY = int(NOW.timestamp() // 86_400)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def folder(tmp_path, settings):
    make_zone(given.ZONE)
    settings.PULL_FOLDER = str(tmp_path)
    settings.WORKER_NAME = "worker-a"
    return tmp_path


def test_a_disk_is_counted_as_df_counts_it(tmp_path):
    disk = disk_of(str(tmp_path))

    assert 0 <= disk.free_bytes <= disk.total_bytes
    assert Disk(100, 30).used_bytes == 70


def test_a_look_is_written_down(folder):
    assert look(NOW)

    row = PullRoom.objects.get()
    disk = disk_of(str(folder))
    assert (row.zone.slug, row.worker, row.folder, row.read_at, row.error) == (
        given.ZONE,
        "worker-a",
        str(folder),
        NOW,
        "",
    )
    assert row.total_bytes == pytest.approx(disk.total_bytes, rel=0.05)
    assert row.free_bytes == pytest.approx(disk.free_bytes, rel=0.05)
    assert row.days == [[TODAY, row.total_bytes - row.free_bytes]]


@pytest.mark.parametrize(("age", "looks"), [(5, True), (4, False)])
def test_pulls_one_after_another_look_seldom(folder, age, looks):
    look(NOW)

    assert look(NOW + timedelta(minutes=age), timedelta(minutes=5)) is looks


def test_a_worker_without_a_folder_writes_nothing(folder, settings):
    settings.PULL_FOLDER = ""

    assert not look(NOW)
    assert not PullRoom.objects.exists()


def test_a_folder_that_is_gone_is_not_known_and_its_days_stay(folder):
    look(NOW)
    days = PullRoom.objects.get().days
    folder.rmdir()

    look(NOW + HOUR)

    row = PullRoom.objects.get()
    assert (row.total_bytes, row.free_bytes, row.error, row.days) == (
        None,
        None,
        "no such file or directory",
        days,
    )


def test_another_folder_begins_anew(folder, settings):
    look(NOW - DAY)
    settings.PULL_FOLDER = str(folder.parent)

    look(NOW)

    assert [day for day, _used in PullRoom.objects.get().days] == [TODAY]


@pytest.mark.parametrize(
    ("before", "used", "after"),
    [
        ([], 5, [[100, 5]]),
        ([[100, 7]], 5, [[100, 7]]),
        ([[100, 3]], 5, [[100, 5]]),
        ([[72, 1], [73, 2], [99, 3], [101, 9]], 5, [[73, 2], [99, 3], [100, 5]]),
    ],
)
def test_each_of_the_last_28_days_holds_its_most(before, used, after):
    assert with_day(before, 100, used) == after


def test_a_next_round_is_the_newest_good_copy_of_each_source_that_writes_there(folder):
    def source(zone=given.ZONE, kind="pull", state="active", **fields):
        return make_source(make_pair(zone=zone, state=state), kind, **fields)

    first, second, _new = source(), source(), source()
    make_artefact(first, at=NOW - DAY, stored_bytes=900, gone_at=NOW)
    make_artefact(first, at=NOW - HOUR, stored_bytes=100)
    make_artefact(first, at=NOW, stored_bytes=7, state="corrupt")
    make_artefact(second, stored_bytes=20)
    for other in (
        source(is_enabled=False),
        source(destination="bucket"),
        source(kind="directory"),
        source(state="paused"),
        source(zone="eu-9"),
    ):
        make_artefact(other, stored_bytes=5000)

    look(NOW)

    row = PullRoom.objects.get()
    assert (row.sources_count, row.round_bytes) == (3, 120)


def test_zones_with_a_worker_are_asked():
    for _number in range(2):
        make_worker("eu-1")
    make_worker("eu-2", seen=timedelta(minutes=2))
    make_zone("eu-3")

    assert zones_to_look_in(NOW) == ["eu-1"]

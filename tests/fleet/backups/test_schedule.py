"""Sources are looked at in their own rhythm, and zones with work are woken."""

from datetime import timedelta

import pytest

from fleet.backups import schedule
from fleet.backups.models import BackupJob
from tests.fleet.backups.sources import make_source
from tests.fleet.factories import NOW, make_pair, make_worker

pytestmark = pytest.mark.django_db
SECOND = timedelta(seconds=1)


def wished():
    return list(BackupJob.objects.order_by("pk").values_list("kind", "source__kind", "state"))


def test_what_is_due_becomes_a_job_once():
    pair = make_pair()
    for kind in ("directory", "bucket", "heartbeat", "pull"):
        make_source(pair, kind)

    assert (schedule.ask_due(NOW), schedule.ask_due(NOW)) == (3, 0)
    assert wished() == [
        ("verify", "directory", "waiting"),
        ("verify", "bucket", "waiting"),
        ("pull", "pull", "waiting"),
    ]


def test_a_source_that_is_off_or_of_a_paused_pair_is_left_alone():
    make_source(make_pair(), is_enabled=False)
    make_source(make_pair(state="paused"))

    assert schedule.ask_due(NOW) == 0


def test_a_look_that_still_waits_is_not_asked_for_again():
    make_source(make_pair())
    schedule.ask_due(NOW)

    assert schedule.ask_due(NOW + timedelta(days=2)) == 1
    assert BackupJob.objects.count() == 1


@pytest.mark.parametrize(
    ("kind", "interval_s", "every_s"),
    [
        ("directory", 86_400, 3_600),
        ("directory", 7_200, 1_800),
        ("bucket", 600, 300),
        ("pull", 86_400, 86_400),
    ],
)
def test_a_look_comes_four_times_per_interval_and_a_pull_once(kind, interval_s, every_s):
    source = make_source(make_pair(), kind, interval_s=interval_s)

    assert schedule.next_due(source, NOW) == NOW + timedelta(seconds=every_s)


def test_a_rhythm_is_kept_unless_it_was_lost():
    source = make_source(make_pair(), next_due_at=NOW - timedelta(seconds=20))
    assert schedule.next_due(source, NOW) == NOW + timedelta(seconds=3_580)

    source.next_due_at = NOW - timedelta(days=3)
    assert schedule.next_due(source, NOW) == NOW + timedelta(hours=1)


def test_zones_with_work_and_a_worker_are_woken():
    for zone in ("eu-1", "ap-1", "us-1"):
        make_source(make_pair(zone=zone))
    make_worker("eu-1")
    make_worker("eu-1")
    make_worker("ap-1", seen=timedelta(seconds=61))
    make_worker("sa-1")

    schedule.ask_due(NOW)

    assert schedule.zones_with_work(NOW) == ["eu-1"]
    BackupJob.objects.update(state="leased", lease_until=NOW + timedelta(seconds=1))
    assert schedule.zones_with_work(NOW) == []
    BackupJob.objects.update(lease_until=NOW)
    assert schedule.zones_with_work(NOW) == ["eu-1"]

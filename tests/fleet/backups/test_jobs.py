"""A job belongs to one worker at a time, and survives the loss of any."""

from datetime import timedelta

import pytest
from django.conf import settings

from fleet.backups import jobs
from fleet.backups.jobs import LEASE, RENEW_EVERY, Cancelled, Holding, Lost, State, Wish
from fleet.backups.models import BackupJob
from tests.fleet.factories import NOW, make_pair

pytestmark = pytest.mark.django_db
MOST = {"verify": 2, "pull": 1}


@pytest.fixture
def wish():
    return Wish("verify", make_pair(zone=settings.ZONE).pk)


def job() -> BackupJob:
    return BackupJob.objects.get()


def test_asking_twice_is_one_job(wish):
    first = jobs.ask(wish, None, NOW)

    assert jobs.ask(wish, None, NOW) == first
    assert BackupJob.objects.count() == 1


def test_what_is_done_may_be_asked_for_again(wish):
    first = jobs.ask(wish, None, NOW)
    _job, lease = jobs.take(MOST, NOW)
    with jobs.recording(lease):
        jobs.finish(lease, State.DONE, NOW)

    assert jobs.ask(wish, None, NOW) != first


def test_a_job_is_taken_once(wish):
    jobs.ask(wish, None, NOW)

    taken, lease = jobs.take(MOST, NOW)

    assert (taken.pk, taken.state, taken.lease_until) == (lease.job_id, "leased", NOW + LEASE)
    assert jobs.take(MOST, NOW) is None


@pytest.mark.parametrize(("after", "is_taken"), [(-1, False), (0, True), (1, True)])
def test_a_lease_that_ran_out_is_taken_over(wish, after, is_taken):
    jobs.ask(wish, None, NOW)
    _job, lost = jobs.take(MOST, NOW)
    later = NOW + LEASE + timedelta(seconds=after)

    assert (jobs.take(MOST, later) is not None) is is_taken
    if is_taken:
        with pytest.raises(Lost):
            jobs.renew(lost, later, 5)
        with pytest.raises(Lost), jobs.recording(lost):
            pytest.fail("what a lost worker found must not be recorded")


def test_holding_renews_every_so_often(wish):
    jobs.ask(wish, None, NOW)
    _job, lease = jobs.take(MOST, NOW)
    clock = iter([NOW, NOW + RENEW_EVERY - timedelta(seconds=1), NOW + RENEW_EVERY])
    holding = Holding(lease, lambda: next(clock), total_bytes=100)

    holding.at(10)
    assert (job().done_bytes, job().lease_until) == (0, NOW + LEASE)
    holding.at(20)
    assert (job().done_bytes, job().total_bytes) == (20, 100)
    assert job().lease_until == NOW + RENEW_EVERY + LEASE


def test_a_cancelled_job_ends_at_its_next_renewal(wish):
    jobs.ask(wish, None, NOW)
    _job, lease = jobs.take(MOST, NOW)

    assert jobs.cancel(lease.job_id, NOW)
    with pytest.raises(Cancelled):
        jobs.renew(lease, NOW, 5)


def test_a_waiting_job_is_cancelled_at_once(wish):
    job_id = jobs.ask(wish, None, NOW)

    assert jobs.cancel(job_id, NOW)
    assert (job().state, job().ended_at) == ("cancelled", NOW)
    assert jobs.take(MOST, NOW) is None


def test_what_kills_its_workers_is_given_up(wish):
    jobs.ask(wish, None, NOW)
    for turn in range(jobs.MOST_CLAIMS):
        assert jobs.take(MOST, NOW + turn * LEASE) is not None

    assert jobs.take(MOST, NOW + jobs.MOST_CLAIMS * LEASE) is None
    assert (job().state, job().reason) == ("failed", "worker_lost")


def test_a_zone_does_so_many_of_a_kind_at_once():
    for _ in range(2):
        jobs.ask(Wish("pull", make_pair(zone=settings.ZONE).pk), None, NOW)

    assert jobs.take(MOST, NOW) is not None
    assert jobs.take(MOST, NOW) is None
    assert jobs.take({"pull": 2}, NOW) is not None


def test_another_zones_jobs_are_left_alone():
    jobs.ask(Wish("verify", make_pair(zone="elsewhere").pk), None, NOW)

    assert jobs.take(MOST, NOW) is None


def test_what_somebody_waits_for_goes_first(wish, django_user_model):
    jobs.ask(wish, None, NOW)
    person = django_user_model.objects.create_user("mara")
    asked = Wish("verify", make_pair(zone=settings.ZONE).pk)
    jobs.ask(asked, person.pk, NOW + timedelta(seconds=9))

    assert jobs.take(MOST, NOW)[0].target_id == asked.target_id

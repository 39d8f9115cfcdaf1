"""A pull from real servers to a folder: whole, sealed and recorded, or nothing at all."""

import asyncio
import os
import resource
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as given
from redis import Redis

from checks.facts import Since
from checks.probes.redis import probe_redis
from checks.rule import Cadence
from checks.rules.persistence import rdb_fresh
from fleet.backups import jobs, work
from fleet.backups.copies import attempt_of
from fleet.backups.jobs import Wish
from fleet.backups.live import look, others_on_host, server_of_pair
from fleet.backups.models import Artefact, BackupJob, PullRoom
from fleet.backups.own_pulls import own_pulls
from fleet.backups.safety import Others
from fleet.registry.attestations import Claim, attest_targets
from fleet.registry.egress import egress_rules
from fleet.registry.sealed import seal
from tests import servers
from tests.checks.pairs import HEALTHY
from tests.fleet.backups.sources import make_source, rested
from tests.fleet.factories import NOW, make_pair
from tests.live.patients import until

pytestmark = [pytest.mark.django_db, pytest.mark.live]
KEYS = 3_000
MORE_THAN_SOCKETS_HOLD = 40_000_000
MINUTE = timedelta(minutes=1)


@pytest.fixture
def folder(tmp_path, settings):
    settings.PULL_FOLDER = str(tmp_path)
    settings.EGRESS_ALLOW_LOOPBACK = True
    egress_rules.cache_clear()
    yield tmp_path
    egress_rules.cache_clear()


@pytest.fixture
def server():
    with servers.valkey("save", "", "repl-diskless-sync-delay", "0") as made:
        with Redis.from_url(made.url) as client:
            client.mset({f"ee:{number}": os.urandom(300).hex() for number in range(KEYS)})
        yield made


@pytest.fixture
def source(folder, server):
    pair = make_pair(zone=given.ZONE, redis_url=f"{server.url}/0")
    return make_source(pair, "pull", next_due_at=NOW + timedelta(days=1))


def take(now=NOW):
    taken = jobs.take(work.MOST, now)
    assert taken is not None
    return taken


def pull(source, now=NOW):
    """Ask for a pull and do it as a worker does."""
    jobs.ask(Wish("pull", rested(source).target_id, source.pk), None, now)
    job, lease = take(now)
    work.do(job, lease, lambda: now)
    source.refresh_from_db()
    return BackupJob.objects.get(pk=job.pk)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_copy_is_there_and_told_of(source, folder):
    job = pull(source)

    copy = Artefact.objects.get()
    assert (job.state, job.error, source.last_reason) == ("done", "", "")
    assert (copy.state, copy.magic, copy.rdb_version, copy.keys) == (
        "intact",
        "VALKEY",
        80,
        {"0": KEYS},
    )
    assert files(folder) == [copy.key]
    assert copy.stored_bytes == next(folder.rglob(copy.key)).stat().st_size
    assert copy.pull_ping_idle_us > 0
    assert copy.pull_ping_max_us >= copy.pull_ping_median_us > 0
    assert source.pull_began_at <= source.pull_ended_at
    assert attempt_of(copy.key).job_id == job.pk


def test_nothing_in_the_file_can_be_read_without_the_ring(source, folder):
    pull(source)

    content = next(path for path in folder.rglob("*") if path.is_file()).read_bytes()
    assert content.startswith(b"PKSEALED")
    assert b"VALKEY" not in content
    assert b"ee:1" not in content


def test_older_copies_go_as_they_may(source, folder):
    source.keep_daily = source.keep_weekly = source.keep_monthly = 0
    source.save()
    first = pull(source)
    second = pull(source, NOW + MINUTE)

    gone = Artefact.objects.exclude(gone_at=None).get()
    assert (first.state, second.state) == ("done", "done")
    assert files(folder) == [Artefact.objects.get(gone_at=None).key]
    assert gone.gone_at == NOW + MINUTE


def test_an_unsafe_pull_is_not_begun(source, folder, server):
    claim = Claim("ram_bytes", 1024, "Ada", "the bill", NOW + timedelta(days=9))
    attest_targets([source.target], claim, None, NOW)
    job = pull(source)

    assert (job.state, job.reason) == ("failed", "busy")
    assert "RAM (attested) are left, and a fork may copy" in job.error
    assert (source.last_text, source.pull_began_at, files(folder)) == (job.error, None, [])
    assert source.next_due_at == NOW + timedelta(minutes=10)


def test_what_other_servers_hold_of_the_hosts_ram_is_counted(source, server):
    """Each server once; a pair beside ours on the same one takes nothing more."""
    facts = look(server_of_pair(source.target.pair))
    ram = facts.used_memory_rss_bytes + facts.used_memory_bytes
    with servers.redis("save", "") as other:
        with Redis.from_url(other.url) as client:
            client.set("large", os.urandom(MORE_THAN_SOCKETS_HOLD))
        for url in (f"{server.url}/5", f"{other.url}/0", f"{other.url}/1"):
            make_pair(zone=given.ZONE, redis_url=url)
        make_pair(zone=given.ZONE, redis_url="redis://10.9.9.9:1/0")
        make_pair(zone="elsewhere", redis_url=f"redis://127.0.0.1:{other.port + 1}/0")
        until(lambda: others_on_host(source.target.pair).held_bytes > MORE_THAN_SOCKETS_HOLD)
        found = others_on_host(source.target.pair)  # a server looks at its RSS ten times a second
        claim = Claim("ram_bytes", ram + found.held_bytes // 2, "Ada", "x", NOW + timedelta(days=9))
        attest_targets([source.target], claim, None, NOW)
        crowded = pull(source)
    alone = pull(source, NOW + MINUTE)

    assert (found.asked, found.unasked) == (1, 0)
    assert found.held_bytes > MORE_THAN_SOCKETS_HOLD
    assert (crowded.state, crowded.reason) == ("failed", "busy")
    assert "; other registered servers there: 1 hold" in crowded.error
    assert (alone.state, alone.error) == ("done", "")
    assert others_on_host(source.target.pair) == Others(0, 0, 1)


def test_servers_that_hang_do_not_add_up(source):
    """A pull holds its lease for 120 s: thirty silent ones in a row would outlast it, each time."""
    together = threading.Barrier(3)
    with ExitStack() as open_:
        for _number in range(3):
            port = open_.enter_context(hangs_until(together))
            make_pair(zone=given.ZONE, redis_url=f"redis://127.0.0.1:{port}/0")

        assert others_on_host(source.target.pair) == Others(0, 0, 3)
    assert not together.broken


@contextmanager
def hangs_until(together: threading.Barrier) -> Iterator[int]:
    """Accept one connection and answer nothing until the others have theirs; gives the port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0], suppress(threading.BrokenBarrierError):
                together.wait(timeout=30)

        server = threading.Thread(target=serve)
        server.start()
        yield listener.getsockname()[1]
        server.join()


@pytest.mark.parametrize(
    ("fields", "reason", "text"),
    [
        ({"is_enabled": False}, "not_configured", "agentless pull is switched off for this pair"),
        ({"pull_user": "nobody", "pull_password": "x"}, "auth", "the server answers: WRONGPASS"),
    ],
)
def test_what_stands_in_the_way_is_told(source, folder, fields, reason, text):
    if "pull_password" in fields:
        fields["pull_password"] = seal(fields["pull_password"])
    for name, value in fields.items():
        setattr(source, name, value)
    source.save()
    job = pull(source)

    assert (job.state, job.reason, files(folder)) == ("failed", reason, [])
    assert job.error.startswith(text)


@contextmanager
def disk_of(most_bytes: int):
    """Let no file grow over so many bytes: the system refuses the rest of a write, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_in_the_middle_leaves_nothing(source, folder, server):
    with disk_of(500_000):
        job = pull(source)

    assert (job.state, job.reason) == ("failed", "too_large")
    assert job.error.startswith(f"the copy does not fit in {folder}")
    assert (files(folder), Artefact.objects.count()) == ([], 0)
    assert (source.last_text, source.next_due_at) == (job.error, NOW + timedelta(hours=1))
    room = PullRoom.objects.get()
    assert (room.folder, room.read_at, room.sources_count) == (str(folder), NOW, 1)
    with Redis.from_url(server.url) as client:
        assert until(lambda: client.info("replication")["connected_slaves"] == 0)
    assert pull(source, NOW + MINUTE).state == "done"


def test_without_a_folder_there_is_no_pull(source, settings):
    settings.PULL_FOLDER = ""
    job = pull(source)

    assert (job.state, job.reason) == ("failed", "not_configured")


def slowly(source):
    """Let a pull take a second or two."""
    source.bandwidth_bytes_per_s = 2_000_000
    source.save()
    jobs.ask(Wish("pull", source.target_id, source.pk), None, NOW)
    return take()


class Clock:
    """Runs fast, so that the lease is renewed at each piece; something happens at the third look."""

    def __init__(self, happens) -> None:
        self._happens, self._now, self._count = happens, NOW, 0

    def __call__(self):
        self._now += timedelta(seconds=16)
        self._count += 1
        if self._count == 6:
            self._happens()
        return self._now


def test_a_cancelled_pull_leaves_nothing(source, folder):
    job, lease = slowly(source)
    work.do(job, lease, Clock(lambda: jobs.cancel(job.pk, NOW)))

    job.refresh_from_db()
    assert (job.state, files(folder), Artefact.objects.count()) == ("cancelled", [], 0)


def test_a_server_that_dies_leaves_nothing(source, folder, server):
    with Redis.from_url(server.url) as client:
        client.set("large", os.urandom(MORE_THAN_SOCKETS_HOLD))  # else all of it may be under way
    job, lease = slowly(source)
    work.do(job, lease, Clock(lambda: os.kill(server.process_id, signal.SIGKILL)))

    job.refresh_from_db()
    assert (job.state, job.reason, files(folder)) == ("failed", "refused", [])
    assert Artefact.objects.count() == 0


def test_a_pull_that_lost_its_lease_does_not_count(source, folder):
    job, lease = slowly(source)

    def other_takes_it():
        BackupJob.objects.filter(pk=job.pk).update(claim=lease.claim + 1)

    work.do(job, lease, Clock(other_takes_it))

    job.refresh_from_db()
    assert (job.state, files(folder), Artefact.objects.count()) == ("leased", [], 0)


def test_the_next_attempt_sweeps_what_a_killed_one_left(source, folder):
    job, lease = slowly(source)
    place = folder / str(source.target_id) / str(source.pk)
    place.mkdir(parents=True)
    left = f"20261121T143200Z-{job.pk}-{lease.claim}.rdb.zst.sealed"
    (place / f"{left}.part").write_bytes(b"half")
    (place / left).write_bytes(b"whole, but never recorded")
    (place / "somebody's.txt").write_bytes(b"not ours")

    later = NOW + timedelta(minutes=5)
    job, second = take(later)
    work.do(job, second, lambda: later)

    copy = Artefact.objects.get()
    assert second.claim == lease.claim + 1
    assert files(folder) == sorted([copy.key, "somebody's.txt"])


def test_a_copy_that_somebody_removed_is_gone(source, folder):
    pull(source)
    first = Artefact.objects.get()
    next(folder.rglob(first.key)).unlink()
    pull(source, NOW + MINUTE)

    first.refresh_from_db()
    assert first.gone_at == NOW + MINUTE
    assert files(folder) == [Artefact.objects.get(gone_at=None).key]


def test_one_pull_at_a_time_in_a_zone(source, server):
    other = make_source(make_pair(zone=given.ZONE, redis_url=f"{server.url}/0"), "pull")
    for one in (source, other):
        jobs.ask(Wish("pull", one.target_id, one.pk), None, NOW)

    assert jobs.take(work.MOST, NOW) is not None
    assert jobs.take(work.MOST, NOW) is None


@pytest.mark.parametrize(("diskless", "outcome"), [("no", "unknown"), ("yes", "pass")])
def test_a_save_that_our_pull_made_is_not_the_servers(folder, diskless, outcome):
    """Redis with disk-based replication: INFO tells of a fresh save after our pull, and it is ours."""
    options = ("save", "", "repl-diskless-sync", diskless, "repl-diskless-sync-delay", "0")
    with servers.redis(*options) as server, Redis.from_url(server.url) as client:
        client.config_set("save", "3600 1")
        client.set("ee:1", "x")
        pair = make_pair(zone=given.ZONE, redis_url=f"{server.url}/0")
        source = make_source(pair, "pull")
        client.execute_command("DEBUG", "SLEEP", "1.1")
        job = pull(source)
        changes = client.info("persistence")["rdb_changes_since_last_save"]
        target = server_of_pair(pair)
        facts = asyncio.run(probe_redis(target, frozenset(Cadence))).facts
    since = Since(60.0, 60.0, own_pull=own_pulls([source.target_id])[source.target_id])
    verdict = rdb_fresh.judge(replace(HEALTHY, redis=facts, since=since))

    assert (job.state, changes) == ("done", 0 if diskless == "no" else 1)
    assert verdict.outcome == outcome

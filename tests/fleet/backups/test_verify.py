"""A look at a source verifies what is new, and every verdict is right."""

import gzip
import os
from datetime import timedelta

import pytest
import zstandard
from django.conf import settings as given

from fleet.backups import jobs, work
from fleet.backups.jobs import Wish
from fleet.backups.models import Artefact, BackupJob
from tests.fleet.backups.dumps import dump, sealed, text
from tests.fleet.backups.sources import make_source
from tests.fleet.factories import NOW, make_pair

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
MADE = NOW - 3 * HOUR


def packed_wide(content):
    wide = zstandard.ZstdCompressionParameters.from_level(1, window_log=30)
    packing = zstandard.ZstdCompressor(compression_params=wide).compressobj()
    return packing.compress(content) + packing.flush()


WIDE = packed_wide(dump(MADE))


@pytest.fixture
def folder(tmp_path, settings):
    settings.BACKUP_ROOTS = [str(tmp_path)]
    return tmp_path


@pytest.fixture
def source(folder):
    pair = make_pair(zone=given.ZONE)
    return make_source(pair, folder=str(folder), name_pattern="*.rdb*")


def put(folder, name, content, at=MADE):
    (folder / name).write_bytes(content)
    os.utime(folder / name, (at.timestamp(), at.timestamp()))


def look(source, now=NOW, artefact=None):
    """Ask for a verification and do it as a worker does."""
    jobs.ask(Wish("verify", source.target_id, source.pk, artefact and artefact.pk), None, now)
    job, lease = jobs.take(work.MOST, now)
    work.do(job, lease, lambda: now)
    source.refresh_from_db()
    return BackupJob.objects.get(pk=job.pk)


def states(source):
    return dict(source.artefacts.order_by("key").values_list("key", "state"))


def test_a_whole_copy_is_intact_and_says_what_it_holds(source, folder):
    put(folder, "a.rdb", dump(MADE - HOUR, keys=3))

    job = look(source)

    copy = Artefact.objects.get()
    assert (job.state, source.last_ok_at, source.last_reason) == ("done", NOW, "")
    assert (copy.state, copy.magic, copy.rdb_version, copy.server_version, copy.keys) == (
        "intact",
        "REDIS",
        11,
        "7.2.4",
        {"0": 3},
    )
    assert (copy.content_at, copy.stored_at, copy.verified_at) == (MADE - HOUR, MADE, NOW)
    assert (copy.text, len(copy.sha256)) == ("header, end mark and checksum are right", 64)


@pytest.mark.parametrize(
    ("content", "state", "reason"),
    [
        (b"", "empty", ""),
        (dump(MADE)[:-1], "truncated", ""),
        (dump(MADE)[:30], "truncated", ""),
        (dump(MADE)[:40] + b"\x99" + dump(MADE)[41:], "corrupt", ""),
        (dump(MADE)[:-8] + bytes(8), "unchecked", ""),
        (gzip.compress(dump(MADE)), "intact", ""),
        (gzip.compress(dump(MADE))[:-9], "truncated", ""),
        (WIDE, "unreadable", "too_large"),
        (b"*2\r\n$6\r\nSELECT\r\n", "unreadable", "protocol"),
        (b"\x7fELF and so on", "unreadable", "protocol"),
    ],
    ids=[
        "empty",
        "cut",
        "cut early",
        "flipped",
        "no sum",
        "gzip",
        "gzip cut",
        "wide window",
        "AOF",
        "other",
    ],
)
def test_each_kind_of_copy_gets_its_verdict(source, folder, content, state, reason):
    put(folder, "a.rdb", content)

    look(source)

    copy = Artefact.objects.get()
    assert (copy.state, copy.reason) == (state, reason)
    assert copy.text


def test_it_reads_from_the_newest_until_one_is_good(source, folder):
    put(folder, "1.rdb", dump(MADE), MADE)
    put(folder, "2.rdb", dump(MADE), MADE + HOUR)
    put(folder, "3.rdb", dump(MADE)[:-1], MADE + 2 * HOUR)

    look(source)

    assert states(source) == {"1.rdb": "seen", "2.rdb": "intact", "3.rdb": "truncated"}


def test_what_was_verified_is_not_read_again(source, folder):
    put(folder, "1.rdb", dump(MADE))
    look(source)

    look(source, NOW + HOUR)

    assert Artefact.objects.get().verified_at == NOW


def test_a_file_that_takes_anothers_place_is_a_copy_of_its_own(source, folder):
    put(folder, "dump.rdb", dump(MADE))
    look(source)
    put(folder, "dump.rdb", dump(NOW, keys=2), NOW)

    look(source, NOW + HOUR)

    rows = source.artefacts.order_by("seen_at").values_list("state", "gone_at")
    assert list(rows) == [("intact", NOW + HOUR), ("intact", None)]


def test_what_is_deleted_is_gone_and_may_come_back(source, folder):
    put(folder, "1.rdb", dump(MADE))
    look(source)
    (folder / "1.rdb").rename(folder / "kept")
    look(source, NOW + HOUR)
    assert Artefact.objects.get().gone_at == NOW + HOUR

    (folder / "kept").rename(folder / "1.rdb")
    look(source, NOW + 2 * HOUR)

    assert (Artefact.objects.get().gone_at, Artefact.objects.get().state) == (None, "intact")


def test_a_time_stamp_in_the_future_makes_nothing_fresher(source, folder):
    put(folder, "1.rdb", dump(MADE), NOW + 90 * HOUR)

    look(source)

    copy = Artefact.objects.get()
    assert (copy.stored_at, copy.content_at) == (NOW, MADE)


def test_a_server_whose_clock_is_ahead_makes_nothing_fresher(source, folder):
    put(folder, "1.rdb", dump(MADE + 5 * HOUR))

    look(source)

    copy = Artefact.objects.get()
    assert copy.content_at == MADE
    assert copy.text.endswith("the server's clock was 18000 s ahead of the store's")


def test_a_dump_that_does_not_say_when_it_was_made_is_as_old_as_its_file(source, folder):
    put(folder, "1.rdb", dump())

    look(source)

    copy = Artefact.objects.get()
    assert copy.content_at == MADE
    assert copy.text.endswith("its age is that of the file")


def test_what_a_dump_says_of_itself_is_not_trusted(source, folder):
    """Whoever writes into a bucket chooses its words: no word of theirs ends our work."""
    words = b"".join(
        b"\xfa" + text(name) + text(value)
        for name, value in ((b"redis-ver", b"7\x00"), (b"ctime", b"9" * 19))
    )
    put(folder, "1.rdb", sealed(b"REDIS0011" + words + b"\xff"))

    assert look(source).state == "done"
    copy = Artefact.objects.get()
    assert (copy.state, copy.server_version, copy.content_at) == ("intact", "", MADE)


def test_a_folder_that_is_not_there_is_the_sources_trouble(source):
    source.folder += "/nowhere"
    source.save()

    job = look(source)

    text = f"{source.folder} is not there, seen from this worker"
    assert (job.state, job.reason, job.error) == ("failed", "undetermined", text)
    assert (source.last_ok_at, source.last_reason, source.last_text) == (None, "undetermined", text)


def test_one_copy_is_verified_again_on_demand(source, folder):
    put(folder, "1.rdb", dump(MADE))
    look(source)

    look(source, NOW + HOUR, Artefact.objects.get())

    assert Artefact.objects.get().verified_at == NOW + HOUR


def test_what_a_lost_worker_found_is_not_recorded(source, folder):
    put(folder, "1.rdb", dump(MADE))
    jobs.ask(Wish("verify", source.target_id, source.pk), None, NOW)
    first, lost = jobs.take(work.MOST, NOW)
    later = NOW + jobs.LEASE
    second, lease = jobs.take(work.MOST, later)

    work.do(first, lost, lambda: later)
    assert not Artefact.objects.exists()

    work.do(second, lease, lambda: later)
    assert states(source) == {"1.rdb": "intact"}


def test_a_cancelled_verification_leaves_no_verdict(source, folder):
    put(folder, "1.rdb", dump(MADE, padding=9_000_000))
    job_id = jobs.ask(Wish("verify", source.target_id, source.pk), None, NOW)
    job, lease = jobs.take(work.MOST, NOW)
    jobs.cancel(job_id, NOW)
    clock = iter(NOW + n * jobs.RENEW_EVERY for n in range(99))

    work.do(job, lease, lambda: next(clock))

    assert states(source) == {"1.rdb": "seen"}
    assert BackupJob.objects.get().state == "cancelled"


def test_a_bomb_is_cancelled_while_it_bursts(source, folder):
    put(folder, "1.rdb", zstandard.compress(b"REDIS0011" + bytes(200 << 20)))
    times = iter(NOW + number * jobs.RENEW_EVERY for number in range(10_000))
    jobs.ask(Wish("verify", source.target_id, source.pk), None, NOW)
    job, lease = jobs.take(work.MOST, NOW)
    jobs.cancel(job.pk, NOW)

    work.do(job, lease, lambda: next(times))

    assert BackupJob.objects.get().state == "cancelled"
    assert states(source) == {"1.rdb": "seen"}

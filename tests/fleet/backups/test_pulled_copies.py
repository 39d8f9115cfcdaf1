"""Pulled copies lie in a bucket or a folder, are verified and opened there, and no other key opens them."""

import hashlib
import os
from datetime import timedelta
from pathlib import Path

import boto3
import pytest
from cryptography.fernet import Fernet
from django.conf import settings as given
from moto.server import ThreadedMotoServer
from redis import Redis

from checks.probes.rdb import State, read_dump
from checks.probes.rdb_keys import KeyCount
from fleet.backups import jobs, work
from fleet.backups.jobs import Wish
from fleet.backups.models import Artefact, BackupJob, BackupSource, Drill
from fleet.backups.opening import plain_copy
from fleet.backups.sealing import SealBroken
from fleet.backups.stores import store_of
from fleet.registry.egress import egress_rules
from fleet.registry.models import Tenant
from fleet.registry.sealed import seal
from tests import servers
from tests.fleet.backups.sources import make_source, rested
from tests.fleet.factories import NOW, make_pair

pytestmark = [pytest.mark.django_db, pytest.mark.live]
HOUR = timedelta(hours=1)
KEYS = 30_000


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def server():
    with servers.valkey("save", "", "repl-diskless-sync-delay", "0") as made:
        with Redis.from_url(made.url) as client:
            for start in range(0, KEYS, 5000):
                keys = range(start, start + 5000)
                client.mset({f"ee:{number}": os.urandom(600) for number in keys})
        yield made


@pytest.fixture
def opened(settings, tmp_path):
    settings.PULL_FOLDER = str(tmp_path)
    settings.EGRESS_ALLOW_LOOPBACK = True
    egress_rules.cache_clear()
    yield tmp_path
    egress_rules.cache_clear()


@pytest.fixture
def store(endpoint):
    """An S3 store with one bucket, versioned or not."""
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="pulls")
    yield client
    for kind in ("Versions", "DeleteMarkers"):
        for one in client.list_object_versions(Bucket="pulls").get(kind, []):
            client.delete_object(Bucket="pulls", Key=one["Key"], VersionId=one["VersionId"])
    client.delete_bucket(Bucket="pulls")


def source_of(server, **fields):
    pair = make_pair(zone=given.ZONE, redis_url=f"{server.url}/0")
    return make_source(pair, "pull", **fields)


def in_bucket(server, endpoint, **fields):
    return source_of(
        server,
        destination="bucket",
        endpoint=endpoint,
        bucket="pulls",
        prefix="redis/{tenant}/",
        access_key="AKIA",
        secret_key=seal("secret"),
        **fields,
    )


def do(wish: Wish, now=NOW) -> BackupJob:
    jobs.ask(wish, None, now)
    with work.taking(now) as taken:
        work.do(*taken, lambda: now)
        return BackupJob.objects.get(pk=taken[0].pk)


def pull(source, now=NOW) -> BackupJob:
    return do(Wish("pull", rested(source).target_id, source.pk), now)


@pytest.mark.parametrize("versioning", ["Suspended", "Enabled"])
def test_a_bucket_holds_a_copy_in_parts(opened, server, endpoint, store, versioning):
    store.put_bucket_versioning(Bucket="pulls", VersioningConfiguration={"Status": versioning})
    source = in_bucket(server, endpoint, keep_daily=0, keep_weekly=0, keep_monthly=0)
    first, second = pull(source), pull(source, NOW + timedelta(hours=1))

    left = Artefact.objects.get(gone_at=None)
    listed = store.list_objects_v2(Bucket="pulls")["Contents"]
    assert (first.state, second.state, second.error) == ("done", "done", "")
    assert [one["Key"] for one in listed] == [left.key]
    assert left.key.startswith(f"redis/Northwind Mail/{source.target_id}/{source.pk}/")
    content = store.get_object(Bucket="pulls", Key=left.key)["Body"].read()
    assert (len(content), hashlib.sha256(content).hexdigest()) == (left.stored_bytes, left.sha256)
    assert len(content) > 16 * 1024 * 1024  # more than one part
    with plain_copy(left, NOW) as pieces:
        found = read_dump(pieces, 1 << 30)
    assert (found.state, found.databases) == (State.INTACT, {0: KeyCount(KEYS, 0)})
    assert Drill.objects.count() == 0


@pytest.mark.parametrize("versioning", ["Suspended", "Enabled"])
def test_copies_stay_known_when_their_tenant_is_renamed(
    opened, server, endpoint, store, versioning
):
    store.put_bucket_versioning(Bucket="pulls", VersioningConfiguration={"Status": versioning})
    source = in_bucket(server, endpoint)
    pull(source)
    kept = Artefact.objects.get()
    Tenant.objects.filter(pk=source.target.tenant_id).update(name="Southwind")
    source = BackupSource.objects.get()
    job = pull(source, NOW + timedelta(days=1))

    assert (job.state, job.error) == ("done", "")
    old, new = Artefact.objects.order_by("stored_at")
    assert (old.pk, old.gone_at, new.gone_at) == (kept.pk, None, None)
    assert [old.key.split("/")[1], new.key.split("/")[1]] == ["Northwind Mail", "Southwind"]

    by_id = {"VersionId": old.version.removeprefix("id:")} if versioning == "Enabled" else {}
    store.delete_object(Bucket="pulls", Key=old.key, **by_id)
    pull(source, NOW + timedelta(days=2))
    old.refresh_from_db()
    assert old.gone_at == NOW + timedelta(days=2)


def test_a_killed_upload_is_aborted_by_the_next_attempt(opened, server, endpoint, store):
    source = in_bucket(server, endpoint)
    job_id = jobs.ask(Wish("pull", source.target_id, source.pk), None, NOW)
    dead = store_of(source).begin(f"20261121T143200Z-{job_id}-0.rdb.zst.sealed")
    dead.write(b"x" * (17 * 1024 * 1024))
    other = store.create_multipart_upload(Bucket="pulls", Key="redis/somebody's")
    pull(source)

    uploads = store.list_multipart_uploads(Bucket="pulls").get("Uploads", [])
    assert [one["UploadId"] for one in uploads] == [other["UploadId"]]
    assert len(store.list_objects_v2(Bucket="pulls")["Contents"]) == 1
    store.abort_multipart_upload(Bucket="pulls", Key="redis/somebody's", UploadId=other["UploadId"])


def test_a_bucket_that_refuses_is_told(opened, server, endpoint, store):
    source = in_bucket(server, endpoint)
    source.bucket = "others"
    source.save()
    job = pull(source)

    assert (job.state, job.error) == (
        "failed",
        "bucket others: there is no such bucket (NoSuchBucket)",
    )


def copy_of(source) -> tuple[Artefact, Path]:
    copy = Artefact.objects.get(source=source)
    return copy, Path(given.PULL_FOLDER) / str(source.target_id) / str(source.pk) / copy.key


def verified(source, copy) -> Artefact:
    assert do(Wish("verify", source.target_id, source.pk, copy.pk)).state == "done"
    copy.refresh_from_db()
    return copy


def test_a_pulled_copy_is_verified_again_where_it_lies(opened, server):
    source = source_of(server)
    pull(source)
    copy, path = copy_of(source)
    before = (copy.state, copy.stored_bytes, copy.sha256, copy.keys)

    found = verified(source, copy)

    assert (found.state, found.stored_bytes, found.sha256, found.keys) == before
    assert before[:2] == ("intact", path.stat().st_size)


@pytest.mark.parametrize(
    ("spoil", "state"),
    [
        (lambda whole: whole[:1000] + b"\x00" + whole[1001:], "corrupt"),
        (lambda whole: whole[: 53 + 3 * (256 * 1024 + 16)], "truncated"),
        (lambda whole: whole[:40], "truncated"),
    ],
)
def test_a_copy_that_rots_is_found(opened, server, spoil, state):
    source = source_of(server)
    pull(source)
    copy, path = copy_of(source)
    path.write_bytes(spoil(path.read_bytes()))

    assert verified(source, copy).state == state
    job = do(Wish("drill", source.target_id, artefact_id=copy.pk))
    drill = Drill.objects.get()
    assert (job.state, drill.outcome, drill.reason) == ("done", "failed", "corrupt")


def test_a_worker_with_another_folder_says_so_and_counts_nothing_as_gone(
    opened, server, settings, tmp_path_factory
):
    """Two hosts of a zone, each with a folder of its own; or the shared one is not mounted."""
    source = source_of(server)
    pull(source)
    copy, path = copy_of(source)
    settings.PULL_FOLDER = str(tmp_path_factory.mktemp("another"))
    here = Path(settings.PULL_FOLDER) / str(source.target_id) / str(source.pk)
    why = (
        f"the copies of this source do not lie in {here}, seen from here: web and all workers of its "
        "zone must share one PULL_FOLDER; if it was emptied on purpose, make that folder again"
    )

    pulled = pull(source, NOW + HOUR)
    looked = do(Wish("verify", source.target_id, source.pk, copy.pk))
    do(Wish("drill", source.target_id))
    copy.refresh_from_db()
    source.refresh_from_db()

    assert [(job.state, job.reason, job.error) for job in (pulled, looked)] == [
        ("failed", "not_configured", why)
    ] * 2
    assert (source.last_reason, source.last_text) == ("not_configured", why)
    drill = Drill.objects.get()
    assert (drill.outcome, drill.reason, drill.text) == ("not_done", "not_configured", why)
    assert (copy.state, copy.gone_at, path.is_file()) == ("intact", None, True)
    assert not list(Path(settings.PULL_FOLDER).iterdir())

    here.mkdir(parents=True)
    assert pull(source, NOW + 2 * HOUR).state == "done"
    copy.refresh_from_db()
    assert copy.gone_at == NOW + 2 * HOUR


def test_a_pulled_copy_is_restored(opened, server):
    source = source_of(server)
    job = pull(source)
    assert (job.state, job.error) == ("done", "")
    do(Wish("drill", source.target_id))

    drill = Drill.objects.get()
    assert (drill.outcome, drill.text) == ("passed", f"{KEYS:,} keys came back")
    assert drill.reader.startswith("valkey 9")


def test_without_its_key_a_copy_stays_shut(opened, server, settings):
    source = source_of(server)
    pull(source)
    copy, _path = copy_of(source)
    settings.FLEET_KEYS = [Fernet.generate_key().decode()]

    with plain_copy(copy, NOW) as pieces, pytest.raises(SealBroken, match="FLEET_KEYS does not"):
        next(pieces)
    found = verified(source, copy)
    assert (found.state, found.reason) == ("unreadable", "undetermined")
    assert found.text.endswith("which FLEET_KEYS does not hold")


@pytest.mark.parametrize(
    "key", ["../../etc/passwd", "x.rdb", "20261121T143200Z-1-1.rdb.zst.sealed/"]
)
def test_no_name_reaches_another_file(opened, server, key):
    source = source_of(server)
    copy = Artefact(source=source, key=key)

    with pytest.raises(Exception, match="is no name of a pulled copy"), plain_copy(copy, NOW):
        pass

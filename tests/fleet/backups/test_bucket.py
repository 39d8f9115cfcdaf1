"""A bucket shows its copies and their versions, and no endpoint leads where the worker may not go."""

import socket
import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import pytest
from moto.server import ThreadedMotoServer

from fleet.backups.bucket import Bucket
from fleet.backups.listing import keep_in_mind
from fleet.backups.places import MOST_LISTED, Moving, Trouble
from fleet.registry.egress import egress_rules
from fleet.registry.sealed import seal
from tests.fleet.backups.sources import make_source
from tests.fleet.factories import NOW, make_pair

pytestmark = pytest.mark.django_db
REGION = {"LocationConstraint": "eu-west-1"}


@pytest.fixture(scope="module")
def endpoint():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(endpoint):
    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-west-1",
        aws_access_key_id="AKIA",
        aws_secret_access_key="secret",
    )
    client.create_bucket(Bucket="copies", CreateBucketConfiguration=REGION)
    yield client
    for one in client.list_object_versions(Bucket="copies").get("Versions", []):
        client.delete_object(Bucket="copies", Key=one["Key"], VersionId=one["VersionId"])
    for one in client.list_object_versions(Bucket="copies").get("DeleteMarkers", []):
        client.delete_object(Bucket="copies", Key=one["Key"], VersionId=one["VersionId"])
    client.delete_bucket(Bucket="copies")


def bucket(endpoint, **fields):
    values = {
        "endpoint": endpoint,
        "region": "eu-west-1",
        "bucket": "copies",
        "access_key": "AKIA",
        "secret_key": seal("secret"),
        **fields,
    }
    pair = make_pair(name=values.pop("name", "eu-1"), tenant=values.pop("tenant", "Northwind"))
    return Bucket(make_source(pair, "bucket", **values))


def put(store, key, body=b"REDIS", **more):
    return store.put_object(Bucket="copies", Key=key, Body=body, **more)


def read(place, seen):
    with place.pieces(seen.key, seen.version) as pieces:
        return b"".join(pieces)


def trouble(act):
    with pytest.raises(Trouble) as raised:
        act()
    return raised.value.reason, str(raised.value)


@pytest.mark.parametrize(("name", "tenant"), [("*", "[a-z]"), ("{tenant}", "a?"), ("?", "{pair}")])
def test_a_name_in_a_pattern_stands_for_itself(endpoint, store, name, tenant):
    own = f"{tenant}-{name}.rdb"
    for key in (own, "b-other.rdb", "x-?.rdb", "Northwind-eu-1.rdb", "?-?.rdb", "a?-a?.rdb"):
        put(store, key)

    found = bucket(endpoint, name=name, tenant=tenant, name_pattern="{tenant}-{pair}.rdb").listing()

    assert [one.key for one in found] == [own]


def test_it_lists_what_lies_below_its_prefix(endpoint, store):
    put(store, "eu-1/dump-1.rdb")
    put(store, "eu-1/dump-2.rdb", b"REDIS0011")
    put(store, "eu-1/notes.txt")
    put(store, "eu-1/")
    put(store, "eu-2/dump-1.rdb")

    found = bucket(endpoint, prefix="{pair}/", name_pattern="dump-*").listing()

    assert {(seen.key, seen.stored_bytes) for seen in found} == {
        ("eu-1/dump-1.rdb", 5),
        ("eu-1/dump-2.rdb", 9),
    }


def test_an_object_is_read_whole(endpoint, store):
    body = bytes(range(256)) * 20_000
    put(store, "dump.rdb", body)
    place = bucket(endpoint)

    assert read(place, *place.listing()) == body


def test_every_version_is_a_copy_of_its_own(endpoint, store):
    store.put_bucket_versioning(Bucket="copies", VersioningConfiguration={"Status": "Enabled"})
    put(store, "dump.rdb", b"first")
    put(store, "dump.rdb", b"second")
    put(store, "gone.rdb", b"third")
    store.delete_object(Bucket="copies", Key="gone.rdb")
    place = bucket(endpoint)

    assert {read(place, seen) for seen in place.listing()} == {b"first", b"second", b"third"}


def test_what_was_replaced_since_is_not_read(endpoint, store):
    put(store, "dump.rdb", b"first")
    place = bucket(endpoint)
    (seen,) = place.listing()
    put(store, "dump.rdb", b"second")

    with pytest.raises(Moving), place.pieces(seen.key, seen.version):
        pytest.fail("it was read")


def test_what_is_gone_is_not_read(endpoint, store):
    put(store, "dump.rdb")
    place = bucket(endpoint)
    (seen,) = place.listing()
    store.delete_object(Bucket="copies", Key="dump.rdb")

    with pytest.raises(Moving), place.pieces(seen.key, seen.version):
        pytest.fail("it was read")


def test_a_bucket_that_is_not_there_says_so(endpoint, store):
    assert trouble(bucket(endpoint, bucket="nowhere").listing) == (
        "undetermined",
        "bucket nowhere: there is no such bucket (NoSuchBucket)",
    )


def test_a_secret_that_cannot_be_read_says_so():
    place = bucket("http://127.0.0.1:1", secret_key="env:PAIRKEEPER_SECRET_NOWHERE")

    assert trouble(place.listing) == (
        "auth",
        "env:PAIRKEEPER_SECRET_NOWHERE is not set for this process",
    )


@pytest.mark.parametrize(
    ("endpoint", "reason", "text"),
    [
        (
            "http://169.254.169.254",
            "blocked_address",
            "bucket copies: 169.254.169.254 is a cloud metadata service",
        ),
        (
            "http://[::ffff:169.254.169.254]",
            "blocked_address",
            (
                "bucket copies: ::ffff:169.254.169.254 is refused: "
                "::ffff:a9fe:a9fe stands for 169.254.169.254, a cloud metadata service"
            ),
        ),
        ("http://169.254.7.7:9000", "blocked_address", "bucket copies: 169.254.7.7 is link-local"),
        (
            "https://0.0.0.0",
            "blocked_address",
            "bucket copies: 0.0.0.0 is this network (unspecified)",
        ),
        (
            "ftp://example.com",
            "protocol",
            "ftp://example.com is no endpoint of a store, such as https://s3.example.com",
        ),
        (
            "nonsense",
            "protocol",
            "nonsense is no endpoint of a store, such as https://s3.example.com",
        ),
        (
            "http://127.0.0.1:1",
            "refused",
            "bucket copies: 127.0.0.1:1 was not reached: connection refused",
        ),
    ],
)
def test_an_endpoint_leads_only_where_workers_may_go(endpoint, reason, text):
    assert trouble(bucket(endpoint).listing) == (reason, text)


def test_loopback_is_refused_where_it_is_switched_off(endpoint, store, settings):
    settings.EGRESS_ALLOW_LOOPBACK = False
    egress_rules.cache_clear()
    try:
        assert trouble(bucket(endpoint).listing)[0] == "blocked_address"
    finally:
        egress_rules.cache_clear()


@contextmanager
def answering(answer, then=b"", times=0):
    """A store that answers every request with these bytes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        stopped = threading.Event()

        def serve():
            while not stopped.is_set():
                try:
                    connection, _peer = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.recv(65536)
                        connection.sendall(answer)
                        for _ in range(times):
                            connection.sendall(then)
                    except OSError:
                        continue

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}"
        finally:
            stopped.set()
            server.shutdown(socket.SHUT_RDWR)
            thread.join(2)


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "protocol"),
        (b"", "protocol"),
        (HEAD + b"Content-Length: 9\r\n\r\n<notxml>>", "http_status"),
        (HEAD + b"Content-Length: 99999999\r\n\r\n<L>", "http_status"),
        (b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "no_permission"),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n",
            "http_status",
        ),
    ],
    ids=["no HTTP", "nothing", "no XML", "cut short", "forbidden", "a redirect"],
)
def test_a_hostile_store_is_a_reason(answer, reason):
    with answering(answer) as endpoint:
        assert trouble(bucket(endpoint).listing)[0] == reason


def test_an_endless_answer_ends():
    with answering(HEAD + b"\r\n<L>", b"x" * 1_000_000, times=40) as endpoint:
        assert trouble(bucket(endpoint).listing) == (
            "protocol",
            "bucket copies: the answer broke off, is too long or too slow",
        )


def test_a_listing_has_an_end(endpoint, store, monkeypatch):
    monkeypatch.setattr("fleet.backups.places.MOST_LISTED", 2)
    for number in range(3):
        put(store, f"dump-{number}.rdb")

    assert trouble(bucket(endpoint).listing) == (
        "too_large",
        "over 2 copies match in bucket copies: name fewer",
    )
    assert MOST_LISTED == 10_000


class Endless(BaseHTTPRequestHandler):
    """A store whose every page names another one, and nothing that matches."""

    def do_GET(self):
        self.server.asked += 1
        page = (
            "<ListVersionsResult><IsTruncated>true</IsTruncated>"
            f"<NextKeyMarker>k{self.server.asked}</NextKeyMarker></ListVersionsResult>"
        ).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_args):
        """Say nothing."""


def test_a_listing_that_never_ends_is_given_up(monkeypatch):
    monkeypatch.setattr("fleet.backups.bucket.MOST_PAGES", 3)
    with ThreadingHTTPServer(("127.0.0.1", 0), Endless) as server:
        server.asked = 0
        threading.Thread(target=server.serve_forever, daemon=True).start()
        told = trouble(bucket(f"http://127.0.0.1:{server.server_port}").listing)
        server.shutdown()

    assert (server.asked, told) == (
        3,
        (
            "too_large",
            "bucket copies: its listing did not end after 3 pages: name a longer prefix",
        ),
    )


@pytest.mark.parametrize(
    ("fields", "is_listed"),
    [
        ({}, True),
        ({"Key": "k" * 1024}, True),
        ({"Key": "k" * 1025}, False),
        ({"Key": "a\0.rdb"}, False),
        ({"Key": "\u202e \n.rdb"}, True),
        ({"VersionId": "v" * 2000}, False),
        ({"ETag": "e\0"}, False),
        ({"Size": -1}, False),
        ({"Size": 2**63}, False),
        ({"LastModified": datetime(1, 1, 1, tzinfo=UTC)}, True),
    ],
)
def test_what_a_hostile_store_names_can_be_written_down(fields, is_listed):
    one = {"Key": "a.rdb", "ETag": "e", "Size": 1, "LastModified": NOW, **fields}
    place = bucket("http://127.0.0.1:1")

    seen = place._seen(one)

    assert (seen is not None) is is_listed
    if seen:
        keep_in_mind(place._source, [seen], NOW)
        assert place._source.artefacts.get().stored_at >= datetime(1970, 1, 1, tzinfo=UTC)

"""The folder that a real server saves to, looked at while it saves, replaces, and mistakes the time."""

import os
from datetime import timedelta

import pytest
from django.conf import settings as given
from django.utils import timezone
from redis import Redis

from fleet.backups import jobs, work
from fleet.backups.directory import PIECE_BYTES, Directory
from fleet.backups.jobs import Wish
from fleet.backups.models import Artefact
from fleet.backups.places import Moving
from tests import kinds, servers
from tests.fleet.backups.sources import make_source
from tests.fleet.factories import make_pair
from tests.live.patients import until

pytestmark = [pytest.mark.django_db, pytest.mark.live]
SERVERS = servers.everywhere()
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SLOWLY_US = 1_000_000  # for each key: a save of 40 keys outlasts the test, and ends with its server


@pytest.fixture(params=SERVERS)
def server(request, settings):
    with SERVERS[request.param]("save", "") as made:
        settings.BACKUP_ROOTS = [str(made.folder)]
        yield made


@pytest.fixture
def client(server):
    with Redis.from_url(server.url, single_connection_client=True) as found:
        kinds.fill(found)
        found.save()
        yield found


@pytest.fixture
def source(server, client):
    pair = make_pair(zone=given.ZONE)
    return make_source(pair, folder=str(server.folder), name_pattern="*.rdb")


def look(source, now):
    jobs.ask(Wish("verify", source.target_id, source.pk), None, now)
    job, lease = jobs.take(work.MOST, now)
    work.do(job, lease, lambda: now)
    return list(source.artefacts.filter(gone_at=None).order_by("pk"))


def test_what_it_is_writing_is_left_alone(server, client, source):
    client.config_set("rdb-key-save-delay", SLOWLY_US)
    client.bgsave()
    is_writing = until(lambda: list(server.folder.glob("temp-*.rdb")))
    found = look(source, timezone.now() + HOUR)

    assert is_writing
    assert [(one.key, one.state) for one in found] == [("dump.rdb", "intact")]


def test_what_it_replaces_while_it_is_read_is_judged_when_it_stays(server, client, source):
    client.set("large", os.urandom(3 * PIECE_BYTES))
    client.save()
    later = timezone.now() + HOUR
    place = Directory(source, later)
    (seen,) = place.listing()
    with pytest.raises(Moving, match=r"dump\.rdb was written or replaced meanwhile"):
        read_while_it_saves(place, seen, client)
    (found,) = look(source, later)
    counted = {str(number): keys for number, (keys, _over) in kinds.counted(client).items()}

    assert (found.state, found.keys) == ("intact", counted)


def read_while_it_saves(place, seen, client):
    with place.pieces(seen.key, seen.version) as pieces:
        next(pieces)
        client.set("more", "keys")
        client.save()
        assert sum(len(piece) for piece in pieces) > PIECE_BYTES


def test_neither_a_clock_that_is_ahead_nor_a_time_stamp_makes_it_fresher(server, client, source):
    """The server's clock is an hour ahead of the worker's, and the file's stamp a day."""
    now = timezone.now() - HOUR
    ahead = (now + DAY).timestamp()
    os.utime(server.folder / "dump.rdb", (ahead, ahead))
    look(source, now)
    copy = Artefact.objects.get()

    assert (copy.state, copy.stored_at, copy.content_at) == ("intact", now, now)
    assert "; the server's clock was 3" in copy.text  # 3600 s, and what the test took

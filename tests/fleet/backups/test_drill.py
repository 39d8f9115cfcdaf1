"""Real dumps of real servers are restored, or fail with their reason; nothing is left behind."""

import gzip
import os
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as given
from redis import Redis

from checks.probes.rdb import CRC_BYTES
from fleet.backups import drill_plan, jobs, work
from fleet.backups.jobs import Wish
from fleet.backups.models import Artefact, BackupJob, Drill, DrillPlan
from fleet.portal.backup_words import compared
from fleet.registry.egress import egress_rules
from tests import kinds, servers
from tests.fleet.backups.dumps import sealed
from tests.fleet.backups.sources import make_artefact, make_source
from tests.fleet.factories import NOW, make_pair

pytestmark = [pytest.mark.django_db, pytest.mark.live]
KEYS = 2_000
OVER_MS = 1_000_000_000_000  # the year 2001
SERVERS = servers.everywhere()
# Those whose fields expire one by one.
LEASING = [name for name in SERVERS if name.startswith(("redis-7.4", "redis-8", "valkey-9"))]


@dataclass
class Stage:
    """A pair, its live server, a folder of its copies, and what the server saved."""

    source: object
    folder: Path
    dump: bytes
    client: Redis
    url: str

    def put(self, content: bytes, name: str = "dump.rdb", **fields) -> Artefact:
        path = self.folder / name
        path.write_bytes(content)
        found = path.stat()
        version = f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"
        return make_artefact(self.source, key=name, version=version, **fields)


@pytest.fixture
def opened(tmp_path, settings):
    settings.BACKUP_ROOTS = [str(tmp_path)]
    settings.EGRESS_ALLOW_LOOPBACK = True
    egress_rules.cache_clear()
    yield tmp_path
    egress_rules.cache_clear()


@pytest.fixture
def stage(request, opened, tmp_path_factory, monkeypatch):
    name = getattr(request, "param", "redis-6.2")
    with_this_reader(name, tmp_path_factory.mktemp("reader"), monkeypatch)
    with SERVERS[name]("save", "") as server, Redis.from_url(f"{server.url}/8") as client:
        client.mset({f"iad:{number}": os.urandom(200).hex() for number in range(KEYS)})
        client.sadd("ia:accounts", "ann", "bob")
        client.hset("settings", mapping={"serviceUrl": "x", "serviceSecret": "y"})
        client.hset("tokens", mapping={"t": "1"})
        client.set("short", "lived", px=1)
        client.execute_command("SELECT", 3)
        client.save()
        dump = (server.folder / "dump.rdb").read_bytes()
        with Redis.from_url(f"{server.url}/8") as reader:
            assert reader.get("short") is None  # a key that is over counts until it is looked at
        pair = make_pair(
            zone=given.ZONE, redis_url=f"{server.url}/8", emailengine_url="http://ee:3000"
        )
        source = make_source(pair, folder=str(opened), name_pattern="*.rdb*")
        yield Stage(source, opened, dump, client, server.url)


def with_this_reader(name, folder, monkeypatch):
    """Put a server of the developer's own on the PATH, as it would be installed on a worker."""
    for program in servers.programs_of_folder():
        if program.name == name:
            (folder / f"{name.partition('-')[0]}-server").symlink_to(program)
            monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def drill(stage, artefact=None, now=NOW, **wish):
    """Ask for a drill and do it as a worker does."""
    target_id = stage.source.target_id
    jobs.ask(Wish("drill", target_id, artefact_id=artefact and artefact.pk), None, now)
    with work.taking(now) as taken:
        work.do(*taken, lambda: now)
        job = BackupJob.objects.get(pk=taken[0].pk)
    assert job.state == "done", job.error
    return Drill.objects.latest("pk")


@pytest.mark.parametrize("stage", SERVERS, indirect=True)
def test_a_good_copy_comes_back_whole(stage, request):
    artefact = stage.put(stage.dump, content_at=NOW - timedelta(hours=5))

    found = drill(stage)

    assert (found.outcome, found.text) == ("passed", "2,003 keys came back")
    assert (found.artefact, found.lost_s) == (artefact, 5 * 3600)
    assert (found.keys, found.live_keys) == ({"8": KEYS + 3}, {"8": KEYS + 3})
    assert found.families == {"accounts": 2, "settings": 2, "tokens": 1}
    assert found.load_ms > 0


@pytest.mark.parametrize("stage", SERVERS, indirect=True)
def test_every_kind_of_value_comes_back_in_each_database(stage):
    with Redis.from_url(stage.url, single_connection_client=True) as client:
        kinds.fill(client)
        stage.put(kinds.saved(client))
        counted = {str(number): keys for number, (keys, _over) in kinds.counted(client).items()}
    found = drill(stage)

    assert (found.outcome, found.text) == ("passed", f"{sum(counted.values()):,} keys came back")
    assert (found.keys, found.artefact_keys, found.live_keys) == (counted, counted, counted)


def test_a_live_server_that_holds_nothing_now_is_known_to(stage):
    stage.put(kinds.saved(stage.client))
    stage.client.flushall()
    found = drill(stage)

    assert (found.outcome, found.live_keys) == ("passed", {"8": 0})
    assert compared(found) == ["db8: 2,003 restored, 2,003 in the copy, 0 live"]
    assert found.text == (
        "2,003 keys came back; the live server holds 0 keys in database 8 now, "
        "under 50% of the 2,003 that came back"
    )


@pytest.mark.parametrize("stage", LEASING, indirect=True)
def test_a_key_whose_last_field_is_over_is_not_missed(stage):
    with Redis.from_url(f"{stage.url}/8") as client:
        client.hset("leased", "field", "v")
        client.execute_command("HPEXPIREAT", "leased", kinds.LATER_MS, "FIELDS", 1, "field")
        dump = kinds.saved(client)
    later, over = (at_ms.to_bytes(8, "little") for at_ms in (kinds.LATER_MS, OVER_MS))
    assert later in dump
    found = drill(stage, stage.put(sealed(dump[:-CRC_BYTES].replace(later, over))))

    assert (found.outcome, found.artefact_keys) == ("passed", {"8": KEYS + 4})
    assert found.keys["8"] in (KEYS + 3, KEYS + 4)  # as the server counts what is over


def flipped(dump):
    at = len(dump) // 2
    return dump[:at] + bytes([dump[at] ^ 1]) + dump[at + 1 :]


@pytest.mark.parametrize("stage", SERVERS, indirect=True)
@pytest.mark.parametrize("spoil", [lambda dump: dump[:-1000], flipped])
def test_no_server_restores_what_is_cut_or_changed(stage, spoil):
    found = drill(stage, stage.put(spoil(stage.dump)))

    assert (found.outcome, found.reason) == ("failed", "corrupt")


def test_a_packed_copy_comes_back_too(stage):
    stage.put(gzip.compress(stage.dump), "dump.rdb.gz")

    assert drill(stage).outcome == "passed"


@pytest.mark.parametrize(
    ("spoil", "outcome", "reason", "text"),
    [
        (lambda dump: dump[:-1000], "failed", "corrupt", "the server ended with status 1"),
        (
            lambda dump: dump[: len(dump) // 2],
            "failed",
            "corrupt",
            "the server ended with status 1",
        ),
        (lambda dump: dump[:7], "failed", "corrupt", "it does not begin as a dump does"),
        (lambda dump: dump[:0], "failed", "corrupt", "it does not begin as a dump does"),
        (
            lambda dump: dump[:-5] + bytes([dump[-5] ^ 1]) + dump[-4:],
            "failed",
            "corrupt",
            "the server ended with status 1: Wrong RDB checksum",
        ),
        (
            lambda dump: dump[:5] + b"0079" + dump[9:],
            "not_done",
            "command_unavailable",
            "no server here loads REDIS format 79 of 6.2.14; here: ",
        ),
        (lambda dump: gzip.compress(dump)[:-200], "failed", "corrupt", "its gzip packing is unfin"),
        (lambda dump: b"file " + dump, "failed", "corrupt", "it does not begin as a dump"),
    ],
    ids=[
        "cut",
        "half",
        "seven bytes",
        "empty",
        "flipped",
        "too new",
        "cut in its packing",
        "other",
    ],
)
def test_a_bad_copy_fails_with_its_reason(stage, spoil, outcome, reason, text):
    found = drill(stage, stage.put(spoil(stage.dump)))

    assert (found.outcome, found.reason) == (outcome, reason)
    assert found.text.startswith(text)


def test_a_dataset_too_large_for_here_is_not_tried(stage):
    words = stage.dump.index(b"used-mem") + len(b"used-mem")
    assert stage.dump[words] == 0xC2  # a number of four bytes
    huge = stage.dump[:words] + b"\x0f" + b"9" * 15 + stage.dump[words + 5 :]
    found = drill(stage, stage.put(huge))

    assert (found.outcome, found.reason, found.keys) == ("not_done", "too_large", {})
    assert "50% of the free memory" in found.text


def test_a_copy_of_another_application_is_told(stage):
    stage.client.delete("ia:accounts", "settings", "tokens")
    with Redis.from_url(stage.url + "/8") as client:
        client.delete("ia:accounts", "settings", "tokens")
        client.save()
        folder = Path(client.config_get("dir")["dir"])
    found = drill(stage, stage.put((folder / "dump.rdb").read_bytes()))

    assert (found.outcome, found.reason, found.text) == (
        "failed",
        "incomplete",
        "none of EmailEngine's accounts, settings, tokens came back: is it another's copy?",
    )


def test_far_fewer_keys_than_the_live_server_has_are_told(stage):
    with Redis.from_url(stage.url + "/8") as client:
        client.mset({f"new:{number}": "x" for number in range(3 * KEYS)})
    found = drill(stage, stage.put(stage.dump))

    assert (found.outcome, found.text) == (
        "failed",
        "database 8 came back with 2,003 keys, under 50% of the 8,003 that the live server has",
    )


def test_a_live_server_that_lost_its_keys_fails_no_drill_and_is_told_of(stage):
    with Redis.from_url(stage.url + "/8") as client:
        client.flushdb()
    found = drill(stage, stage.put(stage.dump))

    assert (found.outcome, found.text) == (
        "passed",
        (
            "2,003 keys came back; the live server holds 0 keys in database 8 now, under 50% of the "
            "2,003 that came back"
        ),
    )


def test_a_live_server_that_is_away_fails_no_drill(stage):
    pair = stage.source.target.pair
    pair.redis_url = f"redis://127.0.0.1:{servers.free_port()}/8"
    pair.save()
    found = drill(stage, stage.put(stage.dump))

    assert found.outcome == "passed"
    assert "the live server could not be asked" in found.text


def test_without_a_copy_there_is_nothing_to_drill(stage):
    found = drill(stage)

    assert (found.outcome, found.reason, found.artefact) == ("not_done", "not_configured", None)


def test_a_copy_that_is_gone_is_tried_again_tomorrow(stage):
    artefact = stage.put(stage.dump)
    (stage.folder / "dump.rdb").unlink()
    drill_plan.plan(stage.source.target_id, NOW)
    DrillPlan.objects.update(next_due_at=NOW + timedelta(days=6))
    found = drill(stage, artefact)

    assert (found.outcome, found.text) == ("not_done", "dump.rdb is gone")
    assert DrillPlan.objects.get().next_due_at == NOW + timedelta(days=1)

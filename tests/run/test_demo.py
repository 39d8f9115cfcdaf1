import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest
import redis

from checks.probes.rdb import read_dump
from run import demo
from run.demo.servers import FOLDER
from run.supervisor import Supervisor

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    logs = home / "log"
    logs.mkdir()
    supervisor = Supervisor(logs)
    try:
        supervisor.start(demo.start(home, home))
        entries = json.loads((home / FOLDER / demo.MANIFEST).read_text())
        yield {entry["name"]: entry for entry in entries}
    finally:
        supervisor.stop()


def connected(fleet, name):
    entry = fleet[name]
    return redis.Redis.from_url(entry["redis_url"], password=entry["redis_password"])


def info(fleet, name):
    with connected(fleet, name) as client:
        return client.info()


def config(fleet, name, parameter):
    with connected(fleet, name) as client:
        return client.config_get(parameter)[parameter]


def ask(fleet, name, path, token="demo"):
    request = urllib.request.Request(
        fleet[name]["emailengine_url"] + path, headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return answer.headers["Server"], answer.read().decode()


@pytest.mark.parametrize(
    ("name", "parameter", "value"),
    [
        ("northwind-eu-01", "maxmemory-policy", "noeviction"),
        ("northwind-eu-02", "save", "900 1 300 10"),
        ("northwind-eu-03", "maxmemory-policy", "allkeys-lru"),
        ("northwind-us-01", "save", ""),
        ("northwind-us-02", "tcp-keepalive", "0"),
        ("halden-eu-03", "save", "3600 1"),
        ("tessera-us-02", "appendfsync", "always"),
        ("tessera-us-03", "save", "900 1 300 10"),
    ],
)
def test_each_server_is_set_as_its_note_says(fleet, name, parameter, value):
    assert config(fleet, name, parameter) == value


def test_the_full_one_is_nearly_full(fleet):
    found = info(fleet, "halden-eu-01")

    assert 0.8 < found["used_memory"] / found["maxmemory"] < 0.9


def test_the_failing_one_fails_to_save(fleet):
    with connected(fleet, "halden-eu-02") as client:
        while client.info("persistence")["rdb_bgsave_in_progress"]:
            pass
        assert client.info("persistence")["rdb_last_bgsave_status"] == "err"


def test_one_copy_is_a_dump_with_a_byte_turned(fleet):
    folder = Path(fleet["northwind-us-01"]["backup_folder"])
    (copy,) = folder.iterdir()

    with copy.open("rb") as data:
        dump = read_dump(iter(lambda: data.read(4096), b""), 10**6)
    assert (folder.name, dump.state.value) == ("northwind-us-01", "corrupt")


def test_the_registry_is_given_a_wrong_password(fleet):
    with connected(fleet, "halden-eu-04") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_one_is_a_cluster_node(fleet):
    assert info(fleet, "tessera-us-01")["cluster_enabled"] == 1


def test_the_simulator_says_what_it_is_on_every_answer(fleet):
    server, health = ask(fleet, "northwind-eu-01", "/health")
    _server, stats = ask(fleet, "northwind-eu-01", "/v1/stats?seconds=3600")

    assert server == "pairkeeper-emailengine-simulator"
    assert json.loads(health) == {"success": True}
    assert json.loads(stats)["version"] == "2.79.2 (simulator)"


def test_the_simulator_refuses_another_token(fleet):
    with pytest.raises(urllib.error.HTTPError, match="401"):
        ask(fleet, "northwind-eu-01", "/metrics", token="other")


def test_the_simulator_leaves_what_a_restore_drill_looks_for(fleet):
    with connected(fleet, "northwind-eu-01") as client:
        assert client.scard("ia:accounts") == 4
        assert client.hgetall("settings") == {
            b"serviceUrl": json.dumps(fleet["northwind-eu-01"]["emailengine_url"]).encode()
        }
        assert client.hexists("tokens", "simulator")


def test_dead_workers_leave_mail_waiting_and_no_name_behind(fleet):
    def worker_names(name):
        with connected(fleet, name) as client:
            return {row["name"] for row in client.client_list() if row["name"].startswith("bull:")}

    _server, page = ask(fleet, "halden-eu-05", "/metrics")

    assert 'queue_size{queue="submit",state="waiting"} 134' in page
    assert worker_names("halden-eu-05") == set()
    assert {"bull:bm90aWZ5", "bull:c3VibWl0"} <= worker_names("northwind-eu-01")

"""Charts come from a replica where there is one, and all else from the database itself."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from run import keys, postgres
from run.children import Running
from tests.live.installation import ROOT

pytestmark = pytest.mark.live

# In a web process: a pair with one visit, then another visit that the replica does not apply yet.
BODY = """
import json, os, sys, time
from datetime import timedelta
import django
django.setup()
import psycopg
from django.core.management import call_command
from django.test import Client
from django.utils import timezone
from fleet.history.models import Visit
from fleet.history.partitions import ensure_day
from fleet.registry.models import Pair
from tests.fleet.factories import make_pair, make_person
from tests.fleet.history.visits import make_visit

def wait_for(is_so):
    until = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < until, "the replica does not follow"
        time.sleep(0.05)

def points():
    answer = client.get(f"/admin/registry/pair/{pair.pk}/trend/?range=24h")
    assert answer.status_code == 200, answer.content
    return max(len(one["at"]) for chart in answer.json()["charts"] for one in chart["series"])

now = timezone.now()
ensure_day(now.date())
pair = make_pair()
make_visit(now - timedelta(seconds=90), pair.pk, rtt_median_us=400)
wait_for(lambda: Visit.objects.count() == 1)
client = Client()
client.force_login(make_person())
told = {"followed": points()}
with psycopg.connect(os.environ["REPLICA_URL"], autocommit=True) as replica:
    replica.execute("SELECT pg_wal_replay_pause()")
    make_visit(now - timedelta(seconds=30), pair.pk, rtt_median_us=500)
    told["paused"] = points()
    told["written"] = Visit.objects.using("default").count()
    new = make_pair()
    told["page of a pair that the replica has not"] = client.get(
        f"/admin/registry/pair/{new.pk}/change/").status_code
    replica.execute("SELECT pg_wal_replay_resume()")
wait_for(lambda: Visit.objects.count() == 2)
told["resumed"] = points()
print(json.dumps(told))
"""


@contextmanager
def server(folder: Path, sockets: Path, *settings: str) -> Iterator[str]:
    """Run a server on the data in a folder, with these settings over our own."""
    sockets.mkdir(mode=0o700)
    owner = postgres.account(folder)
    if owner:
        os.chown(sockets, *owner)
    child = postgres.child(folder, sockets, is_durable=False)
    words = [word for one in settings for word in ("-c", one)]
    running = Running(replace(child, argv=[*child.argv, *words]), folder / "postgres.log")
    try:
        running.wait_until_ready()
        yield postgres.url(sockets)
    finally:
        running.stop()


@pytest.fixture
def urls():
    """Give the addresses of a server and of the replica that streams from it."""
    with tempfile.TemporaryDirectory(prefix="pk-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o711)
        first, second = folder / "a", folder / "b"
        postgres.initialise(first, is_durable=False)
        second.mkdir(mode=0o700)
        subprocess.run(["cp", "-a", str(first / "data"), str(second / "data")], check=True)
        shutil.copyfile(second / "data" / "PG_VERSION", second / "data" / "standby.signal")
        if owner := postgres.account(first):
            os.chown(second / "data" / "standby.signal", *owner)
        # A replica may have no less than what its log was written with: initdb's 100 and 10.
        sends = ("wal_level=replica", "max_wal_senders=10", "max_connections=100")
        source = f"primary_conninfo=host={folder / 'sa'} user={postgres.USER}"
        with (
            server(first, folder / "sa", *sends) as primary,
            server(second, folder / "sb", *sends, source) as replica,
        ):
            yield primary, replica


def test_charts_come_from_the_replica_and_all_else_does_not(urls):
    primary, replica = urls
    env = {
        **os.environ,
        "SECRET_KEY": keys.new_secret_key(),
        "FLEET_KEYS": keys.new_fleet_key(),
        "PROFILE": "embedded",
        "DATABASE_URL": primary,
        "REPLICA_URL": replica,
        "ALLOWED_HOSTS": "testserver",
        "DJANGO_SETTINGS_MODULE": "fleet.settings",
        "STATICFILES_STORAGE": "django.contrib.staticfiles.storage.StaticFilesStorage",
    }

    def run(*words: str, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=ROOT,
            env=env | more,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("manage.py", "migrate", "-v", "0")
    told = json.loads(run("-c", BODY, WEB_POOL="true").splitlines()[-1])

    assert told == {
        "followed": 1,
        "paused": 1,
        "written": 2,
        "page of a pair that the replica has not": 200,
        "resumed": 2,
    }

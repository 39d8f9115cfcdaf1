"""Sources and artefacts for tests: a whole copy of three hours ago, but for what is named."""

from __future__ import annotations

from datetime import timedelta
from itertools import count

from redis import Redis

from fleet.backups.models import Artefact, BackupSource, Drill
from fleet.registry.models import Pair
from tests.fleet.factories import NOW
from tests.mail_server import wait_until

NUMBERS = count(1)


def make_source(pair: Pair, kind="directory", **fields) -> BackupSource:
    values = {"label": f"source {next(NUMBERS)}", **fields}
    return BackupSource.objects.create(target=pair.target, kind=kind, **values)


def make_artefact(source: BackupSource, now=NOW, **fields) -> Artefact:
    at = fields.pop("at", now - timedelta(hours=3))
    values = {
        "key": f"dump-{next(NUMBERS)}.rdb",
        "state": "intact",
        "seen_at": at,
        "content_at": at,
        "stored_at": at,
        "verified_at": at,
        "stored_bytes": 1_000_000,
        "size_bytes": 1_000_000,
        "magic": "REDIS",
        "rdb_version": 11,
        "keys": {"0": 1000},
        **fields,
    }
    return Artefact.objects.create(source=source, **values)


def make_drill(pair: Pair, outcome="passed", ago=timedelta(hours=1), now=NOW, **fields) -> Drill:
    at = now - ago
    values = {"started_at": at, "ended_at": at, "text": f"this is {outcome}", **fields}
    return Drill.objects.create(target=pair.target, outcome=outcome, **values)


def make_proven(pair: Pair, now=NOW) -> BackupSource:
    """Give a pair a source with a good copy that was restored an hour ago."""
    source = make_source(pair)
    make_artefact(source, now)
    make_drill(pair, now=now)
    return source


def rested(source: BackupSource) -> BackupSource:
    """Wait until a pull's server is done with the pull before: it is refused while a fork runs."""
    wait_until(lambda: is_at_rest(source.target.pair.redis_url))
    return source


def is_at_rest(url: str) -> bool:
    with Redis.from_url(url) as client:
        info: dict[str, int] = client.info()
    return not (info["rdb_bgsave_in_progress"] or info["connected_slaves"])

"""A worker killed in the middle of a pull or a drill: nothing counts, nothing is left, another goes on."""

import os
import signal
import time
from pathlib import Path

import pytest
from redis import Redis

from tests import servers
from tests.live.installation import Installation, installation, wait_for

pytestmark = [pytest.mark.live, pytest.mark.slow]
KEYS = 40_000
PULL = """
INSERT INTO backups_backupsource (target_id, kind, label, is_enabled, interval_s, grace_s, folder,
    name_pattern, endpoint, region, bucket, prefix, access_key, secret_key, pull_user, pull_password,
    destination, bandwidth_bytes_per_s, keep_hourly, keep_daily, keep_weekly, keep_monthly,
    last_reason, last_text, created_at)
VALUES (%s, 'pull', 'pull', true, 86400, 10800, '', '', '', '', '', '', '', '', '', '',
    'directory', %s, 0, 7, 4, 6, '', '', now())
RETURNING id
"""


@pytest.fixture(scope="module")
def here():
    with installation() as made:
        folder = made.folder / "pulls"
        made.env["PULL_FOLDER"] = str(folder)
        yield made


def killed(worker) -> None:
    """Kill a worker as the kernel does when memory is short."""
    os.kill(worker.process.pid, signal.SIGKILL)
    worker.process.wait()


def files(here: Installation) -> list[Path]:
    return [path for path in (here.folder / "pulls").rglob("*") if path.is_file()]


def lapse(here: Installation) -> None:
    """Let the dead worker's lease run out: two minutes are long for a test."""
    here.sql("UPDATE backups_backupjob SET lease_until = now() WHERE state = 'leased'")


def test_a_worker_killed_in_a_pull_and_one_in_a_drill(here):
    with servers.valkey("save", "", "repl-diskless-sync-delay", "0") as server:
        with Redis.from_url(server.url) as client:
            for start in range(0, KEYS, 10_000):
                client.mset({f"k:{n}": os.urandom(500) for n in range(start, start + 10_000)})
        (target_id,) = here.register([server.url])
        first = here.start_worker("first")
        here.sql(PULL, target_id, 1_000_000)
        wait_for(lambda: half_done(here), 40, "a pull under way")
        killed(first)

        assert [path.suffix for path in files(here)] == [".part"]
        assert here.sql("SELECT count(*) FROM backups_artefact") == [(0,)]

        here.sql("UPDATE backups_backupsource SET bandwidth_bytes_per_s = NULL")
        lapse(here)
        second = here.start_worker("second")
        wait_for(lambda: here.sql("SELECT 1 FROM backups_artefact"), 40, "the pull done again")
        ((key, state),) = here.sql("SELECT key, state FROM backups_artefact")

        assert (state, [path.name for path in files(here)]) == ("intact", [key])
        assert here.sql("SELECT state, claim FROM backups_backupjob") == [("done", 2)]

        here.sql(
            "INSERT INTO backups_backupjob (kind, target_id, state, made_at, claim, done_bytes,"
            " holder, reason, error) VALUES ('drill', %s, 'waiting', now(), 0, 0, '', '', '')",
            target_id,
        )
        scratch_id = wait_for_scratch(second.process.pid)
        killed(second)
        wait_for(lambda: not is_there(scratch_id), 60, "the scratch server's end")

        assert here.sql("SELECT count(*) FROM backups_drill") == [(0,)]

        lapse(here)
        here.start_worker("third")
        wait_for(lambda: here.sql("SELECT 1 FROM backups_drill"), 40, "the drill done again")
        ((outcome, keys),) = here.sql("SELECT outcome, keys FROM backups_drill")

        assert (outcome, keys) == ("passed", {"0": KEYS})


def half_done(here: Installation) -> bool:
    """Say whether a pull has written something and not all."""
    return any(path.suffix == ".part" and path.stat().st_size > 500_000 for path in files(here))


def wait_for_scratch(worker_id: int) -> int:
    """Find the server that a worker started, as soon as it is there, and stop it where it is."""
    ends_at = time.monotonic() + 120
    while time.monotonic() < ends_at:
        for child in descendants(worker_id):
            words = argv(child)
            if words[0].endswith(b"-server") and b"--dbfilename" in words:
                os.kill(child, signal.SIGSTOP)
                return child
        time.sleep(0.01)
    pytest.fail("no scratch server was started")


def argv(process_id: int) -> list[bytes]:
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return [b""]


def is_there(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def descendants(process_id: int) -> list[int]:
    found = []
    for task in Path(f"/proc/{process_id}/task").iterdir():
        try:
            found += [int(child) for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found + [one for child in found for one in descendants(child)]

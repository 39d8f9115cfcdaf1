"""A scratch server ends with whoever started it, however that ends, and keeps within its limits."""

import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checks.probes.rdb import read_dump
from fleet.backups import drill, scratch
from fleet.backups.places import Trouble
from fleet.backups.readers import installed
from fleet.backups.scratch import ScratchEnded, ScratchTooSlow
from tests.fleet.backups.dumps import dump

pytestmark = pytest.mark.live
ROOT = Path(__file__).resolve().parents[3]
GIB = 1024**3
# Starts one, says who it is, and waits for ever.
HOLDER = """
from fleet.backups.readers import installed
from fleet.backups import scratch
import time
with scratch.scratch(installed()[0], 1 << 30, 60) as server:
    print(server.process_id, server.folder, flush=True)
    time.sleep(600)
"""


def quiet():
    return None


def is_there(process_id: int) -> bool:
    try:
        state = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_it_dies_with_a_killed_worker_and_the_next_one_sweeps():
    holder = subprocess.Popen([sys.executable, "-c", HOLDER], cwd=ROOT, stdout=subprocess.PIPE)
    try:
        assert holder.stdout is not None
        server_id, folder = holder.stdout.readline().decode().split()
    finally:
        holder.kill()
        holder.wait()
        holder.stdout.close()
    ends_at = time.monotonic() + 60
    while is_there(int(server_id)) and time.monotonic() < ends_at:
        time.sleep(0.02)

    assert not is_there(int(server_id))
    assert Path(folder).is_dir()
    os.utime(folder, (1, 1))
    assert scratch.sweep() >= 1
    assert not Path(folder).exists()


def test_nobody_else_reaches_it_and_it_knows_no_secret(monkeypatch):
    monkeypatch.setenv("FLEET_KEYS", "secret")
    with scratch.scratch(installed()[0], GIB, 30.0) as server:
        mode = server.folder.stat().st_mode & 0o777
        environment = Path(f"/proc/{server.process_id}/environ").read_bytes()

    assert (mode, b"secret" in environment) == (0o700, False)
    assert not server.folder.exists()
    assert not is_there(server.process_id)


def test_a_server_that_takes_too_long_is_given_up():
    with scratch.scratch(installed()[0], GIB, 2.0) as server:
        os.kill(server.process_id, signal.SIGSTOP)
        with pytest.raises(ScratchTooSlow, match="it was not loaded within 2 s"):
            server.load(iter([b"x" * 10_000_000]), quiet)


def test_a_server_that_is_killed_says_nothing_against_the_copy():
    with scratch.scratch(installed()[0], GIB, 30.0) as server:
        os.kill(server.process_id, signal.SIGKILL)
        with pytest.raises(ScratchEnded) as raised:
            server.load(iter([b"x" * 10_000_000]), quiet)

    assert drill.told(raised.value) == (
        "not_done",
        "undetermined",
        "it was killed, most often for want of memory; its log does not say why",
    )


@pytest.mark.parametrize(
    ("spoil", "reason"), [(lambda dump: dump, "too_large"), (lambda dump: dump[:-9], "corrupt")]
)
def test_memory_that_runs_out_is_no_fault_of_the_copy(spoil, reason):
    """Servers say "Short read or OOM" of both: what we read ourselves tells which."""
    whole = spoil(dump(datetime(2026, 11, 22, tzinfo=UTC)))
    ended = ScratchEnded("it ended", "# Short read or OOM loading DB. Unrecoverable error")
    found = drill.sorted_out(ended, read_dump(iter([whole]), GIB), GIB)

    is_memory = isinstance(found, Trouble) and found.reason == "too_large"
    assert ("too_large" if is_memory else drill.told(found)[1]) == reason

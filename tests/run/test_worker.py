"""Does what the worker forks end with it, whenever the worker is killed?"""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# A worker that forks and tells its child's number; `late` has the tie wait until the worker is gone.
WORKER = """
import os, sys, time
from functools import partial
from run import worker

def tie(worker_id):
    if sys.argv[1] == "late":
        while os.getppid() == worker_id:
            time.sleep(0.01)
    worker.tie_to(worker_id)

os.register_at_fork(after_in_child=partial(tie, os.getpid()))
child = os.fork()
if child:
    print(child, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("when", ["at once", "late"])
def test_the_timetable_ends_with_a_worker_that_is_killed(when):
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, when], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    child = int(worker.stdout.readline())
    worker.kill()
    worker.wait()
    worker.stdout.close()

    deadline = time.monotonic() + 5
    while is_there(child) and time.monotonic() < deadline:
        time.sleep(0.01)

    try:
        assert not is_there(child)
    finally:
        end(child)


def is_there(process_id: int) -> bool:
    try:
        stat = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii")
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def end(process_id: int) -> None:
    if is_there(process_id):
        os.kill(process_id, signal.SIGKILL)

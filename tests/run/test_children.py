"""A child starts, is waited for, tells how it ended, and leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from run.children import Child, ChildEndedError, Running
from run.launch import ending_with_us

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]


def is_alive(process_id):
    """Tell a living process from a dead one that nobody has asked after yet."""
    try:
        return Path(f"/proc/{process_id}/cmdline").read_bytes() != b""
    except OSError:
        return False


def wait_until(claim, within_s=50.0):
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_child_is_ready_when_its_probe_says_so(tmp_path):
    log = tmp_path / "child.log"
    running = Running(Child("child", SLEEP, is_ready=lambda: b"up" in log.read_bytes()), log)

    running.wait_until_ready()
    running.stop()

    assert running.process.returncode == -signal.SIGTERM


def test_a_child_that_ends_early_is_told_with_the_end_of_its_log(tmp_path):
    argv = [sys.executable, "-c", "print('no room'); raise SystemExit(3)"]
    (tmp_path / "child.log").write_text("of an earlier run\n")
    running = Running(Child("child", argv, is_ready=lambda: False), tmp_path / "child.log")

    with pytest.raises(ChildEndedError) as told:
        running.wait_until_ready()

    assert (
        str(told.value) == f"child ended with code 3; the end of {tmp_path}/child.log:\n    no room"
    )


def test_a_child_that_never_answers_is_told(tmp_path):
    child = Child("child", SLEEP, is_ready=lambda: False, ready_within_s=0.1)
    running = Running(child, tmp_path / "child.log")

    with pytest.raises(ChildEndedError, match=r"child was not ready within 0.1 s"):
        running.wait_until_ready()
    running.stop()


def test_a_child_that_will_not_stop_is_killed_with_its_own_children(tmp_path):
    script = "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"
    child = Child("stubborn", ["/bin/sh", "-c", script], stop_within_s=0.2)
    running = Running(child, tmp_path / "child.log")
    wait_until(lambda: (tmp_path / "child.log").read_text().strip())
    grandchild = int((tmp_path / "child.log").read_text())

    running.stop()

    assert running.process.returncode == -signal.SIGKILL
    wait_until(lambda: not is_alive(grandchild))


def test_a_program_ends_with_the_process_that_launched_it():
    launch = (
        "import subprocess, sys, time; from run.launch import ending_with_us;"
        "print(subprocess.Popen(ending_with_us(['/bin/sleep', '60'])).pid, flush=True);"
        "time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", launch], stdout=subprocess.PIPE, text=True
    ) as parent:
        program = int(parent.stdout.readline())
        wait_until(lambda: b"sleep" in Path(f"/proc/{program}/cmdline").read_bytes())

        parent.kill()

        wait_until(lambda: not is_alive(program))


def test_root_becomes_another_account_and_keeps_one_right():
    argv = ["/bin/grep", "-E", "^(Uid|CapEff|CapAmb):", "/proc/self/status"]
    done = subprocess.run(
        ending_with_us(argv, account=(65534, 65534)), capture_output=True, text=True, check=False
    )

    if os.geteuid() != 0:
        assert done.stderr == (
            "root may not become another account here (Operation not permitted): "
            "run as an ordinary user\n"
        )
        return
    assert [line.split()[1:] for line in done.stdout.splitlines()] == [
        ["65534", "65534", "65534", "65534"],
        ["0000000000000002"],
        ["0000000000000002"],
    ]

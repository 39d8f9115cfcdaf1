"""Is the one worker of make run described as the environment says?"""

from pathlib import Path

import pytest

from run import portal
from run.children import RunError


@pytest.mark.parametrize(("said", "slots"), [(None, "8"), ("", "8"), ("2", "2"), ("16", "16")])
def test_the_worker_has_as_many_shards_in_hand_as_is_said(monkeypatch, said, slots):
    if said is None:
        monkeypatch.delenv("WORKER_SLOTS", raising=False)
    else:
        monkeypatch.setenv("WORKER_SLOTS", said)

    argv = portal.worker(Path("/nowhere"), {}).argv

    assert argv[argv.index("-c") + 1] == slots


@pytest.mark.parametrize("said", ["0", "many", "-1", "100"])
def test_what_is_no_number_of_shards_is_refused(monkeypatch, said):
    monkeypatch.setenv("WORKER_SLOTS", said)

    with pytest.raises(RunError, match=f"WORKER_SLOTS is {said}: it must be a number from 1 to 99"):
        portal.worker(Path("/nowhere"), {})


@pytest.mark.parametrize("said", ["0", "65536", "\u00b2", "http", "-1"])
def test_what_is_no_port_is_refused(monkeypatch, said):
    monkeypatch.setenv("PORT", said)

    with pytest.raises(RunError, match=f"PORT is {said}: it must be a number from 1 to 65535"):
        portal.address()


def test_what_is_no_host_is_refused():
    with pytest.raises(RunError, match=r"HOST is a\.\.b: it must be a name or an address of this"):
        portal.refuse_taken_port("a..b", 8000)

"""What is asked over connections of its own, of a real Redis and a real Sentinel."""

import asyncio
import os
import signal
import subprocess
import time
from contextlib import contextmanager

import pytest

from checks.egress import EgressRules
from checks.facts import Sentinels
from checks.probes.beside import ask_openly, ask_sentinels
from checks.probes.wire import Endpoint
from tests import servers

pytestmark = pytest.mark.live

RULES = EgressRules(allow_loopback=True)


def ask(port, master="mail"):
    return asyncio.run(ask_sentinels([Endpoint("127.0.0.1", port)], master, RULES))


@contextmanager
def sentinel(primary, folder):
    """Run a Sentinel that watches this primary alone."""
    port = servers.free_port()
    settings = folder / "sentinel.conf"
    settings.write_text(
        f"port {port}\nbind 127.0.0.1\ndir {folder}\n"
        f"sentinel monitor mail 127.0.0.1 {primary.port} 1\n"
        "sentinel down-after-milliseconds mail 300\n"
    )
    program = [servers.redis_program(), settings, "--sentinel"]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(timeout=60)


def until(wanted, port):
    """Ask until the answer comes; Sentinels need a moment to see."""
    deadline = time.monotonic() + 60
    while (found := ask(port)) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def test_a_sentinel_that_sees_its_primary_go(tmp_path):
    well, lost = Sentinels(1, 1, 1), Sentinels(1, 1, 0)
    with servers.redis() as primary, sentinel(primary, tmp_path) as port:
        assert until(well, port) == well
        assert ask(port, "another") == lost
        os.kill(primary.process_id, signal.SIGSTOP)
        try:
            assert until(lost, port) == lost
        finally:
            os.kill(primary.process_id, signal.SIGCONT)


@pytest.mark.parametrize("start", [servers.redis, servers.system_redis, servers.valkey])
@pytest.mark.parametrize(("options", "openly"), [((), True), (("requirepass", "x"), False)])
def test_whether_nobody_is_let_in(start, options, openly):
    with start(*options) as server:
        assert asyncio.run(ask_openly(Endpoint("127.0.0.1", server.port), RULES)) is openly

"""One PostgreSQL for all tests, and what the settings need; skips that must not happen in CI."""

import os
import socket
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import django
import pytest
from django.conf import settings
from hypothesis import HealthCheck
from hypothesis import settings as examples

from checks.probes.stamps import ask_for_stamps, stamp_ns
from run import keys, postgres

# The same examples in each run, and as long as they take: a new one is for whoever looks for faults
# (--hypothesis-profile=default), not for whoever happens to run the tests next, on a busy machine.
SLOW = [HealthCheck.too_slow]
examples.register_profile("same", derandomize=True, deadline=None, suppress_health_check=SLOW)
examples.load_profile("same")
SERVER = pytest.StashKey[ExitStack]()
# Set by .ci/run, where browser and TLS servers are installed: a test that skips there is a fault.
IN_CI = os.environ.get("PAIRKEEPER_CI") == "1"


def pytest_configure(config: pytest.Config) -> None:
    """Give the settings their environment, and only then their name, which makes pytest-django read them.

    Only the controller starts the database; xdist's workers inherit its address.
    """
    os.environ.setdefault("SECRET_KEY", keys.new_secret_key())
    os.environ.setdefault("FLEET_KEYS", keys.new_fleet_key())
    os.environ.setdefault("PROFILE", "embedded")
    os.environ.setdefault("BROKER_URL", "memory://")
    os.environ["STATICFILES_STORAGE"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
    if not hasattr(config, "workerinput") and needs_database(config):
        server = config.stash[SERVER] = ExitStack()
        # WhiteNoise wants the folder to be there; only a test that starts all of it collects into it.
        os.environ["STATIC_ROOT"] = server.enter_context(TemporaryDirectory())
        os.environ["DATABASE_URL"] = server.enter_context(postgres.throwaway())
    os.environ.setdefault("DATABASE_URL", "sqlite://:memory:")
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "fleet.settings")
    if needs_database(config):
        django.setup()
        # A password's hash takes half a second by design, and each person in a test has one.
        settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


def needs_database(config: pytest.Config) -> bool:
    """Say whether a chosen path can hold a test of the portal; the others need no server."""
    live = (Path("tests/live/test_remedies.py"), Path("tests/live/test_rights.py"))
    pure = (Path("tests/checks"), Path("tests/run"), *live)
    chosen = [Path(word.split("::")[0]) for word in config.args]
    chosen = [path.relative_to(config.rootpath) if path.is_absolute() else path for path in chosen]
    return not all(any(path.is_relative_to(folder) for folder in pure) for path in chosen)


@pytest.fixture(scope="session")
def kernel_stamps() -> None:
    """Wait until the kernel stamps what arrives: it begins a moment after the first socket asks."""
    ends_at = time.monotonic() + 60
    with socket.create_server(("127.0.0.1", 0)) as server:
        while not is_stamped(server):
            assert time.monotonic() < ends_at, "this kernel stamps nothing that arrives"
            time.sleep(0.01)


def is_stamped(server: socket.socket) -> bool:
    """Tell whether a byte that is sent to this server arrives with a stamp."""
    with socket.create_connection(server.getsockname()) as ours, server.accept()[0] as theirs:
        assert ask_for_stamps(theirs)
        ours.sendall(b"x")
        return stamp_ns(theirs.recvmsg(1, 64)[1]) > 0


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the database."""
    if SERVER in config.stash:
        config.stash[SERVER].close()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run in CI that skipped a test: everything a test may need is installed there."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if IN_CI and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say why a run without failures is red."""
    if IN_CI and terminalreporter.stats.get("skipped"):
        terminalreporter.write_line("PAIRKEEPER_CI=1: no test may be skipped here", red=True)

"""`python -m run`, as a person uses it: started, looked at, stopped, killed, started again."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path

import pytest

from run.folders import CHECKOUT
from tests.servers import free_port

pytestmark = pytest.mark.live

READY_WITHIN_S = 180  # nothing is measured by it, and the machine may be busy
REPLACED = (
    "DATABASE_URL",
    "BROKER_URL",
    "STATICFILES_STORAGE",
    "STATIC_ROOT",
    "PROFILE",
    "SECRET_KEY",
    "FLEET_KEYS",
)


class Run:
    """One run on a home of its own."""

    def __init__(self, home: Path, output: Path, port: int, *options: str, **given: str) -> None:
        self.home, self.output, self.port = home, output, port
        env = {name: value for name, value in os.environ.items() if name not in REPLACED}
        env |= {"PAIRKEEPER_HOME": str(home), "PORT": str(self.port), **given}
        with self.output.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "run", *options],
                cwd=CHECKOUT, env=env, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip

    def told(self) -> str:
        return self.output.read_text()

    def wait_until_told(self, line: str) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while line not in self.told():
            assert self.process.poll() is None, self.told()
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.05)

    def wait_until_ready(self) -> None:
        self.wait_until_told(f"Pairkeeper is ready: http://127.0.0.1:{self.port}/\n")

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def processes(self) -> dict[int, str]:
        """Every living process with this home in its command line or environment, or working in it.

        Servers write their title over both; what stays is the folder they work in.
        """
        found = {}
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                words = (folder / "cmdline").read_bytes()
                known = (
                    words + (folder / "environ").read_bytes() + bytes((folder / "cwd").readlink())
                )
            except OSError:
                continue
            if words and os.fsencode(self.home) in known:
                found[int(folder.name)] = words.replace(b"\0", b" ").decode()
        return found


@pytest.fixture(scope="module")
def made_home(tmp_path_factory):
    """Make an installation, started once and stopped, to start from."""
    folder = tmp_path_factory.mktemp("made")
    run = Run(folder / "home", folder / "out", free_port())
    run.wait_until_ready()
    assert run.stop() == 0
    return run.home


@pytest.fixture
def installed(made_home, tmp_path):
    """Give the test a copy of it, with its owners: root's database is not root's own."""
    subprocess.run(["cp", "-a", str(made_home), str(tmp_path / "home")], check=True)


@pytest.fixture
def started(tmp_path):
    """Start runs that are surely ended after the test."""
    runs = []

    def start(*options, port=None, home="home", **given):
        output = tmp_path / f"{len(runs)}.out"
        runs.append(Run(tmp_path / home, output, port or free_port(), *options, **given))
        return runs[-1]

    yield start
    for run in runs:
        if run.process.poll() is None:
            run.stop(signal.SIGKILL)


def signed_in_path(run):
    """Sign in with the password that was printed; give the path one lands on."""
    name, password = re.search(r"account: (\S+) +password: (\S+)", run.told()).groups()
    cookies = CookieJar()
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(cookies))
    login = f"http://127.0.0.1:{run.port}/admin/login/?next=/admin/"
    with browser.open(login, timeout=10) as page:
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode()).group(
            1
        )
    words = {"username": name, "password": password, "csrfmiddlewaretoken": token}
    with browser.open(login, urllib.parse.urlencode(words).encode(), timeout=10) as page:
        assert page.status == 200
        return urllib.parse.urlparse(page.url).path


def test_it_serves_keeps_its_data_and_leaves_nothing(started):
    run = started()
    run.wait_until_ready()
    password_line = "Operator account: operator"
    assert run.told().count(password_line) == 1
    assert signed_in_path(run) == "/admin/"
    assert any("postgres" in words for words in run.processes().values())

    second = started()
    assert second.process.wait(READY_WITHIN_S) == 1
    assert second.told() == (
        f"Pairkeeper already runs on {run.home} (process {run.process.pid}): "
        "stop that one first, or set PAIRKEEPER_HOME to another folder.\n"
    )

    assert run.stop(signal.SIGINT) == 0
    assert run.told().endswith("Stopping …\nStopped.\n")
    assert run.processes() == {}

    again = started()
    again.wait_until_ready()
    assert password_line not in again.told()
    assert again.stop() == 0


@pytest.mark.alone
def test_a_second_start_takes_less_than_five_seconds(installed, started):
    began = time.monotonic()
    run = started()
    run.wait_until_ready()

    assert time.monotonic() - began < 5.0  # design.md: warm start
    assert run.stop() == 0


def test_a_killed_supervisor_leaves_no_orphan_and_starts_again(installed, started):
    run = started()
    run.wait_until_ready()

    run.stop(signal.SIGKILL)
    deadline = time.monotonic() + 60
    while run.processes() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert run.processes() == {}

    again = started()
    again.wait_until_ready()
    assert again.stop() == 0


@pytest.mark.parametrize("victim", ["valkey-server", "run.worker", "gunicorn", "bin/postgres"])
def test_a_dead_child_stops_the_rest_and_is_named(installed, started, victim):
    run = started()
    run.wait_until_ready()
    mine = run.process.pid
    children = {
        number: words for number, words in run.processes().items() if parent(number) == mine
    }
    (child,) = [number for number, words in children.items() if victim in words]

    os.kill(child, signal.SIGKILL)

    assert run.process.wait(60) == 1
    assert "was ended by SIGKILL; the end of" in run.told()
    assert run.processes() == {}


def parent(process_id):
    """Read a process' parent from the kernel."""
    return int(Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_taken_port_is_told_in_one_sentence(started):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        run = started(port=port)

        assert run.process.wait(READY_WITHIN_S) == 1

    assert run.told() == (
        f"Cannot listen on 127.0.0.1:{port} (Address already in use): "
        "stop what uses it, or set PORT to another port.\n"
    )


def test_stopping_in_the_middle_of_the_first_start_is_clean(started):
    run = started()
    run.wait_until_told("new database")

    assert run.stop(signal.SIGINT) == 0
    assert run.processes() == {}

    again = started()
    again.wait_until_ready()
    assert again.stop() == 0


def test_services_alone_for_a_management_command_and_for_another_portal(installed, started):
    run = started("--services-only")
    run.wait_until_told("The services are ready.\n")

    command = started("--manage", "migrate", "--plan")
    assert command.process.wait(60) == 0
    assert "Planned operations" in command.told()

    urls = dict(re.findall(r"(DATABASE_URL|BROKER_URL)=(\S+)", run.told()))
    other = started(home="other", **urls)
    other.wait_until_ready()
    assert not any("postgres" in words or "valkey" in words for words in other.processes().values())
    assert other.stop() == 0
    assert run.stop() == 0

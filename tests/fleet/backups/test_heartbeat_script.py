"""The script in docs/ runs a job under a real sh, and tells how it went."""

import hashlib
import os
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

SCRIPT = Path(__file__).resolve().parents[3] / "docs" / "pairkeeper-heartbeat.sh"


@pytest.fixture
def portal():
    """A server that keeps what is posted to it: (path, fields) each."""
    calls = []

    class Taking(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
            calls.append((self.path, dict(parse_qsl(body))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_words):
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Taking) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/beat/secret", calls
        server.shutdown()
        thread.join()


def run(url, *command, **environ):
    return subprocess.run(
        ["sh", SCRIPT, *command],
        env={"PATH": os.environ["PATH"], "PAIRKEEPER_BEAT": url, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_job_that_works_is_told_with_its_copy(portal, tmp_path):
    url, calls = portal
    copy = tmp_path / "dump of today.rdb"

    done = run(url, "sh", "-c", f"printf REDIS > '{copy}'", PAIRKEEPER_FILE=str(copy))

    assert (done.returncode, done.stderr) == (0, "")
    (start, nothing), (end, told) = calls
    assert (start, nothing, end) == ("/beat/secret/start", {}, "/beat/secret")
    assert told.pop("duration").isdigit()
    assert told == {"size": "5", "sha256": hashlib.sha256(b"REDIS").hexdigest()}


def test_a_job_that_fails_is_told_and_keeps_its_status(portal):
    url, calls = portal

    assert run(url, "sh", "-c", "exit 7").returncode == 7
    assert calls[1] == ("/beat/secret/fail", {"exit": "7"})


def test_a_portal_that_is_away_fails_no_backup():
    done = run("http://127.0.0.1:1/beat/secret", "true")

    assert done.returncode == 0
    assert "the portal was not told" in done.stderr
    assert "secret" not in done.stderr


def test_without_an_address_it_says_how_it_is_used():
    done = subprocess.run(
        ["sh", SCRIPT, "true"], env={}, capture_output=True, text=True, check=False
    )

    assert done.returncode == 64
    assert shutil.which("sh")
    assert "usage: PAIRKEEPER_BEAT=URL" in done.stderr

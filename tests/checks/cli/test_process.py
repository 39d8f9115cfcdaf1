"""The command as a process of its own: what it imports, prints and returns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from checks.catalog import RULES

ROOT = Path(__file__).resolve().parents[3]
FORBIDDEN = {"django", "celery", "kombu", "psycopg", "fleet", "run", "redis", "structlog"}


def python(*words, env=None):
    """Run our Python with nothing in its environment: no settings, no database, no secret."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), **(env or {})},
        capture_output=True,
        timeout=60,
        check=False,
    )


def test_it_needs_no_django_and_no_database():
    done = python("-c", "import sys, checks.__main__; print(*sys.modules)")

    imported = {name.partition(".")[0] for name in done.stdout.decode().split()}
    assert done.returncode == 0, done.stderr.decode()
    assert imported & FORBIDDEN == set()
    assert {"checks", "hiredis"} <= imported


def test_rules_are_listed():
    done = python("-m", "checks", "rules", "--json")

    assert (done.returncode, done.stderr) == (0, b"")
    assert [one["id"] for one in json.loads(done.stdout)] == [one.id for one in RULES]


def test_rules_are_written_as_the_page_in_docs():
    done = python("-m", "checks", "rules", "--markdown")

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (ROOT / "docs" / "rules.md").read_bytes()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((), 64),
        (("inspect",), 64),
        (("inspect", "--redis", "10.0.0.7"), 64),
        (("inspect", "--redis", "redis://10.0.0.7", "--policy", "/no/such"), 64),
        (("--help",), 0),
        (("inspect", "--help"), 0),
        (("rules",), 0),
    ],
)
def test_exit_status(words, status):
    done = python("-m", "checks", *words)

    assert (done.returncode, b"Traceback" in done.stderr) == (status, False)


def test_a_terminal_without_unicode_gets_what_it_can_show():
    done = python(
        "-m", "checks", "rules", env={"PYTHONIOENCODING": "ascii", "PYTHONCOERCECLOCALE": "0"}
    )

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()


def test_a_reader_that_leaves_is_no_error():
    piped = f"{sys.executable} -m checks rules --json | true"
    done = subprocess.run(
        piped, shell=True, cwd=ROOT, env={}, capture_output=True, timeout=60, check=False
    )

    assert done.stderr == b""

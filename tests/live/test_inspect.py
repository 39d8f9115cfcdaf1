"""`python -m checks inspect` against real servers."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import redis as client

from tests import servers

pytestmark = pytest.mark.live

ROOT = Path(__file__).resolve().parents[2]
SERVERS = servers.everywhere()
MORE = servers.more()
FIT = (
    *("maxmemory", "512mb", "maxmemory-policy", "noeviction"),
    *("tcp-keepalive", "300", "appendonly", "no"),
)
CLOSED = ("requirepass", "geheim-3141")
# The account of a plain password may do everything: noted, not scored.
NOTED = {"redis.probe-privilege"}
UNFIT = ("maxmemory", "512mb", "maxmemory-policy", "allkeys-lru")
RAM_BYTES = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
# How busy this machine is must not decide: its round trips say nothing of what is tested here.
PATIENT = Path(__file__).with_name("patient.yaml")
OFTEN_ENOUGH = 'CONFIG SET save "900 1 300 10"'  # 6.2 does not take two pairs as one argument


def inspect(*words, **env):
    return subprocess.run(
        [sys.executable, "-m", "checks", "inspect", "--policy", str(PATIENT), *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def verdicts(*words, **env):
    """Return the exit status, the object without its verdicts, and the verdicts by rule."""
    done = inspect(*words, "--json", **env)
    assert "Traceback" not in done.stderr, done.stderr
    found = json.loads(done.stdout)
    by_rule = {one["rule"]: one for one in found.pop("verdicts")}
    return done.returncode, found, by_rule


def fails(by_rule):
    return {name for name, one in by_rule.items() if one["outcome"] == "fail"}


@pytest.mark.parametrize("name", SERVERS)
def test_a_fit_server_ends_with_0(name):
    with running(SERVERS[name], *FIT, *CLOSED) as server:
        status, found, by_rule = verdicts("--redis-env", "URL", URL=signed(server))

    is_valkey, is_old = name.startswith("valkey"), name.startswith("redis-6.0")
    assert fails(by_rule) == NOTED | (
        ({"redis.engine-support"} if is_valkey else set())
        | ({"redis.version"} if is_old else set())
    )
    assert (status, found["compliance"], found["health"]) == (
        (1, "at_risk", "healthy") if is_old else (0, "compliant", "healthy")
    )
    assert found["engine"] == ("valkey" if is_valkey else "redis")
    if (
        name in MORE and not is_valkey
    ):  # which tells the version of Redis that it is compatible with
        assert name.partition("-")[2] == by_rule["redis.version"]["observed"]


def signed(server):
    """Give the address with the password of CLOSED in it."""
    return server.url.replace("://", f"://:{CLOSED[1]}@")


def test_at_risk_ends_with_1():
    with running(servers.redis, *FIT, "maxmemory-policy", "volatile-lru") as server:
        status, found, by_rule = verdicts("--redis", server.url)

    assert (status, found["compliance"]) == (1, "at_risk")
    assert by_rule["redis.eviction-policy"]["severity"] == "warning"


@pytest.mark.parametrize("name", [name for name in SERVERS if not name.startswith("redis-6.0")])
def test_a_server_that_has_refused_writes_for_want_of_memory_ends_with_2(name):
    """What it holds swings about maxmemory: this look may find a little less.

    Redis 6.0 does not count its errors, so that there nothing is left to see of it then.
    """
    with SERVERS[name]("maxmemory", "20mb", "save", "") as server:
        fill(server)
        status, found, by_rule = verdicts("--redis", server.url)

    assert (status, found["health"]) == (2, "failing")
    assert by_rule["redis.accepts-writes"]["severity"] == "critical"


def fill(server):
    """Write until the server refuses."""
    with client.Redis.from_url(server.url) as admin, suppress(client.OutOfMemoryError):
        for number in range(1_000):
            admin.set(f"block:{number}", "x" * 100_000)


@pytest.mark.parametrize("start", SERVERS.values(), ids=SERVERS)
def test_an_account_that_may_do_nothing_is_told_what_it_lacks_and_not_what_it_is(start):
    with start() as server:
        paste(server, "ACL SETUSER poor on >geheim-3141")
        url = server.url.replace("://", "://poor:geheim-3141@")
        done = [inspect("--redis-env", "URL", *form, URL=url) for form in ([], *FORMS)]

    assert [one.returncode for one in done] == [1, 1, 1]  # nobody needs a password
    for one in done:
        assert "geheim-3141" not in one.stdout + one.stderr
        assert "Traceback" not in one.stderr
    unknown = [one for one in json.loads(done[1].stdout)["verdicts"] if one["outcome"] == "unknown"]
    assert sum("grant +info" in one["message"] for one in unknown) > 15


def test_what_the_remediation_says_pasted_as_it_stands_mends_it():
    with running(servers.redis, *UNFIT) as server:
        status, _, by_rule = verdicts("--redis", server.url)
        finding = by_rule["redis.eviction-policy"]
        for step in finding["remediation"]["now"]:
            if "code" in step:
                assert paste(server, step["code"]) == "OK"
        after, _, mended = verdicts("--redis", server.url)

    assert (status, finding["severity"], finding["observed"]) == (2, "critical", "allkeys-lru")
    assert mended["redis.eviction-policy"]["outcome"] == "pass"
    assert after in (0, 1)


@contextmanager
def running(start, *options, **how):
    """Start a server whose RDB schedule is as it should be."""
    with start(*options, **how) as server:
        assert paste(server, OFTEN_ENOUGH, *signing_in(options)) == "OK"
        yield server


def signing_in(options):
    if "requirepass" not in options:
        return ()
    return "--no-auth-warning", "-a", options[options.index("requirepass") + 1]


def paste(server, line, *words):
    """Give a line to redis-cli as a person would; the wheel's own client speaks no TLS."""
    program = str(servers.redis_program().with_name("redis-cli"))
    way = ("-s", str(server.socket_path)) if server.socket_path else ("-p", str(server.port))
    if server.certificates:
        program = "redis-cli"
        words = (*words, "--tls", "--cacert", str(server.certificates.ca))
    done = subprocess.run(
        [program, *way, *words],
        input=f"{line}\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def test_what_cannot_be_verified_ends_with_3_until_it_is_attested():
    with running(servers.redis, *FIT[2:], *CLOSED) as server:
        way = ("--redis-env", "URL")
        status, found, by_rule = verdicts(*way, URL=signed(server))
        attested, _, mended = verdicts(
            *way, "--attest", f"ram_bytes={RAM_BYTES}", URL=signed(server)
        )

    assert (status, found["compliance"], found["health"]) == (3, "unverified", "healthy")
    assert by_rule["redis.memory-headroom"]["outcome"] == "unknown"
    assert (attested, fails(mended)) == (0, NOTED | {"redis.maxmemory-set"})


def test_a_server_that_is_gone_ends_with_2_and_one_fail():
    url = f"redis://127.0.0.1:{servers.free_port()}"

    status, found, by_rule = verdicts("--redis", url)

    assert (status, found["compliance"], found["health"]) == (2, "unverified", "failing")
    assert fails(by_rule) == {"redis.reachable"}


def test_a_policy_is_judged_by(tmp_path):
    policy = tmp_path / "policy.yaml"
    policy.write_text("redis.eviction-policy: {severity: warning}\n")
    with running(servers.redis, *UNFIT) as server:
        status, *_ = verdicts("--redis", server.url, "--policy", str(policy))

    assert status == 1


@pytest.mark.parametrize("given", ["geheim-3141", "wrong-2718"])
def test_a_password_is_used_and_never_shown(given):
    with running(servers.redis, *FIT, "requirepass", "geheim-3141") as server:
        url = f"redis://:{given}@127.0.0.1:{server.port}"
        hidden = [inspect("--redis-env", "URL", *form, URL=url) for form in FORMS]
        shown = inspect("--redis", url)

    for done in (*hidden, shown):
        assert done.returncode == (0 if given == "geheim-3141" else 2)
        assert given not in done.stdout + done.stderr
    assert [done.stderr for done in hidden] == ["", ""]
    assert "shows in the list of processes" in shown.stderr


FORMS = (["--json"], ["--nagios"])


def test_tls_is_verified_unless_asked_otherwise():
    with running(servers.tls_redis, *FIT, *CLOSED) as server:
        ca, way, url = str(server.certificates.ca), ("--redis-env", "URL"), signed(server)
        refused, _, by_rule = verdicts(*way, URL=url)
        trusted, *_ = verdicts(*way, "--ca", ca, URL=url)
        named, *_ = verdicts(*way, "--ca", ca, "--tls-name", "localhost", URL=url)
        misnamed, *_ = verdicts(*way, "--ca", ca, "--tls-name", "elsewhere", URL=url)
        unverified, *_ = verdicts(*way, "--no-verify", URL=url)

    assert "certificate" in by_rule["redis.reachable"]["message"]
    assert (refused, trusted, named, misnamed, unverified) == (2, 0, 0, 2, 0)


def test_a_unix_socket_is_inspected():
    with running(servers.redis, *FIT, unix=True) as server:
        status, _, by_rule = verdicts("--redis", server.url)

    assert by_rule["redis.reachable"]["outcome"] == "pass"
    assert status == 1  # whoever may open the socket needs no password


def test_emailengine_is_asked_too():
    with running(servers.redis, *FIT) as server, emailengine(200) as url:
        _, _, by_rule = verdicts("--redis", server.url, "--emailengine", url)
    with running(servers.redis, *FIT) as server, emailengine(500) as url:
        status, _, ill = verdicts("--redis", server.url, "--emailengine", url)

    assert by_rule["emailengine.reachable"]["outcome"] == "pass"
    assert (status, ill["emailengine.reachable"]["outcome"]) == (2, "fail")


@contextmanager
def emailengine(status):
    """Answer /health as EmailEngine does."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            body = b'{"success":true}' if self.path == "/health" else b"{}"
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words):
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def test_nagios_says_it_in_one_line():
    with running(servers.redis, *UNFIT) as server:
        done = inspect("--redis", server.url, "--nagios")

    first, *more = done.stdout.splitlines()
    assert (done.returncode, done.stderr) == (2, "")
    assert first.startswith("CRITICAL - non-compliant and healthy: maxmemory-policy is allkeys-lru")
    assert " | " in first
    assert "redis.memory-headroom.used_ratio=" in first
    assert more[0].startswith("CRITICAL redis.eviction-policy: ")


def test_a_table_is_printed_without_colour_into_a_pipe():
    with running(servers.redis, *UNFIT) as server:
        done = inspect("--redis", server.url, COLUMNS="80")

    assert "\x1b" not in done.stdout
    assert "■ Critical" in done.stdout
    assert "   Now           CONFIG SET maxmemory-policy noeviction\n" in done.stdout
    # Only a command to paste may be wider: it must stay in one piece.
    wide = [line for line in done.stdout.splitlines() if len(line) > 80]
    assert all("ACL SETUSER" in line for line in wide)

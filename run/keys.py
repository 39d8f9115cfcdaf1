"""The secrets of an embedded installation: made once, kept in the data folder, handed on by environment."""

import base64
import os
import secrets
from pathlib import Path


def secret_environment(home: Path) -> dict[str, str]:
    """Give SECRET_KEY and FLEET_KEYS where the environment does not."""
    makers = {"SECRET_KEY": new_secret_key, "FLEET_KEYS": new_fleet_key}
    return {
        name: os.environ.get(name) or kept(home / name.lower(), make())
        for name, make in makers.items()
    }


def new_secret_key() -> str:
    """Make Django's signing key."""
    return secrets.token_urlsafe(50)


def new_fleet_key() -> str:
    """Make a Fernet key: 32 random bytes, url-safe base64."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def kept(path: Path, candidate: str) -> str:
    """Return what the file holds, or write the candidate into it; only the owner can read it.

    A half-written key would make every stored secret unreadable, so the file appears whole or not at all.
    """
    if not path.exists():
        draft = path.with_suffix(".new")
        draft.touch(mode=0o600)
        draft.write_text(candidate)
        draft.replace(path)
    return path.read_text().strip()

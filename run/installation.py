"""One installation: which services it needs, what they are told, and what is prepared before people come."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from run import given, portal, postgres, valkey
from run.children import Child
from run.folders import Folders
from run.keys import secret_environment
from run.supervisor import timed


def environment(folders: Folders, host: str, port: int) -> dict[str, str]:
    """Give the settings of every process of ours; what the environment says already stays.

    Static files are served as they are: compressing them took a third of the first start, and the
    browser is on this machine.
    """
    defaults = {
        "PROFILE": "embedded",
        "DATABASE_URL": postgres.url(folders.runtime / "postgres"),
        "BROKER_URL": valkey.url(folders.runtime / "valkey.sock"),
        "BASE_URL": portal.page_url(host, port),
        "ALLOWED_HOSTS": portal.allowed_hosts(host),
        "STATIC_ROOT": str(folders.home / "static"),
        "DATA_FOLDER": str(folders.home),
        "PULL_FOLDER": str(folders.home / "pulls"),
        "BACKUP_ROOTS": str(folders.home / "backups"),
        "STATICFILES_STORAGE": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage",
    }
    return {
        **{name: os.environ.get(name) or value for name, value in defaults.items()},
        **secret_environment(folders.home),
        "PAIRKEEPER_HOME": str(folders.home),
        "PYTHONUNBUFFERED": "1",
    }


def services(folders: Folders) -> list[Child]:
    """Describe the embedded services; one that the environment replaces must be there."""
    chosen = []
    if url := os.environ.get("DATABASE_URL"):
        given.check_database(url)
    else:
        chosen.append(database(folders.home / "postgres", folders.runtime / "postgres"))
    if url := os.environ.get("BROKER_URL"):
        given.check_broker(url)
    else:
        chosen.append(valkey.child(folders.home / "valkey", folders.runtime / "valkey.sock"))
    return chosen


def database(folder: Path, sockets: Path) -> Child:
    """Describe the embedded database; the first time this takes a second, so it is told."""
    sockets.mkdir(mode=0o700, exist_ok=True)
    if postgres.is_new(folder):
        timed("new database", lambda: postgres.initialise(folder))
    else:
        postgres.forget_killed_run(folder / "data")
    return postgres.child(folder, sockets)


def prepare(folders: Folders, env: Mapping[str, str]) -> None:
    """Bring static files and database to the state of the code; skip what has not changed since.

    The embedded database has its stamp beside its data, so that they come and go together.
    Another database may have been changed by others, so that one is always looked at.
    """
    log = folders.logs / "prepare.log"
    static = Path(env["STATIC_ROOT"])
    once(
        "static files",
        lambda: portal.manage(["collectstatic", "--noinput", "-v", "0"], env, log),
        stamp=static / ".stamp",
        state=portal.fingerprint(
            "requirements.txt",
            "fleet/**/static/**/*",
            "static/**/*",
            "fleet/settings.py",
            "run/installation.py",
        ),
    )
    if os.environ.get("DATABASE_URL"):
        timed("database", lambda: migrate(env, log))
        return
    once(
        "database",
        lambda: migrate(env, log),
        stamp=folders.home / "postgres" / "migrated.stamp",
        state=portal.fingerprint(
            "requirements.txt", "fleet/**/migrations/*.py", "fleet/**/commands/*.py"
        ),
    )


def migrate(env: Mapping[str, str], log: Path) -> None:
    """Bring the tables up to date and see that somebody can sign in; a new password is shown here, once."""
    portal.manage(["migrate", "--noinput"], env, log)
    portal.manage(["ensure_operator"], env)


def once(name: str, step: Callable[[], None], *, stamp: Path, state: str) -> None:
    """Do a step unless its stamp says that it was done for this very state."""
    if stamp.exists() and stamp.read_text() == state:
        return
    timed(name, step)
    stamp.write_text(state)

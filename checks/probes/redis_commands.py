"""The commands the probe sends, encoded once, and the rights they need."""

from dataclasses import dataclass
from functools import lru_cache

from checks.probes.replies import encode

CLIENT_NAME = "pairkeeper"


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words, its bytes, and the ACL right it needs."""

    words: tuple[str, ...]
    right: str
    encoded: bytes

    @property
    def text(self) -> str:
        """As a person types it."""
        return " ".join(self.words)

    @property
    def parameter(self) -> str:
        """What a CONFIG GET asks for, "" for any other command."""
        return self.words[2] if self.right == "config|get" else ""


def _command(text: str, right: str) -> Command:
    words = tuple(text.split())
    return Command(words, right, encode(*words))


def _config(name: str) -> Command:
    return _command(f"CONFIG GET {name}", "config|get")


PING = _command("PING", "ping")
INFO = _command("INFO", "info")
HELLO = _command("HELLO", "hello")  # only where INFO is refused
TIME = _command("TIME", "time")  # only where INFO has no server_time_usec (6.0)
CLIENT_LIST = _command("CLIENT LIST", "client|list")
CLUSTER_INFO = _command("CLUSTER INFO", "cluster|info")  # only in cluster mode

# Read in each visit: whether writes are blocked hangs on them.
HEALTH_CONFIG = tuple(map(_config, ("stop-writes-on-bgsave-error", "min-replicas-to-write")))
# Read with the persistence cadence, one by one: several names at once are 7.0 and newer.
PERSISTENCE_CONFIG = tuple(
    _config(name)
    for name in (
        "save",
        "appendfsync",
        "tcp-keepalive",
        "timeout",
        "proto-max-bulk-len",
        "client-output-buffer-limit",
        "replica-read-only",
    )
)
MAXCLIENTS = _config("maxclients")  # only where INFO does not tell it (before 6.2)
SNAPSHOT_CRON = _config("snapshot_cron")  # only on Dragonfly
# Only on Dragonfly, which alone may refuse keys that a script did not declare. Reads a key that
# nobody has.
PROBE_KEYS = "pairkeeper:probe:"
_SCRIPT = ("EVAL", f"return redis.call('EXISTS', '{PROBE_KEYS}' .. ARGV[1])", "0", "x")
UNDECLARED_KEYS = Command(_SCRIPT, "eval", encode(*_SCRIPT))

HEALTH: tuple[Command, ...] = (PING, INFO, *HEALTH_CONFIG)
ALL: tuple[Command, ...] = (
    *HEALTH,
    *PERSISTENCE_CONFIG,
    CLIENT_LIST,
    CLUSTER_INFO,
    TIME,
    HELLO,
)
SETNAME_RIGHT = "client|setname"
ACL_RIGHT = "acl|getuser"
DEFAULT_USER = "default"
RIGHTS: tuple[str, ...] = tuple(
    sorted({*(command.right for command in ALL), SETNAME_RIGHT, ACL_RIGHT})
)


@lru_cache(maxsize=1_024)
def get_user(name: str) -> Command:
    """Give ACL GETUSER for our own account; without a name that is the default one."""
    words = ("ACL", "GETUSER", name or DEFAULT_USER)
    return Command(words, ACL_RIGHT, encode(*words))


@lru_cache(maxsize=64)
def set_name(client_name: str) -> bytes:
    """Encode CLIENT SETNAME, so that an operator can tell whose connection this is."""
    return encode("CLIENT", "SETNAME", client_name)


def auth(user: str, password: str) -> bytes | None:
    """Encode AUTH; None where there is nothing to sign in with."""
    if user:
        return encode("AUTH", user, password)
    return encode("AUTH", password) if password else None

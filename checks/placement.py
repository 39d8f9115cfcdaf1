"""Where does a setting go so that it lasts? It depends on the make and on how it was started."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from checks.facts import NOT_READ, Engine, Missing, RedisFacts

CLIS: Final = {
    Engine.VALKEY: "valkey-cli",
    Engine.KEYDB: "keydb-cli",
    Engine.MEMURAI: "memurai-cli",
}
CONFS: Final = {
    Engine.VALKEY: "valkey.conf",
    Engine.KEYDB: "keydb.conf",
    Engine.MEMURAI: "memurai.conf",
    Engine.DRAGONFLY: "dragonfly.conf",
}


@dataclass(frozen=True, slots=True)
class Server:
    """The server that a remediation is for. config_file "" = it was started without one."""

    engine: Engine = Engine.UNKNOWN
    version: str = ""
    host: str = ""
    config_file: str | Missing = NOT_READ

    @classmethod
    def read(cls, redis: RedisFacts | Missing, host: str = "") -> Server:
        """Take the server from facts; `host` stands in where Redis did not answer."""
        if isinstance(redis, Missing):
            return cls(host=host)
        version = "" if isinstance(redis.version, Missing) else redis.version
        return cls(redis.engine, version, redis.host or host, redis.config_file)

    @property
    def label(self) -> str:
        """The name people write, with the version if known: `Valkey 8.0.1`."""
        return f"{self.engine.label} {self.version}".strip()


class Piece(NamedTuple):
    """One part of a step: code to paste as it stands, or prose."""

    text: str
    is_code: bool


def conf_name(engine: Engine) -> str:
    """Return the usual name of the engine's configuration file."""
    return CONFS.get(engine, "redis.conf")


def cli_name(engine: Engine) -> str:
    """Return the name of the engine's own command-line client."""
    return CLIS.get(engine, "redis-cli")


def one_line(text: str) -> str:
    """Keep a server's own words from breaking out of the command they stand in."""
    return "".join(char if char.isprintable() else " " for char in text)


def settings_in(pieces: Iterable[Piece]) -> list[str]:
    """Return the configuration lines among these pieces; none where a piece is another command."""
    lines = [line.strip() for one in pieces if one.is_code for line in one.text.splitlines()]
    return lines if all(map(_is_setting, lines)) else []


def place(lines: list[str], now: Iterable[Piece], server: Server) -> Iterator[Piece]:
    """Say where configuration lines go; `now` are the steps that set them in the running server."""
    if server.engine.is_provided:
        yield _prose(f"{server.engine.label} is run by its provider: set it in the console there.")
    elif server.engine is Engine.DRAGONFLY:
        yield _prose("As an argument, or in the manifest: Dragonfly rewrites no file.")
        yield Piece(_flags(lines), is_code=True)
    elif server.config_file == "":
        yield _prose(
            "This server was started without a configuration file: "
            "put it in the manifest, or give it as an argument:"
        )
        yield Piece(_arguments(lines), is_code=True)
    else:
        yield from _in_file(lines, now, server)


def _in_file(lines: list[str], now: Iterable[Piece], server: Server) -> Iterator[Piece]:
    host = f" on {one_line(server.host)}" if server.host else ""
    rewrite = ", or run CONFIG REWRITE" if _are_set(lines, now) else ""
    if not isinstance(server.config_file, Missing):
        yield _prose(f"In {one_line(server.config_file)}{host}{rewrite}.")
        return
    yield _prose(
        f"In {conf_name(server.engine)}{host}{rewrite} if the server was started with a file; "
        "if it was started without one, as an argument or in its manifest:"
    )
    yield Piece(_arguments(lines), is_code=True)


def _are_set(lines: list[str], now: Iterable[Piece]) -> bool:
    """Tell whether the running server holds them all by then: CONFIG REWRITE writes what runs."""
    commands = [one.text.lower().split() for one in now if one.is_code]
    running = {word for words in commands if words[:2] == ["config", "set"] for word in words[2:]}
    return all(line.split()[0] in running for line in lines)


def _is_setting(line: str) -> bool:
    """Tell a configuration line (`maxmemory-policy noeviction`) from a command (`CONFIG REWRITE`)."""
    name = line.partition(" ")[0]
    return name.islower() and name.replace("-", "").isalpha()


def _arguments(lines: Iterable[str]) -> str:
    """Write configuration lines as arguments: `--save 900 1 --save 300 10`."""
    return " ".join(f"--{line}" for line in lines)


def _flags(lines: Iterable[str]) -> str:
    """Write configuration lines as Dragonfly's flags: `--maxmemory=4294967296`."""
    pairs = (line.partition(" ") for line in lines)
    return " ".join(f"--{name.replace('-', '_')}={value}" for name, _, value in pairs)


def _prose(text: str) -> Piece:
    return Piece(text, is_code=False)

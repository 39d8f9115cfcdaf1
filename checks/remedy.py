"""What to do about a failed rule, and what to show of any verdict, rendered for one server."""

from __future__ import annotations

import json
import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from checks.facts import NOT_READ, Engine, Missing, RedisFacts
from checks.render import Blank, fill
from checks.rule import JSON, Code, Effect, Limits, Outcome, Remediation, Rule, Text, Verdict

PROOF: Final = Path(__file__).with_name("proof.json")
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


@dataclass(frozen=True, slots=True)
class RenderedRemediation:
    """A remediation with its figures filled in, for one server.

    `tested_versions` are the versions of this engine on which the live tests carried it out;
    `is_tested` tells whether the server's own is among them.
    """

    do: str
    why: str
    now: tuple[Piece, ...]
    durable: tuple[Piece, ...]
    verify: tuple[Piece, ...]
    risk: str
    undo: tuple[Piece, ...]
    effect: Effect
    engine_label: str
    tested_versions: tuple[str, ...]
    is_tested: bool


def render(
    rule: Rule,
    cause: str,
    evidence: Mapping[str, JSON],
    server: Server,
    limits: Limits | None = None,
) -> RenderedRemediation:
    """Render what to do about one fail of a rule (its verdict's cause and evidence).

    limits are the effective ones; the rule's defaults where they are not given. A text whose
    figures the evidence lacks (an older reading) says so instead of showing half a command.
    """
    remedy = rule.remediation_for(cause).on(server.engine)
    values = _values(evidence, limits or rule.limits, server)
    found = _rendered(rule, remedy, values, server)
    return replace(found, durable=(*found.durable, *_placed(rule, found, server)))


def outline(
    rule: Rule, cause: str = "", engine: Engine = Engine.REDIS, limits: Limits | None = None
) -> RenderedRemediation:
    """Render a remediation for a catalogue, with `<used ratio>` where a reading's figure goes."""
    remedy = rule.remediation_for(cause).on(engine)
    names = {name for text in _texts(remedy) for name in marks(text)}
    values = {name: Blank.of(name) for name in names}
    server = Server(engine)
    about = {**_values({}, limits or rule.limits, server), "host": Blank.of("host")}
    return _rendered(rule, remedy, {**values, **about}, server)


def title(rule: Rule, limits: Limits | None = None) -> str:
    """Return the rule's title with its limits filled in."""
    return fill(rule.title, {"limits": limits or rule.limits})


def observed(rule: Rule, verdict: Verdict, limits: Limits | None = None) -> str:
    """Return what was seen, for a table: the value, or why there is none."""
    if verdict.outcome in (Outcome.PASS, Outcome.FAIL):
        values = {**verdict.evidence, "limits": limits or rule.limits}
        if not _absent(rule.observed, values):
            return fill(rule.observed, values)
    return verdict.message or "not read"


def required(
    rule: Rule, evidence: Mapping[str, JSON] | None = None, limits: Limits | None = None
) -> str:
    """Return what is wanted, for a table; the title where it hangs on evidence that is not there."""
    values = {**(evidence or {}), "limits": limits or rule.limits}
    return title(rule, limits) if _absent(rule.required, values) else fill(rule.required, values)


def _rendered(
    rule: Rule, remedy: Remediation, values: Mapping[str, Any], server: Server
) -> RenderedRemediation:
    tested = proof().get(rule.id, {}).get(server.engine.value, ())
    return RenderedRemediation(
        do=_prose(remedy.do, values),
        why=_prose(remedy.why, values),
        now=tuple(_pieces(remedy.now, values)),
        durable=tuple(_pieces(remedy.durable, values)),
        verify=tuple(_pieces(remedy.verify, values)),
        risk=_prose(remedy.risk, values),
        undo=tuple(_pieces(remedy.undo, values)),
        effect=remedy.effect,
        engine_label=server.label,
        tested_versions=tested,
        is_tested=server.version in tested,
    )


def _texts(remedy: Remediation) -> Iterator[str]:
    yield from (remedy.do, remedy.why, remedy.risk)
    for text in (remedy.now, remedy.durable, remedy.verify, remedy.undo):
        yield from text if isinstance(text, tuple) else (text,)


@cache
def proof() -> Mapping[str, Mapping[str, tuple[str, ...]]]:
    """Return what the live tests carried out: {rule id: {engine: versions}}."""
    data = json.loads(PROOF.read_text(encoding="utf-8"))
    return {
        rule_id: {engine: tuple(versions) for engine, versions in engines.items()}
        for rule_id, engines in data.items()
    }


def conf_name(engine: Engine) -> str:
    """Return the usual name of the engine's configuration file."""
    return CONFS.get(engine, "redis.conf")


def cli_name(engine: Engine) -> str:
    """Return the name of the engine's own command-line client."""
    return CLIS.get(engine, "redis-cli")


def _values(evidence: Mapping[str, JSON], limits: Limits, server: Server) -> dict[str, Any]:
    values = {name: _one_line(value) for name, value in evidence.items()}
    values["limits"] = limits
    values["engine"] = server.engine.label
    values["conf"] = conf_name(server.engine)
    values["cli"] = cli_name(server.engine)
    values["host"] = _one_line(server.host) or "the Redis host"
    values["version"] = _one_line(server.version)
    return values


def _one_line(value: JSON) -> JSON:
    """Keep a server's own words from breaking out of the command they stand in."""
    if not isinstance(value, str):
        return value
    return "".join(char if char.isprintable() else " " for char in value)


def _pieces(text: Text, values: Mapping[str, Any]) -> Iterator[Piece]:
    for one in text if isinstance(text, tuple) else (text,):
        if one:
            yield _piece(one, values)


def _piece(text: str | Code, values: Mapping[str, Any]) -> Piece:
    if _absent(text, values):
        return Piece(_prose(text, values), is_code=False)
    return Piece(fill(text, values), is_code=isinstance(text, Code))


def _prose(text: str, values: Mapping[str, Any]) -> str:
    absent = _absent(text, values)
    if absent:
        return (
            f"The last reading did not give {', '.join(absent)}: check now, and this is filled in."
        )
    return fill(text, values)


@cache
def marks(template: str) -> tuple[str, ...]:
    """List the names that a template wants: `{limits.warn_ratio:percent}` wants `limits`."""
    found = (name for _, name, _, _ in string.Formatter().parse(template) if name)
    return tuple(dict.fromkeys(name.partition(".")[0].partition("[")[0] for name in found))


def _absent(template: str, values: Mapping[str, Any]) -> list[str]:
    return [name for name in marks(template) if name not in values]


# --- Make it last: where the line goes


def _placed(rule: Rule, found: RenderedRemediation, server: Server) -> Iterator[Piece]:
    """Say where configuration lines go, by how the server was started; nothing of other texts."""
    lines = [line for piece in found.durable if piece.is_code for line in piece.text.splitlines()]
    is_ours = rule.id.startswith("redis.") and found.effect in (Effect.NO_RESTART, Effect.RESTART)
    if is_ours and lines and all(map(_is_setting, lines)):
        yield from _place(lines, server)


def _is_setting(line: str) -> bool:
    """Tell a configuration line (`maxmemory-policy noeviction`) from a command (`CONFIG REWRITE`)."""
    name = line.partition(" ")[0]
    return name.islower() and name.replace("-", "").isalpha()


def _place(lines: Iterable[str], server: Server) -> Iterator[Piece]:
    """Say where configuration lines go, by how the server was started."""
    host = f" on {_one_line(server.host)}" if server.host else ""
    arguments = _arguments(lines)
    if isinstance(server.config_file, Missing):
        conf = conf_name(server.engine)
        yield Piece(
            f"In {conf}{host}, or run CONFIG REWRITE if the server was started with a file; "
            "if it was started without one, as an argument or in its manifest:",
            is_code=False,
        )
        yield Piece(arguments, is_code=True)
    elif server.config_file:
        yield Piece(
            f"In {_one_line(server.config_file)}{host}, or run CONFIG REWRITE.", is_code=False
        )
    else:
        yield Piece(
            "This server was started without a configuration file: "
            "put it in the manifest, or give it as an argument:",
            is_code=False,
        )
        yield Piece(arguments, is_code=True)


def _arguments(lines: Iterable[str]) -> str:
    """Write configuration lines as arguments: `--save 900 1 --save 300 10`."""
    return " ".join(f"--{line.strip()}" for line in lines if line.strip())

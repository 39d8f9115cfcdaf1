"""What to do about a failed rule, and what to show of any verdict, rendered for one server."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Final

from checks.facts import Engine
from checks.placement import (
    Piece as Piece,
)
from checks.placement import (
    Server as Server,
)
from checks.placement import (
    cli_name,
    conf_name,
    one_line,
    place,
    settings_in,
)
from checks.render import Blank, fill
from checks.rule import JSON, Code, Effect, Limits, Outcome, Remediation, Rule, Text, Verdict

PROOF: Final = Path(__file__).with_name("proof.json")
ON_THE_SERVER: Final = frozenset({Effect.NO_RESTART, Effect.RESTART})


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
    found = _rendered(remedy, values, server, tested_versions(rule, cause, server.engine))
    lines = settings_in(found.durable) if found.effect in ON_THE_SERVER else []
    if not lines:
        return found
    effect = Effect.CONSOLE if server.engine.is_provided else found.effect
    placed = place(lines, found.now, server)
    return replace(found, durable=(*found.durable, *placed), effect=effect)


def outline(
    rule: Rule, cause: str = "", engine: Engine = Engine.REDIS, limits: Limits | None = None
) -> RenderedRemediation:
    """Render a remediation for a catalogue, with `<used ratio>` where a reading's figure goes."""
    remedy = rule.remediation_for(cause).on(engine)
    names = {name for text in _texts(remedy) for name in marks(text)}
    values = {name: Blank.of(name) for name in names}
    server = Server(engine)
    about = {**_values({}, limits or rule.limits, server), "host": Blank.of("host")}
    tested = tested_versions(rule, cause, engine)
    return _rendered(remedy, {**values, **about}, server, tested)


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
    remedy: Remediation, values: Mapping[str, Any], server: Server, tested: tuple[str, ...]
) -> RenderedRemediation:
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
def proof() -> Mapping[str, Mapping[str, Mapping[str, tuple[str, ...]]]]:
    """Return what the live tests carried out: {rule id: {cause: {engine: versions}}}."""
    data = json.loads(PROOF.read_text(encoding="utf-8"))
    return {
        rule_id: {
            cause: {engine: tuple(versions) for engine, versions in engines.items()}
            for cause, engines in causes.items()
        }
        for rule_id, causes in data.items()
    }


def tested_versions(rule: Rule, cause: str, engine: Engine) -> tuple[str, ...]:
    """Return the versions of this make on which the live tests carried this remediation out."""
    known_cause = cause if cause in rule.remediation else next(iter(rule.remediation))
    return proof().get(rule.id, {}).get(known_cause, {}).get(engine.value, ())


def _values(evidence: Mapping[str, JSON], limits: Limits, server: Server) -> dict[str, Any]:
    values = {
        name: one_line(value) if isinstance(value, str) else value
        for name, value in evidence.items()
    }
    values["limits"] = limits
    values["engine"] = server.engine.label
    values["conf"] = conf_name(server.engine)
    values["cli"] = cli_name(server.engine)
    values["host"] = one_line(server.host) or "the Redis host"
    values["version"] = one_line(server.version)
    return values


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

"""The catalogue as a page to read: docs/rules.md, made from the rules themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import fields
from typing import Final

from checks.attest import KEYS
from checks.catalog import SOURCES
from checks.facts import Engine
from checks.remedy import Piece, RenderedRemediation, marks, outline, proof, title
from checks.render import Blank, fill, in_unit
from checks.rule import Confirm, Kind, Rule

ENGINES: Final = tuple(Engine)
NO_PROOF: Final = "from documentation"
LAMPS: Final = {Kind.REQUIREMENT: "compliance", Kind.OPERATION: "health"}
HEAD: Final = """\
# What Pairkeeper checks

Made from the rules by `make docs`; a test fails when it is out of date.

A **requirement** decides the compliance lamp, an **operation** the health lamp. A fact that could
not be read leaves a rule *not verified*: never a pass. Limits are the defaults; a policy overrides
them. `<used ratio>` stands where a reading's own figure goes."""
ATTESTED_HEAD: Final = """\
## What people may vouch for

Some facts no protocol tells: somebody attests them, for a pair or a tenant, with evidence and an end.
An attestation that has ended leaves its rules *not verified*. Evidence beats it: the rule then fails
and shows both. One that a make has no use for (a tenant's may cover many) is not read there."""
PROOF_HEAD: Final = """\
## Which remediations were carried out

*Tested* means: on a real server of that version the bad condition was put in place, the fail was
seen, the commands were run exactly as rendered, the pass was seen; where the remediation has an
undo or a configuration line, these were tried too. `make proof` does it again. All else is written
{no_proof}."""


def catalogue_markdown(rules: Sequence[Rule]) -> str:
    """Write every rule with its limits, source, cost, remediation per engine and proof."""
    parts = [HEAD, _sources(), _overview(rules), _attested(), _proofs(rules)]
    parts += map(_section, rules)
    return "\n\n".join(parts)


def _sources() -> str:
    rows = [(code, what) for code, what in SOURCES.items()]
    return _table(("Source", "What it is"), rows)


def _overview(rules: Sequence[Rule]) -> str:
    rows = [
        (f"[{one.id}](#{_anchor(one)})", LAMPS[one.kind], one.severity.value, prose(title(one)))
        for one in rules
    ]
    return _table(("Rule", "Lamp", "At worst", "True when it passes"), rows)


def _attested() -> str:
    """Tell of each fact that is attested which evidence beats it."""
    rows = [
        (f"`{key.name}`", prose(key.title), ", ".join(key.rules), prose(key.contrary))
        for key in KEYS
    ]
    return f"{ATTESTED_HEAD}\n\n{_table(('Key', 'Says', 'Used by', 'Contrary evidence'), rows)}"


def _proofs(rules: Sequence[Rule]) -> str:
    """Tell for each remediation on which versions of which make it was carried out."""
    makes = sorted({make for causes in proof().values() for one in causes.values() for make in one})
    rows = []
    for one in rules:
        for cause in one.remediation:
            found = proof().get(one.id, {}).get(cause, {})
            cells = [_versions(found.get(make, ())) for make in makes]
            rows.append((one.id, f"`{cause}`" if cause else "", *cells))
    labels = [Engine(make).label for make in makes]
    head = PROOF_HEAD.format(no_proof=NO_PROOF)
    return f"{head}\n\n{_table(('Rule', 'Cause', *labels), rows)}"


def _versions(versions: Sequence[str]) -> str:
    return f"tested {', '.join(versions)}" if versions else NO_PROOF


def _section(rule: Rule) -> str:
    docstring = inspect.cleandoc(rule.function.__doc__ or "")
    parts = [
        f"## {rule.id}",
        f"**{prose(title(rule))}**",
        prose(docstring),
        _table(("", ""), list(_facts(rule))),
        *(_remedy(rule, cause) for cause in rule.remediation),
    ]
    return "\n\n".join(parts)


def _facts(rule: Rule) -> Iterator[tuple[str, str]]:
    yield "Required", prose(_outlined(rule, rule.required))
    yield "Lamp", LAMPS[rule.kind] + (", a core rule" if rule.is_core else "")
    yield "At worst", rule.severity.value
    yield "Opens after", _confirmed(rule.opens, rule)
    yield "Resolves after", _confirmed(rule.resolves, rule)
    limits = (f"`{one.name}` = {in_unit(one.name, getattr(rule.limits, one.name))}"
              for one in fields(rule.limits))  # fmt: skip
    yield "Limits", prose(", ".join(limits)) or "none"
    yield "Reads, at what cost", prose(rule.reads)
    yield "Read with", f"{rule.cadence.value} ({rule.group.value} group)"
    if rule.not_on:
        yield "Not on", ", ".join(sorted(engine.label for engine in rule.not_on))
    yield "Source", rule.source


def _confirmed(confirm: Confirm, rule: Rule) -> str:
    text = f"{confirm.times} of {confirm.of} results"
    return f"{text}, an event" if rule.is_event and confirm is rule.opens else text


def _outlined(rule: Rule, template: str) -> str:
    blanks = {name: Blank.of(name) for name in marks(template)}
    return fill(template, {**blanks, "limits": rule.limits})


def _remedy(rule: Rule, cause: str) -> str:
    usual = outline(rule, cause)
    general = rule.remediation_for(cause)
    own = [engine for engine in ENGINES if general.on(engine) is not general]
    named = f", cause `{cause}`" if cause else ""
    parts = [
        f"### What to do{named}: {prose(usual.do)}",
        f"{prose(usual.why)} ({usual.effect.value})",
        _steps(usual),
        *(_on(rule, cause, engine, usual) for engine in own),
        _tried(rule, cause),
    ]
    return "\n\n".join(part for part in parts if part)


def _on(rule: Rule, cause: str, engine: Engine, usual: RenderedRemediation) -> str:
    """Tell where an engine's own steps differ."""
    found = outline(rule, cause, engine)
    do = "" if found.do == usual.do else f": {prose(found.do)}"
    why = "" if found.why == usual.why else f"\n\n{prose(found.why)}"
    effect = "" if found.effect is usual.effect else f" ({found.effect.value})"
    return f"#### On {engine.label}{do}{effect}{why}\n\n{_steps(found, unlike=usual)}".rstrip()


def _steps(found: RenderedRemediation, unlike: RenderedRemediation | None = None) -> str:
    """Write the steps, code as it is to be typed; with unlike only those that differ."""
    steps = (("Now", "now"), ("Make it last", "durable"), ("Verify", "verify"), ("Undo", "undo"))
    lines = [
        f"- **{name}**: {_pieces(getattr(found, of))}"
        for name, of in steps
        if unlike is None or getattr(found, of) != getattr(unlike, of)
    ]
    if unlike is None or found.risk != unlike.risk:
        lines.append(f"- **Risk**: {prose(found.risk)}")
    return "\n".join(lines)


def _pieces(pieces: Sequence[Piece]) -> str:
    return " ".join(_code(one.text) if one.is_code else prose(one.text) for one in pieces)


def _code(text: str) -> str:
    return ", ".join(f"`{line}`" for line in text.splitlines())


def _tried(rule: Rule, cause: str) -> str:
    found = proof().get(rule.id, {}).get(cause, {})
    tested = (f"{Engine(make).label} {', '.join(found[make])}" for make in sorted(found))
    return (
        f"Tested on {'; '.join(tested)}; elsewhere {NO_PROOF}." if found else f"Written {NO_PROOF}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _anchor(rule: Rule) -> str:
    return rule.id.replace(".", "")


def prose(text: str) -> str:
    """Keep a text from being read as Markdown or HTML."""
    for sign, shown in (("<", "&lt;"), ("*", "\\*"), ("|", "\\|")):
        text = text.replace(sign, shown)
    return text

"""The inspection and the catalogue as JSON, for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from checks.cli.inspection import Inspection
from checks.codec import verdict_to_json
from checks.facts import Engine, RedisFacts
from checks.remedy import Piece, RenderedRemediation, observed, outline, render, required, title
from checks.rule import JSON, Outcome, Rule, Verdict

ENGINES: Final = tuple(Engine)


def inspection_json(done: Inspection) -> str:
    """Write what one inspection came to."""
    redis = done.facts.redis
    engine = redis.engine if isinstance(redis, RedisFacts) else Engine.UNKNOWN
    found = {
        "engine": engine.value,
        "compliance": done.lamps.compliance.value,
        "health": done.lamps.health.value,
        "vantage": done.vantage,
        "verdicts": [_verdict(done, rule, verdict) for rule, verdict in done.rows()],
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def catalogue_json(rules: Sequence[Rule]) -> str:
    """Write the catalogue, with the limits' defaults."""
    return json.dumps([_rule(one) for one in rules], indent=2, ensure_ascii=False)


def _verdict(done: Inspection, rule: Rule, verdict: Verdict) -> JSON:
    limits = done.policy[rule.id].limits
    remedy = None
    if verdict.outcome is Outcome.FAIL:
        remedy = render(rule, verdict.cause, verdict.evidence, done.server, limits)
    written = verdict_to_json(verdict)
    return {
        "rule": rule.id,
        "outcome": verdict.outcome.value,
        "severity": verdict.severity.value if verdict.severity else None,
        "message": verdict.message,
        "observed": observed(rule, verdict, limits),
        "required": required(rule, verdict.evidence, limits),
        "evidence": written.get("evidence", {}),
        "remediation": _remedy(remedy) if remedy else None,
    }


def _rule(rule: Rule) -> JSON:
    return {
        "id": rule.id,
        "group": rule.group.value,
        "title": title(rule),
        "severity": rule.severity.value,
        "limits": asdict(rule.limits),
        "source": rule.source,
        "remediation": [_outlines(rule, cause) for cause in rule.remediation],
    }


def _outlines(rule: Rule, cause: str) -> JSON:
    """Write one remediation, and where an engine's own steps differ from it."""
    usual = _remedy(outline(rule, cause))
    engines = {}
    for engine in ENGINES:
        if rule.remediation_for(cause).on(engine) is not rule.remediation_for(cause):
            own = _remedy(outline(rule, cause, engine))
            engines[engine.value] = {k: text for k, text in own.items() if text != usual[k]}
    return {"cause": cause, **usual, "engines": engines}


def _remedy(found: RenderedRemediation) -> dict[str, JSON]:
    return {
        "do": found.do,
        "why": found.why,
        "now": _pieces(found.now),
        "durable": _pieces(found.durable),
        "verify": _pieces(found.verify),
        "risk": found.risk,
        "undo": _pieces(found.undo),
        "effect": found.effect.value,
    }


def _pieces(pieces: tuple[Piece, ...]) -> JSON:
    """Tell apart what can be pasted as it stands and what is said about it."""
    return [{"code" if one.is_code else "text": one.text} for one in pieces]

"""A letter as JSON for a webhook: the same facts as the mail, by docs/webhook.schema.json."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from fleet.alerts import links
from fleet.alerts.letter import (
    Alert,
    Digest,
    EndingWaiver,
    Faults,
    Item,
    Letter,
    Report,
    RuleCount,
    Standing,
    Storm,
    Trial,
    Waivers,
)
from fleet.alerts.render import document_of, subject_of
from fleet.alerts.writing.item import remedy_of, steps_of
from fleet.alerts.writing.tame import tame

VERSION: Final = 1
TEXT: Final = 1000  # characters of any text
MOST: Final = 100  # rows of any list; what is left out is counted

Json = Mapping[str, Any]


def payload(letter: Letter, message_id: str) -> dict[str, Any]:
    """Give the JSON of one message; message_id is the same at every attempt.

    Lists hold at most 100 rows, and `…_count` says how many there are. An address to verify is
    asked by mail alone: KeyError.
    """
    body = letter.body
    kind, write = WRITERS[type(body)]
    return {
        "version": VERSION,
        "id": message_id.strip("<>"),
        "kind": kind,
        "at": _at(letter.at),
        "subject": subject_of(document_of(letter)),
        "url": links.overview(),
        kind: write(body),
    }


def _alert(body: Alert) -> Json:
    return {
        "tenant": _tenant(body.tenant, body.tenant_id),
        "standing": _standing(body.standing),
        **_many("findings", body.items, finding),
        "reminder_at": _at(body.reminder_at),
    }


def finding(item: Item) -> Json:
    """Give one finding with what to do now; a step is code to paste, or prose."""
    found = remedy_of(item)
    return {
        "id": item.finding_id,
        "url": links.finding(item.finding_id),
        "pair": tame(item.pair, TEXT),
        "environment": tame(item.environment, TEXT),
        "rule": tame(item.rule_id, TEXT),
        "kind": "requirement" if item.is_requirement else "operation",
        "move": item.move.value,
        "severity": item.severity.value,
        "was_severity": item.was_severity.value if item.was_severity else None,
        "message": tame(item.message, TEXT),
        "observed": tame(item.observed, TEXT),
        "required": tame(item.required, TEXT),
        "worst": tame(item.worst, TEXT) or None,
        "opened_at": _at(item.opened_at),
        "resolved_at": _at(item.resolved_at),
        "engine": tame(found.engine_label, TEXT) if found else None,
        "do_now": [{"text": one.text, "is_code": one.is_code} for one in steps_of(found)],
        "effect": found.effect.value if found else None,
        "risk": tame(found.risk, TEXT) if found else None,
    }


def _storm(body: Storm) -> Json:
    return {
        "since": _at(body.since),
        "zone": tame(body.zone, TEXT) or None,
        "changed_count": body.changed_count,
        "recovered_count": body.recovered_count,
        "pairs_count": body.pairs_count,
        **_many("rules", body.rules, _rule),
        **_many(
            "tenants",
            body.tenants,
            lambda one: {"name": tame(one.tenant, TEXT), "pairs_count": one.pairs_count},
        ),
    }


def _faults(body: Faults) -> Json:
    return _many(
        "alarms",
        body.faults,
        lambda one: {
            "key": tame(one.key, TEXT),
            "text": tame(one.text, TEXT),
            "cure": tame(one.cure, TEXT),
            "since": _at(one.since),
            "ended_at": _at(one.ended_at),
        },
    )


def _digest(body: Digest) -> Json:
    return {
        "tenant": _tenant(body.tenant, body.tenant_id),
        "standing": _standing(body.standing),
        "since": _at(body.since),
        **_many("opened", body.opened, finding),
        **_many("still_open", body.still_open, finding),
        **_many("resolved", body.resolved, finding),
        **_many("waivers", body.waivers, _waiver),
        **_many(
            "unverified",
            body.doubts,
            lambda one: {"why": tame(one.why, TEXT), "pairs_count": one.pairs_count},
        ),
        **_many(
            "forecasts",
            body.forecasts,
            lambda one: {"pair": tame(one.pair, TEXT), "text": tame(one.text, TEXT)},
        ),
    }


def _report(body: Report) -> Json:
    return {
        "tenant": _tenant(body.tenant, body.tenant_id),
        "standing": _standing(body.standing),
        "first_day": body.first_day.isoformat(),
        "last_day": body.last_day.isoformat(),
        "days": [{"day": on.isoformat(), "compliant_ratio": share} for on, share in body.days],
        "opened_count": body.opened_count,
        "resolved_count": body.resolved_count,
        "open_count": body.open_count,
        "median_open_s": body.median_open_s,
        **_many("rules", body.rules, _rule),
        **_many(
            "worst_pairs",
            body.worst_pairs,
            lambda one: {"pair": tame(one[0], TEXT), "open_count": one[1]},
        ),
        **_many("waivers", body.waivers, _waiver),
    }


def _waivers(body: Waivers) -> Json:
    return {
        "tenant": _tenant(body.tenant, body.tenant_id),
        **_many("waivers", body.waivers, _waiver),
    }


def _trial(body: Trial) -> Json:
    return {"channel": tame(body.channel, TEXT), "asked_by": tame(body.asked_by, TEXT)}


def _waiver(one: EndingWaiver) -> Json:
    return {
        "id": one.waiver_id,
        "rule": tame(one.rule_id, TEXT),
        "scope": tame(one.scope, TEXT),
        "reason": tame(one.reason, TEXT),
        "expires_at": _at(one.expires_at),
        "findings_count": one.findings_count,
        "requested_by": tame(one.requested_by, TEXT) or None,
    }


def _rule(one: RuleCount) -> Json:
    return {
        "rule": tame(one.rule_id, TEXT),
        "severity": one.severity.value,
        "pairs_count": one.pairs_count,
    }


def _tenant(name: str, tenant_id: int | None) -> Json | None:
    return {"id": tenant_id, "name": tame(name, TEXT)} if tenant_id is not None else None


def _standing(now: Standing) -> Json:
    return {
        "pairs_count": now.pairs_count,
        "non_compliant_count": now.non_compliant_count,
        "at_risk_count": now.at_risk_count,
        "compliant_ratio": now.compliant_ratio,
        "coverage_ratio": now.coverage_ratio,
    }


def _many(name: str, rows: Iterable[Any], write: Callable[[Any], Json]) -> dict[str, Any]:
    """Give a list's first rows, and how many there are."""
    found = list(rows)
    return {name: [write(one) for one in found[:MOST]], f"{name}_count": len(found)}


def _at(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


WRITERS: Final[Mapping[type, tuple[str, Callable[[Any], Json]]]] = {
    Alert: ("alert", _alert),
    Storm: ("storm", _storm),
    Faults: ("portal", _faults),
    Digest: ("digest", _digest),
    Report: ("report", _report),
    Waivers: ("waivers", _waivers),
    Trial: ("test", _trial),
}

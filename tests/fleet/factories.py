"""Rows for tests, healthy but for what is named: a test shows only what matters."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from checks.catalog import RULES
from checks.codec import facts_to_json, verdict_to_json
from checks.evaluate import evaluate
from checks.rule import Cadence, Verdict
from fleet.findings.models import Finding, Transition
from fleet.inspections.models import LatestFacts, PairState
from fleet.people.models import Membership, User
from fleet.registry.models import Pair, Target, Tenant, Worker, Zone

NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
NUMBERS = count(1)
PASSWORD = "correct horse battery staple"
TARGET_FIELDS = frozenset({"name", "environment", "labels", "state", "kind"})


def make_zone(slug="eu-1", **fields) -> Zone:
    return Zone.objects.get_or_create(slug=slug, defaults=fields)[0]


def make_worker(zone="eu-1", seen=timedelta(seconds=5), now=NOW, **fields) -> Worker:
    values = {"name": f"worker-{next(NUMBERS)}", "version": "0.1.0", **fields}
    return Worker.objects.create(zone=make_zone(zone), last_seen_at=now - seen, **values)


def make_tenant(name="Northwind Mail") -> Tenant:
    return Tenant.objects.get_or_create(name=name)[0]


def make_pair(tenant="Northwind Mail", zone="eu-1", **fields) -> Pair:
    """Registered, never visited. Fields of the target and of the pair go by their own names."""
    number = next(NUMBERS)
    target = {name: fields.pop(name) for name in list(fields) if name in TARGET_FIELDS}
    row = Target.objects.create(
        tenant=make_tenant(tenant),
        zone=make_zone(zone),
        **{"name": f"northwind-eu-{number:04}", **target},
    )
    values = {"redis_url": f"redis://redis-{number}.example.com:6379/0", **fields}
    return Pair.objects.create(target=row, **values)


def make_state(pair: Pair, now=NOW, **fields) -> PairState:
    """What lists show of a pair that was read 5 s ago and is compliant and healthy."""
    seen = now - timedelta(seconds=5)
    values = {
        "compliance": "compliant",
        "health": "healthy",
        "compliance_since": now - timedelta(days=9),
        "health_since": now - timedelta(days=9),
        "rank": 6,
        "conclusive_counts": [18],
        "applicable_counts": [19],
        "engine": "valkey",
        "version": "8.0.1",
        "is_redis_only": not pair.emailengine_url,
        "rtt_us": 420,
        "rtt_vantage": "probe eu-1",
        "used_ratio": 0.41,
        "ceiling_bytes": 4 * 1024**3,
        "last_save_at": now - timedelta(minutes=7),
        "health_at": seen,
        "latency_at": seen,
        "persistence_at": seen,
        "checked_at": seen,
        "answered_at": seen,
        **fields,
    }
    return PairState.objects.create(target=pair.target, **values)


def make_finding(pair: Pair, rule_id="redis.eviction-policy", now=NOW, **fields) -> Finding:
    """An open critical finding of 14 minutes, with the transition that opened it."""
    opened_at = fields.pop("opened_at", now - timedelta(minutes=14))
    values = {
        "kind": "requirement",
        "state": "open",
        "severity": "critical",
        "message": "Redis may evict keys: maxmemory-policy is allkeys-lru",
        "short": "maxmemory-policy is allkeys-lru",
        "observed": "allkeys-lru",
        "required": "noeviction",
        "evidence": {"maxmemory_policy": "allkeys-lru"},
        "vantage": "worker eu-1-a, probe zone eu-1",
        "first_seen_at": opened_at,
        "opened_at": None if fields.get("state") == "pending" else opened_at,
        **fields,
    }
    finding = Finding.objects.create(target=pair.target, rule_id=rule_id, **values)
    if finding.opened_at:
        move(finding, "opened", finding.opened_at, from_state="pending", to_state="open")
    if finding.resolved_at:
        move(finding, "resolved", finding.resolved_at, from_state="open", to_state="resolved")
    return finding


def move(finding: Finding, cause: str, at: datetime, **fields) -> Transition:
    severity = {"from_severity": finding.severity, "to_severity": finding.severity}
    return Transition.objects.create(finding=finding, cause=cause, at=at, **{**severity, **fields})


def make_person(name="mara", *, is_operator=True, roles=(), **fields) -> User:
    """A person who can sign in with PASSWORD; roles are (role, tenant name or None)."""
    person = User.objects.create_user(
        name, password=PASSWORD, is_staff=True, is_superuser=is_operator, **fields
    )
    for role, tenant in roles:
        Membership.objects.create(
            person=person, role=role, tenant=make_tenant(tenant) if tenant else None
        )
    return person


def make_reading(pair: Pair, facts, at=NOW, raw=()) -> dict[str, Verdict]:
    """What a visit of all cadences leaves: facts and verdicts per cadence, and the replies."""
    verdicts = evaluate(facts, frozenset(Cadence))
    for cadence in {rule.cadence for rule in RULES}:
        LatestFacts.objects.create(
            target=pair.target,
            cadence=cadence.value,
            facts=facts_to_json(facts),
            verdicts={
                rule.id: verdict_to_json(verdicts[rule.id])
                for rule in RULES
                if rule.cadence is cadence
            },
            digest=1,
            read_at=at,
            raw=list(raw) if cadence is Cadence.HEALTH else [],
            raw_at=at if raw and cadence is Cadence.HEALTH else None,
            worker="worker-eu-1-a",
        )
    return verdicts

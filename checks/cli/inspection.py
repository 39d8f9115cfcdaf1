"""One pair read and judged once: what the command shows, in whichever form."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from checks.address import RedisAddress
from checks.cli.arguments import Request
from checks.egress import EgressRules
from checks.evaluate import Compliance, Health, Lamps, Tally, evaluate, lamps, tally
from checks.facts import Missing, PairFacts, Vantage
from checks.policy import Policy
from checks.probes.emailengine import EmailEngineTarget
from checks.probes.pair import PairReading, PairTarget, probe_now
from checks.probes.redis import RedisTarget
from checks.remedy import Server
from checks.rule import Cadence, Outcome, Rule, Verdict

HERE: Final = "here"  # the zone of a command line: wherever it runs
EGRESS: Final = EgressRules(allow_loopback=True, allow_unix=True)
READ: Final = frozenset({Cadence.HEALTH, Cadence.LATENCY, Cadence.PERSISTENCE, Cadence.STATS})
# What one reading from a shell does not have. Source: design §9.
NO_REGISTRY: Final = Missing("not_configured", "needs the portal's registry")
NOT_GIVEN: Final = Missing("not_configured", "no --emailengine was given")
NO_HISTORY: Final = Missing("not_configured", "needs the portal's history")
# A first look has nothing to compare with: that is no lack of this pair's.
UNCOUNTED: Final = frozenset({"first_visit"})
STATUS: Final[Mapping[Compliance | Health, int]] = {
    Compliance.NON_COMPLIANT: 2,
    Health.FAILING: 2,
    Compliance.AT_RISK: 1,
    Health.DEGRADED: 1,
    Compliance.UNVERIFIED: 3,
    Health.UNKNOWN: 3,
    Compliance.COMPLIANT: 0,
    Health.HEALTHY: 0,
}
WORST_FIRST: Final = (2, 1, 3, 0)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What one reading of a pair came to."""

    host: str
    where: str
    facts: PairFacts
    verdicts: Mapping[str, Verdict]
    policy: Policy
    lamps: Lamps
    tally: Tally
    duration_s: float

    @property
    def server(self) -> Server:
        """The server that remediation is rendered for."""
        return Server.read(self.facts.redis, host=self.host)

    @property
    def vantage(self) -> str:
        """Where it was judged from, in words."""
        worker = self.facts.vantage.worker if isinstance(self.facts.vantage, Vantage) else ""
        return f"this machine ({worker})" if worker else "this machine"

    @property
    def status(self) -> int:
        """The exit status: the worst of both lamps."""
        return min((STATUS[lamp] for lamp in self.lamps), key=WORST_FIRST.index)

    def rows(self) -> list[tuple[Rule, Verdict]]:
        """Return all verdicts with their rules: critical, warning, info, unknown, pass, the rest."""
        found = [(self.policy[rule_id].rule, one) for rule_id, one in self.verdicts.items()]
        return sorted(found, key=lambda row: urgency(row[1]))

    def fails(self) -> list[tuple[Rule, Verdict]]:
        """Return the fails, the worst first."""
        return [row for row in self.rows() if row[1].outcome is Outcome.FAIL]


def urgency(verdict: Verdict) -> int:
    """Return the place of a verdict in a list, 0 the most urgent."""
    if verdict.outcome is Outcome.FAIL and verdict.severity is not None:
        return 2 - verdict.severity.rank
    order = (Outcome.UNKNOWN, Outcome.PASS, Outcome.NOT_APPLICABLE, Outcome.DISABLED)
    return 3 + order.index(verdict.outcome)


def inspect(request: Request) -> Inspection:
    """Read the pair once and judge it by every rule; takes up to 15 s."""
    reading = probe_now(_target(request), READ)
    facts = _facts(request, reading)
    verdicts = evaluate(facts, frozenset(Cadence), request.policy)
    counted = tally(verdicts, request.policy)
    return Inspection(
        host=request.redis.host or request.redis.path,
        where=_where(request.redis),
        facts=facts,
        verdicts=verdicts,
        policy=request.policy,
        lamps=_lamps(verdicts, counted, request.policy),
        tally=counted,
        duration_s=reading.duration_s,
    )


def _target(request: Request) -> PairTarget:
    redis = RedisTarget(request.redis, tls=request.tls, rules=EGRESS)
    if request.emailengine is None:
        return PairTarget(redis)
    redis = replace(redis, queue_prefix=request.key_prefix)
    emailengine = EmailEngineTarget(
        request.emailengine,
        key_prefix=request.key_prefix,
        metrics_token=request.metrics_token,
        api_token=request.api_token,
        rules=EGRESS,
    )
    return PairTarget(redis, emailengine)


def _facts(request: Request, reading: PairReading) -> PairFacts:
    """Judge from where this runs: EmailEngine is taken to stand here, and the output says so."""
    return PairFacts(
        redis=reading.redis,
        emailengine=reading.emailengine if request.emailengine else NOT_GIVEN,
        vantage=Vantage(
            zone=HERE,
            worker=socket.gethostname(),
            zone_location=HERE,
            emailengine_location=HERE,
        ),
        attested=request.attested,
        backup=NO_REGISTRY,
        trend=NO_HISTORY,
        fleet=NO_REGISTRY,
    )


def _lamps(verdicts: Mapping[str, Verdict], counted: Tally, policy: Policy) -> Lamps:
    """Light the lamps; here each verdict counts as confirmed."""
    fails = (
        (policy[rule_id].rule.kind, verdict.severity)
        for rule_id, verdict in verdicts.items()
        if verdict.severity is not None and verdict.outcome is Outcome.FAIL
    )
    unsure = (
        policy[rule_id].rule.kind
        for rule_id, reason in counted.core_unknown.items()
        if reason not in UNCOUNTED
    )
    return lamps(fails, unsure)


def _where(address: RedisAddress) -> str:
    host = f"[{address.host}]" if ":" in address.host else address.host
    return address.path or f"{host}:{address.port}"

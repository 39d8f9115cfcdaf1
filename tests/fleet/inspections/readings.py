"""A visit without a network: what was read is given, all else is the real thing."""

from datetime import timedelta

from checks.probes.pair import PairReading
from fleet.inspections import neighbours
from fleet.inspections.cadences import from_bits
from fleet.inspections.judge import judge
from fleet.inspections.load import load
from fleet.inspections.record import record
from fleet.inspections.schedule import check_now, claim_due
from fleet.inspections.terms import forget, terms
from tests.checks.pairs import facts_with
from tests.fleet.factories import NOW, make_worker


def visit(*pairs, now=NOW, **facts):
    """Visit these pairs, each of which reads as the healthy pair with these facts changed."""
    make_worker(now=now)
    check_now([pair.pk for pair in pairs], now)
    wanted = {pair.pk for pair in pairs}
    claims = [claim for claim in claim_due(now, 1000) if claim.target_id in wanted]
    read = facts_with(**facts)
    forget()
    neighbours.forget()
    force = terms()
    seen = [
        judge(
            due,
            now + timedelta(seconds=1),
            PairReading(read.redis, read.emailengine, (), 0.1, due.cadences | from_bits(31)),
            force.policies.of(*due.home),
        )
        for due in load([(one.target_id, one.claim, one.bits) for one in claims], now)
    ]
    return record(seen, force)

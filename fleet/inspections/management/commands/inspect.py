"""Visit one registered pair now, as a worker would, and print its verdicts."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from checks.address import AddressError, parse_redis_url
from checks.cli.arguments import has_colour
from checks.cli.inspection import Inspection
from checks.cli.table import Ink, inspection_table, width
from checks.evaluate import Compliance, Health, Lamps, tally
from fleet.inspections.cadences import ALL_BITS
from fleet.inspections.judge import Seen
from fleet.inspections.load import load
from fleet.inspections.models import PairState
from fleet.inspections.run import record_visits, room, stop_room
from fleet.inspections.schedule import claim_pair, ensure_schedule
from fleet.inspections.terms import terms
from fleet.registry.models import Pair


class Command(BaseCommand):
    help = (
        "inspect NAME|ID: visit one pair from this machine, record it, and print every verdict. "
        "Works without a worker; the pair's probe zone should be where this runs."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("pair", metavar="NAME|ID", help="the pair's name or number")

    def handle(self, *args: Any, **options: Any) -> None:
        pair = find(options["pair"])
        now = timezone.now()
        ensure_schedule(now)
        try:
            token = (pair.pk, claim_pair(pair.pk, now), ALL_BITS)
            with room().visited(1, lambda: load([token], now), terms().policies) as seen:
                if not seen:
                    raise CommandError(
                        f"{pair}: the visit was not over in time; a worker has the pair."
                    )
                record_visits(seen)
        finally:
            stop_room()
        self.stdout.write(inspection_table(shown(pair, seen[0]), Ink(is_on=has_colour()), width()))


def find(name: str) -> Pair:
    """Find the pair by its number or its name; CommandError where there is none or are many."""
    wanted = Q(target__name__iexact=name)
    if name.isdecimal():
        wanted |= Q(pk=int(name))
    pairs = list(Pair.objects.filter(wanted).select_related("target__tenant")[:10])
    if not pairs:
        raise CommandError(f"there is no pair named {name}")
    if len(pairs) > 1:
        numbers = ", ".join(f"{pair.pk} ({pair.target.tenant})" for pair in pairs)
        raise CommandError(f"{name} is the name of several pairs, say which number: {numbers}")
    return pairs[0]


def shown(pair: Pair, seen: Seen) -> Inspection:
    """Put together what the table shows; the lamps are the pair's own, by confirmed findings."""
    state, policy = PairState.objects.get(pk=pair.pk), seen.policy
    host = host_of(pair)
    return Inspection(
        host=host,
        where=host,
        facts=seen.facts,
        verdicts=seen.verdicts,
        policy=policy,
        lamps=Lamps(Compliance(state.compliance), Health(state.health)),
        tally=tally(seen.verdicts, policy),
        duration_s=seen.duration_s,
    )


def host_of(pair: Pair) -> str:
    """Give the host or socket as registered; what cannot be parsed is not shown."""
    try:
        address = parse_redis_url(pair.redis_url)
    except AddressError:
        return pair.target.name
    return address.path or address.host

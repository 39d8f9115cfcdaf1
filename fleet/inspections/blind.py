"""Is it the pairs or our own network? Zones under suspicion, and what their self-check decides.

Where over a fifth of a zone's pairs have stopped answering, dispatch suspects the zone and has a
worker there check itself; until it answers these findings stay pending. A failed self-check makes
the zone blind: its visits read nothing and count as unknown, what it saw while it fell silent is
void, and it checks itself again every 10 s until it sees.

One pair of a small zone is over a fifth of it, so such a zone is soon suspected. That costs a
fault some seconds and decides nothing: the self-check asks the other pairs too, and one of them
that accepts a connection proves that the zone sees. One dead pair of three is no blind zone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from django.db import connection, transaction

from checks.address import AddressError, parse_endpoint, parse_redis_url
from checks.evaluate import REACHABLE
from checks.missing import Missing
from checks.probes.outlook import SAMPLE, Endpoint, Outlook, blindness
from fleet.findings.models import Finding
from fleet.inspections.models import PairState
from fleet.registry.arrays import rows_of
from fleet.registry.current import fleet_settings
from fleet.registry.egress import egress_rules
from fleet.registry.models import Pair, Target, Zone

logger = logging.getLogger(__name__)

SUSPECT_RATIO: Final = 0.2  # source: design §3
# What is held longer than this, because no worker answers, opens after all: nothing is missed.
HELD: Final = timedelta(seconds=60)
# A zone that was found to see is believed for so long: what is silent then is so itself.
TRUSTED: Final = timedelta(seconds=20)
AGAIN: Final = timedelta(seconds=10)
NO_PORT: Final = 0
BLIND: Final = Missing("probe_blind", "the zone's own network is cut off")

SUSPECT: Final = """
WITH silent AS (
    SELECT t.zone_id, count(*) AS silent_count
    FROM findings_finding f JOIN registry_target t ON t.id = f.target_id
    WHERE f.rule_id = %(reachable)s AND f.state = 'pending' AND t.state = 'active'
    GROUP BY t.zone_id
), doubtful AS (
    SELECT z.id FROM registry_zone z LEFT JOIN silent s ON s.zone_id = z.id
    WHERE z.suspect_since IS NOT NULL OR z.blind_since IS NOT NULL
       OR CASE WHEN s.silent_count IS NULL OR z.self_checked_at > %(trusted)s THEN false
          ELSE s.silent_count > %(ratio)s * (
              SELECT count(*) FROM registry_target a WHERE a.zone_id = z.id AND a.state = 'active'
          ) END
    FOR UPDATE OF z SKIP LOCKED
)
UPDATE registry_zone z SET self_check_sent_at = %(now)s,
    suspect_since = CASE WHEN blind_since IS NULL THEN coalesce(suspect_since, %(now)s) END
FROM doubtful d
WHERE z.id = d.id AND (z.self_check_sent_at IS NULL OR z.self_check_sent_at <= %(again)s)
RETURNING z.slug
"""
DOUBTS: Final = """
SELECT slug, blind_since IS NOT NULL FROM registry_zone
WHERE slug = ANY(%b::text[]) AND (blind_since IS NOT NULL OR suspect_since > %b)
"""


def suspect(now: datetime) -> list[str]:
    """Find the zones whose workers must check themselves, and note that they are asked; their slugs.

    Asked again every 10 s until the zone sees. Safe at any concurrency.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            SUSPECT,
            {
                "reachable": REACHABLE,
                "ratio": SUSPECT_RATIO,
                "trusted": now - TRUSTED,
                "again": now - AGAIN,
                "now": now,
            },
        )
        return [slug for (slug,) in cursor.fetchall()]


def doubts(zones: Collection[str], now: datetime) -> dict[str, bool]:
    """Tell which of these zones are not to be believed now: True = blind, False = suspected."""
    return dict(rows_of(DOUBTS, [list(zones), now - HELD]))


def check_oneself(slug: str, now: datetime) -> None:
    """Look from here whether this zone sees, and write down what was found. Takes 5 s at most.

    That this is called shows that the broker is reached, that it is written the database. Safe to
    run twice. A zone that nobody doubts any more is left as it is.
    """
    zone = Zone.objects.get(slug=slug)
    why = asyncio.run(blindness(_outlook(zone)))
    decide(zone, why, now)


def decide(zone: Zone, why: str, now: datetime) -> None:
    """Write what a self-check found: why the zone is blind, or "" where it sees."""
    with transaction.atomic():
        zone = Zone.objects.select_for_update().get(pk=zone.pk)
        if zone.suspect_since is None and zone.blind_since is None:
            return
        if why or zone.blind_since:
            _void(zone)
        blind_since = (zone.blind_since or now) if why else None
        if (blind_since is None) is not (zone.blind_since is None):
            logger.warning("zone=%s %s", zone.slug, f"is blind: {why}" if why else "sees again")
        Zone.objects.filter(pk=zone.pk).update(
            suspect_since=None,
            blind_since=blind_since,
            self_checked_at=now,
            self_check_failure=why,
        )


def _void(zone: Zone) -> None:
    """Forget what was pending: a blind probe saw it. What a recording holds is left for the next time."""
    pending: dict[str, Any] = {"rule_id": REACHABLE, "state": Finding.State.PENDING}
    theirs = Finding.objects.filter(**pending, target__zone=zone).values("target_id")
    held = PairState.objects.filter(target_id__in=theirs).order_by("target_id")
    ids = list(held.select_for_update(skip_locked=True).values_list("target_id", flat=True))
    Finding.objects.filter(**pending, target_id__in=ids).delete()


def _outlook(zone: Zone) -> Outlook:
    """Choose what to look at: the reference, and some of the zone's pairs, at random."""
    pairs = Pair.objects.filter(target__zone=zone, target__state=Target.State.ACTIVE)
    urls = pairs.order_by("?").values_list("redis_url", flat=True)[:SAMPLE]
    ends = [end for url in urls if (end := _endpoint(url))]
    return Outlook(reference(fleet_settings().reference_address), tuple(ends), egress_rules())


def reference(text: str) -> Endpoint | None:
    """Read a reference address, host:port; None where none is set. Raises AddressError."""
    if not text:
        return None
    host, port = parse_endpoint(text, NO_PORT)
    if port == NO_PORT:
        raise AddressError(f"{text} names no port: write host:port.")
    return Endpoint(host, port)


def _endpoint(redis_url: str) -> Endpoint | None:
    try:
        address = parse_redis_url(redis_url)
    except AddressError:
        return None
    return None if address.path else Endpoint(address.host, address.port)

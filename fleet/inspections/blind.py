"""Is it the pairs or our own network? Zones under suspicion, and what their self-check decides.

Where over a fifth of a zone's pairs have stopped answering, dispatch suspects the zone and has
each worker there check itself; until all have answered these findings stay pending. A worker whose
self-check failed is blind: what it saw while it fell silent is void, it gives its pairs back for
those that see, and it checks itself again every 10 s until it sees. Where all of a zone's workers
are blind, so is the zone: its visits read nothing and count as unknown.

One pair of a small zone is over a fifth of it, so such a zone is soon suspected. That costs a
fault some seconds and decides nothing: the self-check asks the other pairs too, and one of them
that accepts a connection proves that the zone sees. One dead pair of three is no blind zone. Nor
are many dead ones: pairs that never answered, or are known not to, are not what it looks at.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet

from checks.address import AddressError, parse_endpoint, parse_redis_url
from checks.evaluate import REACHABLE
from checks.missing import Missing
from checks.probes.outlook import SAMPLE, Endpoint, Outlook, blindness
from fleet.findings.models import Finding
from fleet.inspections.models import PairState
from fleet.inspections.schedule import WORKER_SEEN
from fleet.registry.arrays import rows_of
from fleet.registry.current import fleet_settings
from fleet.registry.egress import egress_rules
from fleet.registry.models import Pair, Target, Worker, Zone

logger = logging.getLogger(__name__)

SUSPECT_RATIO: Final = 0.2  # source: design §3
# What is held longer than this, because no worker answers, opens after all: nothing is missed.
HELD: Final = timedelta(seconds=60)
# A zone that was found to see is believed for so long: what is silent then is so itself.
TRUSTED: Final = timedelta(seconds=20)
AGAIN: Final = timedelta(seconds=10)
NO_PORT: Final = 0
BLIND: Final = Missing("probe_blind", "the zone's own network is cut off")

# Where none of this is so, SUSPECT finds nothing: it need not be asked.
HAS_DOUBTS: Final = f"""EXISTS (
    SELECT FROM findings_finding WHERE rule_id = '{REACHABLE}' AND state = 'pending'
) OR EXISTS (
    SELECT FROM registry_zone WHERE suspect_since IS NOT NULL OR blind_since IS NOT NULL
) OR EXISTS (SELECT FROM registry_worker WHERE blind_since IS NOT NULL)"""  # noqa: S608  our own words
SUSPECT: Final = """
WITH silent AS (
    SELECT t.zone_id, count(*) AS silent_count
    FROM findings_finding f JOIN registry_target t ON t.id = f.target_id
    WHERE f.rule_id = %(reachable)s AND f.state = 'pending' AND t.state = 'active'
    GROUP BY t.zone_id
), weighed AS (
    SELECT z.id, z.suspect_since IS NOT NULL
        OR CASE WHEN s.silent_count IS NULL OR z.self_checked_at > %(trusted)s THEN false
           ELSE s.silent_count > %(ratio)s * (
               SELECT count(*) FROM registry_target a WHERE a.zone_id = z.id AND a.state = 'active'
           ) END AS is_suspect
    FROM registry_zone z LEFT JOIN silent s ON s.zone_id = z.id
    FOR UPDATE OF z SKIP LOCKED
)
UPDATE registry_zone z SET self_check_sent_at = %(now)s,
    suspect_since = CASE WHEN z.blind_since IS NULL AND w.is_suspect
        THEN coalesce(z.suspect_since, %(now)s) END
FROM weighed w
WHERE z.id = w.id
  AND (w.is_suspect OR z.blind_since IS NOT NULL OR EXISTS (
      SELECT FROM registry_worker o WHERE o.zone_id = z.id AND o.blind_since IS NOT NULL
          AND o.last_seen_at > %(seen)s))
  AND (z.self_check_sent_at IS NULL OR z.self_check_sent_at <= %(again)s)
RETURNING z.slug
"""
DOUBTS: Final = """
SELECT z.slug, coalesce(z.blind_since, w.blind_since) IS NOT NULL
FROM registry_zone z LEFT JOIN registry_worker w ON w.zone_id = z.id AND w.name = %b
WHERE z.slug = ANY(%b::text[])
  AND (coalesce(z.blind_since, w.blind_since) IS NOT NULL OR z.suspect_since > %b)
"""
ALONE: Final = """
SELECT true FROM registry_worker w JOIN registry_zone z ON z.id = w.zone_id
WHERE w.name = %b AND w.blind_since IS NOT NULL AND z.blind_since IS NULL
"""


def suspect(now: datetime) -> list[str]:
    """Find the zones whose workers must check themselves, and note that they are asked; their slugs.

    Asked again every 10 s until the zone sees. Safe at any concurrency.
    """
    params = {
        "reachable": REACHABLE,
        "ratio": SUSPECT_RATIO,
        "trusted": now - TRUSTED,
        "again": now - AGAIN,
        "seen": now - WORKER_SEEN,
        "now": now,
    }
    return [slug for (slug,) in rows_of(SUSPECT, params)]


def workers_of(zones: Collection[str], now: datetime) -> list[str]:
    """Name the workers that were seen lately in these zones: each must check itself."""
    seen = Worker.objects.filter(zone__slug__in=zones, last_seen_at__gt=now - WORKER_SEEN)
    return list(seen.order_by("name").values_list("name", flat=True))


def doubts(zones: Collection[str], now: datetime) -> dict[str, bool]:
    """Tell which of these zones are not to be believed now, from here: True = blind, False = suspected."""
    return dict(rows_of(DOUBTS, [settings.WORKER_NAME, list(zones), now - HELD]))


def is_alone_blind() -> bool:
    """Tell whether this worker is blind while others of its zone see: they must have its pairs."""
    return bool(rows_of(ALONE, [settings.WORKER_NAME]))


def check_oneself(name: str, now: datetime) -> None:
    """Look from here whether the worker of this name sees, and write it down. Takes 5 s at most.

    That this is called shows that the broker is reached, that it is written the database. Safe to
    run twice. Where nobody doubts any more it is left as it is.
    """
    worker = Worker.objects.select_related("zone").get(name=name)
    why = asyncio.run(blindness(_outlook(worker.zone)))
    decide(worker, why, now)


def decide(worker: Worker, why: str, now: datetime) -> None:
    """Write what a self-check found, why the worker is blind, or "" where it sees; settle its zone."""
    with transaction.atomic():
        zone = Zone.objects.select_for_update().get(pk=worker.zone_id)
        was_blind = Worker.objects.get(pk=worker.pk).blind_since
        if not (zone.suspect_since or zone.blind_since or was_blind):
            return
        if bool(why) is not bool(was_blind):
            _void(zone)
            logger.warning("worker=%s %s", worker.name, f"is blind: {why}" if why else "sees again")
        Worker.objects.filter(pk=worker.pk).update(
            blind_since=(was_blind or now) if why else None,
            self_checked_at=now,
            self_check_failure=why,
        )
        _settle(zone, now)


def _settle(zone: Zone, now: datetime) -> None:
    """Make its workers' answers the zone's: blind where all are, suspected until all answered or HELD."""
    live = list(Worker.objects.filter(zone=zone, last_seen_at__gt=now - WORKER_SEEN))
    is_blind = bool(live) and all(one.blind_since for one in live)
    since = zone.suspect_since
    waits = (since is not None and now - since < HELD) and any(
        one.self_checked_at is None or one.self_checked_at < since for one in live
    )
    Zone.objects.filter(pk=zone.pk).update(
        suspect_since=since if waits and not is_blind else None,
        blind_since=(zone.blind_since or now) if is_blind else None,
        self_checked_at=zone.self_checked_at if waits else now,
        self_check_failure=live[0].self_check_failure if is_blind else "",
    )


def _void(zone: Zone) -> None:
    """Forget what was pending: a blind probe saw it. What a recording holds is left for the next time."""
    pending: dict[str, Any] = {"rule_id": REACHABLE, "state": Finding.State.PENDING}
    theirs = Finding.objects.filter(**pending, target__zone=zone).values("target_id")
    held = PairState.objects.filter(target_id__in=theirs).order_by("target_id")
    ids = list(held.select_for_update(skip_locked=True).values_list("target_id", flat=True))
    Finding.objects.filter(**pending, target_id__in=ids).delete()


def _outlook(zone: Zone) -> Outlook:
    """Choose what to look at: the reference, and some of the zone's pairs.

    Of pairs that answered and are not known to be down, where there are any: a name that was
    mistyped, or a data centre that is known to be dark, is silent to a worker that sees. Half of
    them answered last: where most of a zone falls silent at once, these are the ones that did not.
    The others are chosen at random, for those may be of one server.
    """
    pairs = Pair.objects.filter(target__zone=zone, target__state=Target.State.ACTIVE)
    known_down = Finding.objects.filter(
        target=OuterRef("target"), rule_id=REACHABLE, state=Finding.State.OPEN
    )
    answering = pairs.filter(~Exists(known_down), target__pair_state__answered_at__isnull=False)
    newest = _urls(answering.order_by("-target__pair_state__answered_at"), SAMPLE // 2)
    others = _urls(answering.order_by("?"), SAMPLE - len(newest))
    urls = dict.fromkeys([*newest, *others]) or _urls(pairs.order_by("?"), SAMPLE)
    ends = [end for url in urls if (end := _endpoint(url))]
    return Outlook(reference(fleet_settings().reference_address), tuple(ends), egress_rules())


def _urls(pairs: QuerySet[Pair], most: int) -> list[str]:
    return list(pairs.values_list("redis_url", flat=True)[:most])


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

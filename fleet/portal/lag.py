"""How late the portal is: its visits by zone, what waits to be routed, what waits to be sent.

Plain SQL on a cursor of the caller's, because /healthz must answer within seconds whatever ails
the database, and so brings a connection of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from checks.rule import Cadence
from fleet.registry.intervals import Intervals, interval_s

# Source: design §6, a good cycle: the oldest lag at most three intervals, the outbox at most 10 min.
LAG_INTERVALS: Final = 3
OUTBOX: Final = timedelta(minutes=10)
# The watch looks every 30 s, and that routing and sending come to their ends is written once a minute
# at the least; a worker that restarts may miss one.
WATCHED_WITHIN: Final = timedelta(minutes=3)


class Cursor(Protocol):
    """What Django's cursor and psycopg's have in common."""

    def execute(self, query: Any, params: Any = ..., /) -> Any: ...

    def fetchall(self) -> Sequence[tuple[Any, ...]]: ...


# A pair is due when its claim was recorded and its time has come, or when its claim's lease ran out.
# The newest reading tells of visits that are claimed and never recorded.
BY_ZONE: Final = """
SELECT z.slug, count(*),
    max(extract(epoch FROM %(now)s - CASE WHEN p.recorded_claim = s.claim THEN s.next_due_at
        ELSE coalesce(s.lease_until, s.next_due_at) END) / every.seconds)::float8,
    min(extract(epoch FROM %(now)s - coalesce(p.checked_at, t.created_at)) / every.seconds)::float8,
    max(every.seconds)
FROM registry_target t
JOIN registry_zone z ON z.id = t.zone_id
JOIN inspections_pairschedule s ON s.target_id = t.id
JOIN inspections_pairstate p ON p.target_id = t.id
LEFT JOIN unnest(%(engines)s::text[], %(engines_every_s)s::int[]) AS e(engine, every_s)
    ON e.engine = p.engine
CROSS JOIN LATERAL (SELECT coalesce(e.every_s, %(every_s)s)::int AS seconds) every
WHERE t.state = 'active'
GROUP BY z.slug
ORDER BY z.slug
"""
# A mail is late when it is due and nobody tries it, or when it is tried and none has been taken
# since: one recipient whose server says "later" is that recipient's own matter.
OLDEST: Final = """
SELECT (SELECT min(at) FROM findings_transition WHERE routed_at IS NULL),
    (SELECT min(least(next_attempt_at, CASE WHEN first_tried_at > taken.at THEN first_tried_at END))
     FROM alerts_mail,
        (SELECT coalesce(max(sent_at), '-infinity') AS at FROM alerts_mail
         WHERE made_at > %(now)s - interval '1 day') taken
     WHERE state IN ('waiting', 'leased')),
    (SELECT watched_at FROM portal_pulse), (SELECT min(ended_at) FROM alerts_turn)
"""


@dataclass(frozen=True)
class ZoneLag:
    """One zone's active pairs: how overdue the most overdue is, and how old the newest reading."""

    slug: str
    pairs_count: int
    overdue_intervals: float
    silent_intervals: float
    interval_s: int

    @property
    def lag(self) -> timedelta:
        """How late the zone is."""
        intervals = max(self.overdue_intervals, self.silent_intervals - 1)
        return timedelta(seconds=max(0.0, intervals * self.interval_s))

    @property
    def is_late(self) -> bool:
        """Tell whether the zone is later than a good cycle allows."""
        return self.lag > self.allowed

    @property
    def allowed(self) -> timedelta:
        """How late it may be."""
        return timedelta(seconds=LAG_INTERVALS * self.interval_s)


@dataclass(frozen=True)
class Lag:
    """How late everything is; None = nothing waits, or the watch, or what tells people, never ran.

    told_at is when routing and sending last came to their ends, the earlier of the two.
    """

    zones: tuple[ZoneLag, ...]
    unrouted_since: datetime | None
    unsent_since: datetime | None
    watched_at: datetime | None
    told_at: datetime | None = None

    def outbox_age(self, now: datetime) -> timedelta:
        """Give how long the oldest transition or mail has been overdue."""
        waiting = [at for at in (self.unrouted_since, self.unsent_since) if at is not None]
        return max([timedelta(), *(now - at for at in waiting)])

    def is_untold(self, now: datetime) -> bool:
        """Tell whether mail is no longer routed or sent, whether or not there is any."""
        return self.told_at is not None and now - self.told_at > WATCHED_WITHIN

    def complaints(self, now: datetime) -> list[str]:
        """Say, without details, what keeps this from being a good cycle."""
        found = []
        if any(zone.is_late for zone in self.zones):
            found.append("checks late")
        if self.outbox_age(now) > OUTBOX:
            found.append("outbox late")
        if self.watched_at is not None and now - self.watched_at > WATCHED_WITHIN:
            found.append("nobody watches")
        if self.is_untold(now):
            found.append("nobody sends")
        return found


def read_lag(cursor: Cursor, intervals: Intervals, now: datetime) -> Lag:
    """Read how late everything is. Two queries, some milliseconds at ten thousand pairs."""
    engines = [engine for engine in intervals if engine != "default"]
    cursor.execute(
        BY_ZONE,
        {
            "now": now,
            "engines": engines,
            "engines_every_s": [interval_s(intervals, Cadence.HEALTH, one) for one in engines],
            "every_s": interval_s(intervals, Cadence.HEALTH, ""),
        },
    )
    zones = tuple(ZoneLag(*row) for row in cursor.fetchall())
    cursor.execute(OLDEST, {"now": now})
    return Lag(zones, *cursor.fetchall()[0])

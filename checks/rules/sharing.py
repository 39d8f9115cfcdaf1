"""Where does Redis stand, and who else is on it? Zone, neighbours, databases."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from checks.facts import NOTHING_ATTESTED, FleetFacts, Missing, PairFacts, known, or_else
from checks.render import milliseconds
from checks.rule import (
    JSON,
    Code,
    Effect,
    Group,
    Kind,
    Limits,
    Remediation,
    Severity,
    Steps,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
)
from checks.rules.contradicted import ANEW, CONTRADICTED
from checks.rules.latency import VISITS

# --- Zone

_CONSOLE = Steps(
    durable="Keep the zone in the place that your infrastructure is built from.",
    effect=Effect.CONSOLE,
)
ZONE = Remediation(
    when="the two stand apart",
    why="EmailEngine waits for Redis many times for each message: every ms of the way between them "
    "slows all of its work, and the link between places fails more often than either.",
    do="Move both into one zone",
    now=(
        (
            "Set up EmailEngine and its Redis in the same zone: EmailEngine holds no data and is the "
            "easier one to move."
        ),
        "Then correct the locations registered with the pair.",
    ),
    durable="Keep the zones in the place that your infrastructure is built from.",
    verify="The next check must pass, and pair.rtt with it.",
    risk="EmailEngine is down while it moves; never run two on the same Redis.",
    undo="Start EmailEngine where it was.",
    effect=Effect.NONE,
    upstash=_CONSOLE,
    elasticache=_CONSOLE,
    memorydb=_CONSOLE,
)


class Place(NamedTuple):
    """A location as declared: `region` or `region/zone`; zone "" is not stated."""

    region: str
    zone: str

    @classmethod
    def of(cls, text: str) -> Place:
        region, _, zone = text.strip().lower().partition("/")
        return cls(region.strip(), zone.strip())


@dataclass(frozen=True)
class ZoneLimits(Limits):
    """Milliseconds apart: below the one it is the same region, from the other on another zone."""

    near_rtt_ms: float = 1.0
    far_rtt_ms: float = 5.0


@rule(
    id="redis.same-zone",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis stands in EmailEngine's zone",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="Redis {redis_location}, EmailEngine {emailengine_location}",
    required="one zone",
    reads="The locations registered or attested: no protocol tells them; the round trips of pair.rtt",
    limits=ZoneLimits(),
    remediation={"": ZONE, CONTRADICTED: ANEW},
)
def same_zone(facts: PairFacts, limits: ZoneLimits) -> Verdict:
    """Judge where EmailEngine and Redis are said to stand: region and zone.

    Round trips speak against it where they are too short for two regions, or where the path alone
    is too long for one zone; both are then shown.

    Source: S0 and S1, the same availability zone; never another region. What light can do in
    1 ms is 100 km there and back; 5 ms are what the vendor advises against in any case.
    """
    known(facts.redis)
    attested = or_else(facts.attested, NOTHING_ATTESTED)
    vantage = known(facts.vantage)
    redis = _stated(vantage.redis_location, attested.redis_location)
    emailengine = _stated(vantage.emailengine_location, attested.emailengine_location)
    if not redis or not emailengine:
        which = " and ".join(
            name for name, text in (("Redis", redis), ("EmailEngine", emailengine)) if not text
        )
        return unknown("unattested", f"State the location of {which} with the pair, as region/zone")
    here, there = Place.of(redis), Place.of(emailengine)
    told: dict[str, JSON] = {"redis_location": redis, "emailengine_location": emailengine}
    contrary = _contrary(here, there, facts, limits)
    if contrary:
        return _contradicted(contrary, told, facts)
    return _compared(here, there, told)


def _compared(here: Place, there: Place, told: dict[str, JSON]) -> Verdict:
    """Judge two places as they are stated."""
    redis, emailengine = told["redis_location"], told["emailengine_location"]
    if here.region != there.region:
        return failed(
            f"Redis stands in {redis}, EmailEngine in {emailengine}; they must share a region and zone",
            short="Other region than EmailEngine",
            severity=Severity.CRITICAL,
            **told,
        )
    if not here.zone or not there.zone:
        text = "Only the region is stated: say the zone of both, as region/zone"
        return unknown("unattested", text, **told)
    if here.zone != there.zone:
        return failed(
            f"Redis stands in {redis}, EmailEngine in {emailengine}; they should share a zone",
            short="Other zone than EmailEngine",
            severity=Severity.WARNING,
            **told,
        )
    return passed(**told)


def _contrary(here: Place, there: Place, facts: PairFacts, limits: ZoneLimits) -> str:
    """Say what the round trips show against these places; "" where nothing does.

    The path alone is the least of the last round trips, less what Redis itself kept PINGs waiting.
    """
    since = facts.since
    if isinstance(since, Missing) or len(since.recent_rtt_us) < VISITS:
        return ""
    longest_us, shortest_us = max(since.recent_rtt_us), min(since.recent_rtt_us)
    path_us = shortest_us - max(since.recent_stall_us, default=0.0)
    if here.region != there.region and longest_us < limits.near_rtt_ms * 1000:
        return f"are only {milliseconds(longest_us)} apart: they share a region"
    if here == there and path_us >= limits.far_rtt_ms * 1000:
        return f"are {milliseconds(path_us)} apart: no zone is that wide"
    return ""


def _contradicted(contrary: str, told: dict[str, JSON], facts: PairFacts) -> Verdict:
    vantage = known(facts.since).rtt_vantage
    return failed(
        f"Redis is said to stand in {told['redis_location']}, EmailEngine in "
        f"{told['emailengine_location']}, but they {contrary}, measured from {vantage}; "
        "both must be where they are said to be",
        short="Locations and round trip disagree",
        severity=Severity.WARNING,
        cause=CONTRADICTED,
        claim="redis_location and emailengine_location",
        vantage=vantage,
        recent_rtt_us=list(known(facts.since).recent_rtt_us),
        **told,
    )


def _stated(*places: str | Missing) -> str:
    """Return the first location that is given; "" where none is."""
    return next((one for one in places if not isinstance(one, Missing) and one.strip()), "")


# --- Neighbours

SPREAD = Remediation(
    when="pairs share the server",
    why="What shares a server shares its memory, its one thread and its end: a neighbour's burst is "
    "EmailEngine's delay, and the limits set for one hold for all.",
    do="Give each EmailEngine a Redis of its own",
    now=(
        "See what the databases hold:",
        Code("INFO keyspace"),
        (
            "Move one of them to a server of its own: stop its EmailEngine, copy its database, point "
            "EENGINE_REDIS at the new server, start it."
        ),
    ),
    durable="Register the new address in the pair.",
    verify=(Code("INFO keyspace"), "must list one database."),
    risk="What is written while its EmailEngine still runs is lost: stop it first.",
    undo="Point EENGINE_REDIS back at the old server.",
    effect=Effect.NONE,
)
SAME_KEYS = Remediation(
    when="two pairs on the same keys",
    why="Two EmailEngines on the same keys take each other's jobs and accounts: messages are sent twice "
    "or lost.",
    do="Part the two pairs at once",
    now=(
        "If it is one EmailEngine registered twice, archive one of the pairs: {twins}.",
        (
            "If they are two, stop one of them, give it a database or EENGINE_REDIS_PREFIX of its own, and "
            "add its accounts there anew."
        ),
    ),
    durable="Register the new database or prefix in the pair.",
    verify="The next check must no longer name another pair.",
    risk="Accounts of both lie in the same keys: see which belong to whom before you delete any.",
    undo="Nothing to undo.",
    effect=Effect.NONE,
)


@rule(
    id="redis.shared-instance",
    kind=Kind.REQUIREMENT,
    group=Group.PERSISTENCE,
    title="Redis serves this EmailEngine alone",
    severity=Severity.CRITICAL,
    source="EE",
    observed="{sharing}",
    required="one database, one pair",
    reads="INFO keyspace, part of the visit's INFO; the registered pairs whose server has this run id",
    remediation={"same-keys": SAME_KEYS, "shared": SPREAD},
)
def shared_instance(facts: PairFacts, _: Limits) -> Verdict:
    """Judge who else uses this server: registered pairs, and databases that hold keys.

    Source: what EmailEngine does: two of them on one database and prefix share every queue.
    """
    redis = known(facts.redis)
    used = sorted(int(name) for name, keys in known(redis.keys_by_database).items() if keys)
    databases = sorted({*used, redis.database})
    fleet = facts.fleet
    twins = list(_twins(fleet)) if isinstance(fleet, FleetFacts) else []
    if twins:
        return failed(
            f"{', '.join(twins[:3])} uses the same server, database and prefix; each EmailEngine needs "
            "its own",
            short="Same keys as another pair",
            severity=Severity.CRITICAL,
            cause="same-keys",
            sharing=f"the same keys as {', '.join(twins[:3])}",
            twins=", ".join(twins[:3]),
        )
    if len(databases) > 1 or (isinstance(fleet, FleetFacts) and fleet.neighbours):
        return _shared(databases, or_else(fleet, FleetFacts()))
    known(fleet)
    return passed(sharing="one database, one pair", databases=databases)


def _twins(fleet: FleetFacts) -> Iterator[str]:
    """Name the other pairs that have the same database and prefix."""
    own = (fleet.database, fleet.key_prefix)
    return (one.name for one in fleet.neighbours if (one.database, one.key_prefix) == own)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _shared(databases: list[int], fleet: FleetFacts) -> Verdict:
    pairs_count = 1 + len(fleet.neighbours) + fleet.unnamed_neighbours_count
    sharing = f"{_count(len(databases), 'database')}, {_count(pairs_count, 'registered pair')}"
    return failed(
        f"This Redis holds {sharing}; EmailEngine should have it alone",
        short=f"Shared: {sharing}"[:42] if len(databases) < 10 else "Shared with other programs",
        severity=Severity.INFO,
        cause="shared",
        sharing=sharing,
        databases=databases,
        neighbours=[one.name for one in fleet.neighbours],
    )

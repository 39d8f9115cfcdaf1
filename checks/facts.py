"""What was measured: frozen dataclasses that a probe fills and a rule reads.

Every field is a value or `Missing`, never zero or None for "don't know".
Names are Redis' and EmailEngine's own, with the unit at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from checks.backups import BackupFacts as BackupFacts
from checks.backups import Copy as Copy
from checks.backups import CopySource as CopySource
from checks.backups import Restore as Restore
from checks.growth import Growth as Growth
from checks.makes import ENGINE_LABELS as ENGINE_LABELS
from checks.makes import MANAGED as MANAGED
from checks.makes import Engine as Engine
from checks.missing import NOT_CONFIGURED as NOT_CONFIGURED
from checks.missing import NOT_READ as NOT_READ
from checks.missing import REASONS as REASONS
from checks.missing import Missing as Missing
from checks.missing import Reason as Reason
from checks.missing import Unknown as Unknown
from checks.missing import known as known
from checks.missing import or_else as or_else
from checks.missing import readable as readable
from checks.quick import quickly_made
from checks.server import Account as Account
from checks.server import BullClient as BullClient
from checks.server import Deliveries as Deliveries
from checks.server import Queue as Queue
from checks.server import RedisFacts as RedisFacts
from checks.server import Replica as Replica
from checks.server import RoundTrips as RoundTrips
from checks.server import Sentinels as Sentinels


@quickly_made
@dataclass(frozen=True, slots=True)
class EmailEngineFacts:
    """One visit to one EmailEngine. stats and metrics fields are NOT_READ between their reads.

    `health_status` is the HTTP status of /health; `health_s` from request sent to first byte.
    `redis_ping_us` is EmailEngine's own trimmed mean, converted from the nanoseconds it reports;
    a reported 0 is a failed ping and arrives as Missing.
    """

    url: str  # scheme, host and port only
    key_prefix: str
    health_status: int | Missing
    health_s: float | Missing
    network_us: float | Missing = NOT_READ  # TCP connect time: the path to EmailEngine alone
    version: str | Missing = NOT_READ
    started_at: datetime | Missing = NOT_READ  # process_start_time_seconds
    uptime_s: float | Missing = NOT_READ
    redis_ping_us: float | Missing = NOT_READ
    queues: tuple[Queue, ...] | Missing = NOT_READ
    accounts: Mapping[str, int] | Missing = NOT_READ  # state -> count
    license_days_remaining: int | Missing = NOT_READ  # 0 = none, -1 = lifetime or subscription
    threads_alive: int | Missing = NOT_READ  # thread_starts - thread_stops
    unresponsive_workers: int | Missing = NOT_READ
    redis_version: str | Missing = NOT_READ  # the server EmailEngine itself sees
    redis_uptime_s: int | Missing = NOT_READ
    redis_used_memory_bytes: int | Missing = NOT_READ
    redis_warnings: tuple[tuple[str, str], ...] | Missing = NOT_READ  # (key, colour)
    queues_processed: Mapping[str, int] | Missing = NOT_READ  # "submit/completed" -> count
    events: Mapping[str, int] | Missing = NOT_READ  # messageSent … -> count
    webhooks: Mapping[str, int] | Missing = NOT_READ  # success, fail -> count since its start
    webhooks_hour: Mapping[str, int] | Missing = NOT_READ  # the same over the last 60 min
    redis_keys: Mapping[str, int] | Missing = NOT_READ  # as EmailEngine sees them: {"8": 38}


_FIRST_LOOK = Missing("first_visit", "nothing to compare with yet")


@quickly_made
@dataclass(frozen=True, slots=True)
class OwnPull:
    """When our last pull may have made the server save, by the server's clock (Unix times)."""

    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Since:
    """What the last visits leave behind: recent values, newest last, this visit's not included.

    A rise is how much a counter grew since it was last read; after a restart, or where it was
    reset, all of it. It is Missing where the counter was not read now or never before. What has
    a time in its name is a window; what rose over a gap between visits is in none.
    """

    last_visit_s: float | Missing
    last_answer_s: float | Missing  # seconds since Redis last answered well
    is_restarted: bool | Missing = NOT_READ
    recent_rtt_us: tuple[float, ...] = ()  # all measured from rtt_vantage
    recent_stall_us: tuple[float, ...] = ()
    rtt_vantage: str = ""  # "EmailEngine", "probe eu-1"
    last_stats_s: float | Missing = _FIRST_LOOK  # seconds since stats and metrics were due
    own_pull: OwnPull | Missing = Missing("not_applicable", "we pulled no copy of it")
    # Redis' counters (checks/deltas.py)
    is_failed_over: bool | Missing = _FIRST_LOOK  # run id moved, master_replid2 is the old replid
    evicted_keys_rise: int | Missing = _FIRST_LOOK
    rejected_connections_rise: int | Missing = _FIRST_LOOK
    output_buffer_disconnections_rise: int | Missing = _FIRST_LOOK
    aof_delayed_fsync_rise: int | Missing = _FIRST_LOOK
    slow_fsync_looks: tuple[bool, ...] = ()  # did it rise, in the last looks with this one
    errors_rise: Mapping[str, int] | Missing = _FIRST_LOOK  # by errorstat prefix
    auth_errors_hour_count: int | Missing = _FIRST_LOOK  # NOAUTH and WRONGPASS, last 60 to 120 min
    auth_errors_day_mean_count: float | Missing = _FIRST_LOOK  # per hour, over the 24 h before
    had_workers: bool | Missing = _FIRST_LOOK  # were connections named bull: ever seen
    config_maxclients: int | Missing = _FIRST_LOOK  # asked with the persistence group alone
    # What was last known to be well, until a fall is acknowledged
    baseline_keys_count: int | Missing = _FIRST_LOOK
    baseline_accounts_count: int | Missing = _FIRST_LOOK
    # EmailEngine's counters and states
    processed_rise: Mapping[str, int] | Missing = _FIRST_LOOK  # "submit/completed"
    processed_over_s: float | Missing = _FIRST_LOOK  # the time in which processed_rise came about
    submit_waiting_count: int | Missing = _FIRST_LOOK  # at the last look
    submit_was_paused: bool | Missing = _FIRST_LOOK
    paused_s: Mapping[str, float] | Missing = _FIRST_LOOK  # queue -> for how long looks saw it so
    events_day: Mapping[str, int] | Missing = (
        _FIRST_LOOK  # messageSent, messageFailed, messageBounce
    )
    has_seen_bounce: bool | Missing = _FIRST_LOOK
    webhooks_hour: Mapping[str, int] | Missing = _FIRST_LOOK  # success, fail: last 60 to 70 min
    accounts_error_median_ratio: float | Missing = _FIRST_LOOK  # over 7 days


@dataclass(frozen=True, slots=True)
class Attested:
    """What people vouch for, with an expiry, because no protocol tells it. Expired = Missing."""

    disk_iops: int | Missing = Missing("unattested", "disk_iops is not attested")
    storage_medium: str | Missing = Missing("unattested", "storage_medium is not attested")
    ram_bytes: int | Missing = Missing("unattested", "ram_bytes is not attested")
    redis_location: str | Missing = Missing("unattested", "redis_location is not attested")
    emailengine_location: str | Missing = Missing(
        "unattested", "emailengine_location is not attested"
    )
    private_link: bool | Missing = Missing("unattested", "private_link is not attested")
    managed_durability: bool | Missing = Missing("unattested", "managed_durability is not attested")
    plan: str | Missing = Missing("unattested", "plan is not attested")
    largest_message_bytes: int | Missing = Missing(
        "unattested", "largest_message_bytes is not attested"
    )
    secret_kept: bool | Missing = Missing("unattested", "secret_kept is not attested")
    dragonfly_validated: bool | Missing = Missing(
        "unattested", "dragonfly_validated is not attested"
    )
    managed_snapshot_hours: int | Missing = Missing(
        "unattested", "managed_snapshot_hours is not attested"
    )


@dataclass(frozen=True, slots=True)
class Vantage:
    """Where the reading was taken, and where the pair's two halves stand (`region` or `region/zone`)."""

    zone: str
    worker: str = ""
    zone_location: str | Missing = NOT_CONFIGURED
    emailengine_location: str | Missing = NOT_CONFIGURED
    redis_location: str | Missing = NOT_CONFIGURED


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another registered pair whose Redis is the same server."""

    name: str
    database: int
    key_prefix: str


@dataclass(frozen=True, slots=True)
class FleetFacts:
    """What is registered of this pair and beside it. A number nobody gave is NOT_CONFIGURED.

    `neighbours` are the other pairs on this server, by its run id, those on the same keys first;
    `unnamed_neighbours_count` says how many there are beside the few that are named.
    `other_rss_bytes` is the RSS of the other registered servers on this host, 0 where there are none.
    """

    neighbours: tuple[Neighbour, ...] = ()
    unnamed_neighbours_count: int = 0
    database: int = 0
    key_prefix: str = ""
    expected_mailboxes_count: int | Missing = NOT_CONFIGURED
    expected_replicas_count: int | Missing = NOT_CONFIGURED
    other_rss_bytes: int = 0


_NO_HISTORY = Missing("no_history", "no history of this pair yet")


@quickly_made
@dataclass(frozen=True, slots=True)
class Trend:
    """What the pair's past shows beyond the last visits; Missing where it is too young to tell.

    `highest_used_bytes` is of 28 days, `most_replicas_count` of 7. `largest_cow_bytes` is the
    largest copy-on-write of any save or rewrite seen in 28 days; Missing where none was.
    `no_replica_s`: for how long no replica has been attached, 0 while one is.
    """

    highest_used_bytes: int | Missing = _NO_HISTORY
    largest_cow_bytes: int | Missing = _NO_HISTORY
    most_replicas_count: int | Missing = _NO_HISTORY
    no_replica_s: float | Missing = _NO_HISTORY
    growth: Growth | Missing = _NO_HISTORY  # of the daily highest used_memory


# Nobody attested anything, and the like: made once, for rules ask for them in each visit.
NOTHING_ATTESTED: Final = Attested()
NO_FLEET: Final = FleetFacts()
NO_TREND: Final = Trend()


@quickly_made
@dataclass(frozen=True, slots=True)
class PairFacts:
    """All that a rule may see of one pair. Nothing else reaches a rule."""

    redis: RedisFacts | Missing
    emailengine: EmailEngineFacts | Missing
    vantage: Vantage | Missing
    since: Since | Missing = field(default=Missing("first_visit", "this is the first visit"))
    attested: Attested | Missing = field(default=NOTHING_ATTESTED)
    backup: BackupFacts | Missing = field(default=NOT_READ)
    trend: Trend | Missing = field(default=_NO_HISTORY)
    fleet: FleetFacts | Missing = field(default=NOT_CONFIGURED)

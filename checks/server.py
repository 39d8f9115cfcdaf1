"""What one visit finds of a Redis-compatible server: its own words, its round trips, what hangs on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from checks.makes import Engine
from checks.missing import NOT_READ, Missing
from checks.quick import quickly_made


@quickly_made
@dataclass(frozen=True, slots=True)
class RoundTrips:
    """PING round trips of one visit, in microseconds, from send to receive stamp.

    `network_us` is the least of connect time, TCP_INFO rtt after connect and min_rtt: the
    path alone. On a proxy it is a lower bound. `clock` is "kernel" where the receive stamps
    are the kernel's, else "user", which a busy worker lengthens by up to `probe_lag_us`.
    """

    count: int
    min_us: float
    median_us: float
    p95_us: float
    max_us: float
    clock: Literal["kernel", "user"]
    probe_lag_us: float | Missing  # unknown with the user clock
    network_us: float | Missing
    connect_us: float | Missing
    retransmits: int | Missing


@dataclass(frozen=True, slots=True)
class BullClient:
    """One connection of EmailEngine's queue library, as CLIENT LIST names it."""

    name: str
    host: str
    database: int
    user: str = ""


@quickly_made
@dataclass(frozen=True, slots=True)
class Replica:
    """One replica attached to this primary, from INFO replication."""

    host: str
    port: int
    state: str
    lag_s: int | Missing


@dataclass(frozen=True, slots=True)
class Account:
    """The account that the probe signs in with, as ACL GETUSER tells it; never its passwords.

    `rights` are the words that grant commands ("+info", "+@all"), `keys` the key patterns.
    """

    name: str
    rights: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sentinels:
    """What the registered Sentinels say of the primary: how many answered, how many reach a quorum.

    `with_quorum_count` are those that see the primary up and enough of their kind to fail over.
    """

    registered_count: int
    answering_count: int
    with_quorum_count: int


@dataclass(frozen=True, slots=True)
class Queue:
    """One EmailEngine queue: job counts by state, and whether it is paused."""

    name: str
    waiting_count: int
    active_count: int
    delayed_count: int
    is_paused: bool | Missing
    oldest_waiting_s: float | Missing = NOT_READ  # age of the job that waits longest


@dataclass(frozen=True, slots=True)
class Deliveries:
    """How long jobs of the submit queue took, by its event stream read back over covered_s.

    A job's time runs from when it was due to when it was done. Jobs put off after a failed
    attempt are counted apart.
    """

    finished_s: tuple[float, ...]
    waiting_s: tuple[float, ...]  # jobs not begun: so far
    retried_count: int
    covered_s: float


@quickly_made
@dataclass(frozen=True, slots=True)
class RedisFacts:
    """One visit to one Redis-compatible server.

    Fields of a check group that this visit did not read are NOT_READ.
    `ping` is "PONG", or Missing with the class of refusal (loading, busy, misconf, auth …).
    """

    # Where and what
    host: str
    port: int
    database: int
    is_tls: bool
    path: Literal["unix", "loopback", "private", "public"]
    engine: Engine
    ping: str | Missing
    version: str | Missing = NOT_READ
    compatibility_version: str | Missing = NOT_READ
    edition: str = ""
    mode: str | Missing = NOT_READ  # standalone, cluster, sentinel
    os: str | Missing = NOT_READ
    config_file: str | Missing = NOT_READ  # "" = started without one
    run_id: str | Missing = NOT_READ
    uptime_s: int | Missing = NOT_READ
    server_time_s: float | Missing = NOT_READ  # the server's own clock, Unix time
    # Clients (INFO)
    connected_clients: int | Missing = NOT_READ
    blocked_clients: int | Missing = NOT_READ
    maxclients: int | Missing = NOT_READ  # from 6.2 on; before, config_maxclients
    # Memory (INFO)
    used_memory_bytes: int | Missing = NOT_READ
    used_memory_rss_bytes: int | Missing = NOT_READ
    used_memory_peak_bytes: int | Missing = NOT_READ
    not_counted_for_evict_bytes: int | Missing = NOT_READ
    maxmemory_bytes: int | Missing = NOT_READ  # 0 = no limit
    maxmemory_policy: str | Missing = NOT_READ
    system_memory_bytes: int | Missing = NOT_READ  # host RAM: an estimate in containers
    fragmentation_ratio: float | Missing = NOT_READ  # RSS to used memory: 1.1, or 3
    allocator_frag_ratio: float | Missing = NOT_READ  # what active defragmentation can give back
    # Persistence (INFO)
    is_loading: bool | Missing = NOT_READ
    loading_since_s: float | Missing = NOT_READ  # Unix time
    loading_eta_s: int | Missing = NOT_READ
    rdb_changes_since_last_save: int | Missing = NOT_READ
    rdb_bgsave_in_progress: bool | Missing = NOT_READ
    rdb_last_save_time_s: int | Missing = NOT_READ  # Unix time; process start where never saved
    rdb_last_bgsave_status: str | Missing = NOT_READ
    rdb_last_bgsave_time_s: int | Missing = NOT_READ  # duration; -1 = none since start
    rdb_current_bgsave_time_s: int | Missing = NOT_READ  # duration; -1 = none running
    rdb_saves: int | Missing = NOT_READ
    rdb_last_cow_bytes: int | Missing = NOT_READ
    current_cow_peak_bytes: int | Missing = NOT_READ
    aof_enabled: bool | Missing = NOT_READ
    aof_rewrite_in_progress: bool | Missing = NOT_READ
    aof_last_write_status: str | Missing = NOT_READ
    aof_last_bgrewrite_status: str | Missing = NOT_READ
    aof_delayed_fsync: int | Missing = NOT_READ
    aof_last_cow_bytes: int | Missing = NOT_READ
    # Counters since start (INFO stats, errorstats)
    total_commands_processed: int | Missing = NOT_READ
    total_connections_received: int | Missing = NOT_READ
    rejected_connections: int | Missing = NOT_READ
    output_buffer_disconnections: int | Missing = NOT_READ  # Redis 7.4, Valkey 8, newer
    evicted_keys: int | Missing = NOT_READ
    expired_keys: int | Missing = NOT_READ
    errors: Mapping[str, int] | Missing = NOT_READ  # errorstat_<prefix> counts
    # Replication and cluster (INFO)
    role: str | Missing = NOT_READ  # master, slave
    replicas: tuple[Replica, ...] | Missing = NOT_READ
    min_replicas_good: int | Missing = NOT_READ  # min_slaves_good_slaves
    master_link_status: str | Missing = NOT_READ
    master_replid: str | Missing = NOT_READ
    master_replid2: str | Missing = NOT_READ
    cluster_enabled: bool | Missing = NOT_READ
    cluster_state: str | Missing = NOT_READ  # ok, fail: read only where cluster mode is on
    # Keyspace (INFO)
    keys_by_database: Mapping[str, int] | Missing = NOT_READ  # {"8": 1200}
    # Named CONFIG parameters
    stop_writes_on_bgsave_error: bool | Missing = NOT_READ  # read with the health group
    min_replicas_to_write: int | Missing = NOT_READ  # read with the health group
    config_maxclients: int | Missing = NOT_READ  # asked where INFO tells no maxclients
    save: tuple[tuple[int, int], ...] | Missing = NOT_READ  # ((seconds, changes), …); () = off
    snapshot_cron: str | Missing = NOT_READ  # Dragonfly's schedule instead of save; "" = off
    appendfsync: str | Missing = NOT_READ
    tcp_keepalive_s: int | Missing = NOT_READ
    timeout_s: int | Missing = NOT_READ
    proto_max_bulk_len_bytes: int | Missing = NOT_READ
    client_output_buffer_limit: str | Missing = NOT_READ
    replica_read_only: bool | Missing = NOT_READ
    # Who we are, and what is asked apart (persistence group)
    account: Account | Missing = NOT_READ
    is_open: bool | Missing = NOT_READ  # a PING without signing in is answered
    allows_undeclared_keys: bool | Missing = NOT_READ  # EVAL on Dragonfly, which alone may refuse
    sentinels: Sentinels | Missing = NOT_READ
    # CLIENT LIST (persistence group)
    bull_clients: tuple[BullClient, ...] | Missing = NOT_READ
    # EmailEngine's queues, straight from their keys (stats cadence)
    queues: tuple[Queue, ...] | Missing = NOT_READ
    deliveries: Deliveries | Missing = NOT_READ
    # Latency group
    round_trips: RoundTrips | Missing = NOT_READ

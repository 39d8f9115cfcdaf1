"""A healthy pair but for what is named: a test of a rule shows only what matters."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from checks.facts import (
    NOT_CONFIGURED,
    Account,
    Attested,
    BackupFacts,
    BullClient,
    Copy,
    CopySource,
    Deliveries,
    EmailEngineFacts,
    Engine,
    FleetFacts,
    Growth,
    Missing,
    PairFacts,
    Queue,
    RedisFacts,
    Replica,
    Restore,
    RoundTrips,
    Since,
    Trend,
    Vantage,
)

MIB, GIB = 1024**2, 1024**3
NOW_S = 1_800_000_000.0  # the server's clock
HIDDEN = Missing("no_permission", "CONFIG is closed")

TRIPS = RoundTrips(
    count=10,
    min_us=180.0,
    median_us=220.0,
    p95_us=300.0,
    max_us=320.0,
    clock="kernel",
    probe_lag_us=15.0,
    network_us=150.0,
    connect_us=160.0,
    retransmits=0,
)
BULL = tuple(
    BullClient(name, "10.0.0.7", 8)
    for name in ("bull:bm90aWZ5", "bull:c3VibWl0", "bull:ZG9jdW1lbnRz", "bull:bm90aWZ5:qe")
)
REDIS = RedisFacts(
    host="redis-1.internal",
    port=6379,
    database=8,
    is_tls=True,
    path="private",
    engine=Engine.REDIS,
    ping="PONG",
    version="7.2.6",
    compatibility_version="7.2.6",
    mode="standalone",
    os="Linux 6.1 x86_64",
    config_file="/etc/redis/redis.conf",
    run_id="a" * 40,
    uptime_s=86_400,
    server_time_s=NOW_S,
    connected_clients=45,
    blocked_clients=7,
    maxclients=10_000,
    used_memory_bytes=1 * GIB,
    used_memory_rss_bytes=1 * GIB + 100 * MIB,
    used_memory_peak_bytes=1 * GIB,
    not_counted_for_evict_bytes=0,
    maxmemory_bytes=4 * GIB,
    maxmemory_policy="noeviction",
    system_memory_bytes=16 * GIB,
    fragmentation_ratio=1.1,
    allocator_frag_ratio=1.05,
    is_loading=False,
    loading_since_s=Missing("not_applicable", "it is not loading"),
    loading_eta_s=Missing("not_applicable", "it is not loading"),
    rdb_changes_since_last_save=40,
    rdb_bgsave_in_progress=False,
    rdb_last_save_time_s=int(NOW_S) - 120,
    rdb_last_bgsave_status="ok",
    rdb_last_bgsave_time_s=4,
    rdb_current_bgsave_time_s=-1,
    rdb_saves=12,
    rdb_last_cow_bytes=8 * MIB,
    current_cow_peak_bytes=0,
    aof_enabled=False,
    aof_rewrite_in_progress=False,
    aof_last_write_status="ok",
    aof_last_bgrewrite_status="ok",
    aof_delayed_fsync=0,
    aof_last_cow_bytes=0,
    total_commands_processed=1_000_000,
    total_connections_received=500,
    rejected_connections=0,
    output_buffer_disconnections=0,
    evicted_keys=0,
    expired_keys=100,
    errors={},
    role="master",
    replicas=(Replica("10.0.0.9", 6379, "online", 0),),
    min_replicas_good=Missing("not_configured", "no least number of replicas is set"),
    master_link_status=Missing("not_applicable", "it is a primary"),
    master_replid="b" * 40,
    master_replid2="0" * 40,
    cluster_enabled=False,
    keys_by_database={"8": 1200},
    stop_writes_on_bgsave_error=True,
    min_replicas_to_write=0,
    save=((900, 1), (300, 10)),
    appendfsync="everysec",
    tcp_keepalive_s=300,
    timeout_s=0,
    proto_max_bulk_len_bytes=512 * MIB,
    client_output_buffer_limit="normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
    replica_read_only=True,
    account=Account("pairkeeper", ("+ping", "+info", "+config|get", "+client|list"), ()),
    is_open=False,
    allows_undeclared_keys=True,
    sentinels=NOT_CONFIGURED,
    bull_clients=BULL,
    queues=(
        Queue("notify", 0, 0, 0, is_paused=False, oldest_waiting_s=0.0),
        Queue("submit", 0, 0, 1, is_paused=False, oldest_waiting_s=0.0),
    ),
    deliveries=Deliveries((2.0, 3.0), (), retried_count=0, covered_s=3600.0),
    round_trips=TRIPS,
)
EMAILENGINE = EmailEngineFacts(
    url="http://emailengine-1.internal:3000",
    key_prefix="",
    health_status=200,
    health_s=0.02,
    network_us=400.0,
    version="2.80.0",
    uptime_s=86_400.0,
    redis_ping_us=400.0,
    queues=(
        Queue("notify", 0, 0, 0, is_paused=False, oldest_waiting_s=0.0),
        Queue("submit", 0, 0, 1, is_paused=False, oldest_waiting_s=0.0),
        Queue("documents", 0, 0, 0, is_paused=False, oldest_waiting_s=0.0),
    ),
    accounts={"connected": 4},
    license_days_remaining=-1,
    threads_alive=8,
    unresponsive_workers=0,
    redis_version="7.2.6",
    redis_uptime_s=86_399,
    redis_used_memory_bytes=1 * GIB,
    redis_warnings=(),
    queues_processed={"submit/completed": 900, "notify/completed": 1800},
    events={"messageSent": 900, "messageFailed": 1, "messageBounce": 2},
    webhooks={"success": 1800, "fail": 0},
    webhooks_hour={"success": 300, "fail": 0},
    redis_keys={"8": 1200},
)
SINCE = Since(
    last_visit_s=60.0,
    last_answer_s=60.0,
    is_restarted=False,
    last_stats_s=300.0,
    is_failed_over=False,
    evicted_keys_rise=0,
    rejected_connections_rise=0,
    output_buffer_disconnections_rise=0,
    aof_delayed_fsync_rise=0,
    slow_fsync_looks=(False, False, False),
    errors_rise={},
    auth_errors_hour_count=0,
    auth_errors_day_mean_count=0.0,
    had_workers=True,
    baseline_keys_count=1200,
    baseline_accounts_count=4,
    processed_rise={"submit/completed": 40},
    processed_over_s=300.0,
    submit_waiting_count=0,
    submit_was_paused=False,
    paused_s={},
    events_day={"messageSent": 900, "messageFailed": 1, "messageBounce": 2},
    has_seen_bounce=True,
    webhooks_hour={"success": 300, "fail": 0},
    accounts_error_median_ratio=0.0,
)
VANTAGE = Vantage(
    zone="eu-1",
    worker="w1",
    zone_location="eu/eu-a",
    emailengine_location="eu/eu-a",
    redis_location="eu/eu-a",
)
TREND = Trend(
    highest_used_bytes=1 * GIB,
    largest_cow_bytes=64 * MIB,
    most_replicas_count=1,
    no_replica_s=0.0,
    growth=Growth(28, 20_778, 1.0 * GIB, 0.0, -100_000.0, 100_000.0),
)
FLEET = FleetFacts(database=8, key_prefix="", expected_mailboxes_count=4, expected_replicas_count=1)
ATTESTED = Attested(
    ram_bytes=16 * GIB,
    storage_medium="NVMe",
    largest_message_bytes=25 * MIB,
    plan="pay as you go",
    secret_kept=True,
)
COPY = Copy("dump-1.rdb", "intact", "whole", age_s=5 * 3600.0, size_bytes=300 * MIB)
DAILY = CopySource(
    label="nightly",
    kind="directory",
    interval_s=86_400,
    grace_s=10_800,
    newest=COPY,
    good=COPY,
    earlier_bytes=(290 * MIB, 295 * MIB, 298 * MIB),
)
BACKUP = BackupFacts(
    registered_s=90 * 86_400.0,
    sources=(DAILY,),
    restore=Restore(
        is_passed=True, age_s=3 * 86_400.0, text="restored", load_s=41.0, lost_s=18_720.0
    ),
)
HEALTHY = PairFacts(
    redis=REDIS,
    emailengine=EMAILENGINE,
    vantage=VANTAGE,
    since=SINCE,
    attested=ATTESTED,
    trend=TREND,
    fleet=FLEET,
    backup=BACKUP,
)

Part = Mapping[str, Any] | Missing


def facts_with(
    *,
    redis: Missing | None = None,
    emailengine: Part | None = None,
    round_trips: Part | None = None,
    since: Part | None = None,
    vantage: Part | None = None,
    attested: Part | None = None,
    trend: Part | None = None,
    fleet: Part | None = None,
    backup: Part | None = None,
    **redis_fields: Any,
) -> PairFacts:
    """Build the healthy pair with these facts changed.

    Plain names are Redis' own; the other parts take a mapping of what differs, or a Missing.
    Nothing is attested but what is named.
    """
    if round_trips is not None:
        redis_fields["round_trips"] = _changed(TRIPS, round_trips)
    return PairFacts(
        redis=redis if redis is not None else replace(REDIS, **redis_fields),
        emailengine=_changed(EMAILENGINE, emailengine),
        vantage=_changed(VANTAGE, vantage),
        since=_changed(SINCE, since),
        attested=_changed(Attested(), attested),
        trend=_changed(TREND, trend),
        fleet=_changed(FLEET, fleet),
        backup=_changed(BACKUP, backup),
    )


def source_with(state: str = "intact", **fields: Any) -> CopySource:
    """Build the nightly source whose newest copy is in this state, with these fields changed."""
    copy = replace(COPY, state=state, text=f"this is {state}")
    values = {"newest": copy}
    if state in ("intact", "unchecked", "reported"):
        values["good"] = copy
    return replace(DAILY, **{**values, **fields})


def _changed(whole: Any, part: Part | None) -> Any:
    if part is None:
        return whole
    return part if isinstance(part, Missing) else replace(whole, **part)

"""Ordinary production, case by case: no red that is not deserved, no green that is not proven."""

from dataclasses import dataclass, field, replace

import pytest

from checks.catalog import BY_ID
from checks.evaluate import evaluate, lamps, tally
from checks.facts import (
    NOT_CONFIGURED,
    Account,
    BullClient,
    Deliveries,
    Engine,
    Missing,
    PairFacts,
    Queue,
)
from checks.rule import Cadence, Outcome
from tests.checks.pairs import (
    ATTESTED,
    BULL,
    COPY,
    GIB,
    MIB,
    NOW_S,
    facts_with,
    source_with,
)

NO_CONFIG = Missing("command_unavailable", "CONFIG is blocked")
CLOSED = dict.fromkeys(
    (
        "save",
        "appendfsync",
        "tcp_keepalive_s",
        "timeout_s",
        "proto_max_bulk_len_bytes",
        "client_output_buffer_limit",
        "stop_writes_on_bgsave_error",
        "min_replicas_to_write",
    ),
    NO_CONFIG,
)
KNOWN = {
    "ram_bytes": 16 * GIB,
    "storage_medium": "NVMe",
    "largest_message_bytes": 25 * MIB,
    "secret_kept": True,
}
OF_BACKUPS = {rule_id for rule_id in BY_ID if rule_id.startswith("backup.")}


@dataclass
class Case:
    """A pair as it is met in production, and all that its verdicts may say beside pass."""

    facts: PairFacts
    lamps: tuple[str, str] = ("compliant", "healthy")
    fails: dict[str, str] = field(default_factory=dict)
    passing: dict[str, str] = field(default_factory=dict)  # at one look, which opens nothing
    unknown: set[str] = field(default_factory=set)


def pair(**changes):
    """Build the healthy pair, attested, with these facts changed."""
    changes["attested"] = {**KNOWN, "plan": ATTESTED.plan, **changes.get("attested", {})}
    return facts_with(**changes)


def queues(submit=0, notify=0, notify_age_s=0.0):
    return (
        Queue("submit", submit, 2, 0, is_paused=False, oldest_waiting_s=5.0 if submit else 0.0),
        Queue("notify", notify, 2, 0, is_paused=False, oldest_waiting_s=notify_age_s),
    )


CASES = {
    "the pair that every other case changes": Case(pair()),
    # Three mailboxes and a dozen messages a day: shares of so few say nothing.
    "a small tenant with one bounce of twelve": Case(
        pair(
            emailengine={"accounts": {"connected": 2, "authenticationError": 1}},
            fleet={"expected_mailboxes_count": 3},
            since={
                "baseline_accounts_count": 3,
                "events_day": {"messageSent": 11, "messageBounce": 1},
            },
        ),
        unknown={"emailengine.accounts", "emailengine.bounce-rate"},
    ),
    # Webhooks come in bursts; these are seconds old, and the mail keeps up.
    "a burst of webhooks after a newsletter": Case(
        pair(emailengine={"queues": queues(submit=80, notify=4_000, notify_age_s=12.0)}),
    ),
    # Accounts that only send have no mailbox to connect to.
    "send-only accounts": Case(
        pair(
            emailengine={"accounts": {"connected": 4, "unset": 40}},
            fleet={"expected_mailboxes_count": 44},
            since={"baseline_accounts_count": 44},
        ),
    ),
    # At three in the morning a snapshot has been running for 40 s: it forks, and RSS grows.
    "the nightly snapshot": Case(
        pair(
            rdb_bgsave_in_progress=True,
            rdb_current_bgsave_time_s=40,
            current_cow_peak_bytes=300 * MIB,
            used_memory_rss_bytes=1 * GIB + 400 * MIB,
        ),
    ),
    # Nothing changed since yesterday evening: no save is due, however old the last one is.
    "an idle night": Case(
        pair(rdb_changes_since_last_save=0, rdb_last_save_time_s=int(NOW_S) - 36_000),
    ),
    # The replica took over: another run id, the same history of replication; the old primary is
    # on its way back as a replica.
    "a failover two minutes ago": Case(
        pair(
            run_id="c" * 40,
            replicas=(),
            since={"is_failed_over": True, "is_restarted": True},
            trend={"no_replica_s": 120.0},
        ),
        lamps=("at_risk", "healthy"),
        fails={"redis.replication": "warning", "pair.same-redis": "info"},
    ),
    "EmailEngine restarted 20 s ago": Case(
        pair(emailengine={"uptime_s": 20.0}, bull_clients=()),
        lamps=("compliant", "unknown"),
        unknown={rule_id for rule_id in BY_ID if rule_id.startswith("emailengine.")}
        | {"pair.same-redis", "pair.single-instance"},
    ),
    "Redis restarted 30 s ago, and its clients are back": Case(
        pair(
            uptime_s=30,
            run_id="c" * 40,
            rdb_saves=0,
            rdb_last_save_time_s=int(NOW_S) - 30,
            rdb_changes_since_last_save=3,
            emailengine={"redis_uptime_s": 29},
            since={"is_restarted": True},
        ),
        unknown={"emailengine.queue-workers", "pair.same-redis"},
        lamps=("compliant", "unknown"),
    ),
    "stock Redis without maxmemory, its RAM attested": Case(
        pair(maxmemory_bytes=0),
        fails={"redis.maxmemory-set": "info"},
    ),
    "Valkey 8 instead of Redis": Case(
        pair(
            engine=Engine.VALKEY,
            version="8.0.1",
            compatibility_version="7.2.4",
            emailengine={"redis_version": "7.2.4"},
        ),
        fails={"redis.engine-support": "info"},
    ),
    # The vendor names it with a caveat; durability is the provider's and attested.
    "ElastiCache with durability attested": Case(
        pair(
            engine=Engine.ELASTICACHE,
            **CLOSED,
            attested={"managed_durability": True},
        ),
        lamps=("at_risk", "healthy"),
        fails={"redis.engine-support": "warning"},
        unknown={
            "redis.idle-timeout",
            "redis.pubsub-buffers",
            "redis.tcp-keepalive",
        },
    ),
    # Our round trips cross an ocean; EmailEngine's own figure counts. The server's share in ours
    # cannot be told apart.
    "a portal in another region, with a metrics token": Case(
        pair(
            vantage={"zone_location": "us/us-a"},
            round_trips={"median_us": 91_000.0, "p95_us": 93_000.0, "network_us": 90_000.0},
        ),
        unknown={"redis.stall"},
    ),
    "a portal in another region, without a token": Case(
        pair(
            vantage={"zone_location": "us/us-a"},
            round_trips={"median_us": 91_000.0, "p95_us": 93_000.0, "network_us": 90_000.0},
            emailengine={"redis_ping_us": Missing("not_configured", "no metrics token")},
        ),
        lamps=("unverified", "healthy"),
        unknown={"pair.rtt", "redis.stall"},
    ),
    "Redis alone is registered": Case(pair(emailengine=NOT_CONFIGURED)),
    # Six in the evening: mail of a whole day's work leaves at once, and is gone in minutes.
    "a bursty tenant at its peak": Case(
        pair(
            connected_clients=160,
            blocked_clients=40,
            emailengine={"queues": queues(submit=99, notify=900, notify_age_s=40.0)},
            deliveries=Deliveries((20.0, 45.0) * 40, (30.0,) * 99, 2, 3600.0),
            since={"submit_waiting_count": 12, "processed_rise": {"submit/completed": 2_000}},
        ),
    ),
    # A newsletter of 450 messages waits: the vendor warns from 100 on, once it has lasted.
    "a newsletter that has just been handed in": Case(
        pair(
            emailengine={"queues": queues(submit=450)},
            since={"submit_waiting_count": 0, "processed_rise": {"submit/completed": 300}},
        ),
        passing={"emailengine.queue-size": "warning"},
    ),
    # 20,000 mailboxes on a host of 192 GiB; 3.8% of them in error, as ever.
    "a big tenant": Case(
        pair(
            maxmemory_bytes=96 * GIB,
            used_memory_bytes=58 * GIB,
            used_memory_rss_bytes=64 * GIB,
            system_memory_bytes=192 * GIB,
            connected_clients=2_400,
            keys_by_database={"8": 4_100_000},
            emailengine={
                "accounts": {"connected": 19_240, "authenticationError": 700, "connectError": 60},
                "redis_keys": {"8": 4_100_350},
                "queues": queues(submit=60, notify=2_000, notify_age_s=15.0),
            },
            fleet={"expected_mailboxes_count": 20_000},
            trend={"highest_used_bytes": 60 * GIB, "largest_cow_bytes": 9 * GIB},
            since={
                "baseline_accounts_count": 20_004,
                "baseline_keys_count": 4_130_000,
                "accounts_error_median_ratio": 0.037,
                "submit_waiting_count": 70,
            },
            attested={"ram_bytes": 192 * GIB},
        ),
    ),
    # Two of three accounts left, on purpose, and a purge took 60% of the keys: neither is a loss.
    "a small tenant that leaves": Case(
        pair(
            emailengine={"accounts": {"connected": 1}, "redis_keys": {"8": 480}},
            keys_by_database={"8": 480},
            since={"baseline_accounts_count": 3},
        ),
    ),
    # Nothing to compare with, nothing attested, no history: what is not known is not said.
    "a pair that was registered a minute ago": Case(
        facts_with(
            since=Missing("first_visit", "this is the first visit"),
            trend=Missing("no_history", "no history of this pair yet"),
            fleet={"expected_replicas_count": NOT_CONFIGURED, "database": 8},
            replicas=(),
        ),
        unknown={
            *("redis.clients-headroom", "redis.pubsub-buffers", "redis.credentials-drift"),
            *("redis.replication", "redis.snapshot-headroom", "redis.storage-medium"),
            *("emailengine.bounce-rate", "pair.data-intact", "redis.memory-forecast"),
            "backup.secret-kept",
        },
    ),
    "a submit queue that is paused on purpose, for half an hour": Case(
        pair(
            emailengine={
                "queues": (
                    Queue("submit", 80, 0, 0, is_paused=True, oldest_waiting_s=1_500.0),
                    Queue("notify", 0, 0, 0, is_paused=False, oldest_waiting_s=0.0),
                )
            },
            queues=(
                Queue("submit", 80, 0, 0, is_paused=True, oldest_waiting_s=1_500.0),
                Queue("notify", 0, 0, 0, is_paused=False, oldest_waiting_s=0.0),
            ),
            since={"paused_s": {"submit": 1_800.0}, "submit_was_paused": True},
        ),
        # Mail that waits 25 min is late whoever paused the queue: a maintenance window keeps it quiet.
        passing={"emailengine.delivery-time": "critical"},
        lamps=("compliant", "healthy"),
    ),
    # The new EmailEngine has started before the old one ended: two of them for one look.
    "a rolling restart of EmailEngine that overlaps": Case(
        pair(bull_clients=(*BULL, BullClient("bull:bm90aWZ5:qe", "10.0.0.8", 8))),
        passing={"pair.single-instance": "critical"},
    ),
    # The replica is restarted after its update; it is back at the next look.
    "a rolling restart of the replica": Case(
        pair(replicas=(), trend={"no_replica_s": 40.0}),
        passing={"redis.replication": "warning"},
    ),
    "a failover an hour ago, the old primary back as a replica": Case(
        pair(
            run_id="c" * 40,
            uptime_s=900_000,
            emailengine={"redis_uptime_s": 900_001},
            since={"is_failed_over": False},
        ),
    ),
    "the nightly rewrite of an AOF beside RDB, on a disk that is attested": Case(
        pair(
            aof_enabled=True,
            aof_last_cow_bytes=180 * MIB,
            current_cow_peak_bytes=90 * MIB,
            attested={"disk_iops": 16_000},
        ),
    ),
    # One late fsync in the night: a warning the next day would be noise, but it is told at once.
    "a single late fsync": Case(
        pair(
            aof_enabled=True,
            attested={"disk_iops": 16_000},
            since={"slow_fsync_looks": (False,) * 6 + (True,)},
        ),
        lamps=("at_risk", "healthy"),
        fails={"redis.aof-disk": "warning"},
    ),
    # docker run redis: no password, default schedule, no ceiling; the host's RAM is all it tells.
    "Redis as it comes out of its image, in a private network": Case(
        facts_with(
            is_tls=False,
            is_open=True,
            account=Account("default", ("+@all",), ("~*",)),
            maxmemory_bytes=0,
            save=((3600, 1), (300, 100), (60, 10_000)),
            config_file="",
            replicas=(),
            fleet={"expected_replicas_count": NOT_CONFIGURED},
            trend={"most_replicas_count": 0},
        ),
        lamps=("at_risk", "healthy"),
        fails={
            "redis.access-control": "warning",
            "redis.rdb-schedule": "warning",
            "redis.maxmemory-set": "info",
            "redis.probe-privilege": "info",
            "redis.replication": "info",
        },
        unknown={
            "backup.secret-kept",
            "redis.memory-forecast",
            "redis.memory-headroom",
            "redis.memory-provisioning",
            "redis.snapshot-headroom",
            "redis.storage-medium",
        },
    ),
    # The machine was bought with 16 GiB and shows what its kernel leaves.
    "RAM attested as it was bought": Case(
        pair(maxmemory_bytes=0, system_memory_bytes=16 * GIB - 500 * MIB),
        fails={"redis.maxmemory-set": "info"},
    ),
    "Upstash on a paid plan, durability attested": Case(
        pair(
            engine=Engine.UPSTASH,
            **CLOSED,
            attested={"managed_durability": True, "largest_message_bytes": 9_000_000},
            bull_clients=NO_CONFIG,
        ),
        lamps=("at_risk", "unknown"),
        fails={"redis.engine-support": "warning"},
        unknown={
            *("emailengine.queue-workers", "pair.single-instance"),
            *("redis.idle-timeout", "redis.pubsub-buffers", "redis.tcp-keepalive"),
        },
    ),
    "Memorystore, whose CONFIG is closed, durability attested": Case(
        pair(
            engine=Engine.MEMORYSTORE,
            **CLOSED,
            attested={"managed_durability": True},
        ),
        fails={"redis.engine-support": "info"},
        unknown={
            *("redis.command-size-limit", "redis.idle-timeout", "redis.pubsub-buffers"),
            *("redis.rdb-fresh", "redis.rdb-schedule", "redis.tcp-keepalive"),
        },
    ),
    # Two weeks are given to set a backup up; until then nobody can say that there is one.
    "a pair of last week whose backup is still to come": Case(
        pair(backup={"sources": (), "registered_s": 7 * 86_400.0}),
        lamps=("unverified", "healthy"),
        unknown=OF_BACKUPS,
    ),
    "a bucket that gets a copy a day, and a heartbeat": Case(
        pair(
            backup={
                "sources": (
                    source_with(kind="bucket"),
                    source_with("reported", kind="heartbeat", label="cron"),
                )
            }
        ),
    ),
    # The job wrote what was left of a full disk; the copy of the day before is still good.
    "a night on which the disk was full": Case(
        pair(backup={"sources": (source_with("truncated", good=COPY),)}),
        lamps=("non_compliant", "healthy"),
        fails={"backup.intact": "critical"},
    ),
    "snapshots of the provider's, attested": Case(
        pair(backup={"sources": ()}, attested={"managed_snapshot_hours": 24}),
        unknown={"backup.intact", "backup.size", "backup.restore-proven"},
        lamps=("compliant", "healthy"),
    ),
    # With one of its two tokens EmailEngine tells half: what was not registered decides no lamp.
    "a metrics token alone": Case(
        pair(
            emailengine={
                "redis_warnings": NOT_CONFIGURED,
                "webhooks_hour": NOT_CONFIGURED,
                "queues": tuple(replace(one, is_paused=NOT_CONFIGURED) for one in queues()),
            }
        ),
    ),
    # Nobody told that somebody paused it: the backlog is seen, a slow EmailEngine is not made up.
    "a metrics token alone, and the submit queue paused": Case(
        pair(
            emailengine={
                "queues": tuple(replace(one, is_paused=NOT_CONFIGURED) for one in queues(400)),
            },
            queues=NOT_CONFIGURED,
            since={
                "submit_waiting_count": 380,
                "submit_was_paused": NOT_CONFIGURED,
                "processed_rise": {"submit/completed": 0},
                "processed_over_s": 300.0,
            },
        ),
        lamps=("compliant", "degraded"),
        fails={"emailengine.queue-size": "warning"},
        unknown={"emailengine.processing-rate"},
    ),
    # A large dataset after a restart that was meant: it may load for five minutes.
    "a Redis that has been loading for two minutes": Case(
        pair(
            ping=Missing("loading", "LOADING Redis is loading the dataset in memory"),
            is_loading=True,
            loading_since_s=NOW_S - 120,
            uptime_s=121,
            emailengine={"redis_uptime_s": 120},
        ),
        lamps=("compliant", "degraded"),
        fails={"redis.reachable": "warning"},
        unknown={"pair.data-intact", "redis.accepts-writes", "redis.rdb-fresh"},
    ),
    # The vendor names it as not supported, whatever its provider keeps.
    "MemoryDB, its durability attested": Case(
        pair(
            engine=Engine.MEMORYDB,
            mode="cluster",
            cluster_enabled=True,
            cluster_state="ok",
            **CLOSED,
            attested={"managed_durability": True},
        ),
        lamps=("non_compliant", "healthy"),
        fails={"redis.engine-support": "critical", "redis.standalone": "critical"},
        unknown={"redis.idle-timeout", "redis.pubsub-buffers", "redis.tcp-keepalive"},
    ),
    "ElastiCache, of which nobody attested anything": Case(
        pair(engine=Engine.ELASTICACHE, **CLOSED),
        lamps=("non_compliant", "healthy"),
        fails={"redis.engine-support": "critical"},
        unknown={
            *("redis.durability", "redis.idle-timeout", "redis.pubsub-buffers"),
            "redis.tcp-keepalive",
        },
    ),
    "Dragonfly, tried before production": Case(
        pair(
            engine=Engine.DRAGONFLY,
            version="1.25.0",
            compatibility_version="7.4.0",
            allows_undeclared_keys=True,
            save=NO_CONFIG,
            appendfsync=NO_CONFIG,
            aof_enabled=NO_CONFIG,
            snapshot_cron="*/15 * * * *",
            emailengine={"redis_version": "7.4.0"},
            attested={"dragonfly_validated": True},
        ),
        unknown={"redis.rdb-fresh"},  # its schedule is of another kind, and not read
    ),
    # --- No false green
    # An hour later the vendor's limit is passed: whoever paused it has forgotten it.
    "a queue paused and forgotten": Case(
        pair(
            emailengine={"queues": (Queue("submit", 80, 0, 0, is_paused=True),)},
            since={"paused_s": {"submit": 3_601.0}, "submit_was_paused": True},
        ),
        lamps=("compliant", "degraded"),
        fails={"emailengine.queue-paused": "warning"},
    ),
    "memory that swings about its ceiling": Case(
        pair(
            used_memory_bytes=4 * GIB - 30 * MIB,
            since={"errors_rise": {"OOM": 12}},
        ),
        lamps=("non_compliant", "failing"),
        fails={"redis.accepts-writes": "critical", "redis.memory-headroom": "critical"},
    ),
    "a replica gone for twenty minutes": Case(
        pair(replicas=(), trend={"no_replica_s": 1_200.0}),
        lamps=("non_compliant", "healthy"),
        fails={"redis.replication": "critical"},
    ),
    "workers gone while /health says 200": Case(
        pair(bull_clients=(), blocked_clients=0),
        lamps=("compliant", "failing"),
        fails={"emailengine.queue-workers": "critical"},
        unknown={"pair.single-instance"},
    ),
    "workers of another database": Case(
        pair(bull_clients=(BullClient("bull:c3VibWl0", "10.0.0.7", 0),)),
        lamps=("compliant", "failing"),
        fails={"emailengine.queue-workers": "critical"},
        unknown={"pair.single-instance"},
    ),
    "an eviction policy that waits for a limit": Case(
        pair(maxmemory_bytes=0, maxmemory_policy="allkeys-lru"),
        lamps=("non_compliant", "healthy"),
        fails={"redis.eviction-policy": "critical", "redis.maxmemory-set": "info"},
    ),
    # Docker shows the host's 64 GB to a container of 1 GB.
    "no maxmemory in a container whose limit nobody told": Case(
        facts_with(maxmemory_bytes=0, system_memory_bytes=64 * GIB),
        lamps=("unverified", "healthy"),
        fails={"redis.maxmemory-set": "info"},
        unknown={
            "backup.secret-kept",
            "redis.memory-forecast",
            "redis.memory-headroom",
            "redis.memory-provisioning",
            "redis.snapshot-headroom",
            "redis.storage-medium",
        },
    ),
    "a writable replica": Case(
        pair(role="slave", replica_read_only=False, master_link_status="up"),
        lamps=("non_compliant", "healthy"),
        fails={"redis.endpoint-role": "critical"},
    ),
    "CONFIG renamed away": Case(
        pair(
            **CLOSED,
        ),
        lamps=("unverified", "healthy"),
        unknown={
            "redis.command-size-limit",
            "redis.durability",
            "redis.idle-timeout",
            "redis.pubsub-buffers",
            "redis.rdb-fresh",
            "redis.rdb-schedule",
            "redis.tcp-keepalive",
        },
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_ordinary_production(name):
    case = CASES[name]
    verdicts = evaluate(case.facts, frozenset(Cadence))
    fails = {
        rule_id: verdict.severity.value
        for rule_id, verdict in verdicts.items()
        if verdict.outcome is Outcome.FAIL
    }
    counted = tally(verdicts)
    shown = lamps(
        [(BY_ID[rule_id].kind, verdicts[rule_id].severity) for rule_id in case.fails],
        [BY_ID[rule_id].kind for rule_id in counted.core_unknown],
    )

    assert fails == case.fails | case.passing
    assert all(BY_ID[rule_id].opens.times > 1 for rule_id in case.passing)
    assert set(counted.unknowns) == case.unknown
    assert shown == case.lamps

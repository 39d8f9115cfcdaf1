"""What can be wrong with a pair, one thing at a time: every cause of every rule occurs here."""

from collections.abc import Mapping
from dataclasses import fields, replace

from checks.facts import (
    NOT_CONFIGURED,
    Account,
    BullClient,
    Deliveries,
    Engine,
    Growth,
    Missing,
    Neighbour,
    PairFacts,
    Queue,
    RedisFacts,
    Replica,
    Restore,
    Sentinels,
)
from tests.checks.pairs import COPY, GIB, MIB, NOW_S, facts_with, source_with

MISCONF = Missing("misconf", "MISCONF Redis is configured to save RDB snapshots, but it is unable")
MISCONF_AOF = Missing("misconf", "MISCONF Errors writing to the AOF file: No space left on device")
NO_CONFIG = Missing("command_unavailable", "CONFIG is blocked")
DOWN = ("dns", "refused", "timeout", "tls", "auth", "protected_mode", "max_clients", "protocol")

REACHING = {
    f"redis {reason}": facts_with(
        redis=Missing(reason, f"this is {reason}"), emailengine=NOT_CONFIGURED
    )
    for reason in (*DOWN, "too_large", "loading", "busy")
}
MAKES = {
    f"on {engine.value}": facts_with(engine=engine)
    for engine in Engine
    if engine is not Engine.UNKNOWN
}
WRITES = {
    "unreachable from here only": facts_with(redis=Missing("timeout", "no answer within 2 s")),
    "loading": facts_with(
        ping=Missing("loading", "LOADING"), loading_since_s=NOW_S - 400, is_loading=True
    ),
    "replica": facts_with(role="slave", master_link_status="up"),
    "sentinel": facts_with(mode="sentinel", role=Missing("undetermined", "INFO has no role")),
    "misconf rdb": facts_with(ping=MISCONF, rdb_last_bgsave_status="err"),
    "misconf aof": facts_with(
        ping=MISCONF_AOF, aof_enabled=True, aof_last_write_status="err", errors={"MISCONF": 3}
    ),
    "too few replicas": facts_with(min_replicas_good=0, min_replicas_to_write=1),
    "cluster down": facts_with(cluster_enabled=True, mode="cluster", cluster_state="fail"),
    "full": facts_with(used_memory_bytes=4 * GIB, used_memory_rss_bytes=4 * GIB),
    "full on a small host": facts_with(
        used_memory_bytes=4 * GIB, used_memory_rss_bytes=4 * GIB, system_memory_bytes=5 * GIB
    ),
}
FILLING = Growth(28, 20_778, 3.0 * GIB, 50.0 * MIB, 40.0 * MIB, 60.0 * MIB)
MEMORY = {
    "filling": facts_with(trend={"growth": FILLING}),
    "filling on a small host": facts_with(
        trend={"growth": FILLING}, system_memory_bytes=5 * GIB, attested={"ram_bytes": 5 * GIB}
    ),
    "filling without a ceiling": facts_with(
        trend={"growth": FILLING}, maxmemory_bytes=0, attested={"ram_bytes": 4 * GIB}
    ),
    "near full": facts_with(used_memory_bytes=int(3.5 * GIB)),
    "near full on a small host": facts_with(
        used_memory_bytes=int(3.5 * GIB), system_memory_bytes=5 * GIB
    ),
    "RAM nearly used": facts_with(maxmemory_bytes=0, attested={"ram_bytes": 1200 * 1024**2}),
    "no maxmemory": facts_with(maxmemory_bytes=0),
    "volatile": facts_with(maxmemory_policy="volatile-lru"),
    "allkeys": facts_with(maxmemory_policy="allkeys-lru", evicted_keys=12),
    "allkeys, full": facts_with(
        maxmemory_policy="allkeys-lru",
        used_memory_bytes=int(3.9 * GIB),
        used_memory_rss_bytes=int(3.9 * GIB),
    ),
    "allkeys, full, on a small host": facts_with(
        maxmemory_policy="allkeys-lru",
        used_memory_bytes=int(3.9 * GIB),
        used_memory_rss_bytes=int(3.9 * GIB),
        system_memory_bytes=5 * GIB,
    ),
}
SAVING = {
    "no persistence": facts_with(save=(), aof_enabled=False),
    "AOF only": facts_with(save=(), aof_enabled=True),
    "default schedule": facts_with(save=((3600, 1), (300, 100), (60, 10_000))),
    "overdue": facts_with(rdb_last_save_time_s=int(NOW_S) - 1000),
    "long overdue": facts_with(rdb_last_save_time_s=int(NOW_S) - 10_000),
    "failed save, writes go on": facts_with(
        rdb_last_bgsave_status="err", stop_writes_on_bgsave_error=False
    ),
    "hung save": facts_with(rdb_bgsave_in_progress=True, rdb_current_bgsave_time_s=4000),
    "managed": facts_with(engine=Engine.UPSTASH, save=NO_CONFIG, aof_enabled=NO_CONFIG),
    "managed, not durable": facts_with(
        engine=Engine.ELASTICACHE, save=NO_CONFIG, attested={"managed_durability": False}
    ),
    "Dragonfly without snapshots": facts_with(
        engine=Engine.DRAGONFLY, save=NO_CONFIG, aof_enabled=NO_CONFIG, snapshot_cron=""
    ),
}
NETWORK = {
    "old": facts_with(compatibility_version="5.0.14"),
    "cluster": facts_with(cluster_enabled=True, mode="cluster", cluster_state="ok"),
    "keepalive off": facts_with(tcp_keepalive_s=0),
    "keepalive short": facts_with(tcp_keepalive_s=60),
    "keepalive long": facts_with(tcp_keepalive_s=7200),
    "far": facts_with(emailengine={"redis_ping_us": 1800.0}),
    "very far": facts_with(emailengine=NOT_CONFIGURED, round_trips={"median_us": 9000.0}),
    "stalling": facts_with(round_trips={"p95_us": 60_000.0}),
    "stalled": facts_with(round_trips={"p95_us": 600_000.0}),
}
EMAILENGINE = {
    "EmailEngine down": facts_with(
        emailengine={"health_status": Missing("refused", "connection refused")}, bull_clients=()
    ),
    "EmailEngine unreached": facts_with(
        emailengine={"health_status": Missing("timeout", "no answer within 10 s")}
    ),
    "EmailEngine in error": facts_with(emailengine={"health_status": 500}),
    "EmailEngine slow": facts_with(emailengine={"health_s": 2.0}),
    "EmailEngine very slow": facts_with(emailengine={"health_s": 9.0}),
    "dead workers": facts_with(bull_clients=(), blocked_clients=0),
    "dead submit worker": facts_with(bull_clients=(BullClient("bull:bm90aWZ5", "10.0.0.7", 8),)),
    "no licence": facts_with(bull_clients=(), emailengine={"license_days_remaining": 0}),
    "backlog": facts_with(
        emailengine={"queues": (Queue("submit", 1640, 2, 0, is_paused=True, oldest_waiting_s=900),)}
    ),
    "webhooks wait": facts_with(
        emailengine={
            "queues": (
                Queue("submit", 0, 0, 0, is_paused=False),
                Queue("notify", 120, 2, 0, is_paused=False, oldest_waiting_s=61.0),
            )
        }
    ),
    "Redis only": facts_with(emailengine=NOT_CONFIGURED),
}
BACKLOG = Queue("submit", 400, 2, 0, is_paused=False, oldest_waiting_s=200.0)
TWO = tuple(BullClient("bull:bm90aWZ5:qe", host, 8) for host in ("10.0.0.7", "10.0.0.8"))
TIME = {
    "credentials refused": facts_with(redis=Missing("auth", "WRONGPASS invalid password")),
    "many refused": facts_with(since={"auth_errors_hour_count": 31}),
    "refused, EmailEngine gone": facts_with(
        since={"auth_errors_hour_count": 31}, bull_clients=(), blocked_clients=0
    ),
    "other Redis": facts_with(emailengine={"redis_uptime_s": 5000}),
    "twin Redis": facts_with(emailengine={"redis_keys": {"8": 0}}),
    "failover": facts_with(since={"is_failed_over": True, "is_restarted": True}),
    "two instances": facts_with(bull_clients=TWO),
    "accounts gone": facts_with(
        since={"baseline_accounts_count": 10}, emailengine={"accounts": {"connected": 5}}
    ),
    "flushed": facts_with(keys_by_database={}, since={"baseline_keys_count": 38}),
}
CARE = {
    "faulty version": facts_with(emailengine={"version": "2.79.2"}),
    "licence ends": facts_with(emailengine={"license_days_remaining": 30}),
    "licence nearly over": facts_with(emailengine={"license_days_remaining": 7}),
    "thread unresponsive": facts_with(emailengine={"unresponsive_workers": 1}),
    "threads unresponsive": facts_with(emailengine={"unresponsive_workers": 4}),
    "accounts in error": facts_with(
        emailengine={"accounts": {"connected": 90, "authenticationError": 10}}
    ),
    "many accounts in error": facts_with(
        emailengine={"accounts": {"connected": 70, "connectError": 30}}
    ),
    "strange warning": facts_with(emailengine={"redis_warnings": (("disk-full", "warning"),)}),
    "strange red warning": facts_with(emailengine={"redis_warnings": (("disk-full", "danger"),)}),
    "warning only there": facts_with(emailengine={"redis_warnings": (("cluster", "danger"),)}),
    "paused": facts_with(
        emailengine={"queues": (Queue("submit", 12, 0, 1, is_paused=True),)},
        since={"paused_s": {"submit": 3601.0}},
    ),
    "slow pace": facts_with(
        emailengine={"queues": (BACKLOG,)},
        since={"submit_waiting_count": 300, "processed_rise": {"submit/completed": 400}},
    ),
    "very slow pace": facts_with(
        emailengine={"queues": (BACKLOG,)}, since={"submit_waiting_count": 300}
    ),
    "late": facts_with(deliveries=Deliveries((400.0,) * 20, (), 0, 3600.0)),
    "very late": facts_with(
        queues=(Queue("submit", 1, 0, 0, is_paused=False, oldest_waiting_s=1000.0),)
    ),
    "bounces": facts_with(since={"events_day": {"messageSent": 980, "messageBounce": 15}}),
    "many bounces": facts_with(since={"events_day": {"messageSent": 960, "messageBounce": 40}}),
    "webhooks fail": facts_with(emailengine={"webhooks_hour": {"success": 99, "fail": 1}}),
}
NO_REPLICAS = {"expected_replicas_count": NOT_CONFIGURED}
CAPACITY = {
    "no maxmemory on a small host": facts_with(
        maxmemory_bytes=0, used_memory_bytes=4 * GIB, system_memory_bytes=5 * GIB
    ),
    "many mailboxes": facts_with(fleet={"expected_mailboxes_count": 1500}),
    "too many mailboxes": facts_with(
        used_memory_bytes=3 * GIB,
        used_memory_rss_bytes=3 * GIB,
        fleet={"expected_mailboxes_count": 5000},
    ),
    "no room to save": facts_with(
        used_memory_rss_bytes=15 * GIB, trend={"largest_cow_bytes": 2 * GIB}
    ),
    "little room to save": facts_with(
        used_memory_rss_bytes=13 * GIB, trend={"largest_cow_bytes": 4 * GIB}
    ),
    "fragmented": facts_with(fragmentation_ratio=2.1),
    "evicted a little": facts_with(
        maxmemory_policy="volatile-lru", evicted_keys=40, since={"evicted_keys_rise": 7}
    ),
    "evicts": facts_with(
        maxmemory_policy="allkeys-lru", evicted_keys=40, since={"evicted_keys_rise": 7}
    ),
}
DISK = {
    "AOF always": facts_with(
        aof_enabled=True, appendfsync="always", attested={"disk_iops": 20_000}
    ),
    "AOF on a slow disk": facts_with(aof_enabled=True, attested={"disk_iops": 3000}),
    "AOF late": facts_with(
        aof_enabled=True,
        attested={"disk_iops": 20_000},
        since={"slow_fsync_looks": (True, True, True)},
    ),
    "AOF rewrite failed": facts_with(aof_enabled=True, aof_last_bgrewrite_status="err"),
    "spinning disk": facts_with(attested={"storage_medium": "HDD"}),
}
PROVIDER = {
    "undeclared keys refused": facts_with(engine=Engine.DRAGONFLY, allows_undeclared_keys=False),
    "small commands": facts_with(proto_max_bulk_len_bytes=1_000_000),
    "commands smaller than a message": facts_with(
        proto_max_bulk_len_bytes=16 * MIB, attested={"largest_message_bytes": 25 * MIB}
    ),
    "free plan": facts_with(engine=Engine.UPSTASH, attested={"plan": "Free"}),
}
EXPOSURE = {
    "public": facts_with(path="public"),
    "public and open": facts_with(path="public", is_tls=False, is_open=True),
    "open": facts_with(is_open=True),
    "no TLS": facts_with(is_tls=False),
    "default account": facts_with(account=Account("default", ("+@all",), ("~*",))),
    "full of clients": facts_with(connected_clients=9000),
    "rejects clients": facts_with(rejected_connections=9, since={"rejected_connections_rise": 3}),
    "small buffers": facts_with(client_output_buffer_limit="pubsub 1048576 1048576 60"),
    "cut off": facts_with(since={"output_buffer_disconnections_rise": 2}),
    "idle timeout": facts_with(timeout_s=300),
}
BESIDE = {
    "a replica is gone": facts_with(replicas=(), trend={"no_replica_s": 60.0}),
    "no replica for long": facts_with(replicas=(), trend={"no_replica_s": 900.0}),
    "a replica lags": facts_with(replicas=(Replica("10.0.0.9", 6379, "online", 90),)),
    "no replica wanted": facts_with(
        replicas=(), fleet=NO_REPLICAS, trend={"most_replicas_count": 0}
    ),
    "no quorum": facts_with(sentinels=Sentinels(3, 1, 1)),
    "other zone": facts_with(vantage={"redis_location": "eu/eu-b"}),
    "other region": facts_with(vantage={"redis_location": "us/us-a"}),
    "two databases": facts_with(keys_by_database={"0": 12, "8": 1200}),
    "same keys": facts_with(fleet={"neighbours": (Neighbour("mail-2", 8, ""),)}),
}
USED_UP = Missing("misconf", "ERR max requests limit exceeded. Limit: 500000, Usage: 500000")
# All that a server tells when it is asked.
READ = [
    one.name for one in fields(RedisFacts) if isinstance(one.default, Missing) or one.name == "ping"
]
CONTRARY = {
    "far less RAM than attested": facts_with(attested={"ram_bytes": 64 * GIB}),
    "no zone is that wide": facts_with(
        since={"recent_rtt_us": (9000.0,) * 5, "rtt_vantage": "EmailEngine"}
    ),
    "not so durable": facts_with(
        engine=Engine.ELASTICACHE,
        save=NO_CONFIG,
        attested={"managed_durability": True},
        keys_by_database={},
        since={"is_restarted": True},
    ),
    "quota used up": facts_with(engine=Engine.UPSTASH, **dict.fromkeys(READ, USED_UP)),
}
NO_GOOD = Missing("undetermined", "no copy is good")
OLD = replace(COPY, age_s=4 * 86_400.0)
COPIES = {
    "no source": facts_with(backup={"sources": ()}),
    "attested none": facts_with(backup={"sources": ()}, attested={"managed_snapshot_hours": 0}),
    "attested snapshots": facts_with(
        backup={"sources": ()}, attested={"managed_snapshot_hours": 24}
    ),
    "attested rare": facts_with(backup={"sources": ()}, attested={"managed_snapshot_hours": 168}),
    "backup late": facts_with(
        backup={"sources": (source_with(good=replace(COPY, age_s=100_000.0)),)}
    ),
    "backup very late": facts_with(backup={"sources": (source_with(newest=OLD, good=OLD),)}),
    **{
        f"newest copy {state}": facts_with(backup={"sources": (source_with(state),)})
        for state in ("truncated", "corrupt", "empty", "unchecked", "reported", "unreadable")
    },
    "nothing good": facts_with(backup={"sources": (source_with("corrupt", good=NO_GOOD),)}),
    "nothing copied": facts_with(
        backup={"sources": (source_with(newest=NO_GOOD, good=NO_GOOD, trouble="bucket gone"),)}
    ),
    "half the size": facts_with(backup={"sources": (source_with(earlier_bytes=(GIB,) * 3),)}),
    "never restored": facts_with(backup={"restore": Missing("no_history", "no drill yet")}),
    "restored long ago": facts_with(
        backup={"restore": Restore(is_passed=True, age_s=40 * 86_400.0, text="restored")}
    ),
    "restore failed": facts_with(
        backup={"restore": Restore(is_passed=False, age_s=3600.0, text="keys are missing")}
    ),
    "secret lost": facts_with(attested={"secret_kept": False}),
}
SITUATIONS: Mapping[str, PairFacts] = {
    **CONTRARY,
    **REACHING,
    **MAKES,
    **WRITES,
    **MEMORY,
    **SAVING,
    **NETWORK,
    **EMAILENGINE,
    **CAPACITY,
    **DISK,
    **PROVIDER,
    **EXPOSURE,
    **BESIDE,
    **TIME,
    **CARE,
    **COPIES,
}

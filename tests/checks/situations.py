"""What can be wrong with a pair, one thing at a time: every cause of every rule occurs here."""

from collections.abc import Mapping

from checks.facts import NOT_CONFIGURED, BullClient, Engine, Missing, PairFacts, Queue
from tests.checks.pairs import GIB, NOW_S, facts_with

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
MEMORY = {
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
SITUATIONS: Mapping[str, PairFacts] = {
    **REACHING,
    **MAKES,
    **WRITES,
    **MEMORY,
    **SAVING,
    **NETWORK,
    **EMAILENGINE,
}

"""What in Redis explains that EmailEngine refuses a token? Signs in its facts, pure."""

from checks.facts import Missing, RedisFacts


def blocked_writes(redis: RedisFacts | Missing) -> str:
    """Say what makes Redis refuse writes, as far as its facts show; "" where nothing does."""
    if isinstance(redis, Missing):
        return ""
    may_not_save = redis.stop_writes_on_bgsave_error is not False  # hidden counts as the default
    signs = (
        (
            redis.role == "slave" and redis.replica_read_only is not False,
            "is a read-only replica (READONLY)",
        ),
        (_is_full(redis), "is full (OOM)"),
        (
            isinstance(redis.ping, Missing) and redis.ping.reason == "misconf",
            "refuses writes (MISCONF)",
        ),
        (
            redis.rdb_last_bgsave_status == "err" and may_not_save,
            "cannot save its RDB snapshot (MISCONF)",
        ),
        (
            redis.aof_enabled is True and redis.aof_last_write_status == "err",
            "cannot write its AOF (MISCONF)",
        ),
    )
    return next((text for is_so, text in signs if is_so), "")


def lost_data(redis: RedisFacts | Missing) -> str:
    """Say what shows that Redis lost keys; "" where nothing does."""
    if isinstance(redis, Missing):
        return ""
    keys = redis.keys_by_database
    if not isinstance(keys, Missing) and not keys.get(str(redis.database)):
        return f"database {redis.database} of Redis is empty"
    if isinstance(redis.evicted_keys, int) and redis.evicted_keys > 0:
        return f"Redis has evicted {redis.evicted_keys} keys"
    return ""


def _is_full(redis: RedisFacts) -> bool:
    """Tell whether Redis is at its limit, where no policy may make room."""
    used, limit = redis.used_memory_bytes, redis.maxmemory_bytes
    if isinstance(used, Missing) or isinstance(limit, Missing) or limit <= 0:
        return False
    uncounted = redis.not_counted_for_evict_bytes
    counted = used - (0 if isinstance(uncounted, Missing) else uncounted)
    return counted >= limit and not str(redis.maxmemory_policy).startswith("allkeys")

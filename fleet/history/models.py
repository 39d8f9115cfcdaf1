"""Numbers over time: one wide row per visit, in daily partitions."""

from __future__ import annotations

from django.db import models


class Visit(models.Model):
    """What one visit read. The table is partitioned by day and written by COPY only.

    No foreign key and no surrogate id: a row is found by (target, at). NULL = not read.
    `outcome` is 0 answered, 1 Redis did not answer, 2 the probe was blind.
    """

    pk = models.CompositePrimaryKey("target_id", "at")
    target_id = models.BigIntegerField()
    at = models.DateTimeField()
    used_memory_bytes = models.BigIntegerField(null=True)
    used_memory_rss_bytes = models.BigIntegerField(null=True)
    maxmemory_bytes = models.BigIntegerField(null=True)
    total_commands_processed = models.BigIntegerField(null=True)
    rdb_changes_since_last_save = models.BigIntegerField(null=True)
    evicted_keys = models.BigIntegerField(null=True)
    keys_count = models.BigIntegerField(null=True)
    rtt_min_us = models.IntegerField(null=True)
    rtt_median_us = models.IntegerField(null=True)
    rtt_p95_us = models.IntegerField(null=True)
    rtt_max_us = models.IntegerField(null=True)
    network_us = models.IntegerField(null=True)
    probe_lag_us = models.IntegerField(null=True)
    emailengine_rtt_us = models.IntegerField(null=True)
    api_response_us = models.IntegerField(null=True)
    uptime_s = models.IntegerField(null=True)
    last_save_age_s = models.IntegerField(null=True)
    connected_clients = models.IntegerField(null=True)
    blocked_clients = models.IntegerField(null=True)
    rejected_connections = models.IntegerField(null=True)
    submit_waiting_count = models.IntegerField(null=True)
    notify_waiting_count = models.IntegerField(null=True)
    submit_delayed_count = models.IntegerField(null=True)
    accounts_count = models.IntegerField(null=True)
    accounts_in_error_count = models.IntegerField(null=True)
    replicas_count = models.SmallIntegerField(null=True)
    fails_count = models.SmallIntegerField()
    unknowns_count = models.SmallIntegerField()
    outcome = models.SmallIntegerField()
    fragmentation_ratio = models.FloatField(null=True)

    class Meta:
        managed = True
        db_table = "history_visit"

    def __str__(self) -> str:
        return f"{self.target_id} at {self.at:%Y-%m-%d %H:%M:%S}"

"""Numbers over time: a wide row per visit, per hour and per day, and what complied on each day."""

from __future__ import annotations

from django.db import models

from fleet.registry.models import Tenant, Zone


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
    processed_per_minute = models.IntegerField(null=True)  # submit jobs, since stats were read last
    replicas_count = models.SmallIntegerField(null=True)
    fails_count = models.SmallIntegerField()
    unknowns_count = models.SmallIntegerField()
    outcome = models.SmallIntegerField()
    fragmentation_ratio = models.FloatField(null=True)
    bounce_ratio = models.FloatField(null=True)  # of the last day's messages

    class Meta:
        managed = True
        db_table = "history_visit"

    def __str__(self) -> str:
        return f"{self.target_id} at {self.at:%Y-%m-%d %H:%M:%S}"


class Rollup(models.Model):
    """What the visits of one period read, together; written once it is over, and again with its day (UTC).

    Plain names hold the mean of the visits, `_min_`, `_max_` their extremes. Counters of the server
    (`evicted_keys`, `rejected_connections`, `total_commands_processed`) hold their highest value: a
    smaller one in the next period tells of a restart. NULL = not read in any visit.
    """

    target_id = models.BigIntegerField()
    at = models.DateTimeField()  # when the period began
    visits_count = models.SmallIntegerField()
    silent_count = models.SmallIntegerField()
    blind_count = models.SmallIntegerField()
    rtt_min_us = models.IntegerField(null=True)
    rtt_median_us = models.IntegerField(null=True)
    rtt_max_us = models.IntegerField(null=True)
    emailengine_rtt_us = models.IntegerField(null=True)
    emailengine_rtt_max_us = models.IntegerField(null=True)
    api_response_us = models.IntegerField(null=True)
    api_response_max_us = models.IntegerField(null=True)
    used_memory_bytes = models.BigIntegerField(null=True)
    used_memory_min_bytes = models.BigIntegerField(null=True)
    used_memory_max_bytes = models.BigIntegerField(null=True)
    used_memory_rss_max_bytes = models.BigIntegerField(null=True)
    maxmemory_bytes = models.BigIntegerField(null=True)
    fragmentation_ratio = models.FloatField(null=True)
    fragmentation_max_ratio = models.FloatField(null=True)
    last_save_age_max_s = models.IntegerField(null=True)
    rdb_changes_since_last_save = models.BigIntegerField(null=True)  # the most
    evicted_keys = models.BigIntegerField(null=True)
    rejected_connections = models.BigIntegerField(null=True)
    total_commands_processed = models.BigIntegerField(null=True)
    keys_count = models.BigIntegerField(null=True)
    connected_clients = models.IntegerField(null=True)
    connected_clients_max = models.IntegerField(null=True)
    submit_waiting_count = models.IntegerField(null=True)
    submit_waiting_max_count = models.IntegerField(null=True)
    notify_waiting_count = models.IntegerField(null=True)
    notify_waiting_max_count = models.IntegerField(null=True)
    submit_delayed_max_count = models.IntegerField(null=True)
    accounts_count = models.IntegerField(null=True)
    accounts_in_error_max_count = models.IntegerField(null=True)
    fails_max_count = models.SmallIntegerField()
    processed_per_minute = models.IntegerField(null=True)
    processed_per_minute_max = models.IntegerField(null=True)
    bounce_ratio = models.FloatField(null=True)
    bounce_max_ratio = models.FloatField(null=True)

    class Meta:
        abstract = True


class VisitHour(Rollup):
    """The visits of one hour, in monthly partitions."""

    pk = models.CompositePrimaryKey("target_id", "at")

    class Meta:
        db_table = "history_visithour"

    def __str__(self) -> str:
        return f"{self.target_id} in {self.at:%Y-%m-%d %H}:00"


class VisitDay(Rollup):
    """The visits of one day (UTC), in monthly partitions; a mean is that of its hours, by visits."""

    pk = models.CompositePrimaryKey("target_id", "at")

    class Meta:
        db_table = "history_visitday"

    def __str__(self) -> str:
        return f"{self.target_id} on {self.at:%Y-%m-%d}"


class RolledDay(models.Model):
    """A day (UTC) whose hours and days are written; its raw visits may go."""

    day = models.DateField(primary_key=True)
    rolled_at = models.DateTimeField()
    visits_count = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.day}"


class RolledHour(models.Model):
    """An hour whose rows are written, though its day is not over: charts need not read it raw.

    None before it is missing back to the newest RolledDay; the marks go when their day is rolled up.
    """

    at = models.DateTimeField(primary_key=True)  # when the hour began
    rolled_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H}:00"


class MemoryGrowth(models.Model):
    """The line through one target's daily highest used_memory: checks.growth.Growth in columns."""

    target_id = models.BigIntegerField(primary_key=True)
    made_of = models.DateField()  # the newest day that was rolled up when it was drawn
    days_count = models.SmallIntegerField()
    last_day = models.IntegerField()  # counted from 1970
    level_bytes = models.FloatField()
    slope_bytes = models.FloatField()  # a day
    low_bytes = models.FloatField()
    high_bytes = models.FloatField()

    def __str__(self) -> str:
        return f"{self.target_id}: {self.slope_bytes:+.0f} B a day"


class MailboxUse(models.Model):
    """How much memory one target's mailboxes take together, on the newest day that was rolled up."""

    target_id = models.BigIntegerField(primary_key=True)
    made_of = models.DateField()
    mailboxes_count = models.IntegerField()  # the most of the day
    used_memory_bytes = models.BigIntegerField()  # the day's mean

    def __str__(self) -> str:
        return f"{self.target_id}: {self.used_memory_bytes} B for {self.mailboxes_count}"


class FleetHour(models.Model):
    """The fleet in one closed hour, by zone and engine: what the fleet's charts read."""

    at = models.DateTimeField()  # when the hour began
    zone = models.ForeignKey(Zone, on_delete=models.CASCADE, related_name="+")
    engine = models.CharField(max_length=20, blank=True)
    pairs_count = models.IntegerField()
    visits_count = models.IntegerField()
    silent_count = models.IntegerField()
    rtt_median_us = models.IntegerField(null=True)  # of the visits' medians
    rtt_p95_us = models.IntegerField(null=True)
    rtt_max_us = models.IntegerField(null=True)
    used_ratio_median = models.FloatField(null=True)  # of maxmemory, where it is set
    used_ratio_p95 = models.FloatField(null=True)
    last_save_age_p95_s = models.IntegerField(null=True)
    # {subject of the rules: [open critical, open warning]} at the end of the hour
    open_findings = models.JSONField(default=dict)

    class Meta:
        constraints = [
            # Also the index that the charts read by.
            models.UniqueConstraint(fields=["at", "zone", "engine"], name="fleet_hour_once")
        ]

    def __str__(self) -> str:
        return f"{self.zone_id} {self.engine} in {self.at:%Y-%m-%d %H}:00"


class LampMove(models.Model):
    """How a target's lamps stood from an instant on: the record of every change, kept as findings are.

    A trigger on inspections_pairstate writes it, so that none of those who light lamps can forget.
    """

    pk = models.CompositePrimaryKey("target_id", "at")
    target_id = models.BigIntegerField()
    at = models.DateTimeField()
    compliance = models.CharField(max_length=14)
    health = models.CharField(max_length=10)

    def __str__(self) -> str:
        return f"{self.target_id} from {self.at:%Y-%m-%d %H:%M:%S}: {self.compliance}/{self.health}"


class ComplianceDay(models.Model):
    """How one target stood at the end of a day (UTC), in monthly partitions."""

    pk = models.CompositePrimaryKey("target_id", "day")
    target_id = models.BigIntegerField()
    day = models.DateField()
    compliance = models.CharField(max_length=14)
    raw_compliance = models.CharField(max_length=14)  # as if nothing were waived
    health = models.CharField(max_length=10)
    critical_count = models.SmallIntegerField()
    warning_count = models.SmallIntegerField()
    waived_count = models.SmallIntegerField()
    conclusive_count = models.SmallIntegerField()
    applicable_count = models.SmallIntegerField()

    class Meta:
        db_table = "history_complianceday"

    def __str__(self) -> str:
        return f"{self.target_id} on {self.day}: {self.compliance}"


class ScoreDay(models.Model):
    """How many pairs of a tenant complied at the end of a day (UTC); without a tenant: of the fleet."""

    day = models.DateField()
    tenant = models.ForeignKey(Tenant, on_delete=models.CASCADE, null=True, related_name="+")
    pairs_count = models.IntegerField()
    compliant_count = models.IntegerField()
    at_risk_count = models.IntegerField()
    non_compliant_count = models.IntegerField()
    unverified_count = models.IntegerField()
    raw_compliant_count = models.IntegerField()  # as if nothing were waived
    conclusive_count = models.BigIntegerField()
    applicable_count = models.BigIntegerField()
    # {rule id: [critical, warning, waived]} of what was open; NULL: not told for this day
    open_findings = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["tenant", "day"], name="score_day_once", nulls_distinct=False
            )
        ]

    def __str__(self) -> str:
        return f"{self.tenant_id or 'fleet'} on {self.day}"

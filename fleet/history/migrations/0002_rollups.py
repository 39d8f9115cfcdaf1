"""Rollups: an hour and a day of one target a row, and what complied, in monthly partitions.

Their partitions are made and dropped by fleet/history/partitions.py.
"""

import django.db.models.deletion
from django.db import migrations, models

COLUMNS = """
    target_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    visits_count smallint NOT NULL,
    silent_count smallint NOT NULL,
    blind_count smallint NOT NULL,
    rtt_min_us integer,
    rtt_median_us integer,
    rtt_max_us integer,
    emailengine_rtt_us integer,
    emailengine_rtt_max_us integer,
    api_response_us integer,
    api_response_max_us integer,
    used_memory_bytes bigint,
    used_memory_min_bytes bigint,
    used_memory_max_bytes bigint,
    used_memory_rss_max_bytes bigint,
    maxmemory_bytes bigint,
    fragmentation_ratio real,
    fragmentation_max_ratio real,
    last_save_age_max_s integer,
    rdb_changes_since_last_save bigint,
    evicted_keys bigint,
    rejected_connections bigint,
    total_commands_processed bigint,
    keys_count bigint,
    connected_clients integer,
    connected_clients_max integer,
    submit_waiting_count integer,
    submit_waiting_max_count integer,
    notify_waiting_count integer,
    notify_waiting_max_count integer,
    submit_delayed_max_count integer,
    accounts_count integer,
    accounts_in_error_max_count integer,
    fails_max_count smallint NOT NULL,
    PRIMARY KEY (target_id, at)
"""
COMPLIANCE = """
CREATE TABLE history_complianceday (
    target_id bigint NOT NULL,
    day date NOT NULL,
    compliance varchar(14) NOT NULL,
    raw_compliance varchar(14) NOT NULL,
    health varchar(10) NOT NULL,
    critical_count smallint NOT NULL,
    warning_count smallint NOT NULL,
    waived_count smallint NOT NULL,
    conclusive_count smallint NOT NULL,
    applicable_count smallint NOT NULL,
    PRIMARY KEY (target_id, day)
) PARTITION BY RANGE (day)
"""


def rolled(name: str) -> migrations.RunSQL:
    """Make a table of rollups."""
    return migrations.RunSQL(
        f"CREATE TABLE {name} ({COLUMNS}) PARTITION BY RANGE (at)", f"DROP TABLE {name}"
    )


class Migration(migrations.Migration):
    dependencies = [
        ("history", "0001_initial"),
        ("registry", "0006_rollups"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                rolled("history_visithour"),
                rolled("history_visitday"),
                migrations.RunSQL(COMPLIANCE, "DROP TABLE history_complianceday"),
                # The hour of the whole fleet, out of a day: the rows lie in the order of time.
                migrations.RunSQL(
                    "CREATE INDEX history_visit_at ON history_visit USING brin (at)",
                    "DROP INDEX history_visit_at",
                ),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="VisitHour",
                    fields=[
                        ("target_id", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                        ("visits_count", models.SmallIntegerField()),
                        ("silent_count", models.SmallIntegerField()),
                        ("blind_count", models.SmallIntegerField()),
                        ("rtt_min_us", models.IntegerField(null=True)),
                        ("rtt_median_us", models.IntegerField(null=True)),
                        ("rtt_max_us", models.IntegerField(null=True)),
                        ("emailengine_rtt_us", models.IntegerField(null=True)),
                        ("emailengine_rtt_max_us", models.IntegerField(null=True)),
                        ("api_response_us", models.IntegerField(null=True)),
                        ("api_response_max_us", models.IntegerField(null=True)),
                        ("used_memory_bytes", models.BigIntegerField(null=True)),
                        ("used_memory_min_bytes", models.BigIntegerField(null=True)),
                        ("used_memory_max_bytes", models.BigIntegerField(null=True)),
                        ("used_memory_rss_max_bytes", models.BigIntegerField(null=True)),
                        ("maxmemory_bytes", models.BigIntegerField(null=True)),
                        ("fragmentation_ratio", models.FloatField(null=True)),
                        ("fragmentation_max_ratio", models.FloatField(null=True)),
                        ("last_save_age_max_s", models.IntegerField(null=True)),
                        ("rdb_changes_since_last_save", models.BigIntegerField(null=True)),
                        ("evicted_keys", models.BigIntegerField(null=True)),
                        ("rejected_connections", models.BigIntegerField(null=True)),
                        ("total_commands_processed", models.BigIntegerField(null=True)),
                        ("keys_count", models.BigIntegerField(null=True)),
                        ("connected_clients", models.IntegerField(null=True)),
                        ("connected_clients_max", models.IntegerField(null=True)),
                        ("submit_waiting_count", models.IntegerField(null=True)),
                        ("submit_waiting_max_count", models.IntegerField(null=True)),
                        ("notify_waiting_count", models.IntegerField(null=True)),
                        ("notify_waiting_max_count", models.IntegerField(null=True)),
                        ("submit_delayed_max_count", models.IntegerField(null=True)),
                        ("accounts_count", models.IntegerField(null=True)),
                        ("accounts_in_error_max_count", models.IntegerField(null=True)),
                        ("fails_max_count", models.SmallIntegerField()),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "target_id",
                                "at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                    ],
                    options={
                        "db_table": "history_visithour",
                    },
                ),
                migrations.CreateModel(
                    name="VisitDay",
                    fields=[
                        ("target_id", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                        ("visits_count", models.SmallIntegerField()),
                        ("silent_count", models.SmallIntegerField()),
                        ("blind_count", models.SmallIntegerField()),
                        ("rtt_min_us", models.IntegerField(null=True)),
                        ("rtt_median_us", models.IntegerField(null=True)),
                        ("rtt_max_us", models.IntegerField(null=True)),
                        ("emailengine_rtt_us", models.IntegerField(null=True)),
                        ("emailengine_rtt_max_us", models.IntegerField(null=True)),
                        ("api_response_us", models.IntegerField(null=True)),
                        ("api_response_max_us", models.IntegerField(null=True)),
                        ("used_memory_bytes", models.BigIntegerField(null=True)),
                        ("used_memory_min_bytes", models.BigIntegerField(null=True)),
                        ("used_memory_max_bytes", models.BigIntegerField(null=True)),
                        ("used_memory_rss_max_bytes", models.BigIntegerField(null=True)),
                        ("maxmemory_bytes", models.BigIntegerField(null=True)),
                        ("fragmentation_ratio", models.FloatField(null=True)),
                        ("fragmentation_max_ratio", models.FloatField(null=True)),
                        ("last_save_age_max_s", models.IntegerField(null=True)),
                        ("rdb_changes_since_last_save", models.BigIntegerField(null=True)),
                        ("evicted_keys", models.BigIntegerField(null=True)),
                        ("rejected_connections", models.BigIntegerField(null=True)),
                        ("total_commands_processed", models.BigIntegerField(null=True)),
                        ("keys_count", models.BigIntegerField(null=True)),
                        ("connected_clients", models.IntegerField(null=True)),
                        ("connected_clients_max", models.IntegerField(null=True)),
                        ("submit_waiting_count", models.IntegerField(null=True)),
                        ("submit_waiting_max_count", models.IntegerField(null=True)),
                        ("notify_waiting_count", models.IntegerField(null=True)),
                        ("notify_waiting_max_count", models.IntegerField(null=True)),
                        ("submit_delayed_max_count", models.IntegerField(null=True)),
                        ("accounts_count", models.IntegerField(null=True)),
                        ("accounts_in_error_max_count", models.IntegerField(null=True)),
                        ("fails_max_count", models.SmallIntegerField()),
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "target_id",
                                "at",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                    ],
                    options={
                        "db_table": "history_visitday",
                    },
                ),
                migrations.CreateModel(
                    name="ComplianceDay",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "target_id",
                                "day",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("target_id", models.BigIntegerField()),
                        ("day", models.DateField()),
                        ("compliance", models.CharField(max_length=14)),
                        ("raw_compliance", models.CharField(max_length=14)),
                        ("health", models.CharField(max_length=10)),
                        ("critical_count", models.SmallIntegerField()),
                        ("warning_count", models.SmallIntegerField()),
                        ("waived_count", models.SmallIntegerField()),
                        ("conclusive_count", models.SmallIntegerField()),
                        ("applicable_count", models.SmallIntegerField()),
                    ],
                    options={
                        "db_table": "history_complianceday",
                    },
                ),
            ],
        ),
        migrations.CreateModel(
            name="RolledDay",
            fields=[
                ("day", models.DateField(primary_key=True, serialize=False)),
                ("rolled_at", models.DateTimeField()),
                ("visits_count", models.BigIntegerField()),
            ],
        ),
        migrations.CreateModel(
            name="FleetHour",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("at", models.DateTimeField()),
                ("engine", models.CharField(blank=True, max_length=20)),
                ("pairs_count", models.IntegerField()),
                ("visits_count", models.IntegerField()),
                ("silent_count", models.IntegerField()),
                ("rtt_median_us", models.IntegerField(null=True)),
                ("rtt_p95_us", models.IntegerField(null=True)),
                ("rtt_max_us", models.IntegerField(null=True)),
                ("used_ratio_median", models.FloatField(null=True)),
                ("used_ratio_p95", models.FloatField(null=True)),
                ("last_save_age_p95_s", models.IntegerField(null=True)),
                ("open_findings", models.JSONField(default=dict)),
                (
                    "zone",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.zone",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(fields=("at", "zone", "engine"), name="fleet_hour_once")
                ],
            },
        ),
        migrations.CreateModel(
            name="ScoreDay",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("day", models.DateField()),
                ("pairs_count", models.IntegerField()),
                ("compliant_count", models.IntegerField()),
                ("at_risk_count", models.IntegerField()),
                ("non_compliant_count", models.IntegerField()),
                ("unverified_count", models.IntegerField()),
                ("raw_compliant_count", models.IntegerField()),
                ("conclusive_count", models.BigIntegerField()),
                ("applicable_count", models.BigIntegerField()),
                (
                    "tenant",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="registry.tenant",
                    ),
                ),
            ],
            options={
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "day"), name="score_day_once", nulls_distinct=False
                    )
                ],
            },
        ),
    ]

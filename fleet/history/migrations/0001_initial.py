"""The visit table: partitioned by day in the database, a plain managed model to Django.

Its partitions are made and dropped by fleet/history/partitions.py.
"""

from django.db import migrations, models

CREATE = """
CREATE TABLE history_visit (
    target_id bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    used_memory_bytes bigint,
    used_memory_rss_bytes bigint,
    maxmemory_bytes bigint,
    total_commands_processed bigint,
    rdb_changes_since_last_save bigint,
    evicted_keys bigint,
    keys_count bigint,
    rtt_min_us integer,
    rtt_median_us integer,
    rtt_p95_us integer,
    rtt_max_us integer,
    network_us integer,
    probe_lag_us integer,
    emailengine_rtt_us integer,
    api_response_us integer,
    uptime_s integer,
    last_save_age_s integer,
    connected_clients integer,
    blocked_clients integer,
    rejected_connections integer,
    submit_waiting_count integer,
    notify_waiting_count integer,
    submit_delayed_count integer,
    accounts_count integer,
    accounts_in_error_count integer,
    replicas_count smallint,
    fails_count smallint NOT NULL,
    unknowns_count smallint NOT NULL,
    outcome smallint NOT NULL,
    fragmentation_ratio real,
    PRIMARY KEY (target_id, at)
) PARTITION BY RANGE (at)
"""


class Migration(migrations.Migration):
    initial = True

    dependencies = []

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[migrations.RunSQL(CREATE, "DROP TABLE history_visit")],
            state_operations=[
                migrations.CreateModel(
                    name="Visit",
                    fields=[
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
                        ("target_id", models.BigIntegerField()),
                        ("at", models.DateTimeField()),
                        ("used_memory_bytes", models.BigIntegerField(null=True)),
                        ("used_memory_rss_bytes", models.BigIntegerField(null=True)),
                        ("maxmemory_bytes", models.BigIntegerField(null=True)),
                        ("total_commands_processed", models.BigIntegerField(null=True)),
                        ("rdb_changes_since_last_save", models.BigIntegerField(null=True)),
                        ("evicted_keys", models.BigIntegerField(null=True)),
                        ("keys_count", models.BigIntegerField(null=True)),
                        ("rtt_min_us", models.IntegerField(null=True)),
                        ("rtt_median_us", models.IntegerField(null=True)),
                        ("rtt_p95_us", models.IntegerField(null=True)),
                        ("rtt_max_us", models.IntegerField(null=True)),
                        ("network_us", models.IntegerField(null=True)),
                        ("probe_lag_us", models.IntegerField(null=True)),
                        ("emailengine_rtt_us", models.IntegerField(null=True)),
                        ("api_response_us", models.IntegerField(null=True)),
                        ("uptime_s", models.IntegerField(null=True)),
                        ("last_save_age_s", models.IntegerField(null=True)),
                        ("connected_clients", models.IntegerField(null=True)),
                        ("blocked_clients", models.IntegerField(null=True)),
                        ("rejected_connections", models.IntegerField(null=True)),
                        ("submit_waiting_count", models.IntegerField(null=True)),
                        ("notify_waiting_count", models.IntegerField(null=True)),
                        ("submit_delayed_count", models.IntegerField(null=True)),
                        ("accounts_count", models.IntegerField(null=True)),
                        ("accounts_in_error_count", models.IntegerField(null=True)),
                        ("replicas_count", models.SmallIntegerField(null=True)),
                        ("fails_count", models.SmallIntegerField()),
                        ("unknowns_count", models.SmallIntegerField()),
                        ("outcome", models.SmallIntegerField()),
                        ("fragmentation_ratio", models.FloatField(null=True)),
                    ],
                    options={
                        "db_table": "history_visit",
                        "managed": True,
                    },
                ),
            ],
        ),
    ]

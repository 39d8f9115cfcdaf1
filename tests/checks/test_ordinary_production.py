"""Ordinary production, case by case: no red that is not deserved, no green that is not proven."""

from dataclasses import dataclass, field

import pytest

from checks.catalog import BY_ID
from checks.evaluate import evaluate, lamps, tally
from checks.facts import NOT_CONFIGURED, BullClient, Engine, Missing, PairFacts, Queue
from checks.rule import Cadence, Outcome
from tests.checks.pairs import ATTESTED, GIB, MIB, NOW_S, facts_with

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
KNOWN = {"ram_bytes": 16 * GIB, "storage_medium": "NVMe", "largest_message_bytes": 25 * MIB}


@dataclass
class Case:
    """A pair as it is met in production, and all that its verdicts may say beside pass."""

    facts: PairFacts
    lamps: tuple[str, str] = ("compliant", "healthy")
    fails: dict[str, str] = field(default_factory=dict)
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
    # --- No false green
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
        [(BY_ID[rule_id].kind, verdicts[rule_id].severity) for rule_id in fails],
        [BY_ID[rule_id].kind for rule_id in counted.core_unknown],
    )

    assert fails == case.fails
    assert set(counted.unknowns) == case.unknown
    assert shown == case.lamps

"""What could not be read is never a pass: whatever is hidden, no rule says more than it knows."""

from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from checks.catalog import RULES
from checks.facts import (
    NOT_READ,
    Attested,
    BackupFacts,
    EmailEngineFacts,
    FleetFacts,
    Missing,
    PairFacts,
    RedisFacts,
    Since,
    Trend,
    Vantage,
)
from checks.rule import Outcome
from tests.checks.pairs import HEALTHY
from tests.checks.situations import SITUATIONS

PARTS = {
    "redis": RedisFacts,
    "emailengine": EmailEngineFacts,
    "since": Since,
    "trend": Trend,
    "fleet": FleetFacts,
    "attested": Attested,
    "vantage": Vantage,
    "backup": BackupFacts,
}
# What every visit has: where it went and from where, and what the last ones left behind.
THERE = {
    "redis": {"host", "port", "database", "is_tls", "path", "engine", "edition"},
    "emailengine": {"url", "key_prefix"},
    "since": {"recent_rtt_us", "recent_stall_us", "rtt_vantage", "slow_fsync_looks"},
    "trend": set(),
    "fleet": {
        "neighbours",
        "unnamed_neighbours_count",
        "database",
        "key_prefix",
        "other_rss_bytes",
    },
    "attested": set(),
    "vantage": {"zone", "worker"},
    "backup": {"registered_s", "sources", "restore_trouble"},
}
FACTS = [
    (part, field.name)
    for part, kind in PARTS.items()
    for field in fields(kind)
    if field.name not in THERE[part]
]
REASONS = [Missing("no_permission", "it is hidden"), NOT_READ]
_IN_REDIS = "the queues' own keys in Redis tell it too, and the evidence says so"
_AGAINST = "it speaks against what people vouch for, which counts where it cannot be read"
_ONE_READING = "INFO tells it with what the rule then judges: never the one without the other"
# Where a pass without the fact is right, although the fact would have said more.
ARGUED = {
    ("redis.accepts-writes", "redis.min_replicas_good"): "INFO has it only where a least is set",
    ("redis.memory-headroom", "redis.used_memory_rss_bytes"): "a second view beside maxmemory's",
    ("redis.memory-headroom", "redis.system_memory_bytes"): "a second view beside maxmemory's",
    (
        "redis.memory-headroom",
        "attested.ram_bytes",
    ): "it was wrong, and without it maxmemory decides",
    ("redis.snapshot-headroom", "redis.system_memory_bytes"): _AGAINST,
    ("redis.memory-provisioning", "fleet.expected_mailboxes_count"): "accounts are counted too",
    ("redis.durability", "redis.keys_by_database"): _AGAINST,
    ("redis.durability", "since.baseline_keys_count"): _AGAINST,
    ("redis.durability", "since.is_restarted"): _AGAINST,
    ("redis.rdb-fresh", "redis.is_loading"): _ONE_READING,
    ("redis.standalone", "redis.mode"): "a Sentinel tells no cluster_enabled, which passed here",
    ("pair.rtt", "emailengine.redis_ping_us"): "our figure counts from where EmailEngine stands",
    ("pair.same-redis", "since.is_failed_over"): "it would only be noted, not scored",
    ("pair.data-intact", "redis.is_loading"): _ONE_READING,
    ("pair.data-intact", "emailengine.accounts"): "keys are judged alone, and the evidence says so",
    (
        "pair.data-intact",
        "since.baseline_accounts_count",
    ): "keys are judged alone until there is one",
    ("emailengine.queue-size", "emailengine.queues"): _IN_REDIS,
    ("emailengine.queue-paused", "emailengine.queues"): _IN_REDIS,
    ("emailengine.processing-rate", "emailengine.queues"): _IN_REDIS,
    ("emailengine.webhooks", "emailengine.webhooks_hour"): "our own count of an hour stands in",
}
ALL = {"healthy": HEALTHY, **SITUATIONS}
NOTHING_WRONG = {Outcome.PASS, Outcome.NOT_APPLICABLE}


def hide(facts: PairFacts, hidden, missing):
    """Hide these facts; a part that is missing stays so."""
    changed = {}
    for part in PARTS:
        names = [name for where, name in hidden if where == part]
        whole = getattr(facts, part)
        if names and not isinstance(whole, Missing):
            changed[part] = replace(whole, **dict.fromkeys(names, missing))
    return replace(facts, **changed)


@given(
    st.sampled_from(sorted(ALL)),
    st.sets(st.sampled_from(FACTS), min_size=1),
    st.sampled_from(REASONS),
)
def test_a_pass_with_less_is_a_pass_with_all(name, hidden, missing):
    whole, less = ALL[name], hide(ALL[name], hidden, missing)
    for rule in RULES:
        judged = rule.judge(less)
        if judged.outcome is Outcome.PASS and rule.judge(whole).outcome not in NOTHING_WRONG:
            assert any((rule.id, f"{part}.{field}") in ARGUED for part, field in hidden), rule.id


def test_one_hidden_fact_at_a_time():
    said_too_much = {
        (rule.id, f"{part}.{field}"): name
        for name, facts in ALL.items()
        for rule in RULES
        if rule.judge(facts).outcome not in NOTHING_WRONG
        for part, field in FACTS
        if rule.judge(hide(facts, [(part, field)], REASONS[0])).outcome is Outcome.PASS
    }

    assert set(said_too_much) == set(ARGUED), said_too_much

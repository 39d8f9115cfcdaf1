import pytest

from checks.facts import Missing
from checks.rule import Outcome
from checks.rules.eviction import evicted_keys, eviction_policy
from tests.checks.pairs import GIB, MIB, facts_with

CLOSED = Missing("no_permission", "INFO is closed")


@pytest.mark.parametrize(
    ("policy", "outcome", "severity"),
    [
        ("noeviction", "pass", None),
        ("volatile-lru", "fail", "warning"),
        ("volatile-lfu", "fail", "warning"),
        ("volatile-ttl", "fail", "warning"),
        ("volatile-random", "fail", "warning"),
        ("allkeys-lru", "fail", "critical"),
        ("allkeys-lfu", "fail", "critical"),
        ("allkeys-random", "fail", "critical"),
        ("eviction", "fail", "critical"),  # Dragonfly's cache_mode
        ("optimistic-volatile", "fail", "critical"),  # Upstash
        ("sometimes", "unknown", None),
        (CLOSED, "unknown", None),
    ],
)
def test_policies(policy, outcome, severity):
    verdict = eviction_policy.judge(facts_with(maxmemory_policy=policy))

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"used_memory_bytes": 71, "maxmemory_bytes": 100},
            "Redis may evict any key, nothing is lost yet: memory is at 71% of maxmemory",
        ),
        (
            {"evicted_keys": 1234, "used_memory_bytes": 71, "maxmemory_bytes": 100},
            "and has evicted 1,234 since it started: memory is at 71% of maxmemory",
        ),
        ({"maxmemory_bytes": 0}, "nothing is lost yet: no maxmemory is set"),
        (
            {"evicted_keys": CLOSED, "used_memory_bytes": CLOSED},
            "may evict any key, its memory was not read; it must be noeviction",
        ),
    ],
)
def test_the_message_claims_no_harm_that_has_not_happened(changed, said):
    verdict = eviction_policy.judge(facts_with(maxmemory_policy="allkeys-lru", **changed))

    assert verdict.short == "maxmemory-policy is allkeys-lru"
    assert said in verdict.message


@pytest.mark.parametrize(
    ("used", "ram_gib", "cause"),
    [
        (899, 64, "policy"),
        (900, 64, "full"),
        (1000, 64, "full"),
        (900, 1, "full-add-ram"),
    ],
)
def test_a_full_redis_gets_room_before_it_stops_evicting(used, ram_gib, cause):
    facts = facts_with(
        maxmemory_policy="allkeys-lru",
        used_memory_bytes=used * MIB,
        maxmemory_bytes=1000 * MIB,
        system_memory_bytes=ram_gib * GIB,
    )

    assert eviction_policy.judge(facts).cause == cause


def test_a_pass_shows_its_numbers():
    verdict = eviction_policy.judge(facts_with())

    assert verdict.outcome is Outcome.PASS
    assert verdict.evidence == {
        "maxmemory_policy": "noeviction",
        "evicted_keys_count": 0,
        "maxmemory_bytes": 4 * GIB,
        "used_ratio": 0.25,
    }


# --- redis.evicted-keys


FIRST = Missing("first_visit", "this is the first visit")


@pytest.mark.parametrize(
    ("policy", "risen", "outcome", "severity"),
    [
        ("noeviction", 0, "pass", None),
        ("allkeys-lru", 0, "pass", None),
        ("volatile-ttl", 1, "fail", "warning"),
        ("allkeys-lru", 1, "fail", "critical"),
        ("noeviction", 1, "fail", "critical"),
        ("optimistic-volatile", 1, "fail", "critical"),
    ],
)
def test_evictions_since_the_last_look(policy, risen, outcome, severity):
    facts = facts_with(maxmemory_policy=policy, evicted_keys=7, since={"evicted_keys_rise": risen})
    verdict = evicted_keys.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)
    assert verdict.evidence["new_evicted_count"] == risen


@pytest.mark.parametrize("since", [FIRST, {"evicted_keys_rise": FIRST}])
def test_at_first_sight_what_was_evicted_since_the_start_counts(since):
    facts = facts_with(maxmemory_policy="allkeys-lru", evicted_keys=7, since=since)

    assert evicted_keys.judge(facts).message == (
        "Redis has evicted 7 keys under allkeys-lru; it must evict none"
    )


def test_a_hidden_policy_does_not_excuse_an_eviction():
    facts = facts_with(maxmemory_policy=CLOSED, since={"evicted_keys_rise": 1})

    assert evicted_keys.judge(facts).reason == "no_permission"

import pytest

from checks.facts import NOT_CONFIGURED, BullClient, Missing
from checks.rules.identity import same_redis, single_instance
from tests.checks.pairs import BULL, facts_with

CLOSED = Missing("no_permission", "it is closed")

# --- pair.same-redis


@pytest.mark.parametrize(
    ("theirs_s", "outcome"),
    [(86_400, "pass"), (86_370, "pass"), (86_430, "pass"), (86_369, "fail"), (86_431, "fail")],
)
def test_two_uptimes_of_one_server_lie_close(theirs_s, outcome):
    verdict = same_redis.judge(facts_with(emailengine={"redis_uptime_s": theirs_s}))

    assert verdict.outcome == outcome
    if outcome == "fail":
        assert (verdict.severity, verdict.cause) == ("critical", "other-server")


@pytest.mark.parametrize(
    ("here", "there", "outcome"),
    [
        (1200, 1200, "pass"),
        (199, 100, "pass"),
        (200, 100, "pass"),
        (201, 100, "fail"),
        (90, 0, "pass"),
    ],
)
def test_the_keys_tell_twins_apart(here, there, outcome):
    facts = facts_with(keys_by_database={"8": here}, emailengine={"redis_keys": {"8": there}})

    assert same_redis.judge(facts).outcome == outcome


@pytest.mark.parametrize(
    ("emailengine", "reason"),
    [
        ({"redis_uptime_s": NOT_CONFIGURED}, "not_configured"),
        ({"redis_uptime_s": CLOSED}, "no_permission"),
        ({"redis_keys": CLOSED}, "no_permission"),
        ({"redis_version": "6.2.14"}, "undetermined"),
        ({"redis_uptime_s": 59}, "starting"),
        ({"uptime_s": 59.0}, "starting"),
    ],
)
def test_what_cannot_be_told_is_no_pass(emailengine, reason):
    verdict = same_redis.judge(facts_with(emailengine=emailengine))

    assert verdict.reason == reason
    assert verdict.outcome != "pass"


@pytest.mark.parametrize("version", ["7.2.6", "8.0.1"])
def test_emailengine_may_tell_either_version(version):
    facts = facts_with(version="8.0.1", emailengine={"redis_version": version})

    assert same_redis.judge(facts).outcome == "pass"


def test_a_failover_is_an_information():
    verdict = same_redis.judge(facts_with(since={"is_failed_over": True}))

    assert (verdict.outcome, verdict.severity, verdict.cause) == ("fail", "info", "failover")


# --- pair.single-instance


def clients(*pairs, database=8):
    return {"bull_clients": tuple(BullClient(name, host, database) for name, host in pairs)}


@pytest.mark.parametrize(
    ("connections", "outcome", "count"),
    [
        ([("bull:bm90aWZ5", "a"), ("bull:c3VibWl0", "a"), ("bull:bm90aWZ5:qe", "a")], "pass", 1),
        ([("bull:bm90aWZ5", "a"), ("bull:bm90aWZ5", "a")], "pass", 1),  # two workers of one
        ([("bull:bm90aWZ5", "a"), ("bull:c3VibWl0", "b")], "fail", 2),
        ([("bull:bm90aWZ5:qe", "a"), ("bull:bm90aWZ5:qe", "a")], "fail", 2),  # two on one host
        ([("bull:ZG9jdW1lbnRz", "a"), ("bull:ZXhwb3J0", "b"), ("bull:bm90aWZ5", "c")], "fail", 3),
        ([("bull:bm90aWZ5", "a"), ("p:bull:bm90aWZ5", "b")], "pass", 1),  # another prefix
    ],
)
def test_instances_by_host_and_by_reader(connections, outcome, count):
    verdict = single_instance.judge(facts_with(**clients(*connections)))

    assert (verdict.outcome, verdict.evidence["instances_count"]) == (outcome, count)


def test_a_prefix_of_its_own_is_counted_apart():
    facts = facts_with(
        emailengine={"key_prefix": "p"},
        **clients(("p:bull:bm90aWZ5", "a"), ("bull:bm90aWZ5", "b")),
    )

    assert single_instance.judge(facts).outcome == "pass"


@pytest.mark.parametrize(
    ("facts", "outcome", "reason"),
    [
        (facts_with(bull_clients=()), "unknown", "undetermined"),
        (facts_with(**clients(("bull:bm90aWZ5", "a"), database=0)), "unknown", "undetermined"),
        (facts_with(bull_clients=CLOSED), "unknown", "no_permission"),
        (facts_with(emailengine=NOT_CONFIGURED), "not_applicable", "not_configured"),
    ],
)
def test_without_names_nothing_is_told(facts, outcome, reason):
    verdict = single_instance.judge(facts)

    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_two_instances_are_named():
    other = BullClient("bull:bm90aWZ5:qe", "10.0.0.9", 8)
    verdict = single_instance.judge(facts_with(bull_clients=(*BULL, other)))

    assert verdict.message == "2 EmailEngines use database 8 (10.0.0.7, 10.0.0.9); one must"
    assert (single_instance.opens.times, single_instance.opens.of) == (3, 3)

import pytest

from checks.facts import Engine, Missing
from checks.rule import Outcome, Severity
from checks.rules.provider import (
    PlanLimits,
    command_size_limit,
    dragonfly_lua_flags,
    upstash_plan,
)
from tests.checks.pairs import HIDDEN, MIB, facts_with

NO_CONFIG = Missing("command_unavailable", "CONFIG is blocked")


@pytest.mark.parametrize(("allowed", "outcome"), [(True, "pass"), (False, "fail")])
def test_undeclared_keys(allowed, outcome):
    facts = facts_with(engine=Engine.DRAGONFLY, allows_undeclared_keys=allowed)

    assert dragonfly_lua_flags.judge(facts).outcome == outcome


def test_undeclared_keys_where_the_script_was_refused_for_its_rights():
    facts = facts_with(engine=Engine.DRAGONFLY, allows_undeclared_keys=HIDDEN)

    assert dragonfly_lua_flags.judge(facts).reason == "no_permission"


def test_only_dragonfly_has_such_flags():
    facts = facts_with(engine=Engine.REDIS, allows_undeclared_keys=False)

    assert dragonfly_lua_flags.judge(facts).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("limit", "need", "outcome"),
    [
        (1_000_000, 1000, "fail"),
        (1 * MIB, 1000, "fail"),  # the least that Redis can be set to
        (1 * MIB + 1, 1000, "pass"),
        (25 * MIB, 25 * MIB, "pass"),
        (25 * MIB - 1, 25 * MIB, "fail"),
    ],
)
def test_size_steps(limit, need, outcome):
    verdict = command_size_limit.judge(
        facts_with(proto_max_bulk_len_bytes=limit, attested={"largest_message_bytes": need})
    )

    assert verdict.outcome == outcome
    assert verdict.severity in (None, Severity.WARNING)


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [
        (1 * MIB, "fail"),
        (1 * MIB + 1, "unknown"),
        (512 * MIB - 1, "unknown"),
        (512 * MIB, "pass"),
    ],
)
def test_without_an_attested_need_only_the_extremes_are_clear(limit, outcome):
    assert command_size_limit.judge(facts_with(proto_max_bulk_len_bytes=limit)).outcome == outcome


def test_a_plan_decides_where_config_is_closed():
    upstash = {"engine": Engine.UPSTASH, "proto_max_bulk_len_bytes": NO_CONFIG}
    small = command_size_limit.judge(
        facts_with(attested={"largest_message_bytes": 10_000_001}, **upstash)
    )

    assert small.message.startswith("Redis takes commands up to")
    assert command_size_limit.judge(facts_with(**upstash)).reason == "unattested"


@pytest.mark.parametrize("engine", [Engine.ELASTICACHE, Engine.MEMORYDB])
def test_aws_fixes_what_redis_gives_by_default(engine):
    facts = facts_with(engine=engine, proto_max_bulk_len_bytes=NO_CONFIG)

    assert command_size_limit.judge(facts).evidence == {"limit_bytes": 512 * MIB}
    assert command_size_limit.judge(facts).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("plan", "outcome"),
    [("Free", "fail"), ("free-tier", "fail"), ("Fixed 1GB", "pass"), ("pay as you go", "pass")],
)
def test_plans(plan, outcome):
    facts = facts_with(engine=Engine.UPSTASH, attested={"plan": plan})

    assert upstash_plan.judge(facts).outcome == outcome


def test_an_unattested_plan_is_unknown():
    assert upstash_plan.judge(facts_with(engine=Engine.UPSTASH)).reason == "unattested"


@pytest.mark.parametrize(("quota", "outcome"), [(1_250_000, "fail"), (1_250_001, "pass")])
def test_the_quota_at_the_present_pace(quota, outcome):
    facts = facts_with(
        engine=Engine.UPSTASH,
        attested={"plan": "fixed"},
        total_commands_processed=1_000_000,
        uptime_s=30 * 86_400,
    )

    assert upstash_plan.judge(facts, PlanLimits(monthly_quota_count=quota)).outcome == outcome

from datetime import UTC, datetime

import pytest

from checks.catalog import RULES as CATALOGUE
from checks.evaluate import (
    REACHABLE,
    Compliance,
    Health,
    Lamps,
    Tally,
    could_apply,
    evaluate,
    lamps,
    rank,
    tally,
)
from checks.facts import EmailEngineFacts, Missing
from checks.rule import (
    Cadence,
    Kind,
    Outcome,
    Severity,
    Verdict,
    failed,
    not_applicable,
    passed,
    unknown,
)
from tests.checks.sample_rules import ALL, RULES, memory, pair_facts, policy, redis_facts

POLICY = policy()
EMAILENGINE = EmailEngineFacts("http://ee:3000", "", 200, 0.1, started_at=datetime.now(UTC))
REFUSED = Missing("refused", "10.0.0.7:6379 was not reached: connection refused")
REQ, OPS = Kind.REQUIREMENT, Kind.OPERATION
INFO, WARNING, CRITICAL = Severity


def test_every_rule_that_is_due_has_a_verdict_in_the_catalogues_order():
    verdicts = evaluate(pair_facts(emailengine=EMAILENGINE), ALL, POLICY)

    assert list(verdicts) == [one.id for one in RULES]
    assert verdicts == {
        REACHABLE: passed(),
        "redis.sample-memory": passed(used_ratio=0.5),
        "redis.sample-licence": not_applicable("no licence here"),
        "emailengine.sample-health": passed(status=200),
        "redis.sample-evictions": passed(),
    }


def test_only_rules_of_the_cadences_read_are_judged():
    assert list(evaluate(pair_facts(), frozenset({Cadence.PERSISTENCE}), POLICY)) == [
        "redis.sample-licence"
    ]


def test_behind_a_redis_that_did_not_answer_there_is_one_fail():
    verdicts = evaluate(pair_facts(REFUSED, EMAILENGINE), ALL, POLICY)

    hidden = Verdict(
        Outcome.UNKNOWN,
        message="Redis did not answer: 10.0.0.7:6379 was not reached: connection refused",
        reason="depends_on",
        depends_on=REACHABLE,
    )
    assert verdicts == {
        REACHABLE: failed(REFUSED.text, short="Down", severity=CRITICAL),
        "redis.sample-memory": hidden,
        "redis.sample-licence": not_applicable("no licence here"),
        "emailengine.sample-health": hidden,
        "redis.sample-evictions": hidden,
    }


def test_what_was_not_registered_is_not_judged_whatever_redis_does():
    absent = not_applicable("not registered", "not_configured")

    for redis in (redis_facts(), REFUSED):
        for one in (POLICY, policy({"emailengine.sample-health": {"severity": "info"}})):
            found = evaluate(pair_facts(redis), ALL, one)
            assert found["emailengine.sample-health"] == absent


def test_no_catalogued_rule_of_emailengine_judges_a_pair_without_one():
    for redis in (redis_facts(), REFUSED):
        found = evaluate(pair_facts(redis), ALL)
        of_emailengine = {found[one.id].reason for one in CATALOGUE if one.id[:5] == "email"}
        assert of_emailengine == {"not_configured"}


def test_a_rule_switched_off_is_disabled_and_not_asked():
    verdicts = evaluate(pair_facts(), ALL, policy({memory.id: {"enabled": False}}))

    assert verdicts[memory.id] == Verdict(Outcome.DISABLED, message="switched off by policy")


@pytest.mark.parametrize(
    ("used", "cap", "severity", "keeps"),
    [
        (95, "critical", CRITICAL, None),
        (95, "warning", WARNING, None),
        (95, "info", INFO, None),
        (85, "critical", WARNING, None),
        (78, "warning", None, WARNING),
        (78, "info", None, INFO),
    ],
)
def test_a_policy_caps_what_a_fail_reports_and_what_a_band_keeps(used, cap, severity, keeps):
    facts = pair_facts(redis_facts(used_memory_bytes=used))

    verdict = evaluate(facts, ALL, policy({memory.id: {"severity": cap}}))[memory.id]

    assert (verdict.severity, verdict.keeps) == (severity, keeps)


def test_limits_of_the_policy_are_judged_by():
    facts = pair_facts(redis_facts(used_memory_bytes=60))
    strict = policy({memory.id: {"leave_used_ratio": 0.4, "warn_used_ratio": 0.6}})

    assert evaluate(facts, ALL, strict)[memory.id].severity is WARNING


def test_a_fault_of_our_own_is_not_judged_away():
    with pytest.raises(AttributeError):
        evaluate(pair_facts("not facts"), ALL, POLICY)


def test_tally_counts_what_applies_and_what_is_conclusive():
    verdicts = {
        REACHABLE: unknown("starting", "x"),
        "redis.sample-memory": failed("x", short="x", severity=WARNING),
        "redis.sample-licence": not_applicable("no meaning here"),
        "emailengine.sample-health": not_applicable("not registered", "not_configured"),
        "redis.sample-evictions": Verdict(Outcome.DISABLED),
    }

    assert tally(verdicts, POLICY) == Tally(
        conclusive=1,
        applicable=3,
        core_unknown={REACHABLE: "starting"},
        fails=("redis.sample-memory",),
        unknowns=(REACHABLE,),
    )


def test_tally_of_a_rule_that_is_not_core_lists_it_without_deciding():
    counted = tally({"redis.sample-evictions": unknown("no_permission", "x")}, POLICY)

    assert counted == Tally(0, 1, {}, (), ("redis.sample-evictions",))


@pytest.mark.parametrize(
    ("verdict", "counts"),
    [
        (passed(), True),
        (failed("x", short="x", severity=INFO), True),
        (unknown("first_visit", "x"), True),
        (not_applicable("x"), False),
        (not_applicable("x", "not_configured"), True),
        (Verdict(Outcome.DISABLED), False),
    ],
)
def test_what_could_apply_counts_in_coverage(verdict, counts):
    assert could_apply(verdict) is counts


@pytest.mark.parametrize(
    ("fails", "unsure", "compliance", "health"),
    [
        ([], [], "compliant", "healthy"),
        ([(REQ, INFO), (OPS, INFO)], [], "compliant", "healthy"),
        ([], [REQ], "unverified", "healthy"),
        ([], [OPS], "compliant", "unknown"),
        ([(REQ, WARNING)], [REQ, OPS], "at_risk", "unknown"),
        ([(OPS, WARNING)], [REQ, OPS], "unverified", "degraded"),
        ([(REQ, WARNING), (REQ, CRITICAL), (REQ, INFO)], [REQ], "non_compliant", "healthy"),
        ([(OPS, CRITICAL), (OPS, WARNING)], [OPS], "compliant", "failing"),
        ([(REQ, CRITICAL), (OPS, CRITICAL)], [], "non_compliant", "failing"),
    ],
)
def test_lamps(fails, unsure, compliance, health):
    assert lamps(fails, unsure) == Lamps(Compliance(compliance), Health(health))


def test_rank_sorts_failing_above_non_compliant_and_the_good_last():
    order = [
        ("unverified", "failing"),
        ("non_compliant", "degraded"),
        ("at_risk", "degraded"),
        ("at_risk", "unknown"),
        ("unverified", "unknown"),
        ("unverified", "healthy"),
        ("compliant", "healthy"),
    ]

    assert [rank(Compliance(one), Health(other)) for one, other in order] == list(range(7))


def test_the_catalogue_has_a_rule_that_the_others_depend_on():
    assert [one.id for one in CATALOGUE if one.id == REACHABLE] == [REACHABLE]

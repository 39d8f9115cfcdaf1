import pytest

from checks.facts import NOT_CONFIGURED, Missing, Replica, Sentinels
from checks.rule import Outcome
from checks.rules.replicas import replication
from tests.checks.pairs import HIDDEN, facts_with

YOUNG = Missing("no_history", "too young")


def replicas(*lags_s, state="online"):
    return tuple(Replica(f"10.0.0.{n}", 6379, state, lag) for n, lag in enumerate(lags_s))


@pytest.mark.parametrize(
    ("lags_s", "none_s", "outcome", "severity", "cause"),
    [
        ((0, 1), 0.0, "pass", None, ""),
        ((0, 1, 0), 0.0, "pass", None, ""),
        ((0, 10), 0.0, "pass", None, ""),
        ((0, 11), 0.0, "fail", "warning", "lag"),
        ((0,), 0.0, "fail", "warning", "missing"),
        ((), 0.0, "fail", "warning", "missing"),
        ((), 599.0, "fail", "warning", "missing"),
        ((), 600.0, "fail", "critical", "missing"),
        ((), YOUNG, "fail", "warning", "missing"),
    ],
)
def test_two_are_registered(lags_s, none_s, outcome, severity, cause):
    facts = facts_with(
        replicas=replicas(*lags_s),
        fleet={"expected_replicas_count": 2},
        trend={"no_replica_s": none_s},
    )
    verdict = replication.judge(facts)

    assert (verdict.outcome, verdict.severity, verdict.cause) == (outcome, severity, cause)


def test_a_replica_that_still_synchronises_is_not_attached():
    facts = facts_with(replicas=replicas(0, state="wait_bgsave"))

    assert replication.judge(facts).cause == "missing"


@pytest.mark.parametrize(
    ("most", "attached", "outcome", "severity"),
    [
        (2, 1, "fail", "warning"),
        (1, 1, "pass", None),
        (YOUNG, 1, "pass", None),
        (0, 0, "fail", "info"),
        (YOUNG, 0, "unknown", None),
    ],
)
def test_without_a_registered_number_the_past_tells(most, attached, outcome, severity):
    facts = facts_with(
        replicas=replicas(*[0] * attached),
        fleet={"expected_replicas_count": NOT_CONFIGURED},
        trend={"most_replicas_count": most, "no_replica_s": 0.0},
    )
    verdict = replication.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


@pytest.mark.parametrize(("good", "outcome"), [(3, "pass"), (2, "pass"), (1, "fail"), (0, "fail")])
def test_sentinels(good, outcome):
    verdict = replication.judge(facts_with(sentinels=Sentinels(3, 3, good)))

    assert verdict.outcome == outcome
    assert verdict.cause == ("" if outcome == "pass" else "quorum")


def test_a_replica_is_not_asked_for_its_own():
    assert replication.judge(facts_with(role="slave")).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize("name", ["role", "replicas", "sentinels"])
def test_what_is_hidden_is_unknown(name):
    assert replication.judge(facts_with(**{name: HIDDEN})).reason == "no_permission"


def test_a_replica_that_nobody_expected_is_one_all_the_same():
    facts = facts_with(fleet={"expected_replicas_count": 0})

    assert replication.judge(facts).outcome is Outcome.PASS

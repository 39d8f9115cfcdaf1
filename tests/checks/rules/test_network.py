import pytest

from checks.rule import Outcome
from checks.rules.network import tcp_keepalive
from tests.checks.pairs import HIDDEN, facts_with


@pytest.mark.parametrize(
    ("found_s", "outcome", "severity"),
    [
        (0, "fail", "critical"),
        (1, "fail", "info"),
        (299, "fail", "info"),
        (300, "pass", None),
        (301, "fail", "warning"),
        (7200, "fail", "warning"),
    ],
)
def test_keepalive_steps(found_s, outcome, severity):
    verdict = tcp_keepalive.judge(facts_with(tcp_keepalive_s=found_s))

    assert (verdict.outcome, verdict.severity) == (outcome, severity)
    assert verdict.evidence == {"tcp_keepalive_s": found_s}


def test_keepalive_that_is_off_says_never():
    verdict = tcp_keepalive.judge(facts_with(tcp_keepalive_s=0))

    assert verdict.message == (
        "Redis never probes idle connections (tcp-keepalive is 0); it must be 300"
    )


def test_the_wanted_time_is_the_policys():
    limits = type(tcp_keepalive.limits)(wanted_keepalive_s=60)

    assert tcp_keepalive.judge(facts_with(tcp_keepalive_s=60), limits).outcome is Outcome.PASS


def test_keepalive_is_unknown_where_config_is_closed():
    assert tcp_keepalive.judge(facts_with(tcp_keepalive_s=HIDDEN)).reason == "no_permission"

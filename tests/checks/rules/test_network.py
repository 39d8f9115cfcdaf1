import pytest

from checks.facts import Missing
from checks.rule import Outcome, Severity, passed
from checks.rules.network import endpoint_role, tcp_keepalive
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


# --- redis.endpoint-role


def test_a_primary_is_wanted():
    assert endpoint_role.judge(facts_with()) == passed(role="primary")


def test_a_replica_is_critical():
    verdict = endpoint_role.judge(facts_with(role="slave", master_link_status="down"))

    assert (verdict.severity, verdict.cause) == (Severity.CRITICAL, "replica")
    assert verdict.evidence == {"role": "replica", "master_link_status": "down"}


def test_a_sentinel_is_no_data_endpoint():
    hidden = Missing("undetermined", "INFO has no role")
    verdict = endpoint_role.judge(facts_with(mode="sentinel", role=hidden))

    assert (verdict.severity, verdict.cause) == (Severity.CRITICAL, "sentinel")
    assert verdict.short == "A Sentinel is no data endpoint"


def test_a_role_that_we_do_not_know_is_unknown():
    verdict = endpoint_role.judge(facts_with(role="active-replica"))

    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, "undetermined")


def test_an_unread_role_is_unknown():
    verdict = endpoint_role.judge(facts_with(role=Missing("no_permission", "INFO is refused")))

    assert (verdict.outcome, verdict.message) == (Outcome.UNKNOWN, "INFO is refused")

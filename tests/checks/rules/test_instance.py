import pytest

from checks.facts import NOT_CONFIGURED, Missing
from checks.rules.accounts import accounts, redis_warnings
from checks.rules.instance import emailengine_version, licence, workers
from tests.checks.pairs import facts_with

CLOSED = Missing("no_permission", "the token lacks the scope metrics")
YOUNG = Missing("no_history", "watched for less than a day")


@pytest.mark.parametrize(
    ("version", "severity"), [("2.79.2", "info"), ("2.79.1", None), ("2.80.0", None)]
)
def test_a_version_with_a_known_fault_is_an_information(version, severity):
    verdict = emailengine_version.judge(facts_with(emailengine={"version": version}))

    assert verdict.severity == severity


@pytest.mark.parametrize(
    ("days", "severity", "short"),
    [
        (-1, None, ""),
        (31, None, ""),
        (30, "warning", "Licence: 30 days left"),
        (8, "warning", "Licence: 8 days left"),
        (7, "critical", "Licence: 7 days left"),
        (1, "critical", "Licence: 1 days left"),
        (0, "critical", "No licence"),
    ],
)
def test_days_of_the_licence(days, severity, short):
    verdict = licence.judge(facts_with(emailengine={"license_days_remaining": days}))

    assert (verdict.severity, verdict.short) == (severity, short)


@pytest.mark.parametrize(
    ("count", "alive", "severity"),
    [
        (0, 8, None),
        (1, 8, "warning"),
        (3, 8, "warning"),
        (4, 8, "critical"),
        (1, 2, "critical"),
        (2, CLOSED, "warning"),
    ],
)
def test_unresponsive_threads(count, alive, severity):
    changed = {"unresponsive_workers": count, "threads_alive": alive}

    assert workers.judge(facts_with(emailengine=changed)).severity == severity


@pytest.mark.parametrize("judged", [licence, workers, accounts, redis_warnings])
@pytest.mark.parametrize(
    ("emailengine", "outcome", "reason"),
    [
        ({"uptime_s": 59.9}, "unknown", "starting"),
        (NOT_CONFIGURED, "not_applicable", "not_configured"),
        (Missing("timeout", "no answer"), "unknown", "timeout"),
    ],
)
def test_the_first_minute_and_what_was_not_read(judged, emailengine, outcome, reason):
    verdict = judged.judge(facts_with(emailengine=emailengine))

    assert (verdict.outcome, verdict.reason) == (outcome, reason)


# --- emailengine.accounts


def share(bad, count, usual=0.0):
    return facts_with(
        emailengine={"accounts": {"connected": count - bad, "connectError": bad}},
        since={"accounts_error_median_ratio": usual},
    )


@pytest.mark.parametrize(
    ("bad", "count", "usual", "severity"),
    [
        (0, 0, YOUNG, None),
        (4, 100, YOUNG, None),
        (5, 100, 0.0, None),  # five points above what is usual
        (6, 100, 0.0, "warning"),
        (15, 100, 0.10, None),
        (16, 100, 0.10, "warning"),
        (19, 100, 0.0, "warning"),
        (20, 100, 0.0, "critical"),
        (20, 100, 0.06, "warning"),  # only 14 points above
        (20, 100, 0.05, "critical"),
        (60, 100, 0.6, None),  # as it has been for days
    ],
)
def test_accounts_in_error_against_what_is_usual(bad, count, usual, severity):
    assert accounts.judge(share(bad, count, usual)).severity == severity


@pytest.mark.parametrize(
    ("bad", "count", "usual", "reason"),
    [(1, 19, 0.0, "undetermined"), (4, 4, 0.0, "undetermined"), (2, 20, YOUNG, "no_history")],
)
def test_few_accounts_and_young_pairs_are_not_judged(bad, count, usual, reason):
    verdict = accounts.judge(share(bad, count, usual))

    assert (verdict.outcome, verdict.reason) == ("unknown", reason)


# --- emailengine.redis-warnings


@pytest.mark.parametrize(
    ("warnings", "redis", "outcome", "severity", "cause"),
    [
        ((), {}, "pass", None, ""),
        (
            (("maxmemory-policy", "warning"),),
            {"maxmemory_policy": "volatile-lru"},
            "pass",
            None,
            "",
        ),
        ((("evicted-keys", "danger"),), {"evicted_keys": 4}, "pass", None, ""),
        ((("cluster", "danger"),), {"cluster_enabled": True, "mode": "cluster"}, "pass", None, ""),
        ((("maxmemory-policy", "danger"),), {}, "fail", "info", "difference"),
        ((("evicted-keys", "danger"),), {}, "fail", "info", "difference"),
        ((("something-new", "warning"),), {}, "fail", "warning", "unknown-key"),
        ((("something-new", "danger"),), {}, "fail", "critical", "unknown-key"),
        # We could not look: then neither a warning nor its absence is ours to confirm.
        ((("evicted-keys", "danger"),), {"evicted_keys": CLOSED}, "unknown", None, ""),
    ],
)
def test_emailengine_s_warnings_beside_our_rules(warnings, redis, outcome, severity, cause):
    verdict = redis_warnings.judge(facts_with(emailengine={"redis_warnings": warnings}, **redis))

    assert (verdict.outcome, verdict.severity, verdict.cause) == (outcome, severity, cause)
    assert verdict.evidence["warnings"] == dict(warnings)

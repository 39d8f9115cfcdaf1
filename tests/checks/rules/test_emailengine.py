import pytest

from checks.facts import NOT_CONFIGURED, NOT_READ, BullClient, Missing
from checks.rule import Outcome, passed
from checks.rules.emailengine import UNANSWERED, api_response, reachable
from tests.checks.pairs import facts_with

REFUSED = {"health_status": Missing("refused", "connection refused")}
MISCONF = Missing("misconf", "MISCONF Redis is configured to save RDB snapshots")


def test_it_answers_200():
    assert reachable.judge(facts_with()) == passed(state="200", health_status=200)


@pytest.mark.parametrize("reason", UNANSWERED)
def test_no_answer_and_no_sign_of_life_is_critical(reason):
    facts = facts_with(
        emailengine={"health_status": Missing(reason, "these words")},
        bull_clients=(),
        blocked_clients=0,
    )
    verdict = reachable.judge(facts)

    assert (verdict.outcome, verdict.severity, verdict.cause) == ("fail", "critical", "down")
    assert verdict.message == (
        "EmailEngine is not reached: these words, while Redis is fine; it must answer 200 on /health"
    )


@pytest.mark.parametrize(
    ("clients", "blocked", "severity"),
    [
        ((BullClient("bull:c3VibWl0", "10.0.0.7", 8),), 0, "warning"),
        ((BullClient("bull:c3VibWl0", "10.0.0.7", 3),), 7, "critical"),  # another's database
        ((), 7, "critical"),
        (NOT_READ, 7, "warning"),  # between readings of CLIENT LIST
        (NOT_READ, 0, "critical"),
        (NOT_READ, NOT_READ, "critical"),
    ],
)
def test_live_queue_connections_show_that_only_we_do_not_reach_it(clients, blocked, severity):
    facts = facts_with(emailengine=REFUSED, bull_clients=clients, blocked_clients=blocked)
    verdict = reachable.judge(facts)

    assert verdict.severity == severity
    assert verdict.cause == ("not-from-here" if severity == "warning" else "down")


@pytest.mark.parametrize("status", [301, 401, 404, 500, 503])
def test_another_status_is_critical_though_connections_live(status):
    verdict = reachable.judge(facts_with(emailengine={"health_status": status}))

    assert (verdict.severity, verdict.short) == ("critical", f"EmailEngine: HTTP {status}")
    assert verdict.evidence == {"state": f"HTTP {status}", "health_status": status}


def test_an_error_while_redis_refuses_writes_is_that_fault():
    verdict = reachable.judge(facts_with(ping=MISCONF, emailengine={"health_status": 500}))

    assert (verdict.outcome, verdict.depends_on) == (Outcome.UNKNOWN, "redis.accepts-writes")


@pytest.mark.parametrize(
    ("reason", "outcome"),
    [
        ("not_configured", "not_applicable"),
        ("depends_on", "unknown"),
        ("blocked_address", "unknown"),
        ("probe_blind", "unknown"),
    ],
)
def test_what_was_not_asked_is_no_fault(reason, outcome):
    missing = Missing(reason, "because", "redis.reachable" if reason == "depends_on" else "")

    assert reachable.judge(facts_with(emailengine=missing)).outcome == outcome
    assert reachable.judge(facts_with(emailengine={"health_status": missing})).outcome == outcome


@pytest.mark.parametrize("judged", [reachable, api_response])
@pytest.mark.parametrize(("uptime_s", "outcome"), [(59.9, "unknown"), (60.0, "pass")])
def test_its_first_minute_is_not_judged(judged, uptime_s, outcome):
    verdict = judged.judge(facts_with(emailengine={"uptime_s": uptime_s}))

    assert verdict.outcome == outcome
    assert verdict.reason == ("starting" if outcome == "unknown" else None)


def test_without_redis_it_is_not_judged():
    verdict = reachable.judge(
        facts_with(redis=Missing("depends_on", "Redis did not answer", "redis.reachable"))
    )

    assert (verdict.outcome, verdict.depends_on) == (Outcome.UNKNOWN, "redis.reachable")


# --- emailengine.api-response


@pytest.mark.parametrize(
    ("response_s", "outcome", "severity", "keeps"),
    [
        (0.799, "pass", None, None),
        (0.801, "pass", None, "warning"),
        (0.999, "pass", None, "warning"),
        (1.0, "fail", "warning", None),
        (2.39, "fail", "warning", None),
        (2.41, "fail", "warning", "critical"),
        (3.0, "fail", "warning", "critical"),
        (3.001, "fail", "critical", None),
    ],
)
def test_response_steps(response_s, outcome, severity, keeps):
    facts = facts_with(emailengine={"health_s": response_s, "network_us": 0.0})
    verdict = api_response.judge(facts)

    assert (verdict.outcome, verdict.severity, verdict.keeps) == (outcome, severity, keeps)


def test_the_networks_share_is_taken_off():
    verdict = api_response.judge(facts_with(emailengine={"health_s": 1.2, "network_us": 250_000.0}))

    assert verdict.outcome is Outcome.PASS
    assert verdict.evidence["response_us"] == pytest.approx(950_000)


def test_a_path_that_was_not_measured_counts_in_full():
    facts = facts_with(emailengine={"health_s": 1.2, "network_us": NOT_READ})

    assert api_response.judge(facts).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    ("health_s", "outcome", "depends_on"),
    [
        (Missing("timeout", "no answer within 10 s"), "unknown", "emailengine.reachable"),
        (Missing("depends_on", "Redis", "redis.reachable"), "unknown", "redis.reachable"),
        (NOT_CONFIGURED, "not_applicable", ""),
    ],
)
def test_a_time_that_was_not_taken_is_another_rules(health_s, outcome, depends_on):
    verdict = api_response.judge(facts_with(emailengine={"health_s": health_s}))

    assert (verdict.outcome, verdict.depends_on) == (outcome, depends_on)

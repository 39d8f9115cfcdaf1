import pytest

from checks.facts import NOT_CONFIGURED, Missing
from checks.rule import Outcome, Severity, passed
from checks.rules.reach import FAULTS, reachable
from tests.checks.pairs import facts_with

LOADING = Missing("loading", "LOADING Redis is loading the dataset in memory")
BUSY = Missing("busy", "BUSY Redis is busy running a script.")


def test_reachable_passes_on_pong():
    assert reachable.judge(facts_with()) == passed(state="PONG")


@pytest.mark.parametrize(
    ("text", "reason", "state"),
    [
        ("MISCONF Redis is configured to save RDB snapshots", "misconf", "MISCONF"),
        ("MASTERDOWN Link with MASTER is down", "misconf", "MASTERDOWN"),
        (
            "NOPERM this user has no permissions to run the 'ping' command",
            "no_permission",
            "NOPERM",
        ),
    ],
)
def test_a_ping_that_is_answered_with_a_refusal_is_an_answer(text, reason, state):
    verdict = reachable.judge(facts_with(ping=Missing(reason, text)))

    assert verdict == passed(state=state)


@pytest.mark.parametrize("reason", FAULTS)
def test_every_class_of_refusal_is_critical_and_named(reason):
    verdict = reachable.judge(
        facts_with(redis=Missing(reason, "these words"), emailengine=NOT_CONFIGURED)
    )

    assert (verdict.outcome, verdict.severity) == (Outcome.FAIL, Severity.CRITICAL)
    assert (verdict.cause, verdict.short) == (FAULTS[reason].cause, FAULTS[reason].short)
    assert verdict.evidence == {"state": verdict.short, "reason": reason, "origin": "zone eu-1"}
    assert "zone eu-1: these words" in verdict.message


def test_the_message_of_a_refused_account_says_so_from_where():
    verdict = reachable.judge(facts_with(redis=Missing("auth", "WRONGPASS invalid password")))

    assert verdict.message == (
        "Redis refuses our account from zone eu-1: WRONGPASS invalid password; "
        "it must answer PING with the stored credentials"
    )


@pytest.mark.parametrize("reason", ["dns", "refused", "timeout", "tls"])
def test_what_emailengine_reaches_is_unreachable_from_here_only(reason):
    verdict = reachable.judge(facts_with(redis=Missing(reason, "no answer within 2 s")))

    assert (verdict.severity, verdict.cause) == (Severity.WARNING, "only-from-here")
    assert verdict.short == "Unreachable only from zone eu-1"
    assert verdict.message.startswith(
        "Redis is unreachable from zone eu-1, EmailEngine reaches it: no answer within 2 s"
    )


@pytest.mark.parametrize("reason", ["auth", "max_clients", "protected_mode", "protocol"])
def test_a_refusal_is_critical_though_emailengine_answers(reason):
    verdict = reachable.judge(facts_with(redis=Missing(reason, "no")))

    assert verdict.severity is Severity.CRITICAL


def test_emailengine_that_does_not_answer_200_proves_nothing():
    facts = facts_with(redis=Missing("refused", "no"), emailengine={"health_status": 500})

    assert reachable.judge(facts).severity is Severity.CRITICAL


@pytest.mark.parametrize(
    ("waited_s", "severity"), [(299, "warning"), (300, "warning"), (301, "critical")]
)
@pytest.mark.parametrize("ping", [LOADING, BUSY])
def test_waiting_turns_critical_after_five_minutes_without_an_answer(waited_s, severity, ping):
    verdict = reachable.judge(facts_with(ping=ping, since={"last_answer_s": waited_s}))

    assert (verdict.severity, verdict.cause) == (severity, ping.reason)
    assert verdict.evidence["waited_s"] == waited_s


@pytest.mark.parametrize(
    ("started_s", "severity"), [(700.0, "warning"), (699.0, "critical"), (1001.0, "warning")]
)
def test_loading_counts_from_its_start_where_the_server_tells_it(started_s, severity):
    facts = facts_with(ping=LOADING, loading_since_s=started_s, server_time_s=1000.0)

    assert reachable.judge(facts).severity == severity


def test_what_a_server_says_with_a_full_stop_goes_on_in_the_sentence():
    refused = Missing("auth", "WRONGPASS invalid username-password pair or user is disabled.")

    assert "user is disabled; it must answer" in reachable.judge(facts_with(redis=refused)).message


def test_waiting_at_first_sight_warns():
    verdict = reachable.judge(facts_with(redis=BUSY, since=Missing("first_visit", "first")))

    assert (verdict.severity, verdict.short) == (Severity.WARNING, "BUSY: a script blocks Redis")
    assert verdict.message == (
        "A script blocks Redis, and it answers no command; that may take 5\u202fmin at most"
    )


@pytest.mark.parametrize(
    "reason", ["blocked_address", "not_configured", "no_worker", "probe_blind"]
)
def test_what_our_own_side_prevents_is_unknown(reason):
    verdict = reachable.judge(facts_with(redis=Missing(reason, "because")))

    assert (verdict.outcome, verdict.reason, verdict.message) == (
        Outcome.UNKNOWN,
        reason,
        "because",
    )


def test_a_reading_from_a_shell_says_here():
    verdict = reachable.judge(
        facts_with(
            redis=Missing("refused", "no"), emailengine=NOT_CONFIGURED, vantage={"zone": "here"}
        )
    )

    assert verdict.evidence["origin"] == "here"

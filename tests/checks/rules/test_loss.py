import pytest

from checks.evaluate import evaluate
from checks.facts import NOT_CONFIGURED, Missing
from checks.rule import Cadence
from checks.rules.loss import IntactLimits, credentials_drift, data_intact
from tests.checks.pairs import facts_with

CLOSED = Missing("no_permission", "it is closed")
FIRST = Missing("first_visit", "nothing to compare with yet")
REFUSED_TOKEN = {"accounts": Missing("auth", "401: the token may be lost")}

# --- pair.data-intact


def keys(before, now, **emailengine):
    return facts_with(
        keys_by_database={"8": now} if now else {},
        since={"baseline_keys_count": before},
        emailengine=emailengine or None,
    )


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [
        (2000, 2000, "pass"),
        (2000, 401, "pass"),
        (2000, 400, "fail"),
        (1250, 250, "fail"),
        (1249, 250, "pass"),  # 999 keys are too few
        (500, 1, "pass"),
        (500, 9000, "pass"),
        (10, 0, "fail"),  # emptied
        (9, 0, "pass"),
    ],
)
def test_keys_that_went(before, now, outcome):
    verdict = data_intact.judge(keys(before, now))

    assert (verdict.outcome, verdict.severity) == (
        outcome,
        "critical" if outcome == "fail" else None,
    )


@pytest.mark.parametrize(("now", "outcome"), [(9, "pass"), (7, "fail")])
def test_a_small_fall_that_took_the_token_along_is_a_loss(now, outcome):
    assert data_intact.judge(keys(38, now, **REFUSED_TOKEN)).outcome == outcome


@pytest.mark.parametrize(
    ("before", "now", "outcome"),
    [
        (10, 6, "pass"),
        (10, 5, "fail"),
        (8, 4, "pass"),
        (8, 3, "fail"),
        (100, 51, "pass"),
        (0, 0, "pass"),
    ],
)
def test_accounts_that_went(before, now, outcome):
    facts = facts_with(
        since={"baseline_accounts_count": before}, emailengine={"accounts": {"connected": now}}
    )

    assert data_intact.judge(facts).outcome == outcome


def test_where_no_account_was_none_is_lost_whatever_the_policy():
    facts = facts_with(since={"baseline_accounts_count": 0}, emailengine={"accounts": {}})

    assert data_intact.judge(facts, IntactLimits(least_accounts_lost_count=0)).outcome == "pass"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (facts_with(since=FIRST), "first_visit"),
        (facts_with(since={"baseline_keys_count": FIRST}), "first_visit"),
        (facts_with(keys_by_database=CLOSED), "no_permission"),
        (facts_with(is_loading=True, keys_by_database={}), "loading"),
    ],
)
def test_without_a_comparison_nothing_passes(facts, reason):
    verdict = data_intact.judge(facts)

    assert (verdict.outcome, verdict.reason) == ("unknown", reason)


def test_a_loss_is_for_people_to_close():
    assert data_intact.is_event
    assert data_intact.resolves_by_acknowledgement


# --- redis.credentials-drift


@pytest.mark.parametrize(
    ("count", "usual", "outcome"),
    [
        (0, 0.0, "pass"),
        (30, Missing("no_history", "young"), "pass"),
        (31, 0.0, "fail"),
        (31, 0.5, "pass"),
        (230, 100.0, "pass"),
        (231, 100.0, "fail"),
    ],
)
def test_refusals_against_what_is_usual(count, usual, outcome):
    facts = facts_with(since={"auth_errors_hour_count": count, "auth_errors_day_mean_count": usual})
    verdict = credentials_drift.judge(facts)

    assert (verdict.outcome, verdict.severity) == (
        outcome,
        "warning" if outcome == "fail" else None,
    )


def test_many_refusals_and_vanished_connections():
    many = {"auth_errors_hour_count": 31}
    gone = credentials_drift.judge(facts_with(since=many, bull_clients=()))
    unread = credentials_drift.judge(facts_with(since=many, bull_clients=CLOSED))
    stranger = credentials_drift.judge(
        facts_with(since={**many, "had_workers": False}, bull_clients=())
    )

    assert (gone.severity, gone.cause) == ("critical", "refused")
    assert (unread.severity, unread.keeps) == ("warning", "critical")
    assert stranger.severity == "warning"


REFUSED = Missing("auth", "WRONGPASS invalid username-password pair")


@pytest.mark.parametrize(
    ("changed", "outcome", "reason"),
    [
        ({}, "fail", None),
        ({"emailengine": {"health_status": 500}}, "unknown", "depends_on"),
        ({"emailengine": NOT_CONFIGURED}, "unknown", "depends_on"),
        ({"since": {"last_answer_s": FIRST}}, "unknown", "depends_on"),
        ({"since": FIRST}, "unknown", "depends_on"),
    ],
)
def test_credentials_that_worked_are_refused_while_emailengine_lives(changed, outcome, reason):
    for facts in (facts_with(redis=REFUSED, **changed), facts_with(ping=REFUSED, **changed)):
        verdict = credentials_drift.judge(facts)
        assert (verdict.outcome, verdict.reason) == (outcome, reason)
        if outcome == "fail":
            assert (verdict.severity, verdict.cause) == ("critical", "refused")


def test_the_refusal_itself_reaches_the_rule():
    verdicts = evaluate(facts_with(redis=REFUSED), frozenset({Cadence.HEALTH}))

    assert verdicts["redis.credentials-drift"].outcome == "fail"
    assert verdicts["redis.accepts-writes"].depends_on == "redis.reachable"


@pytest.mark.parametrize(
    ("facts", "reason"),
    [
        (facts_with(redis=Missing("timeout", "no answer")), "timeout"),
        (facts_with(since=FIRST), "first_visit"),
        (facts_with(errors=CLOSED), "no_permission"),
        (
            facts_with(
                since={
                    "auth_errors_hour_count": 31,
                    "auth_errors_day_mean_count": Missing("no_history", "young"),
                }
            ),
            "no_history",
        ),
    ],
)
def test_what_is_not_known_passes_nothing(facts, reason):
    verdict = credentials_drift.judge(facts)

    assert (verdict.outcome, verdict.reason) == ("unknown", reason)

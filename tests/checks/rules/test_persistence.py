from dataclasses import replace

import pytest

from checks.facts import Engine, Missing, OwnPull
from checks.rule import Outcome, passed
from checks.rules.persistence import rdb_fresh, rdb_last_status
from tests.checks.pairs import HIDDEN, NOW_S, SINCE, facts_with

MANAGED = [Engine.UPSTASH, Engine.ELASTICACHE, Engine.MEMORYDB]


def saved_ago(age_s, **changed):
    return facts_with(rdb_last_save_time_s=int(NOW_S) - age_s, uptime_s=10_000_000, **changed)


@pytest.mark.parametrize(
    ("age_s", "changes", "outcome", "severity"),
    [
        (900 + 60, 1, "pass", None),
        (900 + 61, 1, "fail", "warning"),
        (300 + 60, 10, "pass", None),
        (300 + 61, 9, "pass", None),
        (300 + 61, 10, "fail", "warning"),
        (900 + 60, 10, "fail", "warning"),  # 300/10 is due, and 3 × 300 s have not passed
        (900 + 61, 10, "fail", "critical"),
        (2700 + 60, 1, "fail", "warning"),
        (2700 + 61, 1, "fail", "critical"),
        (1_000_000, 0, "pass", None),
    ],
)
def test_a_save_is_overdue_by_its_own_schedule(age_s, changes, outcome, severity):
    verdict = rdb_fresh.judge(saved_ago(age_s, rdb_changes_since_last_save=changes))

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_an_overdue_save_tells_its_age_and_when_it_was_due():
    verdict = rdb_fresh.judge(saved_ago(1800, rdb_changes_since_last_save=4))

    assert (
        verdict.message == "4 changes are unsaved for 30\u202fmin; they were due after 15\u202fmin"
    )
    assert verdict.evidence == {
        "saved": "saved",
        "age_s": 1800.0,
        "changes_count": 4,
        "period_s": 900,
    }


@pytest.mark.parametrize(
    ("age_s", "changes", "outcome"),
    [
        (501, 0, "unknown"),  # the second before the pull began: INFO tells whole seconds
        (502, 0, "pass"),
        (400, 9, "unknown"),
        (299, 0, "unknown"),
        (298, 0, "pass"),  # it saved by itself since
        (400, 10, "fail"),  # overdue all the same
    ],
)
def test_a_save_of_our_own_pull_proves_nothing(age_s, changes, outcome):
    pulled = OwnPull(NOW_S - 500.0, NOW_S - 300.0)
    facts = saved_ago(age_s, rdb_changes_since_last_save=changes)
    facts = replace(facts, since=replace(SINCE, own_pull=pulled))

    assert rdb_fresh.judge(facts).outcome == outcome


def test_a_save_that_runs_is_not_overdue():
    verdict = rdb_fresh.judge(
        saved_ago(10_000, rdb_changes_since_last_save=99, rdb_bgsave_in_progress=True)
    )

    assert verdict.outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("saves", "uptime_s", "age_s", "saved"),
    [
        (0, 500, 500, "not saved since its start"),
        (1, 500, 500, "saved"),
        (Missing("undetermined", "before 7.0"), 500, 500, "not saved since its start"),
        (Missing("undetermined", "before 7.0"), 500, 498, "not saved since its start"),
        (Missing("undetermined", "before 7.0"), 500, 497, "saved"),
    ],
)
def test_a_restarted_server_does_not_look_freshly_saved(saves, uptime_s, age_s, saved):
    facts = facts_with(rdb_saves=saves, uptime_s=uptime_s, rdb_last_save_time_s=int(NOW_S) - age_s)

    assert rdb_fresh.judge(facts).evidence["saved"] == saved


def test_a_clock_that_was_set_back_makes_no_negative_age():
    assert rdb_fresh.judge(saved_ago(-500)).evidence["age_s"] == 0.0


@pytest.mark.parametrize(
    "name", ["save", "server_time_s", "rdb_last_save_time_s", "rdb_changes_since_last_save"]
)
def test_freshness_is_unknown_without_its_facts(name):
    assert rdb_fresh.judge(facts_with(**{name: HIDDEN})).outcome is Outcome.UNKNOWN


def test_an_overdue_save_is_unknown_where_a_running_one_cannot_be_seen():
    assert rdb_fresh.judge(saved_ago(10_000, rdb_bgsave_in_progress=HIDDEN)).outcome == "unknown"


def test_without_snapshots_none_is_overdue():
    assert rdb_fresh.judge(saved_ago(10_000, save=())).outcome is Outcome.NOT_APPLICABLE


def test_while_loading_nothing_is_told():
    verdict = rdb_fresh.judge(facts_with(is_loading=True))

    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, "loading")


@pytest.mark.parametrize("judged", [rdb_fresh, rdb_last_status])
@pytest.mark.parametrize("engine", MANAGED)
def test_where_the_provider_saves_it_does_not_apply(judged, engine):
    assert judged.judge(facts_with(engine=engine)).outcome is Outcome.NOT_APPLICABLE


# --- redis.rdb-last-status


def test_the_last_save_is_ok():
    assert rdb_last_status.judge(facts_with()) == passed(state="ok", running_s=0, last_duration_s=4)


def test_a_failed_save_is_critical():
    verdict = rdb_last_status.judge(facts_with(rdb_last_bgsave_status="err"))

    assert (verdict.severity, verdict.cause) == ("critical", "failed")


@pytest.mark.parametrize(
    ("running_s", "last_s", "outcome"),
    [
        (600, 4, "pass"),
        (601, 4, "fail"),
        (601, 200, "fail"),
        (601, 201, "pass"),
        (603, 201, "pass"),
        (604, 201, "fail"),
        (601, -1, "fail"),  # none has ended since the start
        (601, HIDDEN, "fail"),
        (-1, 4, "pass"),
    ],
)
def test_a_save_that_hangs_warns(running_s, last_s, outcome):
    facts = facts_with(
        rdb_bgsave_in_progress=True,
        rdb_current_bgsave_time_s=running_s,
        rdb_last_bgsave_time_s=last_s,
    )
    verdict = rdb_last_status.judge(facts)

    assert verdict.outcome == outcome
    assert (verdict.severity, verdict.cause) == (
        ("warning", "hung") if outcome == "fail" else (None, "")
    )


def test_a_running_save_without_its_time_is_unknown():
    facts = facts_with(rdb_bgsave_in_progress=True, rdb_current_bgsave_time_s=HIDDEN)

    assert rdb_last_status.judge(facts).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"rdb_last_bgsave_status": "maybe"}, "undetermined"),
        ({"rdb_last_bgsave_status": HIDDEN}, "no_permission"),
        ({"rdb_bgsave_in_progress": HIDDEN}, "no_permission"),
    ],
)
def test_an_unread_or_odd_status_is_unknown(changed, reason):
    verdict = rdb_last_status.judge(facts_with(**changed))

    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, reason)

import pytest

from checks.facts import NOT_CONFIGURED, BullClient, Missing, Queue
from checks.rule import Outcome, passed
from checks.rules.queues import queue_size, queue_workers, worker_name
from tests.checks.pairs import facts_with

NOTIFY = BullClient("bull:bm90aWZ5", "10.0.0.7", 8)
SUBMIT = BullClient("bull:c3VibWl0", "10.0.0.7", 8)
READER = BullClient("bull:c3VibWl0:qe", "10.0.0.7", 8)
CLOSED = Missing("no_permission", "CLIENT LIST is refused: NOPERM; grant +client|list")


def test_both_queues_have_a_worker():
    assert queue_workers.judge(facts_with(bull_clients=(NOTIFY, SUBMIT))) == passed(
        state="submit and notify have workers", workers=["bull:bm90aWZ5", "bull:c3VibWl0"]
    )


@pytest.mark.parametrize(
    ("clients", "short"),
    [
        ((), "No submit worker: mail is never sent"),
        ((NOTIFY,), "No submit worker: mail is never sent"),
        ((SUBMIT,), "No notify worker: no webhooks are sent"),
        ((NOTIFY, READER), "No submit worker: mail is never sent"),
    ],
)
def test_a_missing_worker_is_critical(clients, short):
    verdict = queue_workers.judge(facts_with(bull_clients=clients))

    assert (verdict.severity, verdict.short, verdict.cause) == ("critical", short, "dead-workers")


def test_the_message_says_what_does_not_happen():
    verdict = queue_workers.judge(facts_with(bull_clients=(), blocked_clients=0))

    assert verdict.message == (
        "EmailEngine answers, but its workers are gone: no worker for submit and notify, so "
        "mail is accepted and not sent; webhooks are not delivered; each queue must have one"
    )
    assert verdict.evidence == {
        "state": "no worker for submit and notify",
        "missing_names": "bull:c3VibWl0 and bull:bm90aWZ5",
        "expected_names": "bull:c3VibWl0 and bull:bm90aWZ5",
        "database": 8,
        "seen_elsewhere": [],
        "blocked_clients_count": 0,
    }


@pytest.mark.parametrize(
    ("days", "cause"),
    [
        (0, "no-licence"),
        (-1, "dead-workers"),
        (30, "dead-workers"),
        (Missing("not_configured", "no token"), "dead-workers"),
    ],
)
def test_the_causes_are_told_apart_by_the_licence(days, cause):
    facts = facts_with(bull_clients=(), emailengine={"license_days_remaining": days})

    assert queue_workers.judge(facts).cause == cause


@pytest.mark.parametrize(
    ("key_prefix", "clients", "outcome"),
    [
        (
            "p",
            (BullClient("p:bull:bm90aWZ5", "h", 8), BullClient("p:bull:c3VibWl0", "h", 8)),
            "pass",
        ),
        (
            "p:",
            (BullClient("p:bull:bm90aWZ5", "h", 8), BullClient("p:bull:c3VibWl0", "h", 8)),
            "pass",
        ),
        ("p", (NOTIFY, SUBMIT), "fail"),
        (
            "",
            (BullClient("p:bull:bm90aWZ5", "h", 8), BullClient("p:bull:c3VibWl0", "h", 8)),
            "fail",
        ),
        ("", (BullClient("bull:bm90aWZ5", "h", 9), BullClient("bull:c3VibWl0", "h", 9)), "fail"),
    ],
)
def test_workers_count_on_this_pairs_prefix_and_database(key_prefix, clients, outcome):
    facts = facts_with(bull_clients=clients, emailengine={"key_prefix": key_prefix})

    assert queue_workers.judge(facts).outcome == outcome


def test_workers_elsewhere_are_named():
    clients = (BullClient("bull:bm90aWZ5", "h", 9), BullClient("p:bull:c3VibWl0", "h", 8))
    verdict = queue_workers.judge(facts_with(bull_clients=clients))

    assert verdict.evidence["seen_elsewhere"] == [
        "database 8 as p:bull:c3VibWl0",
        "database 9 as bull:bm90aWZ5",
    ]
    assert "workers were seen on database 8" in verdict.message


@pytest.mark.parametrize(
    ("changed", "outcome", "reason"),
    [
        ({"bull_clients": CLOSED}, "unknown", "no_permission"),
        ({"emailengine": NOT_CONFIGURED}, "not_applicable", "not_configured"),
        ({"emailengine": {"health_status": 503}}, "unknown", "depends_on"),
        ({"emailengine": {"uptime_s": 59.0}}, "unknown", "starting"),
        ({"emailengine": {"uptime_s": 60.0}}, "fail", None),
        ({"uptime_s": 59}, "unknown", "starting"),
        ({"uptime_s": 60}, "fail", None),
    ],
)
def test_workers_are_judged_only_while_both_have_been_up(changed, outcome, reason):
    verdict = queue_workers.judge(facts_with(**{"bull_clients": (), **changed}))

    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_worker_names():
    assert worker_name("notify", "") == "bull:bm90aWZ5"
    assert worker_name("submit", "p") == "p:bull:c3VibWl0"


# --- emailengine.queue-size

CLOSED = Missing("no_permission", "the queues are closed to us")


def queues(submit=0, notify=0, notify_age_s=0.0, **of_submit):
    paused = of_submit.pop("is_paused", False)
    return {
        "queues": (
            Queue("submit", submit, 2, 5000, is_paused=paused, oldest_waiting_s=9.0),
            Queue("notify", notify, 0, 0, is_paused=False, oldest_waiting_s=notify_age_s),
        )
    }


@pytest.mark.parametrize(
    ("waiting", "outcome", "severity", "keeps"),
    [
        (0, "pass", None, None),
        (74, "pass", None, None),
        (75, "pass", None, "warning"),
        (99, "pass", None, "warning"),
        (100, "fail", "warning", None),
        (375, "fail", "warning", None),
        (376, "fail", "warning", "critical"),
        (500, "fail", "warning", "critical"),
        (501, "fail", "critical", None),
    ],
)
def test_queue_steps(waiting, outcome, severity, keeps):
    verdict = queue_size.judge(facts_with(emailengine=queues(submit=waiting)))

    assert (verdict.outcome, verdict.severity, verdict.keeps) == (outcome, severity, keeps)
    assert verdict.evidence["waiting_count"] == waiting


@pytest.mark.parametrize(
    ("age_s", "outcome"),
    [(60.0, "pass"), (60.1, "fail"), (Missing("undetermined", "its age is not told"), "unknown")],
)
def test_notify_counts_while_its_oldest_job_is_old(age_s, outcome):
    told = queues(submit=5, notify=600, notify_age_s=age_s)
    facts = facts_with(emailengine=told, queues=CLOSED)
    verdict = queue_size.judge(facts)

    assert verdict.outcome == outcome
    if outcome == "unknown":
        return
    assert verdict.evidence["queue"] == ("notify" if outcome == "fail" else "submit")
    assert {"name", "waiting_count", "active_count", "delayed_count"} <= set(
        verdict.evidence["queues"][1]
    )


def test_the_message_names_the_queue_and_whether_it_is_paused():
    facts = facts_with(emailengine=queues(submit=1640, is_paused=True))
    verdict = queue_size.judge(facts)

    assert verdict.message == "1,640 jobs wait in submit, which is paused; keep them below 100"
    assert verdict.short == "1,640 jobs wait in submit"


@pytest.mark.parametrize(
    ("emailengine", "outcome", "reason"),
    [
        ({"queues": ()}, "unknown", "undetermined"),
        ({"queues": NOT_CONFIGURED}, "not_applicable", "not_configured"),
        ({"queues": Missing("auth", "token revoked")}, "unknown", "auth"),
        ({"uptime_s": 10.0}, "unknown", "starting"),
        (NOT_CONFIGURED, "not_applicable", "not_configured"),
    ],
)
def test_queues_that_were_not_read_are_unknown(emailengine, outcome, reason):
    verdict = queue_size.judge(facts_with(emailengine=emailengine, queues=CLOSED))

    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert verdict.outcome is not Outcome.PASS


def test_the_queues_keys_stand_in_and_the_evidence_says_so():
    direct = (Queue("submit", 140, 0, 0, is_paused=False, oldest_waiting_s=30.0),)
    closed = {"queues": Missing("auth", "token revoked")}
    verdict = queue_size.judge(facts_with(emailengine=closed, queues=direct))

    assert (verdict.outcome, verdict.severity) == ("fail", "warning")
    assert verdict.evidence["told_by"] == "the queues' keys in Redis"


def test_ages_come_from_the_keys():
    direct = (Queue("notify", 120, 0, 0, is_paused=False, oldest_waiting_s=61.0),)
    told = queues(submit=5, notify=120, notify_age_s=Missing("undetermined", "not told"))
    verdict = queue_size.judge(facts_with(emailengine=told, queues=direct))

    assert (verdict.outcome, verdict.evidence["queue"]) == ("fail", "notify")
    assert verdict.evidence["told_by"] == "EmailEngine, ages from Redis"

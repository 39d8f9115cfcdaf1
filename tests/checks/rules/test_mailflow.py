from dataclasses import replace

import pytest

from checks.facts import NOT_CONFIGURED, NOT_READ, Deliveries, Missing, Queue
from checks.rules.mailflow import delivery_time, p95, processing_rate, queue_paused
from checks.rules.outcomes import bounce_rate, webhooks
from tests.checks.pairs import facts_with

CLOSED = Missing("no_permission", "closed: grant +llen and %R~bull:*")
YOUNG = Missing("no_history", "watched for less than a day")


def submit(waiting=0, oldest_s=0.0, *, is_paused=False):
    return (Queue("submit", waiting, 0, 0, is_paused=is_paused, oldest_waiting_s=oldest_s),)


# --- emailengine.queue-paused


@pytest.mark.parametrize(
    ("paused_s", "outcome"), [(0.0, "pass"), (3600.0, "pass"), (3600.1, "fail")]
)
def test_a_pause_is_for_an_hour(paused_s, outcome):
    facts = facts_with(
        emailengine={"queues": submit(is_paused=True)}, since={"paused_s": {"submit": paused_s}}
    )

    assert queue_paused.judge(facts).outcome == outcome


def test_the_longest_pause_counts_and_says_what_it_harms():
    queues = (Queue("notify", 9, 0, 0, is_paused=True), *submit(is_paused=True))
    since = {"paused_s": {"submit": 100.0, "notify": 7200.0}}
    verdict = queue_paused.judge(facts_with(emailengine={"queues": queues}, since=since))

    assert verdict.short == "notify paused for 2\u202fh"
    assert verdict.evidence["harm"] == "webhooks are not delivered"


def test_metrics_alone_do_not_tell_a_pause():
    unsaid = Missing("not_configured", "only /v1/stats tells a paused queue")
    queues = (Queue("submit", 0, 0, 0, is_paused=unsaid),)
    closed = queue_paused.judge(facts_with(emailengine={"queues": queues}, queues=CLOSED))
    told = queue_paused.judge(facts_with(emailengine={"queues": queues}))

    assert (closed.outcome, closed.reason) == ("not_applicable", "not_configured")
    assert (told.outcome, told.evidence["told_by"]) == ("pass", "EmailEngine, ages from Redis")


# --- emailengine.processing-rate


def pace(done, waiting=400, before=300, over_s=60.0, **submit_options):
    return facts_with(
        emailengine={"queues": submit(waiting, **submit_options)},
        since={
            "submit_waiting_count": before,
            "processed_rise": {"submit/completed": done},
            "processed_over_s": over_s,
        },
    )


@pytest.mark.parametrize(
    ("facts", "severity"),
    [
        (pace(100), None),
        (pace(99), "warning"),
        (pace(50), "warning"),
        (pace(49), "critical"),
        (pace(0), "critical"),
        (pace(499, over_s=300.0), "warning"),
        (pace(0, waiting=99), None),
        (pace(0, before=99), None),
        (pace(0, is_paused=True), None),
    ],
)
def test_pace_matters_only_with_a_backlog(facts, severity):
    verdict = processing_rate.judge(facts)

    assert (verdict.outcome, verdict.severity) == ("fail" if severity else "pass", severity)


@pytest.mark.parametrize(("done", "outcome"), [(0, "unknown"), (1, "fail"), (100, "pass")])
def test_a_standstill_may_be_a_pause_that_nobody_told(done, outcome):
    """With a metrics token alone: what moves is not paused, what stands still may be."""
    facts = pace(done, is_paused=NOT_CONFIGURED)
    verdict = processing_rate.judge(replace(facts, redis=replace(facts.redis, queues=NOT_READ)))

    assert verdict.outcome == outcome
    if outcome == "unknown":
        assert verdict.reason == "undetermined"
        assert "whether the submit queue is paused was not told" in verdict.message


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        (Missing("first_visit", "first"), "first_visit"),
        ({"submit_waiting_count": 300, "processed_over_s": YOUNG}, "no_history"),
        ({"submit_waiting_count": 300, "processed_rise": NOT_CONFIGURED}, "not_configured"),
        ({"submit_waiting_count": 300, "processed_over_s": 0.0}, "no_history"),
    ],
)
def test_a_pace_over_a_gap_is_not_invented(since, reason):
    verdict = processing_rate.judge(facts_with(emailengine={"queues": submit(400)}, since=since))

    assert verdict.reason == reason


# --- emailengine.delivery-time


@pytest.mark.parametrize(
    ("taken_s", "severity", "keeps"),
    [
        (269.9, None, None),
        (270.0, None, "warning"),
        (299.9, None, "warning"),
        (300.0, "warning", None),
        (810.0, "warning", None),
        (810.1, "warning", "critical"),
        (900.0, "warning", "critical"),
        (900.1, "critical", None),
    ],
)
def test_delivery_steps(taken_s, severity, keeps):
    jobs = Deliveries((taken_s,) * 20, (), retried_count=0, covered_s=3600.0)
    verdict = delivery_time.judge(facts_with(deliveries=jobs))

    assert (verdict.severity, verdict.keeps) == (severity, keeps)
    assert verdict.evidence["basis"] == "p95 of 20"


def test_few_jobs_are_judged_by_the_oldest_that_waits():
    jobs = Deliveries((5000.0,) * 10, (400.0,), retried_count=3, covered_s=3600.0)
    verdict = delivery_time.judge(facts_with(queues=submit(1, 400.0), deliveries=jobs))

    assert (verdict.severity, verdict.evidence["basis"]) == ("warning", "the oldest waiting job")
    assert (verdict.evidence["taken_s"], verdict.evidence["retried_count"]) == (400.0, 3)


def test_jobs_that_wait_longer_than_the_stream_reaches_back_are_in_the_p95():
    jobs = Deliveries((1.0,) * 20, (120.0,), retried_count=0, covered_s=150.0)
    verdict = delivery_time.judge(facts_with(queues=submit(40, 2000.0), deliveries=jobs))

    assert verdict.evidence["jobs_count"] == 60
    assert (verdict.outcome, verdict.evidence["taken_s"]) == ("pass", 120.0)


@pytest.mark.parametrize(
    ("changed", "outcome", "reason"),
    [
        ({"queues": CLOSED, "deliveries": CLOSED}, "unknown", "no_permission"),
        ({"deliveries": CLOSED}, "unknown", "no_permission"),
        ({"deliveries": CLOSED, "queues": submit(1, 301.0)}, "fail", None),
        ({"queues": ()}, "unknown", "undetermined"),
    ],
)
def test_without_the_keys_it_is_unknown_and_the_right_is_named(changed, outcome, reason):
    verdict = delivery_time.judge(facts_with(**changed))

    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    if reason == "no_permission":
        assert "%R~bull:*" in verdict.message


def test_p95_is_the_nearest_rank():
    assert p95([float(number) for number in range(1, 21)]) == 19.0
    assert p95([7.0]) == 7.0


# --- emailengine.bounce-rate


@pytest.mark.parametrize(
    ("sent", "failed", "bounced", "severity"),
    [
        (1000, 0, 9, None),
        (1000, 0, 10, "warning"),
        (990, 10, 0, "warning"),
        (1000, 0, 30, "warning"),
        (1000, 0, 31, "critical"),
        (100, 0, 0, None),
    ],
)
def test_bounce_steps(sent, failed, bounced, severity):
    day = {"messageSent": sent, "messageFailed": failed, "messageBounce": bounced}

    assert bounce_rate.judge(facts_with(since={"events_day": day})).severity == severity


@pytest.mark.parametrize(
    ("since", "reason"),
    [
        ({"events_day": {"messageSent": 99}}, "no_history"),
        ({"events_day": YOUNG}, "no_history"),
        ({"has_seen_bounce": False}, "undetermined"),
    ],
)
def test_bounces_nobody_could_see_are_unknown(since, reason):
    verdict = bounce_rate.judge(facts_with(since=since))

    assert (verdict.outcome, verdict.reason) == ("unknown", reason)


# --- emailengine.webhooks


@pytest.mark.parametrize(
    ("good", "bad", "outcome"),
    [(0, 0, "pass"), (40, 0, "pass"), (199, 1, "pass"), (99, 1, "fail"), (98, 1, "unknown")],
)
def test_webhooks_of_an_hour(good, bad, outcome):
    hour = {"success": good, "fail": bad}

    assert webhooks.judge(facts_with(emailengine={"webhooks_hour": hour})).outcome == outcome


def test_without_the_api_token_our_own_hour_counts():
    closed = {"webhooks_hour": NOT_CONFIGURED}
    own = {"webhooks_hour": {"success": 150, "fail": 50}}
    assert webhooks.judge(facts_with(emailengine=closed, since=own)).severity == "warning"

    young = webhooks.judge(facts_with(emailengine=closed, since={"webhooks_hour": YOUNG}))
    assert (young.outcome, young.reason) == ("unknown", "no_history")

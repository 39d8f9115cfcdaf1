import pytest

from checks.facts import NOT_READ, Missing
from checks.rules.clients import (
    Buffer,
    clients_headroom,
    idle_timeout,
    pubsub_buffers,
    pubsub_limit,
)
from tests.checks.pairs import HIDDEN, MIB, facts_with

FIRST = Missing("first_visit", "this is the first visit")


@pytest.mark.parametrize(
    ("connected", "rejected", "outcome", "severity", "cause"),
    [
        (799, 0, "pass", None, ""),
        (800, 0, "fail", "warning", "crowded"),
        (1000, 0, "fail", "warning", "crowded"),
        (10, 1, "fail", "critical", "rejected"),
        (900, 1, "fail", "critical", "rejected"),
    ],
)
def test_clients_steps(connected, rejected, outcome, severity, cause):
    facts = facts_with(
        connected_clients=connected,
        maxclients=1000,
        since={"rejected_connections_rise": rejected},
    )
    verdict = clients_headroom.judge(facts)

    assert (verdict.outcome, verdict.severity, verdict.cause) == (outcome, severity, cause)


NOT_TOLD = Missing("undetermined", "INFO has no maxclients")
CLOSED = Missing("no_permission", "CONFIG GET maxclients is refused")


@pytest.mark.parametrize(
    ("told", "asked", "remembered", "most", "source"),
    [
        (1000, NOT_READ, 500, 1000, "INFO"),
        (NOT_TOLD, 60, 500, 60, "CONFIG GET"),
        (NOT_TOLD, NOT_READ, 500, 500, "CONFIG GET"),
    ],
)
def test_before_6_2_config_tells_how_many_may_connect(told, asked, remembered, most, source):
    verdict = clients_headroom.judge(
        facts_with(
            connected_clients=50,
            maxclients=told,
            config_maxclients=asked,
            since={"config_maxclients": remembered, "rejected_connections_rise": 0},
        )
    )

    evidence = verdict.evidence
    assert (evidence["maxclients_count"], evidence["maxclients_source"]) == (most, source)
    assert verdict.outcome == ("fail" if 50 / most >= 0.8 else "pass")


@pytest.mark.parametrize(
    ("asked", "remembered", "reason"),
    [
        (NOT_READ, FIRST, "first_visit"),
        (CLOSED, FIRST, "no_permission"),
        (CLOSED, 500, "no_permission"),
    ],
)
def test_maxclients_that_nobody_tells_is_not_known(asked, remembered, reason):
    facts = facts_with(
        maxclients=NOT_TOLD, config_maxclients=asked, since={"config_maxclients": remembered}
    )

    verdict = clients_headroom.judge(facts)

    assert (verdict.outcome, verdict.reason) == ("unknown", reason)


def test_a_first_visit_cannot_tell_of_rejections_but_of_a_crowd():
    assert clients_headroom.judge(facts_with(since=FIRST)).reason == "first_visit"
    crowded = clients_headroom.judge(facts_with(since=FIRST, connected_clients=9000))
    assert crowded.cause == "crowded"


def test_only_rejections_are_events():
    assert clients_headroom.tells_of_event("rejected")
    assert not clients_headroom.tells_of_event("crowded")


@pytest.mark.parametrize(
    ("limit", "outcome"),
    [
        ("pubsub 33554432 8388608 60", "pass"),
        ("normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", "pass"),
        ("pubsub 67108864 16777216 120", "pass"),
        ("pubsub 33554432 0 0", "pass"),
        ("pubsub 33554431 8388608 60", "fail"),
        ("pubsub 33554432 8388607 60", "fail"),
        ("pubsub 33554432 8388608 59", "fail"),
        ("pubsub 0 0 0", "fail"),
        ("normal 0 0 0", "unknown"),
        ("pubsub x 8388608 60", "unknown"),
        ("pubsub 33554432", "unknown"),
    ],
)
def test_buffer_steps(limit, outcome):
    verdict = pubsub_buffers.judge(facts_with(client_output_buffer_limit=limit))

    assert verdict.outcome == outcome


def test_the_pubsub_part_is_found_among_the_classes():
    text = "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60"

    assert pubsub_limit(text) == Buffer(32 * MIB, 8 * MIB, 60)


def test_clients_that_were_cut_off_are_an_event():
    verdict = pubsub_buffers.judge(facts_with(since={"output_buffer_disconnections_rise": 2}))

    assert (verdict.severity, verdict.cause) == ("warning", "disconnected")
    assert pubsub_buffers.tells_of_event("disconnected")
    assert not pubsub_buffers.tells_of_event("limit")


def test_servers_that_do_not_count_are_judged_by_the_limit():
    uncounted = Missing("undetermined", "INFO has no client_output_buffer_limit_disconnections")
    older = facts_with(
        output_buffer_disconnections=uncounted,
        since={"output_buffer_disconnections_rise": uncounted},
    )

    assert pubsub_buffers.judge(older).outcome == "pass"
    assert pubsub_buffers.judge(facts_with(since=FIRST)).reason == "first_visit"


@pytest.mark.parametrize(
    ("timeout_s", "outcome", "severity"), [(0, "pass", None), (1, "fail", "info")]
)
def test_idle_connections(timeout_s, outcome, severity):
    verdict = idle_timeout.judge(facts_with(timeout_s=timeout_s))

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


def test_a_hidden_timeout_is_unknown():
    assert idle_timeout.judge(facts_with(timeout_s=HIDDEN)).reason == "no_permission"

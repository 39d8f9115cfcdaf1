"""The table of what is told: the difference between how a finding stands and what was told of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from fleet.alerts.decide import Fate, LastTold, News, decide
from fleet.alerts.letter import Move
from fleet.alerts.timing import TELL_AGAIN_WITHIN, TELL_WITHIN

NOW = datetime(2026, 11, 21, 14, 32, tzinfo=UTC)
OPENED_AT = NOW - timedelta(minutes=9)
NEWS = News(
    channel_id=1,
    tenant_id=1,
    target_id=1,
    zone_id=1,
    rule_id="redis.eviction-policy",
    finding_id=7,
    state="open",
    severity="critical",
    opened_at=OPENED_AT,
    first_at=NOW,
    least="warning",
    causes=frozenset({"opened"}),
    delivery_ids=(1,),
)
OPEN = LastTold(is_open=True, severity="critical", finding_id=7, opened_at=OPENED_AT)
OVER = {"state": "resolved", "closing": "resolved", "causes": frozenset({"resolved"})}


def told(move):
    return Fate("tell", move=move)


def dropped(reason):
    return Fate("drop", reason)


def held(reason):
    return Fate("hold", reason)


@pytest.mark.parametrize(
    ("changes", "fate"),
    [
        # Open.
        ({}, told(Move.OPENED)),
        ({"told": OPEN}, dropped("told")),
        ({"told": replace(OPEN, is_open=False)}, told(Move.OPENED)),
        ({"told": replace(OPEN, severity="warning")}, told(Move.WORSE)),
        ({"told": OPEN, "severity": "warning"}, dropped("eased")),
        ({"told": replace(OPEN, is_flapping=True)}, told(Move.CALM)),
        ({"is_waived": True}, dropped("waived")),
        ({"told": OPEN, "causes": frozenset({"unwaived"})}, told(Move.OPENED)),
        ({"severity": "info"}, dropped("below")),
        ({"severity": "warning"}, told(Move.OPENED)),
        ({"severity": "warning", "least": "critical"}, dropped("below")),
        ({"causes": frozenset({"acknowledged"})}, dropped("acknowledged")),
        ({"causes": frozenset({"acknowledged"}), "told": OPEN}, dropped("acknowledged")),
        ({"causes": frozenset({"acknowledged"}), "is_flapping": True}, dropped("acknowledged")),
        ({"causes": frozenset({"acknowledged", "opened"})}, told(Move.OPENED)),
        # Another opening than the one told of: its end was never told, or is among the news.
        ({"told": replace(OPEN, opened_at=NOW - timedelta(days=2))}, told(Move.OPENED)),
        ({"told": replace(OPEN, finding_id=6)}, told(Move.OPENED)),
        ({"told": replace(OPEN, finding_id=6), "closing": "resolved"}, dropped("told")),
        # Over.
        ({**OVER}, dropped("over")),
        ({**OVER, "told": OPEN}, told(Move.RESOLVED)),
        ({**OVER, "told": replace(OPEN, is_open=False)}, dropped("over")),
        ({**OVER, "told": OPEN, "closing": "withdrawn"}, dropped("withdrawn")),
        ({**OVER, "told": OPEN, "closing": "acknowledged"}, told(Move.RESOLVED)),
        ({**OVER, "told": OPEN, "is_waived": True}, dropped("waived")),
        ({**OVER, "told": OPEN, "severity": "info"}, told(Move.RESOLVED)),
        ({**OVER, "told": replace(OPEN, is_flapping=True)}, told(Move.RESOLVED)),
        # Flapping.
        ({"is_flapping": True}, told(Move.FLAPPING)),
        ({**OVER, "is_flapping": True}, told(Move.FLAPPING)),
        ({"is_flapping": True, "told": OPEN}, told(Move.FLAPPING)),
        ({"is_flapping": True, "told": replace(OPEN, is_flapping=True)}, dropped("flapping")),
        ({"is_flapping": True, "is_waived": True}, dropped("waived")),
        ({"is_flapping": True, "severity": "info"}, dropped("below")),
        # Where and to whom.
        ({"target_state": "paused"}, held("paused")),
        ({"target_state": "archived"}, dropped("archived")),
        ({"is_stopped": True}, dropped("stopped")),
    ],
)
def test_what_is_told(changes, fate):
    assert decide(replace(NEWS, **changes), NOW) == fate


def test_in_maintenance_all_waits():
    assert decide(NEWS, NOW, is_silenced=True) == held("maintenance")
    assert decide(replace(NEWS, is_stopped=True), NOW, is_silenced=True) == dropped("stopped")


HALF, HOUR, SECOND = TELL_WITHIN, TELL_AGAIN_WITHIN, timedelta(seconds=1)


@pytest.mark.parametrize(
    ("ages", "told_age", "fate"),
    [
        ((), None, told(Move.OPENED)),
        ((HALF - SECOND, SECOND), None, told(Move.OPENED)),
        ((HALF - SECOND, SECOND, 2 * SECOND), None, held("often")),
        ((HALF, SECOND, 2 * SECOND), None, told(Move.OPENED)),
        # This rule was told of lately itself.
        ((HALF, SECOND, 2 * SECOND), HALF, held("often")),
        ((HOUR - SECOND, SECOND, 2 * SECOND), SECOND, held("often")),
        ((HOUR, SECOND, 2 * SECOND), SECOND, told(Move.OPENED)),
        ((HOUR, HALF - SECOND, SECOND, 2 * SECOND), HOUR, held("often")),
        ((HOUR, HALF, SECOND, 2 * SECOND), HOUR, told(Move.OPENED)),
    ],
)
def test_a_channel_hears_of_one_target_three_times_in_half_an_hour(ages, told_age, fate):
    told_at = frozenset(NOW - age for age in ages)
    last = replace(OPEN, is_open=False, at=(NOW - told_age,) if told_age else ())

    assert decide(replace(NEWS, told=last, target_told_at=told_at), NOW) == fate

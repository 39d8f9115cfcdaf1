"""Restored before: how a drill ended, and how long ago."""

import pytest

from checks.facts import Missing, Restore
from checks.rule import Outcome
from checks.rules.drills import restore_proven
from tests.checks.pairs import facts_with

DAYS = 86_400.0


def judge(**backup):
    return restore_proven.judge(facts_with(backup=backup))


def judged(**backup):
    verdict = judge(**backup)
    return verdict.outcome.value, verdict.severity and verdict.severity.value


@pytest.mark.parametrize(
    ("is_passed", "age_s", "expected"),
    [
        (True, 30 * DAYS - 1, ("pass", None)),
        (True, 30 * DAYS, ("pass", None)),
        (True, 30 * DAYS + 1, ("fail", "warning")),
        (False, 1.0, ("fail", "critical")),
        (False, 90 * DAYS, ("fail", "critical")),
    ],
)
def test_restore_steps(is_passed, age_s, expected):
    restore = Restore(is_passed=is_passed, age_s=age_s, text="keys are missing")

    assert judged(restore=restore) == expected


def test_no_drill_yet_is_a_note_with_its_reason():
    verdict = judge(
        restore=Missing("no_history", "no drill yet"),
        restore_trouble="no server reads RDB version 12",
    )

    assert (verdict.outcome.value, verdict.severity.value) == ("fail", "info")
    assert verdict.message == (
        "No restore has been proven yet: no server reads RDB version 12; a drill should prove one"
    )


@pytest.mark.parametrize("age_s", [19.0, 3 * DAYS])
def test_a_failed_drill_is_told_in_words_that_stay_true(age_s):
    last = Restore(is_passed=False, age_s=age_s, text="keys are missing")

    verdict = judge(restore=last)

    assert verdict.short == "Restore drill failed"
    assert verdict.message == (
        "The last restore drill failed: keys are missing; it must bring back what was saved"
    )


def test_of_the_providers_snapshots_no_restore_can_be_read():
    facts = facts_with(backup={"sources": ()}, attested={"managed_snapshot_hours": 24})

    assert restore_proven.judge(facts).outcome is Outcome.UNKNOWN

"""A fresh copy elsewhere, judged at every boundary, and one finding where there is none."""

from dataclasses import replace

import pytest

from checks.catalog import RULES
from checks.facts import Missing
from checks.rule import Cadence, Outcome
from checks.rules.backup import configured
from checks.rules.backup_age import age
from checks.rules.backup_secret import secret_kept
from tests.checks.pairs import COPY, DAILY, facts_with, source_with

DAYS = 86_400.0
INTERVAL, GRACE = DAILY.interval_s, DAILY.grace_s
NONE = {"sources": ()}
NO_GOOD = Missing("no_history", "no copy yet")
OTHERS = [rule for rule in RULES if rule.cadence is Cadence.BACKUP and rule is not configured]


def aged(age_s, **fields):
    copy = replace(COPY, age_s=age_s)
    return source_with(newest=copy, good=copy, **fields)


def judged(rule, backup=None, **attested):
    verdict = rule.judge(facts_with(backup=backup, attested=attested))
    return verdict.outcome.value, verdict.severity and verdict.severity.value


@pytest.mark.parametrize(
    ("registered_s", "expected"),
    [
        (14 * DAYS - 1, ("unknown", None)),
        (14 * DAYS, ("fail", "critical")),
        (14 * DAYS + 1, ("fail", "critical")),
    ],
)
def test_a_pair_without_a_source_is_judged_after_two_weeks(registered_s, expected):
    assert judged(configured, {**NONE, "registered_s": registered_s}) == expected


@pytest.mark.parametrize(
    ("hours", "registered_s", "expected"),
    [
        (0, 1.0, ("fail", "critical")),
        (0, 90 * DAYS, ("fail", "critical")),
        (1, 1.0, ("pass", None)),
        (24, 90 * DAYS, ("pass", None)),
    ],
)
def test_what_is_attested_of_the_provider_counts_at_once(hours, registered_s, expected):
    backup = {**NONE, "registered_s": registered_s}

    assert judged(configured, backup, managed_snapshot_hours=hours) == expected


def test_a_source_is_evidence_against_an_attested_none():
    assert judged(configured, managed_snapshot_hours=0) == ("pass", None)


@pytest.mark.parametrize("rule", OTHERS, ids=lambda rule: rule.id)
@pytest.mark.parametrize("attested", [{}, {"managed_snapshot_hours": 0, "secret_kept": True}])
def test_without_a_source_there_is_one_finding_not_six(rule, attested):
    verdict = rule.judge(facts_with(backup=NONE, attested=attested))

    assert (verdict.outcome, verdict.reason, verdict.depends_on) == (
        Outcome.UNKNOWN,
        "depends_on",
        "backup.configured",
    )


@pytest.mark.parametrize(
    "rule", [one for one in OTHERS if one is not secret_kept], ids=lambda r: r.id
)
def test_a_source_without_a_copy_yet_is_no_finding_of_the_others(rule):
    none = Missing("no_history", "no copy yet")
    verdict = rule.judge(facts_with(backup={"sources": (source_with(newest=none, good=none),)}))

    assert (verdict.outcome, verdict.depends_on) == (Outcome.UNKNOWN, "backup.configured")


@pytest.mark.parametrize(
    ("age_s", "expected"),
    [
        (INTERVAL + GRACE - 1, ("pass", None)),
        (INTERVAL + GRACE, ("pass", None)),
        (INTERVAL + GRACE + 1, ("fail", "warning")),
        (2 * INTERVAL + GRACE, ("fail", "warning")),
        (2 * INTERVAL + GRACE + 1, ("fail", "critical")),
    ],
)
def test_age_steps(age_s, expected):
    assert judged(age, {"sources": (aged(age_s),)}) == expected


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (26, ("pass", None)),
        (27, ("pass", None)),
        (28, ("fail", "warning")),
        (51, ("fail", "warning")),
        (52, ("fail", "critical")),
    ],
)
def test_the_providers_snapshots_may_be_as_old_as_the_time_between_two(hours, expected):
    assert judged(age, NONE, managed_snapshot_hours=hours) == expected


def test_each_source_has_its_own_rhythm():
    weekly = aged(5 * DAYS, interval_s=7 * 86_400, label="weekly")

    assert judged(age, {"sources": (weekly,)}) == ("pass", None)


def test_the_source_that_is_best_in_time_decides_and_the_late_ones_are_told_of():
    late = aged(9 * DAYS, label="off-site")
    none = source_with(newest=NO_GOOD, good=NO_GOOD, label="bucket")
    verdict = age.judge(facts_with(backup={"sources": (late, none, DAILY)}))

    assert verdict.outcome is Outcome.PASS
    assert verdict.evidence == {
        "state": "5\u202fh old; 2 other sources late",
        "source": "nightly",
        "age_s": 18_000.0,
        "allowed_s": 97_200,
        "late_sources": ["off-site: 9\u202fd old", "bucket: no good copy"],
    }


def test_a_single_source_that_is_late_is_not_told_of_twice():
    verdict = age.judge(facts_with(backup={"sources": (aged(9 * DAYS),)}))

    assert (verdict.evidence["state"], verdict.evidence["late_sources"]) == ("9\u202fd old", [])


def test_a_late_backup_says_how_old_it_is_and_how_old_it_may_be():
    verdict = age.judge(facts_with(backup={"sources": (aged(36 * 3600.0),)}))

    assert verdict.message == (
        "The newest good backup is 36\u202fh old; it must be at most 27\u202fh old"
    )
    assert verdict.short == "Backup 36\u202fh old"


def test_bad_copies_alone_are_no_backup():
    none = Missing("undetermined", "no copy is good")

    assert judged(age, {"sources": (source_with("corrupt", good=none),)}) == ("fail", "critical")
    assert judged(age, {"sources": (source_with("unreadable", good=none),)}) == ("unknown", None)


@pytest.mark.parametrize(
    ("kept", "expected"), [(True, ("pass", None)), (False, ("fail", "critical"))]
)
def test_the_secret_is_what_is_attested_of_it(kept, expected):
    assert judged(secret_kept, secret_kept=kept) == expected


def test_an_unattested_secret_is_unknown():
    verdict = secret_kept.judge(facts_with())

    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, "unattested")

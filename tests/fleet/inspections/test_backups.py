"""A visit judges a pair's copies by what was verified before, and does no I/O for it."""

from datetime import timedelta

import pytest

from checks.rule import Cadence
from fleet.backups.models import BackupJob
from fleet.findings.models import Finding
from fleet.inspections.cadences import to_bits
from fleet.inspections.hasten import judge_new_copies
from fleet.inspections.models import LatestFacts, PairState
from tests.fleet.backups.sources import make_artefact
from tests.fleet.factories import make_person
from tests.fleet.visiting import NOW, claimed, make_pairs, visit

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)
HEALTH = to_bits({Cadence.HEALTH})


def said(rule_id):
    return LatestFacts.objects.get(cadence="backup").verdicts[rule_id]


def test_a_visit_judges_the_last_verified_copies():
    make_pairs(1)

    visit(NOW)

    assert said("backup.age")["outcome"] == "pass"
    assert said("backup.restore-proven")["outcome"] == "pass"
    assert PairState.objects.get().last_backup_at == NOW - 3 * HOUR


def test_a_backup_that_stays_away_opens_and_a_new_copy_closes_it():
    (pair,) = make_pairs(1)
    visit(NOW)
    later = NOW + 30 * HOUR

    visit(later)
    found = Finding.objects.get(rule_id="backup.age")
    assert (found.state, found.severity, found.short) == (
        "open",
        "warning",
        "Backup 33\u202fh old",
    )

    make_artefact(pair.target.backup_sources.get(), at=later)
    visit(later + HOUR)
    assert Finding.objects.get(rule_id="backup.age").state == "resolved"


def test_a_corrupt_copy_opens_although_redis_is_away():
    (pair,) = make_pairs(1)
    make_artefact(pair.target.backup_sources.get(), state="corrupt", at=NOW)

    visit(NOW)

    assert Finding.objects.get(rule_id="backup.intact").severity == "critical"


def test_a_visit_for_health_alone_reads_no_copies():
    make_pairs(1)
    visit(NOW)

    (due,) = claimed(NOW + HOUR, bits=HEALTH)

    assert due.backup.reason == "undetermined"


def test_a_pair_without_a_source_is_unverified_and_has_no_backup():
    (pair,) = make_pairs(1)
    pair.target.backup_sources.all().delete()

    visit(NOW)

    found = PairState.objects.get()
    assert (found.compliance, found.last_backup_at) == ("unverified", None)
    assert found.core_unknown == {"backup.configured": "no_history", "backup.age": "depends_on"}


@pytest.mark.parametrize(
    ("kind", "is_asked", "source_age", "hastened"),
    [
        ("verify", False, HOUR, 0),
        ("verify", True, HOUR, 1),
        ("verify", False, timedelta(minutes=11), 0),
        ("verify", False, timedelta(minutes=9), 1),  # the first looks at a new source
        ("pull", False, HOUR, 1),
        ("drill", False, HOUR, 1),
    ],
)
def test_what_is_new_of_copies_is_judged_as_soon_as_it_is_known(
    kind, is_asked, source_age, hastened
):
    (pair,) = make_pairs(1)
    visit(NOW)
    later = NOW + timedelta(minutes=5)
    pair.target.backup_sources.update(created_at=later - source_age)
    BackupJob.objects.create(
        kind=kind,
        target=pair.target,
        source=None if kind == "drill" else pair.target.backup_sources.get(),
        made_at=NOW,
        state="done",
        ended_at=later,
        asked_by=make_person() if is_asked else None,
    )

    assert judge_new_copies(later) == hastened
    assert judge_new_copies(later) == 0
    due = [Cadence.BACKUP in one.cadences for one in claimed(later)]
    assert due == [bool(hastened)] or not due


@pytest.mark.parametrize(("judged_after_s", "hastened"), [(-1, 1), (0, 1), (14, 1), (15, 0)])
def test_a_visit_that_began_as_a_pull_ended_may_have_read_what_was_there_before(
    judged_after_s, hastened
):
    """What is known of copies is read before a visit begins."""
    (pair,) = make_pairs(1)
    visit(NOW)
    ended_at = NOW + timedelta(minutes=5)
    PairState.objects.update(backup_at=ended_at + timedelta(seconds=judged_after_s))
    BackupJob.objects.create(
        kind="pull", target=pair.target, made_at=NOW, state="done", ended_at=ended_at
    )

    assert judge_new_copies(ended_at + timedelta(seconds=30)) == hastened

"""What rules see of a pair's copies is what lies in the tables, in a few queries for many pairs."""

from datetime import timedelta

import pytest
from django.utils import timezone

from checks.facts import BackupFacts, Copy, Missing, Restore
from fleet.backups.facts import backup_facts
from fleet.registry.models import Target
from tests.fleet.backups.sources import make_artefact, make_drill, make_source
from tests.fleet.factories import NOW, make_pair

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


def facts(pair) -> BackupFacts:
    return backup_facts([pair.pk], NOW)[pair.pk]


def test_a_pair_without_a_source_says_how_long_it_has_been_registered():
    pair = make_pair()
    Target.objects.update(created_at=NOW - 5 * HOUR)

    assert facts(pair) == BackupFacts(
        18_000.0, (), Missing("no_history", "no drill has come to an end yet")
    )


def test_the_newest_copy_and_the_newest_good_one_are_told_apart():
    source = make_source(make_pair(), label="nightly")
    for hours, size in ((99, 10), (75, 20), (51, 30)):
        make_artefact(source, at=NOW - hours * HOUR, size_bytes=size)
    good = make_artefact(source, at=NOW - 27 * HOUR, size_bytes=40)
    bad = make_artefact(source, at=NOW - 3 * HOUR, state="corrupt", text="its checksum is wrong")
    make_artefact(source, at=NOW - HOUR, state="seen")

    (found,) = facts(source.target.pair).sources

    assert found.newest == Copy(bad.key, "corrupt", "its checksum is wrong", 10_800.0, 1_000_000)
    assert found.good == Copy(good.key, "intact", "", 97_200.0, 40)
    assert (found.label, found.interval_s, found.earlier_bytes) == ("nightly", 86_400, (10, 20, 30))


def test_a_copy_that_is_gone_is_no_copy_but_counts_for_the_mean():
    source = make_source(make_pair())
    make_artefact(source, at=NOW - 5 * HOUR, size_bytes=10)
    make_artefact(source, at=NOW - 3 * HOUR, size_bytes=20, gone_at=NOW)

    (found,) = facts(source.target.pair).sources

    assert (found.good.age_s, found.earlier_bytes) == (18_000.0, (20,))


def test_age_is_by_content_and_falls_back_on_where_it_lies():
    source = make_source(make_pair())
    make_artefact(source, at=NOW - HOUR, content_at=NOW - 9 * HOUR)
    (found,) = facts(source.target.pair).sources
    assert found.good.age_s == 32_400.0

    make_artefact(source, at=NOW - 2 * HOUR, content_at=None)
    (found,) = facts(source.target.pair).sources
    assert found.good.age_s == 7_200.0


def test_what_could_not_be_judged_says_why():
    source = make_source(make_pair(), last_text="bucket copies: there is no such bucket")
    copy = make_artefact(source, state="unreadable", reason="protocol", text="not a dump")

    (found,) = facts(source.target.pair).sources

    assert found.newest.why == Missing("protocol", f"{copy.key}: not a dump")
    assert found.good == Missing("no_history", "no copy has been looked at yet")
    assert found.trouble == "bucket copies: there is no such bucket"


def test_a_source_that_is_off_is_none():
    source = make_source(make_pair(), is_enabled=False)

    assert facts(source.target.pair).sources == ()


def test_the_last_drill_that_ended_counts_and_a_later_one_says_why_it_was_not_done():
    pair = make_pair()
    make_drill(pair, "failed", 9 * HOUR)
    make_drill(pair, "passed", 5 * HOUR, load_ms=41_000, lost_s=18_720)
    make_drill(pair, "not_done", HOUR)

    found = facts(pair)

    assert found.restore == Restore(
        is_passed=True, age_s=18_000.0, text="this is passed", load_s=41.0, lost_s=18_720.0
    )
    assert found.restore_trouble == "this is not_done"
    make_drill(pair, "failed", timedelta(minutes=1))
    assert (facts(pair).restore.is_passed, facts(pair).restore_trouble) == (False, "")


def test_many_pairs_cost_no_more_queries_than_one(django_assert_num_queries):
    pairs = [make_pair() for _ in range(5)]
    for pair in pairs:
        for _ in range(2):
            make_artefact(make_source(pair), at=timezone.now() - HOUR)
        make_drill(pair)

    with django_assert_num_queries(0):  # they go past Django's own cursor
        found = backup_facts([pair.pk for pair in pairs], NOW)

    assert [len(found[pair.pk].sources) for pair in pairs] == [2] * 5

import pytest

from checks.facts import Engine, Missing
from checks.rule import Outcome, Severity
from checks.rules.forking import fragmentation, snapshot_headroom
from tests.checks.pairs import GIB, HIDDEN, MIB, facts_with

NEVER = Missing("no_history", "none seen")
RAM = {"ram_bytes": 10 * GIB}


@pytest.mark.parametrize(
    ("left_mib", "outcome", "severity"),
    [
        (2049, "pass", None),
        (2048, "pass", None),
        (2047, "fail", "warning"),
        (1024, "fail", "warning"),
        (1023, "fail", "critical"),
    ],
)
def test_room_for_the_largest_copy(left_mib, outcome, severity):
    facts = facts_with(
        used_memory_rss_bytes=10 * GIB - left_mib * MIB,
        attested=RAM,
        trend={"largest_cow_bytes": 2 * GIB},
    )
    verdict = snapshot_headroom.judge(facts)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)
    assert verdict.evidence["left_bytes"] == left_mib * MIB


def test_the_copy_of_this_visit_counts_too():
    facts = facts_with(used_memory_rss_bytes=7 * GIB, attested=RAM, current_cow_peak_bytes=4 * GIB)

    assert snapshot_headroom.judge(facts).evidence["wanted_room_bytes"] == 4 * GIB


def test_other_servers_on_the_host_take_of_its_ram():
    facts = facts_with(
        used_memory_rss_bytes=1 * GIB, attested=RAM, fleet={"other_rss_bytes": 9 * GIB}
    )

    assert snapshot_headroom.judge(facts).severity is Severity.CRITICAL


def test_without_a_save_seen_it_is_unknown():
    facts = facts_with(attested=RAM, rdb_last_cow_bytes=0, trend={"largest_cow_bytes": NEVER})

    assert snapshot_headroom.judge(facts).reason == "no_history"


def test_estimated_ram_proves_no_room_but_never_enough():
    assert snapshot_headroom.judge(facts_with()).reason == "unattested"
    assert snapshot_headroom.judge(facts_with(used_memory_rss_bytes=15 * GIB)).severity is (
        Severity.CRITICAL
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"engine": Engine.DRAGONFLY},
        {"engine": Engine.ELASTICACHE},
        {"save": (), "aof_enabled": False},
    ],
)
def test_what_does_not_fork_needs_no_room(fields):
    assert snapshot_headroom.judge(facts_with(**fields)).outcome is Outcome.NOT_APPLICABLE


@pytest.mark.parametrize(
    ("used_mib", "times", "outcome"),
    [
        (101, 1.49, "pass"),
        (101, 1.5, "fail"),
        (100, 10.87, "pass"),
        (1000, 0.9, "pass"),
    ],
)
def test_fragmentation_steps(used_mib, times, outcome):
    verdict = fragmentation.judge(
        facts_with(used_memory_bytes=used_mib * MIB, fragmentation_ratio=times)
    )

    assert verdict.outcome == outcome
    assert verdict.severity in (None, Severity.INFO)


def test_fragmentation_is_unknown_where_info_does_not_tell():
    assert fragmentation.judge(facts_with(fragmentation_ratio=HIDDEN)).reason == "no_permission"

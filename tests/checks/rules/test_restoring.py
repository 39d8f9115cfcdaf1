"""Whole, and of a likely size: each at its boundaries."""

from dataclasses import replace

import pytest

from checks.facts import Missing
from checks.rule import Outcome
from checks.rules.restoring import copy_size, intact
from tests.checks.pairs import COPY, MIB, facts_with, source_with

DAYS = 86_400.0


def judge(rule, *sources, **backup):
    return rule.judge(facts_with(backup={**({"sources": sources} if sources else {}), **backup}))


def judged(rule, *sources, **backup):
    verdict = judge(rule, *sources, **backup)
    return verdict.outcome.value, verdict.severity and verdict.severity.value


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("intact", ("pass", None)),
        ("unchecked", ("fail", "warning")),
        ("truncated", ("fail", "critical")),
        ("corrupt", ("fail", "critical")),
        ("empty", ("unknown", None)),
        ("unreadable", ("unknown", None)),
        ("reported", ("unknown", None)),
        ("seen", ("unknown", None)),
    ],
)
def test_intact_is_what_reading_the_newest_copy_proved(state, expected):
    assert judged(intact, source_with(state)) == expected


def test_the_worst_source_decides():
    assert judged(intact, source_with(), source_with("corrupt")) == ("fail", "critical")
    assert judged(intact, source_with("unchecked"), source_with("truncated")) == (
        "fail",
        "critical",
    )
    assert judged(intact, source_with(), source_with("reported")) == ("pass", None)
    assert judged(intact, source_with(), source_with("unreadable")) == ("unknown", None)


def test_another_format_says_what_it_is():
    why = Missing("protocol", "an append-only file, not a dump")
    verdict = judge(intact, source_with(newest=replace(COPY, state="unreadable", why=why)))

    assert (verdict.outcome, verdict.reason, verdict.message) == (
        Outcome.UNKNOWN,
        "protocol",
        "an append-only file, not a dump",
    )


def sized(size_bytes, earlier=(100 * MIB,) * 3):
    return source_with(good=replace(COPY, size_bytes=size_bytes), earlier_bytes=earlier)


@pytest.mark.parametrize(
    ("size_bytes", "expected"),
    [
        (50 * MIB - 1, ("fail", "warning")),
        (50 * MIB, ("pass", None)),
        (100 * MIB, ("pass", None)),
        (150 * MIB, ("pass", None)),
        (150 * MIB + 1, ("fail", "warning")),
    ],
)
def test_size_steps(size_bytes, expected):
    assert judged(copy_size, sized(size_bytes)) == expected


@pytest.mark.parametrize(("count", "outcome"), [(2, "unknown"), (3, "pass")])
def test_a_mean_needs_a_few_copies(count, outcome):
    assert judged(copy_size, sized(100 * MIB, (100 * MIB,) * count))[0] == outcome


def test_an_empty_copy_is_critical_whatever_came_before():
    assert judged(copy_size, source_with("empty", earlier_bytes=())) == ("fail", "critical")


def test_the_size_stands_beside_what_redis_holds():
    assert judge(copy_size, sized(100 * MIB)).evidence["used_memory_bytes"] == 1024 * MIB
    without = facts_with(redis=Missing("timeout", "no answer"))
    assert "used_memory_bytes" not in copy_size.judge(without).evidence


@pytest.mark.parametrize("rule", [intact, copy_size], ids=lambda rule: rule.id)
def test_of_the_providers_snapshots_nothing_can_be_read(rule):
    facts = facts_with(backup={"sources": ()}, attested={"managed_snapshot_hours": 24})

    assert rule.judge(facts).outcome is Outcome.UNKNOWN

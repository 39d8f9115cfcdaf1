"""redis.memory-forecast: boundaries in days, ranges, and what does not grow."""

import pytest

from checks.facts import Growth, Missing
from checks.rule import Outcome
from checks.rules.forecast import memory_forecast
from tests.checks.pairs import GIB, MIB, facts_with

CEILING = 1000 * MIB


def judge(days: float, **changes):
    """Judge a pair that crosses 80 % of 1000 MiB in so many days, by 1 MiB a day."""
    level = 800.0 * MIB - days * MIB
    grown = Growth(28, 20_778, level, 1.0 * MIB, 0.5 * MIB, 2.0 * MIB)
    values = {"maxmemory_bytes": CEILING, "trend": {"growth": grown}, **changes}
    return memory_forecast.judge(facts_with(**values))


@pytest.mark.parametrize(
    ("days", "outcome", "severity"),
    [
        (0, "fail", "critical"),
        (6.99, "fail", "critical"),
        (7, "fail", "warning"),
        (29.99, "fail", "warning"),
        (30, "pass", None),
        (400, "pass", None),
    ],
)
def test_steps(days, outcome, severity):
    verdict = judge(days)

    assert (verdict.outcome, verdict.severity) == (outcome, severity)


@pytest.mark.parametrize(
    ("days", "keeps"),
    [(8.74, "critical"), (8.75, None), (37.49, "warning"), (37.5, None)],
)
def test_it_leaves_a_step_a_quarter_further_out(days, keeps):
    assert judge(days).keeps == keeps


def test_the_finding_gives_a_range():
    verdict = judge(20)

    assert verdict.message == (
        "At 1.0\u202fMiB a day Redis reaches 80% of 1,000\u202fMiB in 20\u202fd (10\u202fd to "
        "40\u202fd); keep it further than 30\u202fd away"
    )
    assert verdict.short == "Full in 20\u202fd"
    assert verdict.evidence["crosses_in_s"] == 20 * 86_400


@pytest.mark.parametrize("ram", [1_150 * MIB, 100 * GIB])
@pytest.mark.parametrize("growth", [1 * MIB, 50 * MIB])
def test_the_ceiling_that_is_advised_ends_the_finding(growth, ram):
    """Whether the host holds it already or is to be given RAM first."""
    grown = Growth(28, 20_778, 790.0 * MIB, 1.0 * growth, 0.5 * growth, 2.0 * growth)
    known = {"trend": {"growth": grown}, "attested": {"ram_bytes": ram}, "system_memory_bytes": ram}
    ill = memory_forecast.judge(facts_with(maxmemory_bytes=CEILING, **known))
    advised = ill.evidence["suggested_maxmemory_bytes"]

    assert ill.outcome is Outcome.FAIL
    assert memory_forecast.judge(facts_with(maxmemory_bytes=advised, **known)).outcome == "pass"


def test_what_does_not_grow_says_so():
    grown = Growth(28, 20_778, 790.0 * MIB, 0.2 * MIB, -0.1 * MIB, 0.5 * MIB)
    verdict = memory_forecast.judge(facts_with(maxmemory_bytes=CEILING, trend={"growth": grown}))

    assert (verdict.outcome, verdict.evidence["forecast"]) == (Outcome.PASS, "not growing")


def test_without_a_ceiling_attested_ram_counts_and_an_estimate_does_not():
    ram = {"maxmemory_bytes": 0, "system_memory_bytes": CEILING}

    assert judge(20, **ram, attested={"ram_bytes": CEILING}).severity == "warning"
    verdict = judge(
        20, **ram, attested={"ram_bytes": Missing("unattested", "ram_bytes is not attested")}
    )
    assert (verdict.outcome, verdict.reason) == (Outcome.UNKNOWN, "unattested")


def test_too_short_a_history_is_unknown():
    verdict = judge(
        20, trend={"growth": Missing("no_history", "9 days of history; 14 show a trend")}
    )

    assert (verdict.outcome, verdict.reason, verdict.message) == (
        Outcome.UNKNOWN,
        "no_history",
        "9 days of history; 14 show a trend",
    )


def test_a_host_that_cannot_hold_more_is_told_to_add_ram():
    small = {"system_memory_bytes": 1100 * MIB, "attested": {"ram_bytes": 1100 * MIB}}

    assert judge(20, **small).cause == "add-ram"
    assert (
        judge(20, system_memory_bytes=16 * GIB, attested={"ram_bytes": 16 * GIB}).cause
        == "maxmemory"
    )

"""When will Redis be full? A time with how sure it is, or that it does not grow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from checks.facts import Growth, PairFacts, RedisFacts, known
from checks.render import duration, percent, size
from checks.rule import (
    JSON,
    Cadence,
    Group,
    Kind,
    Limits,
    Severity,
    Verdict,
    failed,
    passed,
    rule,
    unknown,
)
from checks.rules.memory import ADD_RAM, ADD_RAM_ONLY, RAISE, Ram, ceiling_for, ram_of

DAY_S: Final = 86_400
# Beyond this a forecast says nothing: it is told as "over 10 years".
FAR_S: Final = 3650 * DAY_S


@dataclass(frozen=True)
class ForecastLimits(Limits):
    """Seconds until used memory crosses a share of its ceiling (0 to 1)."""

    warn_within_s: int = 30 * DAY_S
    critical_within_s: int = 7 * DAY_S
    warn_used_ratio: float = 0.80
    leave_at_ratio: float = 0.80


@rule(
    id="redis.memory-forecast",
    kind=Kind.REQUIREMENT,
    group=Group.DAILY,
    cadence=Cadence.PERSISTENCE,
    title="Redis stays clear of its memory ceiling for the next {limits.warn_within_s:duration}",
    severity=Severity.CRITICAL,
    source="S0, S1",
    observed="{forecast}",
    required="not within {limits.warn_within_s:duration}",
    reads="history: the daily highest used_memory of 28 days; no command",
    limits=ForecastLimits(),
    remediation={"maxmemory": RAISE, "add-ram": ADD_RAM, "ram": ADD_RAM_ONLY},
)
def memory_forecast(facts: PairFacts, limits: ForecastLimits) -> Verdict:
    """Judge when the line through the daily highest used_memory crosses a share of the ceiling.

    The line is Theil's and Sen's (median of all slopes) over up to 28 days, at least 14; the range
    holds nine of ten likely slopes. Where that range holds a slope of nothing, memory does not
    grow as far as these days show, and that passes. The ceiling is maxmemory, or RAM where none
    is set and a person attested it.

    Source: S0 and S1, memory below 80 % in normal load, provisioned for growth. The times are ours.
    """
    redis = known(facts.redis)
    grown = known(known(facts.trend).growth)
    ram = ram_of(facts)
    ceiling_bytes = known(redis.maxmemory_bytes)
    if not ceiling_bytes and (ram is None or not ram.is_attested):
        return unknown(
            "unattested",
            "Redis has no maxmemory, and INFO tells at most the host's RAM: set maxmemory, or attest "
            "ram_bytes",
        )
    if not ceiling_bytes and ram is not None:
        ceiling_bytes = ram.size_bytes
    numbers = _numbers(grown, ceiling_bytes)
    if not grown.is_steady:
        return passed(forecast="not growing", **numbers)
    full_bytes = limits.warn_used_ratio * ceiling_bytes
    likely_s, soonest_s, latest_s = (
        grown.days_until(full_bytes, slope) * DAY_S
        for slope in (grown.slope_bytes, grown.high_bytes, grown.low_bytes)
    )
    numbers |= {"crosses_in_s": likely_s, "soonest_s": soonest_s, "latest_s": latest_s}
    forecast = _in_words(likely_s, soonest_s, latest_s)
    if likely_s >= limits.warn_within_s:
        leaves = likely_s * limits.leave_at_ratio >= limits.warn_within_s
        return passed(keeps=None if leaves else Severity.WARNING, forecast=forecast, **numbers)
    return _filling(redis, ram, likely_s, limits, {"forecast": forecast, **numbers})


def _filling(
    redis: RedisFacts,
    ram: Ram | None,
    likely_s: float,
    limits: ForecastLimits,
    numbers: dict[str, JSON],
) -> Verdict:
    is_critical = likely_s < limits.critical_within_s
    leaves = likely_s * limits.leave_at_ratio >= limits.critical_within_s
    used, ceiling = int(numbers["level_bytes"]), numbers["ceiling_bytes"]
    # What the ceiling advised must hold: less, and the next forecast would warn again.
    by_then = used + int(numbers["growth_bytes"] * limits.warn_within_s / DAY_S)
    room = ceiling_for(max(by_then, int(limits.warn_used_ratio * ceiling)), ram)
    cause = "maxmemory" if redis.maxmemory_bytes else "ram"
    return failed(
        f"At {size(numbers['growth_bytes'])} a day Redis reaches {percent(limits.warn_used_ratio)} of "
        f"{size(ceiling)} {numbers['forecast']}; keep it further than "
        f"{duration(limits.warn_within_s)} away",
        short=f"Full {numbers['forecast'].partition(' (')[0]}",
        severity=Severity.CRITICAL if is_critical else Severity.WARNING,
        cause="add-ram" if cause == "maxmemory" and not room.fits else cause,
        keeps=None if is_critical or leaves else Severity.CRITICAL,
        suggested_maxmemory_bytes=room.size_bytes,
        needed_ram_bytes=room.needed_ram_bytes,
        maxmemory_bytes=known(redis.maxmemory_bytes),
        **numbers,
    )


def _numbers(grown: Growth, ceiling_bytes: int) -> dict[str, JSON]:
    return {
        "growth_bytes": grown.slope_bytes,  # a day
        "level_bytes": grown.level_bytes,
        "ceiling_bytes": ceiling_bytes,
        "days_count": grown.days_count,
    }


def _in_words(likely_s: float, soonest_s: float, latest_s: float) -> str:
    if likely_s <= 0:
        return "now"
    if soonest_s > FAR_S:
        return "in over 10 years"
    latest = duration(_days(latest_s)) if latest_s <= FAR_S else "over 10 years"
    return f"in {duration(_days(likely_s))} ({duration(_days(soonest_s))} to {latest})"


def _days(seconds: float) -> float:
    """Floor to whole days, beyond two: a forecast is not known by the hour."""
    return seconds // DAY_S * DAY_S if seconds >= 2 * DAY_S else seconds

"""The charts of the fleet's hourly figures: RTT, memory and snapshots where they were worst. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from django.utils.translation import gettext as _

from checks.policy import Policy
from checks.render import duration, milliseconds, percent
from fleet.portal.chart import Chart, Points, Series, broken
from fleet.portal.charts import AGES, limits_of

DAY_S = 86_400


class Worst(NamedTuple):
    """One day: the highest figure of any hour, zone and engine; None: not measured."""

    day: datetime
    rtt_median_us: int | None
    rtt_p95_us: int | None
    used_ratio_median: float | None
    used_ratio_p95: float | None
    last_save_age_p95_s: int | None


def charts(days: Sequence[Worst], policy: Policy, until: float) -> list[Chart]:
    """Draw all charts of these days, oldest first."""
    found = (_rtt(days, policy), _memory(days, policy), _snapshots(days))
    empty = _("No figures in this time.")
    return [
        broken(replace(one, empty=empty), until, 2 * DAY_S, lambda _start, _end: _("not measured"))
        for one in found
    ]


def _rtt(days: Sequence[Worst], policy: Policy) -> Chart:
    return Chart(
        "fleet-rtt",
        _("RTT of the worst hour, zone and engine"),
        "ms",
        lambda value: milliseconds(value * 1000),
        (
            _line(_("19 of 20 visits"), days, "rtt_p95_us", 1 / 1000),
            _line(_("half of them"), days, "rtt_median_us", 1 / 1000),
        ),
        limits_of(policy, "pair.rtt", "rtt_ms"),
    )


def _memory(days: Sequence[Worst], policy: Policy) -> Chart:
    return Chart(
        "fleet-memory",
        _("Share of maxmemory in the worst hour, zone and engine"),
        "%",
        lambda value: percent(value / 100),
        (
            _line(_("19 of 20 visits"), days, "used_ratio_p95", 100),
            _line(_("half of them"), days, "used_ratio_median", 100),
        ),
        limits_of(policy, "redis.memory-headroom", "used_ratio", 100),
    )


def _snapshots(days: Sequence[Worst]) -> Chart:
    oldest_s = max((one.last_save_age_p95_s or 0 for one in days), default=0)
    unit, seconds = next((one for one in AGES if oldest_s >= 2 * one[1]), AGES[-1])
    return Chart(
        "fleet-snapshots",
        _("Age of snapshots in the worst hour, zone and engine"),
        unit,
        lambda value: duration(value * seconds),
        (_line(_("19 of 20 visits"), days, "last_save_age_p95_s", 1 / seconds),),
    )


def _line(label: str, days: Sequence[Worst], name: str, factor: float) -> Series:
    points: Points = [(one.day.timestamp(), getattr(one, name)) for one in days]
    return Series(label, points).scaled(factor)

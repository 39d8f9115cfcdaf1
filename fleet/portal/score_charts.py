"""The charts of a fleet or a tenant: shares of pairs and open findings, a point a day. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from math import floor
from typing import Final

from django.utils.translation import gettext as _

from checks.catalog import BY_ID
from checks.remedy import title as title_of
from fleet.portal.chart import Chart, Points, Series, broken
from fleet.portal.figures import share as share_of

DAY_S: Final = 86_400
MOST_RULES: Final = 6
# The axis of a share begins at a multiple of this many points, so that a change of one can be seen.
STEP: Final = 4


@dataclass(frozen=True)
class Day:
    """How many pairs stood how at the end of a day (UTC), or stand so far today.

    open_findings is {rule id: (critical, warning, waived)}; None: not told for that day.
    """

    day: date
    pairs_count: int
    compliant_count: int
    at_risk_count: int
    non_compliant_count: int
    unverified_count: int
    raw_compliant_count: int
    conclusive_count: int
    applicable_count: int
    open_findings: Mapping[str, Sequence[int]] | None

    @property
    def at(self) -> float:
        """When the day began, as Unix time."""
        return datetime.combine(self.day, time(), UTC).timestamp()


def charts(days: Sequence[Day], until: float) -> list[Chart]:
    """Draw all charts of these days, oldest first; a day without a score is a gap."""
    return [broken(chart, until, 2 * DAY_S, _why) for chart in _charts(days)]


def compliance(days: Sequence[Day], until: float) -> Chart:
    """Draw the compliant share alone."""
    return broken(_compliance(days), until, 2 * DAY_S, _why)


def _why(_start: float, _end: float) -> str:
    return _("no score: the portal was not running")


def _charts(days: Sequence[Day]) -> Iterator[Chart]:
    yield _compliance(days)
    yield _states(days)
    yield _coverage(days)
    yield _severities(days)
    yield from _rules(days)


def _compliance(days: Sequence[Day]) -> Chart:
    raw = _shares(days, [one.raw_compliant_count for one in days])
    waived = _shares(days, [one.compliant_count for one in days])
    values = [value for points in (raw, waived) for _at, value in points if value is not None]
    lowest = min(values, default=0.0)
    return Chart(
        "compliance",
        _("Compliant pairs"),
        "%",
        _percent,
        (Series(_("compliant"), raw), Series(_("with waivers"), waived)),
        starts_at=max(0, floor((lowest - 1) / STEP) * STEP),
    )


def _shares(days: Sequence[Day], counts: Sequence[int]) -> Points:
    return [
        (one.at, 100 * count / one.pairs_count if one.pairs_count else None)
        for one, count in zip(days, counts, strict=True)
    ]


def _percent(value: float) -> str:
    return share_of(round(value * 1000), 100_000)


def _states(days: Sequence[Day]) -> Chart:
    lines = (
        (_("non-compliant"), "critical", [one.non_compliant_count for one in days]),
        (_("at risk"), "warning", [one.at_risk_count for one in days]),
        (_("unverified"), "unknown", [one.unverified_count for one in days]),
    )
    return Chart(
        "states",
        _("Pairs that are not compliant, with waivers"),
        "",
        _count,
        tuple(_counted(days, *line) for line in lines),
    )


def _coverage(days: Sequence[Day]) -> Chart:
    points: Points = [
        (
            one.at,
            100 * one.conclusive_count / one.applicable_count if one.applicable_count else None,
        )
        for one in days
    ]
    lowest = min((value for _at, value in points if value is not None), default=0.0)
    return Chart(
        "coverage",
        _("Coverage: rules that could be judged"),
        "%",
        _percent,
        (Series(_("coverage"), points),),
        starts_at=max(0, floor((lowest - 1) / STEP) * STEP),
    )


def _severities(days: Sequence[Day]) -> Chart:
    told = [one for one in days if one.open_findings is not None]
    sums = [_sum(one.open_findings or {}) for one in told]
    lines = (
        (_("critical"), "critical", [one[0] for one in sums]),
        (_("warning"), "warning", [one[1] for one in sums]),
        (_("waived"), "info", [one[2] for one in sums]),
    )
    return Chart(
        "severities",
        _("Open findings"),
        "",
        _count,
        tuple(_counted(told, *line) for line in lines),
    )


def _sum(open_findings: Mapping[str, Sequence[int]]) -> tuple[int, int, int]:
    critical, warning, waived = (sum(one[n] for one in open_findings.values()) for n in range(3))
    return critical, warning, waived


def _rules(days: Sequence[Day]) -> Iterator[Chart]:
    """Draw the rules that most findings were open of, at their worst."""
    told = [one for one in days if one.open_findings is not None]
    most: Counter[str] = Counter()
    worst: defaultdict[str, bool] = defaultdict(bool)
    for one in told:
        for rule_id, (critical, warning, _waived) in (one.open_findings or {}).items():
            most[rule_id] = max(most[rule_id], critical + warning)
            worst[rule_id] |= critical > 0
    in_order = sorted(most, key=lambda rule_id: (-most[rule_id], rule_id))
    for number, rule_id in enumerate(in_order[:MOST_RULES]):
        counts = [(one.open_findings or {}).get(rule_id, (0, 0, 0)) for one in told]
        lines = [(_("warning"), "warning", [one[1] for one in counts])]
        if worst[rule_id]:
            lines.insert(0, (_("critical"), "critical", [one[0] for one in counts]))
        rule = BY_ID.get(rule_id)
        yield Chart(
            f"rule-{number}",
            title_of(rule) if rule else rule_id,
            "",
            _count,
            tuple(_counted(told, *line) for line in lines),
            (),
            (rule_id,),
        )


def _counted(days: Sequence[Day], label: str, tone: str, counts: Sequence[int]) -> Series:
    points: Points = [(one.at, float(count)) for one, count in zip(days, counts, strict=True)]
    return Series(label, points, tone=tone)


def _count(value: float) -> str:
    return f"{value:,.0f}"

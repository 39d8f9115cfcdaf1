"""How old a pair's newest good copy was at any time, and how large its copies were. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heappop, heappush
from itertools import pairwise
from math import inf
from typing import Any, Final, NamedTuple

from django.utils.translation import gettext as _

from checks.policy import Policy
from checks.render import duration, size
from checks.rule import Severity
from fleet.history.trend import Pace
from fleet.portal.chart import Chart, Points, Series, Write
from fleet.portal.charts import unit_of

HOUR_S, DAY_S = 3600, 86_400
LONG_S: Final = 14 * DAY_S  # below it limits read as people set them: 27 h, 51 h
RULES: Final = ("backup.age", "backup.intact", "backup.configured")


class Copied(NamedTuple):
    """One good copy: when its content was, from when to when it lay there (Unix times), bytes, source."""

    content_s: float
    stored_s: float
    size_bytes: int | None
    gone_s: float = inf
    label: str = ""


class Kept(NamedTuple):
    """A source's promise: a copy every so many seconds, and the grace."""

    interval_s: int
    grace_s: int


def charts(
    copies: Sequence[Copied],
    sources: set[Kept],
    policy: Policy,
    edges: tuple[float, float],
    pace: Pace,
) -> list[Chart]:
    """Draw age and size over a time; copies of before tell how old the newest was when it began.

    By days each has its greatest age: hundreds of teeth would be a block of ink.
    """
    points = ages(copies, *edges)
    title = _("Age of the last good backup")
    if pace is Pace.DAY:
        points, title = greatest(points), _("Age of the last good backup, each day's greatest")
    return [_age(title, points, sources, policy), _size(copies, edges)]


def _age(title: str, points: Points, sources: set[Kept], policy: Policy) -> Chart:
    oldest_s = max((value for _at, value in points if value is not None), default=0.0)
    unit, seconds = ("d", DAY_S) if oldest_s >= LONG_S else ("h", HOUR_S)
    write: Write = lambda value: duration(value * seconds)  # noqa: E731  the unit of the axis
    line = Series(_("age"), points).scaled(1 / seconds)
    limits = tuple((value / seconds, how) for value, how in _limits(sources, policy))
    return Chart("backup-age", title, unit, write, (line,), limits, RULES)


def ages(copies: Sequence[Copied], since: float, until: float) -> Points:
    """Give the age of the newest good copy that lay there, as it grows, and moves as copies come and go."""
    points: Points = []
    newest: float | None = None
    for at, content in _newest(copies):
        if at >= since and newest is not None:
            points += [] if points else [(since, since - newest)]
            points.append((at - 1, at - 1 - newest))
        if at >= since:
            points.append((at, None if content is None else at - content))
        newest = content
    if newest is not None:
        points += [] if points else [(since, since - newest)]
        points.append((until, until - newest))
    return points


def greatest(points: Points) -> Points:
    """Give the greatest age of each day (UTC) at its first instant, and the last point as it is.

    Between two points an age grows by the second. None: for a part of that day no copy lay there.
    """
    most: dict[float, float] = {}
    for (at, value), (until, _value) in pairwise(points):
        day = at // DAY_S * DAY_S
        while day < until:
            reached = inf if value is None else value + min(until, day + DAY_S) - at
            most[day] = max(most.get(day, 0.0), reached)
            day += DAY_S
    days = [(day, None if value == inf else value) for day, value in most.items()]
    return [*days, *points[-1:]]


def _newest(copies: Sequence[Copied]) -> Iterator[tuple[float, float | None]]:
    """Give each instant at which another copy became the newest, and its content's time; None: none left."""
    there: list[tuple[float, float]] = []  # a heap: the newest content first, and when it goes
    newest: float | None = None
    coming = sorted(copies, key=lambda one: one.stored_s)
    for at in sorted({when for one in copies for when in (one.stored_s, one.gone_s) if when < inf}):
        while coming and coming[0].stored_s <= at:
            one = coming.pop(0)
            heappush(there, (-one.content_s, one.gone_s))
        while there and there[0][1] <= at:
            heappop(there)
        content = -there[0][0] if there else None
        if content != newest:
            newest = content
            yield at, content


def _limits(sources: set[Kept], policy: Policy) -> list[tuple[float, Severity]]:
    """Give the limits where all sources promise the same; else there is no one line to draw."""
    if len(sources) != 1:
        return []
    (kept,) = sources
    limits: Any = policy["backup.age"].limits
    critical_s = limits.critical_interval_times * kept.interval_s + kept.grace_s
    return [
        (kept.interval_s + kept.grace_s, Severity.WARNING),
        (critical_s, Severity.CRITICAL),
    ]


def _size(copies: Sequence[Copied], edges: tuple[float, float]) -> Chart:
    known = [
        (one.label, one.stored_s, one.size_bytes)
        for one in sorted(copies, key=lambda one: (one.label, one.stored_s))
        if one.stored_s >= edges[0] and one.size_bytes is not None
    ]
    largest = max((value for _label, _at, value in known), default=0)
    unit, factor = unit_of(largest)
    lines: dict[str, Points] = {}
    for label, at, value in known:
        lines.setdefault(label, []).append((at, value / factor))
    series = tuple(Series(label or _("size"), points) for label, points in lines.items())
    return Chart(
        "backup-size",
        _("Size of the good copies"),
        unit,
        lambda value: size(value * factor),
        series or (Series(_("size"), []),),
        (),
        ("backup.size", "backup.intact"),
    )

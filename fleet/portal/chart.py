"""What a chart is: lines with their gaps, limits, and the words for who cannot see it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise

from django.utils.translation import gettext as _

from checks.rule import Severity

Points = list[tuple[float, float | None]]
Band = list[tuple[float, float | None, float | None]]  # [(Unix time, least, most), …]
Write = Callable[[float], str]
Why = Callable[[float, float], str]


@dataclass(frozen=True)
class Series:
    """One line of a chart: points of [Unix time, value], None where the line breaks."""

    label: str
    points: Points
    band: Band = field(default_factory=list)
    tone: str = ""  # a severity, where the line is of one
    pace_s: float = 0  # without a reading for so long: a gap; where longer than its chart's
    is_old: bool = False  # nothing was read since its newest value, though it was due

    @property
    def now(self) -> float | None:
        """The newest value."""
        return next((value for _at, value in reversed(self.points) if value is not None), None)

    def scaled(self, factor: float) -> Series:
        """Give the same in another unit."""
        points = [(at, None if value is None else value * factor) for at, value in self.points]
        band: Band = [
            (at, least and least * factor, most and most * factor) for at, least, most in self.band
        ]
        return replace(self, points=points, band=band)


@dataclass(frozen=True)
class Chart:
    """One chart: lines, limits and gaps, in the unit its axis has, and the rules it shows."""

    name: str
    title: str
    unit: str
    write: Write
    series: tuple[Series, ...]
    limits: tuple[tuple[float, Severity], ...] = ()
    rule_ids: tuple[str, ...] = ()
    gaps: tuple[tuple[float, float, str], ...] = ()
    starts_at: float = 0  # where the axis of values begins
    fits: bool = False  # the axis ends above the values, though they are shares
    empty: str = ""  # what is said where nothing was read; "": as the page says it of all charts

    @property
    def now(self) -> str:
        """The newest value in words; "" where there is none."""
        return self.newest(self.series[0]) if self.series else ""

    def newest(self, one: Series) -> str:
        """Write a line's newest value, and that it is not of now where it is not."""
        if one.now is None:
            return ""
        text = self.write(one.now)
        return _("last read %(value)s") % {"value": text} if one.is_old else text

    @property
    def sentence(self) -> str:
        """Say what the chart shows, for who cannot see it."""
        values = [value for _at, value in self.series[0].points if value is not None]
        if not values and self.empty:
            return f"{self.title}: {self.empty}"
        if not values:
            return _("%(title)s: no reading in this time.") % {"title": self.title}
        is_old = self.series[0].is_old
        return _("%(title)s: lowest %(low)s, highest %(high)s, %(now)s.") % {
            "title": self.title,
            "low": self.write(min(values)),
            "high": self.write(max(values)),
            "now": self.now if is_old else _("now %(value)s") % {"value": self.now},
        }


def broken(chart: Chart, until: float, pace_s: float, why: Why) -> Chart:
    """Find a chart's gaps of over `pace_s`, break its lines there, and leave out what was not read.

    `why` says of a gap's begin and end why nothing was read between them.
    """
    all_points = sorted(
        (point for one in chart.series for point in one.points), key=lambda point: point[0]
    )
    gaps = [(*gap, why(*gap)) for gap in gaps_of(all_points, until, pace_s)]
    series = tuple(_broken(one, until, pace_s) for one in chart.series)
    return replace(chart, series=series, gaps=tuple(gaps))


def _broken(series: Series, until: float, pace_s: float) -> Series:
    gaps = list(gaps_of(series.points, until, max(pace_s, series.pace_s)))
    breaks: Band = [(start + 1, None, None) for start, _end in gaps] if series.band else []
    band = sorted([*series.band, *breaks], key=lambda row: row[0])
    is_old = any(end == until for _start, end in gaps)
    return replace(series, points=break_at(series.points, gaps), band=band, is_old=is_old)


def gaps_of(points: Points, until: float, pace_s: float) -> Iterator[tuple[float, float]]:
    """Find the stretches without a reading; what lies before the first one ever is none."""
    read = [at for at, value in points if value is not None]
    if not read:
        return
    for last, at in pairwise([*read, until]):
        if at - last > pace_s:
            yield last, at


def break_at(points: Points, gaps: Iterable[tuple[float, float]]) -> Points:
    """Leave out what was not read, and break the line at each gap."""
    breaks = [(start + 1, None) for start, _end in gaps]
    read = [(at, value) for at, value in points if value is not None]
    return sorted([*read, *breaks], key=lambda point: point[0])

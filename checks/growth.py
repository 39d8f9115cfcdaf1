"""How a figure grows from day to day: a line that outliers do not bend. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import sqrt
from statistics import median
from typing import Final

from checks.missing import Missing

LEAST_DAYS: Final = 14
MOST_DAYS: Final = 28
# Half of the range that holds nine of ten likely slopes, in standard deviations of Kendall's S.
# Source: Sen 1968, Estimates of the regression coefficient based on Kendall's tau.
WIDTH: Final = 1.645
# With fewer mailboxes what Redis needs for itself would pass for theirs. Ours.
LEAST_MAILBOXES: Final = 20
FEW: Final = Missing("no_history", f"fewer than {LEAST_MAILBOXES} mailboxes tell no size of one")


@dataclass(frozen=True, slots=True)
class Mailboxes:
    """Mailboxes counted, and the bytes that Redis used for them and for itself."""

    count: int
    used_bytes: int

    @property
    def each_bytes(self) -> float | Missing:
        """Give the bytes per mailbox, what Redis needs for itself among them."""
        return self.used_bytes / self.count if self.count >= LEAST_MAILBOXES else FEW

    def left(self, bytes_wanted: float) -> int | Missing:
        """Give how many more there is room for until Redis uses so many bytes; 0 = none."""
        each = self.each_bytes
        if isinstance(each, Missing):
            return each
        return max(0, int((bytes_wanted - self.used_bytes) / each))


@dataclass(frozen=True, slots=True)
class Growth:
    """A line through the daily highest values of up to 28 days, in bytes and bytes per day.

    `level_bytes` is the line's value on `last_day` (counted from 1970). Nine of ten likely slopes
    lie from `low_bytes` to `high_bytes`; `slope_bytes` is their middle.
    """

    days_count: int
    last_day: int
    level_bytes: float
    slope_bytes: float
    low_bytes: float
    high_bytes: float

    @property
    def is_steady(self) -> bool:
        """Tell whether it grows at all, as far as these days can show."""
        return self.low_bytes > 0

    def days_until(self, bytes_wanted: float, slope_bytes: float) -> float:
        """Give the days from last_day until a value is reached at some slope > 0; 0 = it is."""
        return max(0.0, (bytes_wanted - self.level_bytes) / slope_bytes)


def growth(days: Sequence[tuple[int, int]]) -> Growth | Missing:
    """Draw the line through (day, bytes) pairs by Theil and Sen: the median of all slopes.

    Days may be missing between; with fewer than 14 the answer is Missing("no_history").
    """
    kept = sorted(days)[-MOST_DAYS:]
    if len(kept) < LEAST_DAYS:
        return Missing("no_history", f"{len(kept)} days of history; {LEAST_DAYS} show a trend")
    slopes = sorted(_slopes(kept))
    slope = median(slopes)
    last_day = kept[-1][0]
    level = median(value + slope * (last_day - day) for day, value in kept)
    low, high = _likely(slopes, len(kept))
    return Growth(len(kept), last_day, level, slope, low, high)


def _slopes(days: Sequence[tuple[int, int]]) -> Iterator[float]:
    for (day, value), (later, grown) in combinations(days, 2):
        yield (grown - value) / (later - day)


def _likely(slopes: Sequence[float], count: int) -> tuple[float, float]:
    """Give the least and the most of nine in ten likely slopes."""
    spread = WIDTH * sqrt(count * (count - 1) * (2 * count + 5) / 18)
    first = max(0, int((len(slopes) - spread) / 2) - 1)
    last = min(len(slopes) - 1, int((len(slopes) + spread) / 2))
    return slopes[first], slopes[last]

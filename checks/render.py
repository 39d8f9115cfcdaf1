"""Fill a text from evidence and limits, with units people read: every figure shown comes from here."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Mapping
from typing import Any

THIN = "\u202f"  # no-break thin space between a number and its unit
KIB, MIB, GIB = 1024, 1024**2, 1024**3
LEAST_MS = 0.01


def _floored(value: float, decimals: int) -> float:
    factor: float = 10**decimals
    return math.floor(value * factor + 1e-9) / factor


def size(value: float) -> str:
    """Write bytes with a binary unit: `4.0 GiB`, `512 MiB`."""
    for unit, factor in (("GiB", GIB), ("MiB", MIB), ("KiB", KIB)):
        if value >= factor:
            scaled = value / factor
            return f"{scaled:.1f}{THIN}{unit}" if scaled < 10 else f"{scaled:,.0f}{THIN}{unit}"
    return f"{value:,.0f}{THIN}B"


def milliseconds(value_us: float) -> str:
    """Write microseconds as ms, rounded down: two decimals below 10 ms, one below 100 ms, then none."""
    value = value_us / 1000
    if 0 < value < LEAST_MS:
        return f"<{THIN}{LEAST_MS}{THIN}ms"  # loopback; 0.00 would read as not measured
    decimals = 2 if value < 10 else 1 if value < 100 else 0
    return f"{_floored(value, decimals):,.{decimals}f}{THIN}ms"


def duration(value_s: float) -> str:
    """Write seconds in two units at most: `38 s`, `14 min`, `3 h 12 min`, `6 d 13 h`."""
    whole = int(value_s)
    if whole < 120:
        return f"{whole}{THIN}s" if value_s >= 10 or value_s == whole else f"{value_s:.1f}{THIN}s"
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if minutes < 120:
        return f"{minutes}{THIN}min"
    if hours < 48:
        rest = minutes % 60
        return f"{hours}{THIN}h {rest}{THIN}min" if rest else f"{hours}{THIN}h"
    rest = hours % 24
    return f"{days}{THIN}d {rest}{THIN}h" if rest else f"{days}{THIN}d"


def percent(value: float) -> str:
    """Write a share (0 to 1) without decimals, rounded down: 79.9% must not read as a limit of 80%."""
    return f"{_floored(value * 100, 0):,.0f}%"


def pairs(value: Any) -> str:
    """Write save points: `900/1, 300/10`."""
    return ", ".join(f"{seconds}/{changes}" for seconds, changes in value)


def save_points(value: Any) -> str:
    """Write save points as CONFIG SET takes them: `900 1 300 10`."""
    return " ".join(f"{seconds} {changes}" for seconds, changes in value)


def save_lines(value: Any) -> str:
    """Write save points as a configuration file takes them, one to a line."""
    return "\n".join(f"save {seconds} {changes}" for seconds, changes in value)


UNITS: Mapping[str, Callable[[Any], str]] = {
    "size": size,
    "ms": milliseconds,
    "duration": duration,
    "percent": percent,
    "pairs": pairs,
    "save_points": save_points,
    "save_lines": save_lines,
    "count": lambda value: f"{value:,}",
}


# A limit is set in the unit its name ends with, so it is shown in it.
SHOWN_AS: Mapping[str, Callable[[Any], str]] = {
    "_ratio": percent,
    "_ms": lambda value: f"{value:,g}{THIN}ms",
    "_s": lambda value: f"{value:,.10g}{THIN}s",
    "_bytes": size,
    "_pairs": pairs,
}


def in_unit(name: str, value: Any) -> str:
    """Write a limit's value in the unit that its name ends with: `300 s`, `80%`, `10,000`."""
    for end, show in SHOWN_AS.items():
        if name.endswith(end):
            return show(value)
    if isinstance(value, tuple):
        return ", ".join(str(one) for one in value)
    return f"{value:,}" if isinstance(value, int) else str(value)


class Blank(str):
    """What stands in a text for a figure that only a reading gives: `<used ratio>`."""

    __slots__ = ()

    @classmethod
    def of(cls, name: str) -> Blank:
        """Name the figure in words, without its unit's letters getting in the way."""
        return cls(f"<{name.replace('_', ' ')}>")


class _Units(string.Formatter):
    """str.format with our unit names as format specs; attribute access only one level deep."""

    def format_field(self, value: Any, format_spec: str) -> str:
        if isinstance(value, Blank):
            return value
        unit = UNITS.get(format_spec)
        return unit(value) if unit else str(format(value, format_spec))


_FORMATTER = _Units()


def fill(template: str, values: Mapping[str, Any]) -> str:
    """Fill `{name:unit}` marks (size, ms, duration, percent, pairs, count); KeyError names a missing one."""
    return _FORMATTER.vformat(template, (), values)

"""The value beyond which a waiver no longer covers: typed and shown in the unit of the rule's limit."""

from __future__ import annotations

import re
from typing import Final

from django.utils.translation import gettext as _

from checks.catalog import BY_ID
from checks.render import THIN, in_unit
from fleet.findings.worst import Scale, scale

NUMBER: Final = re.compile(r"(\d+(?:[.,]\d+)?)\s*(%|\w*)")
RATIO: Final = "ratio"
UNITS: Final = {"ms": "ms", "s": "s", "count": "", RATIO: "%"}


def scale_of(rule_id: str) -> Scale | None:
    """Give what the rule's fails are measured by; None where no figure decides."""
    rule = BY_ID.get(rule_id)
    return scale(rule.limits) if rule else None


def unit_of(one: Scale) -> str:
    """Give the unit that is typed: `%`, `ms`, `s`, or "" for a count."""
    return UNITS[one.name.rpartition("_")[2]]


def parse(text: str, rule_id: str) -> float | None:
    """Read what was typed as the finding's worst value is kept: larger = worse. Raises ValueError."""
    if not text.strip():
        return None
    one = scale_of(rule_id)
    if one is None:
        raise ValueError(_("No single figure decides this rule: leave it empty."))
    found, unit = NUMBER.fullmatch(text.strip()), unit_of(one)
    if found is None or found[2] not in ("", unit):
        raise ValueError(_("Write a number, such as %(example)s.") % {"example": example(one)})
    value = float(found[1].replace(",", "."))
    return one.measure(value / 100 if unit == "%" else value)


def shown(measure: float | None, rule_id: str) -> str:
    """Write a measure in the limit's unit: `87%`, `5 ms`; "" where there is none."""
    one = scale_of(rule_id)
    if measure is None or one is None:
        return ""
    value = one.measure(measure)
    if unit_of(one) == "%":
        return f"{value * 100:g}%"
    if value.is_integer():
        return in_unit(one.name, int(value))
    return f"{value:,g}{THIN}{unit_of(one)}".strip()


def example(one: Scale) -> str:
    """Give an example in the unit that is typed."""
    return {"%": "87%", "ms": f"8{THIN}ms", "s": f"4{THIN}s", "": "250"}[unit_of(one)]

"""The inspection as a Nagios plugin says it: one line and its perfdata, then a line per reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from checks.cli.inspection import Inspection
from checks.cli.table import LAMPS
from checks.remedy import marks
from checks.rule import Limits, Outcome, Rule, Verdict

WORDS: Final = ("OK", "WARNING", "CRITICAL", "UNKNOWN")
# Unit at the end of a name: its sign in perfdata, and what the value is multiplied by.
# Source: Nagios plugin development guidelines, performance data.
UNITS: Final = {
    "us": ("us", 1),
    "ms": ("ms", 1),
    "s": ("s", 1),
    "bytes": ("B", 1),
    "ratio": ("%", 100),
    "count": ("", 1),
}
SECONDS: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
STEPS: Final = ("warn", "critical")


def nagios(done: Inspection) -> str:
    """Write the plugin's output."""
    return "\n".join([f"{_headline(done)} | {' '.join(_perfdata(done))}", *_reasons(done)])


def _reasons(done: Inspection) -> Iterator[str]:
    """Say what fails, and why a core rule is not verified, each on a line."""
    for rule, verdict in done.rows():
        is_open = rule.id in done.tally.core_unknown and not verdict.depends_on
        if verdict.outcome is Outcome.FAIL or is_open:
            word = (verdict.severity or Outcome.UNKNOWN).upper()
            yield f"{word} {rule.id}: {_clean(verdict.message)}"


def _headline(done: Inspection) -> str:
    lamps = " and ".join(LAMPS[lamp].word.lower() for lamp in done.lamps)
    parts = [f"{WORDS[done.status]} - {lamps}"]
    fails = done.fails()
    if fails:
        more = f" and {len(fails) - 1} more" if len(fails) > 1 else ""
        parts.append(f": {_clean(fails[0][1].short)}{more}")
    unknowns = len(done.tally.unknowns)
    if unknowns:
        parts.append(f"; {unknowns} not verified")
    return "".join(parts)


def _perfdata(done: Inspection) -> Iterator[str]:
    """List what was observed with its limits, and the counts."""
    for rule, verdict in done.rows():
        if verdict.outcome in (Outcome.PASS, Outcome.FAIL):
            yield from _measures(rule, verdict, done.policy[rule.id].limits)
    yield f"fails={len(done.tally.fails)}"
    yield f"not_verified={len(done.tally.unknowns)}"
    yield f"conclusive={done.tally.conclusive};;;0;{done.tally.applicable}"


def _measures(rule: Rule, verdict: Verdict, limits: Limits) -> Iterator[str]:
    """Write the numbers that the rule's own table shows."""
    for name in marks(rule.observed):
        value = verdict.evidence.get(name)
        stem, _, unit = name.rpartition("_")
        if unit not in UNITS or isinstance(value, bool) or not isinstance(value, int | float):
            continue
        sign, factor = UNITS[unit]
        warn, critical = (_threshold(limits, f"{step}_{stem}", unit) for step in STEPS)
        shown = f"{rule.id}.{name}={_number(value * factor)}{sign}"
        yield f"{shown};{warn};{critical}" if warn or critical else shown


def _threshold(limits: Limits, name: str, unit: str) -> str:
    """Write the limit of this name in the measure's own unit; a time may be limited in another."""
    for other in SECONDS if unit in SECONDS else (unit,):
        limit = getattr(limits, f"{name}_{other}", None)
        if limit is not None:
            scale = SECONDS[other] / SECONDS[unit] if unit in SECONDS else UNITS[unit][1]
            return _number(limit * scale)
    return ""


def _number(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _clean(text: str) -> str:
    """Keep a message from ending the line or beginning the perfdata."""
    return " ".join(text.replace("|", "/").split())

"""The inspection for people: lamps, every rule, and what to do."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from checks.cli.inspection import Inspection
from checks.evaluate import Compliance, Health
from checks.remedy import Piece, observed, render, required, title
from checks.render import milliseconds
from checks.rule import Outcome, Rule, Severity, Verdict

NARROW, WIDE = 80, 120  # characters
ASIDE: Final = (Outcome.NOT_APPLICABLE, Outcome.DISABLED)
BOLD, DIM, RED, YELLOW, GREEN, MAGENTA = "1", "2", "31", "33", "32", "35"


class Mark(NamedTuple):
    """A state as shown: a symbol and a word, for colour alone says nothing."""

    symbol: str
    word: str
    colour: str

    def __str__(self) -> str:
        return f"{self.symbol} {self.word}"


LAMPS: Final = {
    Compliance.NON_COMPLIANT: Mark("■", "Non-compliant", RED),
    Compliance.AT_RISK: Mark("▲", "At risk", YELLOW),
    Compliance.UNVERIFIED: Mark("?", "Unverified", MAGENTA),
    Compliance.COMPLIANT: Mark("✓", "Compliant", GREEN),
    Health.FAILING: Mark("■", "Failing", RED),
    Health.DEGRADED: Mark("▲", "Degraded", YELLOW),
    Health.UNKNOWN: Mark("?", "Unknown", MAGENTA),
    Health.HEALTHY: Mark("✓", "Healthy", GREEN),
}
SEVERITIES: Final = {
    Severity.CRITICAL: Mark("■", "Critical", RED),
    Severity.WARNING: Mark("▲", "Warning", YELLOW),
    Severity.INFO: Mark("i", "Info", BOLD),
}
OUTCOMES: Final = {
    Outcome.PASS: Mark("✓", "Pass", GREEN),
    Outcome.UNKNOWN: Mark("?", "Not verified", MAGENTA),
    Outcome.NOT_APPLICABLE: Mark("–", "Not applicable", DIM),
    Outcome.DISABLED: Mark("–", "Disabled", DIM),
}


class Ink:
    """Colours text, or leaves it as it is."""

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on

    def __call__(self, text: str, colour: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._is_on and text.strip() else text


def width() -> int:
    """Return the characters of a line: the terminal's, from 80 to 120."""
    return max(NARROW, min(WIDE, shutil.get_terminal_size((100, 24)).columns))


def inspection_table(done: Inspection, ink: Ink, columns: int) -> str:
    """Write what one inspection came to."""
    parts = [
        *_head(done, ink),
        "",
        *_matrix(done, ink, columns),
        *_set_aside(done, ink, columns),
        *_to_do(done, ink, columns),
    ]
    return "\n".join(line.rstrip() for line in parts)


def catalogue_table(rules: Sequence[Rule], ink: Ink, columns: int) -> str:
    """List what is checked: id, group, the worst it reports, and what is true when it passes."""
    widths = _fitted([max(len(one.id) for one in rules), 11, 8], columns)
    lines = list(
        _row([("Rule", BOLD), ("Group", BOLD), ("At worst", BOLD), ("Requires", BOLD)], widths, ink)
    )
    for one in rules:
        cells = [(one.id, ""), (one.group.value, ""), (one.severity.value, ""), (title(one), "")]
        lines += _row(cells, widths, ink)
    return "\n".join(line.rstrip() for line in lines)


def mark_of(verdict: Verdict) -> Mark:
    """Return a verdict's mark: a fail shows its severity."""
    if verdict.outcome is Outcome.FAIL and verdict.severity is not None:
        return SEVERITIES[verdict.severity]
    return OUTCOMES[verdict.outcome]


def _head(done: Inspection, ink: Ink) -> Iterator[str]:
    yield ink(f"{done.server.label} at {done.where}", BOLD)
    yield f"Read in {milliseconds(done.duration_s * 1e6)} and judged from {done.vantage}"
    yield ""
    for name, lamp in (("Compliance", done.lamps.compliance), ("Health", done.lamps.health)):
        yield f"{name:<12}{ink(str(LAMPS[lamp]), LAMPS[lamp].colour)}"
    counted = done.tally
    share = counted.conclusive / counted.applicable if counted.applicable else 0
    rules = f"{counted.conclusive} of {counted.applicable} rules"
    yield f"{'Coverage':<12}{int(share * 100)}% ({rules})"


def _matrix(done: Inspection, ink: Ink, columns: int) -> Iterator[str]:
    """List every rule that could be judged, the most urgent first."""
    rows = [row for row in done.rows() if not is_aside(row[1])]
    ids = max((len(rule.id) for rule, _ in rows), default=0)
    widths = _fitted([14, ids], columns)
    rest = widths.pop()
    halves = [*widths, (rest - 2) * 3 // 5, (rest - 2) - (rest - 2) * 3 // 5]
    heads = [(name, BOLD) for name in ("Outcome", "Rule", "Observed", "Required")]
    yield from _row(heads, halves, ink)
    for rule, verdict in rows:
        mark, limits = mark_of(verdict), done.policy[rule.id].limits
        seen = (observed(rule, verdict, limits), mark.colour if mark.colour != GREEN else "")
        wanted = (required(rule, verdict.evidence, limits), "")
        cells = [(str(mark), mark.colour), (rule.id, "")]
        if verdict.outcome is Outcome.UNKNOWN:
            yield from _row([*cells, seen], [*widths, rest], ink)
        else:
            yield from _row([*cells, seen, wanted], halves, ink)


def is_aside(verdict: Verdict) -> bool:
    """Tell whether a verdict needs no row of its own: many rules share its reason."""
    return verdict.outcome in ASIDE or bool(verdict.depends_on)


def _set_aside(done: Inspection, ink: Ink, columns: int) -> Iterator[str]:
    """Name the rules that share the reason why they were not judged."""
    why: dict[tuple[Mark, str], list[str]] = {}
    for rule, verdict in done.rows():
        if is_aside(verdict):
            why.setdefault((mark_of(verdict), verdict.message), []).append(rule.id)
    for (mark, text), rules in why.items():
        yield ""
        because = _wrapped(f"{mark}, because: {text}", columns, "", "  ")
        yield from (ink(line, mark.colour) for line in because)
        yield from _wrapped(", ".join(rules), columns, "  ", "  ")


def _to_do(done: Inspection, ink: Ink, columns: int) -> Iterator[str]:
    for number, (rule, verdict) in enumerate(done.fails(), 1):
        found = render(
            rule, verdict.cause, verdict.evidence, done.server, done.policy[rule.id].limits
        )
        mark = mark_of(verdict)
        if number == 1:
            yield ""
            yield ink("What to do", BOLD)
        yield ""
        yield f"{number}. {ink(str(mark), mark.colour)}  {ink(found.do, BOLD)}  ({rule.id})"
        yield from _wrapped(verdict.message, columns, "   ", "   ")
        yield from _wrapped(found.why, columns, "   ", "   ")
        steps = (("Now", found.now), ("Make it last", found.durable), ("Verify", found.verify))
        for name, pieces in steps:
            yield from _step(name, pieces, ink, columns)
        yield from _step("Risk", (Piece(found.risk, is_code=False),), ink, columns)
        yield from _step("Undo", found.undo, ink, columns)


def _step(name: str, pieces: tuple[Piece, ...], ink: Ink, columns: int) -> Iterator[str]:
    """Write one step; code stands alone on its line, unbroken, ready to paste."""
    label = f"   {name:<14}"
    for piece in pieces:
        if piece.is_code:
            for line in piece.text.splitlines():
                yield f"{label}{ink(line, BOLD)}"
                label = " " * 17
        elif piece.text:
            yield from _wrapped(piece.text, columns, label, " " * 17)
        label = " " * 17


def _fitted(widths: list[int], columns: int) -> list[int]:
    """Give the last column what the others leave."""
    return [*widths, columns - sum(widths) - 2 * len(widths)]


def _row(cells: list[tuple[str, str]], widths: list[int], ink: Ink) -> Iterator[str]:
    """Write one row, its cells wrapped; a cell is its text and its colour."""
    folded = [
        textwrap.wrap(text, wide) or [""] for (text, _), wide in zip(cells, widths, strict=True)
    ]
    for line in range(max(map(len, folded))):
        parts = [
            ink(f"{part[line] if line < len(part) else '':<{wide}}", colour)
            if colour
            else f"{part[line] if line < len(part) else '':<{wide}}"
            for part, wide, (_, colour) in zip(folded, widths, cells, strict=True)
        ]
        yield "  ".join(parts)


def _wrapped(text: str, columns: int, first: str, then: str) -> list[str]:
    return textwrap.wrap(
        text, columns, initial_indent=first, subsequent_indent=then, break_on_hyphens=False
    )

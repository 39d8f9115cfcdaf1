"""Writes what was measured into docs: python -m tests.bench.report, and at the end of each measurement.

Each table stands between two marks of its page, and only what was measured anew is written anew.
"""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.bench import sizing
from tests.bench.figure import Figure
from tests.bench.stage import ROOT

PERFORMANCE, OPERATIONS = ROOT / "docs" / "performance.md", ROOT / "docs" / "operations.md"
BENCH, HOURS = ROOT / "bench.json", "hour-*.json"
OF_A_PAGE = re.compile(r"page_(.+)_(p50|p95|cpu|queries)")


def main() -> None:
    """Write all tables for which there are figures."""
    bench, hours = read_bench(BENCH), read_hours(ROOT)
    if bench:
        write(PERFORMANCE, "bench", [dated(BENCH), "", *budgets(bench), "", *pages(bench)])
    if hours:
        largest = hours[max(hours)]
        newest = max(ROOT.glob(HOURS), key=lambda path: path.stat().st_mtime)
        write(PERFORMANCE, "hour", [dated(newest), "", *budgets(largest)])
        write(PERFORMANCE, "curve", curve(hours))
    if bench and hours:
        write(OPERATIONS, "sizing", sizing.table(sizing.Costs.measured(bench, hours[max(hours)])))


def read_bench(path: Path) -> dict[str, Figure]:
    """Read bench.json: a figure a line."""
    return by_name(map(json.loads, path.read_text().splitlines())) if path.exists() else {}


def read_hours(folder: Path) -> dict[int, dict[str, Figure]]:
    """Read the last line of each hour-PAIRS.json, by pairs; a run that did not end has none."""
    found = {}
    for path in folder.glob(HOURS):
        last = json.loads(path.read_text().splitlines()[-1])
        if "figures" in last:
            found[int(path.stem.removeprefix("hour-"))] = by_name(last["figures"])
    return dict(sorted(found.items()))


def by_name(lines: Iterable[dict[str, object]]) -> dict[str, Figure]:
    """Sort figures by their name."""
    return {figure.name: figure for figure in (Figure(**line) for line in lines)}  # type: ignore[arg-type]


def dated(path: Path) -> str:
    """Say when and on what it was measured, and how busy that was: on an idle machine about 1."""
    at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    return f"Measured on {at:%Y-%m-%d} on {machine()}; load average at the end {os.getloadavg()[2]:.0f}."


def machine() -> str:
    """Name this machine: processors, memory, kernel, Python."""
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{os.cpu_count()} × {model[1] if model else platform.machine()}, {memory_gib:.0f} GiB,"
        f" Linux {platform.release().split('-')[0]}, Python {platform.python_version()}"
    )


def budgets(figures: Mapping[str, Figure]) -> Iterator[str]:
    """Table everything but the pages."""
    yield "| what | measured | budget | |"
    yield "| --- | ---: | ---: | --- |"
    for one in figures.values():
        if not OF_A_PAGE.fullmatch(one.name):
            yield f"| {one.name} | {said(one.value, one.unit)} | {budget(one)} | {mark(one)} |"


def pages(figures: Mapping[str, Figure]) -> Iterator[str]:
    """Table the pages, the slowest first."""
    found: dict[str, dict[str, Figure]] = {}
    for one in figures.values():
        if place := OF_A_PAGE.fullmatch(one.name):
            found.setdefault(place[1], {})[place[2]] = one
    if not found:
        yield "No page was measured in this run."
        return
    yield "| page | p50, ms | p95, ms | CPU, ms | queries | |"
    yield "| --- | ---: | ---: | ---: | ---: | --- |"
    for name, page in sorted(found.items(), key=lambda item: -item[1]["p95"].value):
        shown = " | ".join(
            f"{page[part].value:.0f}" if part in page else ""
            for part in ("p50", "p95", "cpu", "queries")
        )
        is_ok = all(one.ok for one in page.values())
        yield f"| {name} | {shown} | {'' if is_ok else 'over'} |"


def curve(hours: Mapping[int, Mapping[str, Figure]]) -> Iterator[str]:
    """Table what so many pairs cost."""
    parts = {
        "minutes": "hour_minutes",
        "worker, cores": "hour_cpu_worker",
        "database, cores": "hour_cpu_postgres",
        "web + worker + beat, MB": "hour_pss_max",
        "lag p99, s": "hour_lag_p99",
        "WAL per visit, B": "hour_wal_per_visit",
        "history per visit, B": "hour_history_per_visit",
    }
    yield "| pairs | " + " | ".join(parts) + " |"
    yield "| ---: " * (1 + len(parts)) + "|"
    for pairs, figures in hours.items():
        shown = (
            f"{figures[name].value:.3g}"
            if figures[name].value < 100
            else f"{figures[name].value:,.0f}"
            for name in parts.values()
        )
        yield f"| {pairs:,} | " + " | ".join(shown) + " |"


def said(value: float, unit: str) -> str:
    """Write a value as people read it."""
    number = f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
    return f"{number} {unit}".strip()


def budget(figure: Figure) -> str:
    """Write a budget, or nothing where there is none."""
    return "" if figure.budget is None else said(figure.budget, figure.unit)


def mark(figure: Figure) -> str:
    """Say what is missed; what has no budget is for information."""
    return "" if figure.budget is None else "kept" if figure.ok else "**missed**"


def write(page: Path, name: str, lines: Iterable[str]) -> None:
    """Put lines between the page's marks of that name."""
    begin, end = f"<!-- {name}: measured, not typed -->", f"<!-- {name}: end -->"
    before, _mark, rest = page.read_text().partition(begin)
    _old, _mark, after = rest.partition(end)
    if not after:
        raise ValueError(f"{page.name} has no marks for {name}")
    page.write_text("".join([before, begin, "\n", "\n".join(lines), "\n", end, after]))


if __name__ == "__main__":
    main()

"""python -m tests.bench: measure the budgets, print a table, write bench.json and docs/performance.md."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import django
from django.core.management import call_command

from tests.bench import copies, exporter, latency, pages, report, rounds, told
from tests.bench.figure import Figure
from tests.bench.stage import Stage, stage

OUTPUT = Path("bench.json")


def main() -> int:
    """Measure everything; 1 where a budget is missed."""
    figures = []
    with OUTPUT.open("w", encoding="utf-8") as sink:
        for figure in measured():
            figures.append(figure)
            sink.write(json.dumps(asdict(figure)) + "\n")
            sink.flush()
            print(figure.line(), flush=True)
    report.main()
    return 0 if all(figure.ok for figure in figures) else 1


def measured() -> Iterator[Figure]:
    """Give figure after figure; budgets are those of the design."""
    median_us, p95_us = latency.measure()
    yield Figure.at_most("rtt_error_median", median_us, "us", 200)
    yield Figure.at_most("rtt_error_p95", p95_us, "us", 500)
    yield Figure.at_most("emailengine_round_cpu", rounds.measure(), "ms", 1.2)
    with stage() as stand:
        django.setup()
        call_command("migrate", verbosity=0)
        yield from visits(stand)
        yield from beside(stand)
        yield from dispatch(stand)
        yield from copies.measure()
    yield Figure.at_most("fault_to_mail", told.measure(), "s", 150)
    yield from pages.measure()


def visits(stand: Stage) -> Iterator[Figure]:
    """Redis-only visits of the health and latency groups, probe to committed row."""
    # Its modules need the settings, whose environment the stage has just given.
    from tests.bench import visits as flat_out  # noqa: PLC0415

    flat_out.register(stand)
    spent = flat_out.measure(stand)
    yield Figure.at_most("visit_cpu", spent.ours_ms, "ms", 0.6)
    yield Figure.at_most("visit_cpu_worker", spent.per_visit_ms(spent.worker_s), "ms")
    yield Figure.at_most("visit_cpu_dispatch", spent.per_visit_ms(spent.dispatch_s), "ms")
    yield Figure.at_most("visit_cpu_database", spent.per_visit_ms(spent.database_s), "ms")
    yield Figure.at_most("visit_cpu_broker", spent.per_visit_ms(spent.broker_s), "ms")
    yield Figure.at_most(
        "visit_cpu_monitored_redis", spent.per_visit_ms(spent.monitored_s), "ms", 0.6
    )
    rate = spent.visits * 60 / spent.wall_s
    yield Figure.at_least("visits_per_minute", rate, "1/min", 30_000)
    yield Figure.at_most("wal_per_visit", spent.wal_bytes / spent.visits, "B", 700)
    yield Figure.at_most("history_row", flat_out.history_row_bytes(), "B", 260)


def beside(stand: Stage) -> Iterator[Figure]:
    """The same servers by redis_exporter, where it is installed: flat out, and at our own pace."""
    from tests.bench import paced  # noqa: PLC0415  as above

    path = exporter.program()
    if path is not None:
        own_ms, monitored_ms = exporter.measure(stand, path)
        yield Figure.at_most("redis_exporter_cpu", own_ms, "ms")
        yield Figure.at_most("redis_exporter_cpu_monitored_redis", monitored_ms, "ms")
    yield from paced.measure(stand)


def dispatch(stand: Stage) -> Iterator[Figure]:
    """Ten thousand pairs claimed and put into shards."""
    from tests.bench import visits as flat_out  # noqa: PLC0415  as above

    yield Figure.at_most("dispatch_10000_pairs", flat_out.dispatch_10000_s(stand), "s")


if __name__ == "__main__":
    sys.exit(main())

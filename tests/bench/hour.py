"""python -m tests.bench.hour: watch a fleet at the default intervals for an hour, and say what grew.

All of it is real: `python -m run` with its database, broker, web server and worker, in a data folder
of its own; a few servers that the pairs share; a person who looks at a page now and then. Each line
of hour-PAIRS.json is a look at all of it; the table at the end, its last line, says what it comes to.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from math import inf
from pathlib import Path
from statistics import mean, quantiles
from typing import Any

import django
import psycopg

from run import portal
from run.children import Child, Running
from run.folders import find_folders
from run.installation import environment
from tests.bench import faces, report, seen
from tests.bench.figure import Figure
from tests.bench.stage import ROOT
from tests.servers import free_port

OUTPUT = "hour-{pairs}.json"
EVERY_S, TOLD_EVERY_S = 10, 300
# Until then the fleet's first visits, of all its pairs at once, are made up for.
SETTLED_S = 600
PAGES = ("/admin/", "/admin/registry/pair/", "/admin/findings/finding/")
PERSON = "bench"


def main(arguments: list[str]) -> int:
    """Watch, print the table; 1 where something is over its budget."""
    options = parse(arguments)
    output = Path(OUTPUT.format(pairs=options.pairs))
    with standing(options.pairs) as (supervisor, port, database_url):
        from tests.bench import asked  # noqa: PLC0415  it needs the settings of what runs now

        cookie = asked.cookie(PERSON)
        with psycopg.connect(database_url, autocommit=True) as database:
            looks = list(watch(options.minutes * 60, output, supervisor, port, cookie, database))
            settled = [
                look for look in looks if look["at_s"] >= min(SETTLED_S, looks[-1]["at_s"] / 2)
            ]
            visits = seen.visits(database, settled[0]["now"], settled[-1]["now"])
    figures = list(told(settled, visits, options.pairs))
    with output.open("a", encoding="utf-8") as sink:
        json.dump({"figures": [vars(figure) for figure in figures]}, sink)
    print(*(figure.line() for figure in figures), sep="\n", flush=True)
    report.main()
    return 0 if all(figure.ok for figure in figures) else 1


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.hour", description=__doc__)
    parser.add_argument("--pairs", type=int, default=10_000)
    parser.add_argument("--minutes", type=float, default=60)
    return parser.parse_args(arguments)


@contextmanager
def standing(pairs: int) -> Iterator[tuple[int, int, str]]:
    """Run the portal and what it watches; give the supervisor's number, the web's port, the database."""
    os.environ["PAIRKEEPER_SECRET_BENCH"] = faces.SECRET
    (ROOT / "var").mkdir(exist_ok=True)
    with ExitStack() as running:
        home = Path(running.enter_context(tempfile.TemporaryDirectory(dir=ROOT / "var")))
        port = free_port()
        os.environ |= {"PAIRKEEPER_HOME": str(home), "PORT": str(port), "LOG_LEVEL": "WARNING"}
        page = portal.page_url("127.0.0.1", port)
        argv = [sys.executable, "-m", "run"]
        child = Child("run", argv, is_ready=lambda: portal.answers(page), ready_within_s=120)
        started = Running(child, home / "run.log")
        running.callback(started.stop)
        started.wait_until_ready()
        addresses = running.enter_context(faces.farm(home))
        os.environ |= environment(find_folders(), "127.0.0.1", port)
        os.environ["DJANGO_SETTINGS_MODULE"] = "fleet.settings"
        django.setup()
        register(pairs, addresses)
        yield started.process.pid, port, os.environ["DATABASE_URL"]
        print_trouble(home / "log")


def register(pairs: int, addresses: dict[str, faces.Address]) -> None:
    """Register the fleet in the one zone whose worker runs, all due at once."""
    from django.utils import timezone  # noqa: PLC0415  these need the settings

    from fleet.people.models import User  # noqa: PLC0415
    from tests.bench import fleet  # noqa: PLC0415

    User.objects.create_superuser(PERSON)
    fleet.register(pairs, ("local",), addresses, timezone.now())


def watch(
    seconds: float,
    output: Path,
    supervisor: int,
    port: int,
    cookie: str,
    database: psycopg.Connection[Any],
) -> Iterator[dict[str, Any]]:
    """Look every ten seconds, as a line of the output and now and then a line on the terminal."""
    began = time.monotonic()
    with output.open("w", encoding="utf-8") as sink:
        for number in range(int(seconds // EVERY_S) + 1):
            time.sleep(max(0.0, began + number * EVERY_S - time.monotonic()))
            page = PAGES[number % len(PAGES)]
            look = {
                "at_s": round(time.monotonic() - began, 1),
                "page": page,
                "page_ms": fetch(port, page, cookie),
                **seen.look(supervisor, database),
            }
            sink.write(json.dumps(look, default=str) + "\n")
            sink.flush()
            if number % (TOLD_EVERY_S // EVERY_S) == 0:
                print(seen.line(look), flush=True)
            yield look


def fetch(port: int, path: str, cookie: str) -> float:
    """Ask for one page; returns the milliseconds until its last byte, or for ever where it fails."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request("GET", path, headers={"Cookie": f"sessionid={cookie}"})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    if answer.status != http.HTTPStatus.OK:
        print(f"{path} answers {answer.status}", file=sys.stderr, flush=True)
        return inf
    return (time.perf_counter() - started) * 1000


def told(looks: list[dict[str, Any]], visits: seen.Visits, pairs: int) -> Iterator[Figure]:
    """Say what the looks come to, once the start is made up for."""
    first, last = looks[0], looks[-1]
    seconds = last["at_s"] - first["at_s"]
    minutes = seconds / 60
    third = max(1, len(looks) // 3)

    def growth(name: str) -> float:
        early, late = (
            mean(look[name] for look in some) for some in (looks[:third], looks[-third:])
        )
        return late / early - 1 if early else 0.0

    yield Figure.at_most("hour_pairs", pairs, "")
    yield Figure.at_most("hour_minutes", minutes, "min")
    yield Figure.at_most("hour_lag_median", visits.lag_p50_s, "s")
    yield Figure.at_most("hour_lag_p99", visits.lag_p99_s, "s", 15)
    yield Figure.at_most("hour_lag_max", visits.lag_max_s, "s")
    yield Figure.at_least("hour_visits_share", visits.count / (pairs * minutes), "", 0.99)
    yield Figure.at_most("hour_silent_share", visits.silent_count / visits.count, "")
    yield Figure.at_most("hour_waiting_messages_max", max(look["waiting"] for look in looks), "")
    yield Figure.at_most("hour_unclaimed_max", max(look["unclaimed"] for look in looks), "")
    yield Figure.at_most("hour_pss_max", max(look["pss_mb"] for look in looks), "MB", 300)
    yield Figure.at_most("hour_pss_growth", growth("pss_mb"), "", 0.05)
    yield Figure.at_most("hour_pss_database", last["database_pss_mb"], "MB")
    yield Figure.at_most("hour_state_tables", last["state_bytes"] / 1e6, "MB")
    yield Figure.at_most("hour_state_tables_growth", growth("state_bytes"), "", 0.05)
    yield Figure.at_most("hour_dead_rows_growth", growth("dead_rows"), "")
    yield Figure.at_most("hour_dead_rows_max", max(look["dead_rows"] for look in looks), "")
    hot = (last["hot_updates"] - first["hot_updates"]) / (last["updates"] - first["updates"])
    yield Figure.at_most("hour_hot_updates_share", hot, "")
    yield Figure.at_most("hour_autovacuums", last["autovacuums"] - first["autovacuums"], "")
    history_bytes = last["history_bytes"] - first["history_bytes"]
    yield Figure.at_most("hour_history_per_visit", history_bytes / visits.count, "B", 260)
    wal = (last["wal_bytes"] - first["wal_bytes"]) / visits.count
    yield Figure.at_most("hour_wal_per_visit", wal, "B")
    for name in ("web", "worker", "postgres", "valkey"):
        spent = last["cpu_s"][name] - first["cpu_s"][name]
        yield Figure.at_most(f"hour_cpu_{name}", spent / seconds, "cores")
    for page in PAGES:
        times = [look["page_ms"] for look in looks if look["page"] == page]
        name = page.strip("/").rpartition("/")[2]
        yield Figure.at_most(f"hour_page_{name}_p95", quantiles(times, n=20)[-1], "ms", 250)


def print_trouble(logs: Path) -> None:
    """Show what the portal's processes complained about, for what is said there is part of the finding."""
    for log in sorted(logs.glob("*.log")):
        if lines := log.read_text(errors="replace").splitlines():
            print(
                f"{log.name}: {len(lines)} lines, the last:",
                *lines[-5:],
                sep="\n  ",
                file=sys.stderr,
            )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

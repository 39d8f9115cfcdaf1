"""How many workers, how much memory, disk and log so many pairs want, from what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import ceil

from tests.bench.figure import Figure

PAIRS, INTERVALS_S = (100, 1_000, 3_000, 10_000, 30_000, 100_000), (60, 300)
DAY_S = 86_400
RAW_DAYS, HOURLY_DAYS, DAILY_DAYS = 3, 90, 730  # the defaults of FleetSettings
# One Python process uses one processor; half of it is left for bursts, restarts and catching up.
BUSY = 0.5
WORKER_MB = 200  # each further worker: what the first held in an hour of 10,000 pairs
FORMULAS = (
    "visits a second = pairs ÷ interval",
    "workers = visits a second × worker CPU of a visit ÷ 0.5, rounded up",
    "database cores = visits a second × database CPU of a visit",
    "memory = web + workers × worker + database",
    (
        "disk = visits a day × raw row × (raw days + 1) + pairs × (24 × hourly days × hour row"
        " + daily days × day row + state)"
    ),
    (
        "log a day = visits a day × log of a visit: all that is written, shared among the visits; a longer"
        " interval saves a little less than it says, for readings are kept every hour too"
    ),
)


@dataclass(frozen=True)
class Costs:
    """What one visit, one row and one process cost: bytes, milliseconds of CPU, MB of memory."""

    worker_ms: float
    database_ms: float
    visit_row_bytes: float
    hour_row_bytes: float
    day_row_bytes: float
    state_bytes: float
    visit_wal_bytes: float
    portal_mb: float
    database_mb: float

    @classmethod
    def measured(cls, bench: Mapping[str, Figure], hour: Mapping[str, Figure]) -> Costs:
        """Take them from the bench and from an hour, whose pairs are on an interval of a minute."""
        pairs = hour["hour_pairs"].value
        visits_s = pairs / 60
        return cls(
            worker_ms=hour["hour_cpu_worker"].value * 1000 / visits_s,
            database_ms=hour["hour_cpu_postgres"].value * 1000 / visits_s,
            visit_row_bytes=bench["history_row"].value,
            hour_row_bytes=bench["history_hour_row"].value,
            day_row_bytes=bench["history_day_row"].value,
            state_bytes=hour["hour_state_tables"].value * 1e6 / pairs,
            visit_wal_bytes=hour["hour_wal_per_visit"].value,
            portal_mb=hour["hour_pss_max"].value,
            database_mb=hour["hour_pss_database"].value,
        )

    def workers(self, visits_s: float) -> int:
        """How many worker processes keep up, at most half busy."""
        return max(1, ceil(visits_s * self.worker_ms / 1000 / BUSY))

    def disk_bytes(self, pairs: int, visits_s: float) -> float:
        """What history takes once retention drops as much as comes, and state besides."""
        raw = visits_s * DAY_S * self.visit_row_bytes * (RAW_DAYS + 1)
        hours = 24 * HOURLY_DAYS * self.hour_row_bytes
        return raw + pairs * (hours + DAILY_DAYS * self.day_row_bytes + self.state_bytes)

    def wal_bytes(self, visits_s: float) -> float:
        """What is written to the log in a day."""
        return visits_s * DAY_S * self.visit_wal_bytes


def table(costs: Costs) -> Iterator[str]:
    """Write the table, and how each number in it is reached."""
    yield "| pairs | interval | visits/s | workers | database, cores | memory | disk | log a day |"
    yield "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
    for pairs in PAIRS:
        for interval_s in INTERVALS_S:
            yield _row(costs, pairs, interval_s)
    yield ""
    yield "How each is reached:"
    yield ""
    yield from (f"- {formula}" for formula in FORMULAS)
    yield (
        f"- measured: worker {costs.worker_ms:.1f} ms and database {costs.database_ms:.1f} ms of CPU a"
        f" visit; rows of {costs.visit_row_bytes:.0f} (raw, {RAW_DAYS} days),"
        f" {costs.hour_row_bytes:.0f} (hour, {HOURLY_DAYS} days) and {costs.day_row_bytes:.0f} B"
        f" (day, {DAILY_DAYS} days); state {costs.state_bytes / 1000:.0f} kB a pair; log"
        f" {costs.visit_wal_bytes:.0f} B a visit; portal {costs.portal_mb:.0f} MB with one"
        f" worker, database {costs.database_mb:.0f} MB"
    )


def _row(costs: Costs, pairs: int, interval_s: int) -> str:
    visits_s = pairs / interval_s
    workers = costs.workers(visits_s)
    memory_mb = costs.portal_mb + (workers - 1) * WORKER_MB + costs.database_mb
    return (
        f"| {pairs:,} | {interval_s} s | {visits_s:,.1f} | {workers} |"
        f" {visits_s * costs.database_ms / 1000:.2f} | {memory_mb / 1000:.1f} GB |"
        f" {costs.disk_bytes(pairs, visits_s) / 1e9:,.1f} GB |"
        f" {costs.wal_bytes(visits_s) / 1e9:,.1f} GB |"
    )

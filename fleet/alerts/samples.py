"""A made-up letter of each kind, for the preview and for tests: no row is read for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from checks.rule import Severity
from fleet.alerts.letter import (
    Alert,
    Body,
    Digest,
    Doubt,
    EndingWaiver,
    Fault,
    Faults,
    Forecast,
    Item,
    Letter,
    Move,
    Reader,
    Report,
    RuleCount,
    Standing,
    Storm,
    TenantCount,
    Trial,
    Verification,
    Waivers,
)

AT: Final = datetime(2026, 11, 21, 14, 18, tzinfo=UTC)
READER: Final = Reader(
    channel_id=0,
    address="ops@northwind.example",
    why="operations contact of Northwind Mail: critical and warning",
)
STANDING: Final = Standing(
    pairs_count=2140,
    non_compliant_count=29,
    at_risk_count=12,
    compliant_ratio=0.9243,
    coverage_ratio=0.9716,
)
EVICTION: Final = Item(
    finding_id=8812,
    pair="northwind-eu-0417",
    rule_id="redis.eviction-policy",
    cause="policy",
    move=Move.OPENED,
    severity=Severity.CRITICAL,
    is_requirement=True,
    message=(
        "maxmemory-policy is allkeys-lru: Redis may evict any key, nothing is lost yet: "
        "memory is at 71%; it must be noeviction"
    ),
    short="maxmemory-policy is allkeys-lru",
    observed="allkeys-lru",
    required="noeviction",
    opened_at=AT,
    environment="production",
    evidence={
        "maxmemory_policy": "allkeys-lru",
        "room": "memory is at 71%",
        "suggested_maxmemory_bytes": 4 * 1024**3,
        "used_ratio": 0.71,
    },
    engine="valkey",
    engine_version="8.0.1",
)
DURABILITY: Final = replace(
    EVICTION,
    finding_id=8813,
    pair="northwind-us-1022",
    rule_id="redis.durability",
    cause="off",
    message=(
        "RDB snapshots are off and no AOF is on: a restart or crash would lose all data; "
        "switch RDB on"
    ),
    short="Persistence is off",
    observed="persistence off",
    required="RDB on",
    evidence={"persistence": "off", "wanted_save": [[900, 1], [300, 10]], "save": []},
    engine="redis",
    engine_version="7.2.6",
)
MEMORY: Final = replace(
    EVICTION,
    finding_id=8814,
    pair="northwind-us-1190",
    rule_id="redis.memory-headroom",
    cause="maxmemory",
    severity=Severity.WARNING,
    message="Redis uses 83% of 4.0\u202fGiB maxmemory; keep it below 80%",
    short="Memory at 83%",
    observed="83% of 4.0\u202fGiB",
    required="< 80%",
    evidence={
        "used_ratio": 0.83,
        "maxmemory_bytes": 4 * 1024**3,
        "suggested_maxmemory_bytes": 9 * 1024**3,
        "needed_ram_bytes": 12 * 1024**3,
    },
)
WORSE: Final = replace(
    MEMORY,
    move=Move.WORSE,
    severity=Severity.CRITICAL,
    was_severity=Severity.WARNING,
    message="Redis uses 91% of 4.0\u202fGiB maxmemory; keep it below 80%",
    short="Memory at 91%",
    observed="91% of 4.0\u202fGiB",
)
BACKUP: Final = replace(
    EVICTION,
    finding_id=8815,
    pair="northwind-eu-0088",
    rule_id="backup.age",
    move=Move.RESOLVED,
    message="The newest good backup is 36\u202fh old; it must be at most 27\u202fh",
    short="Backup is 36\u202fh old",
    observed="36\u202fh",
    required="≤ 27\u202fh",
    evidence={},
    opened_at=AT - timedelta(hours=9),
    resolved_at=AT,
    worst="36\u202fh",
)
WAIVER: Final = EndingWaiver(
    waiver_id=5,
    rule_id="pair.rtt",
    scope="northwind-eu-0417",
    reason="Moves to the new region in December",
    expires_at=AT + timedelta(days=3),
    findings_count=1,
    requested_by="mara",
)


def alert(*items: Item) -> Alert:
    """Give an alert of the made-up tenant."""
    return Alert(
        tenant="Northwind Mail",
        tenant_id=0,
        standing=STANDING,
        items=items,
        reminder_at=AT + timedelta(hours=4),
    )


STORM: Final = Storm(
    since=AT - timedelta(minutes=1),
    zone="eu-2",
    changed_count=212,
    recovered_count=12,
    pairs_count=2140,
    rules=(
        RuleCount(rule_id="redis.reachable", severity=Severity.CRITICAL, pairs_count=190),
        RuleCount(rule_id="pair.rtt", severity=Severity.WARNING, pairs_count=22),
    ),
    tenants=(
        TenantCount(tenant="Northwind Mail", pairs_count=120),
        TenantCount(tenant="Contoso", pairs_count=92),
    ),
)
NO_WORKER: Final = Fault(
    key="zone.ap-1.no-worker",
    text="No worker seen in zone ap-1 for 11 min: 6 pairs cannot be checked.",
    cure="Start a worker with ZONE=ap-1, or move its pairs to another zone.",
    since=AT - timedelta(minutes=11),
)
DIGEST: Final = Digest(
    tenant="Northwind Mail",
    tenant_id=0,
    standing=STANDING,
    since=AT - timedelta(days=1),
    opened=(MEMORY, EVICTION),
    still_open=(replace(DURABILITY, move=Move.STILL, opened_at=AT - timedelta(days=3)),),
    resolved=(BACKUP,),
    waivers=(WAIVER,),
    doubts=(Doubt(why="disk IOPS, not attested", pairs_count=41),),
    forecasts=(Forecast(pair="northwind-us-1190", text="crosses 80% of its memory in 6 d"),),
)
REPORT: Final = Report(
    tenant="Northwind Mail",
    tenant_id=0,
    standing=STANDING,
    first_day=date(2026, 11, 16),
    last_day=date(2026, 11, 22),
    days=(
        *((date(2026, 11, 16 + n), 0.9) for n in range(3)),
        (date(2026, 11, 19), None),
        *((date(2026, 11, 20 + n), 0.9243) for n in range(3)),
    ),
    opened_count=14,
    resolved_count=11,
    open_count=41,
    median_open_s=5400,
    rules=(RuleCount(rule_id="pair.rtt", severity=Severity.WARNING, pairs_count=22),),
    worst_pairs=(("northwind-eu-0417", 4), ("northwind-us-1022", 2)),
    waivers=(WAIVER,),
)
MANY: Final = (
    *(replace(EVICTION, finding_id=n, pair=f"northwind-eu-{n:04}") for n in range(1, 13)),
    DURABILITY,
    *(replace(MEMORY, finding_id=n, pair=f"northwind-us-{n:04}") for n in range(13, 53)),
)
# By the name it has in the preview's list and of its golden file.
BODIES: Final[Mapping[str, Body]] = {
    "opened": alert(EVICTION, DURABILITY, MEMORY, BACKUP),
    "warning": alert(MEMORY),
    "many": alert(*MANY),
    "update": alert(WORSE, replace(DURABILITY, move=Move.EASED, severity=Severity.WARNING)),
    "reminder": alert(replace(EVICTION, move=Move.STILL, opened_at=AT - timedelta(hours=4))),
    "resolved": alert(BACKUP, replace(BACKUP, finding_id=8816, pair="northwind-eu-0089", worst="")),
    "stale": alert(replace(EVICTION, move=Move.STALE)),
    "flapping": alert(replace(EVICTION, move=Move.FLAPPING)),
    "storm": STORM,
    "storm-over": replace(STORM, recovered_count=STORM.changed_count),
    "portal": Faults(faults=(NO_WORKER,)),
    "portal-over": Faults(faults=(replace(NO_WORKER, ended_at=AT),)),
    "digest": DIGEST,
    "report": REPORT,
    "waivers": Waivers(tenant="Northwind Mail", tenant_id=0, waivers=(WAIVER,)),
    "test": Trial(channel="Operations", asked_by="mara"),
    "verification": Verification(
        channel="Operations", tenant="Northwind Mail", asked_by="mara", hours=72
    ),
}


def sample(name: str, reader: Reader = READER) -> Letter:
    """Give the made-up letter of this name. KeyError for one that BODIES does not hold."""
    return Letter(reader=reader, at=AT, body=BODIES[name])

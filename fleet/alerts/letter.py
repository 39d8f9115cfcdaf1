"""What does one message say? Plain frozen data, the same for mail and webhook: no database, no clock.

`fleet/alerts/compose.py` fills a Letter from the database; `fleet/alerts/render.py` writes it:
`render(letter) -> Rendered`. What only one kind of letter says stands in its `body`. No field
may hold a secret or a URL with one; everything in it may be hostile text, which rendering tames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from checks.rule import JSON, Limits, Severity


class Move(StrEnum):
    """What became of a finding since the reader was last told."""

    OPENED = "opened"
    WORSE = "worse"
    EASED = "eased"
    STILL = "still"  # a reminder: nothing moved
    RESOLVED = "resolved"
    STALE = "stale"
    FRESH = "fresh"  # conclusive again after stale
    FLAPPING = "flapping"
    CALM = "calm"  # flapping no more


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Who reads: a channel's address, and how its instants are written.

    `why` completes "You get this as …": `operations contact of Northwind Mail: critical and
    warning`. `time_zone` is an IANA name; an unknown one is written as UTC.
    """

    channel_id: int
    address: str
    why: str
    time_zone: str = "UTC"


@dataclass(frozen=True, kw_only=True)
class Item:
    """One finding as the letter shows it. `others_open` counts the pair's other open findings.

    `short` is the message for a list; `worst` is the worst value seen, as text. `limits` are the
    effective ones where they are known; otherwise the rule's defaults fill the remediation.
    """

    finding_id: int
    pair: str
    rule_id: str
    move: Move
    severity: Severity
    is_requirement: bool
    message: str
    observed: str
    required: str
    opened_at: datetime
    short: str = ""
    environment: str = ""
    cause: str = ""
    evidence: Mapping[str, JSON] = field(default_factory=dict)
    engine: str = ""  # Engine's value, "" where it was never told
    engine_version: str = ""
    limits: Limits | None = None
    worst: str = ""
    resolved_at: datetime | None = None
    was_severity: Severity | None = None  # before WORSE or EASED
    others_open: int = 0


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How the tenant's active pairs stand now; shares are 0 to 1, None where they are not known."""

    pairs_count: int
    non_compliant_count: int
    at_risk_count: int
    compliant_ratio: float | None = None
    coverage_ratio: float | None = None


@dataclass(frozen=True, kw_only=True)
class Alert:
    """Moves of one tenant's findings: what opened, changed, was resolved, or is still open.

    One mail may mix them. `reminder_at` is when the next reminder comes, None where none does.
    A reminder to operators may span tenants: `tenant_id` is None, and pairs are named with theirs.
    `mail_id` is the mail's own, by which its links name these findings; a sample has none.
    """

    tenant: str
    tenant_id: int | None
    standing: Standing
    items: tuple[Item, ...]
    reminder_at: datetime | None = None
    mail_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class RuleCount:
    """How many pairs one rule moved on."""

    rule_id: str
    severity: Severity
    pairs_count: int


@dataclass(frozen=True, kw_only=True)
class TenantCount:
    """How many pairs of one tenant moved."""

    tenant: str
    pairs_count: int


@dataclass(frozen=True, kw_only=True)
class Storm:
    """Many pairs that changed within one window, told to operators in one mail.

    `zone` is "" where several zones are hit. `recovered_count` of the pairs came back;
    `rules` and `tenants` come with the largest counts first.
    """

    since: datetime
    zone: str
    changed_count: int
    recovered_count: int
    pairs_count: int  # active pairs in that zone, or in the fleet
    rules: tuple[RuleCount, ...]
    tenants: tuple[TenantCount, ...]
    mail_id: int | None = None


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of the portal itself: what, since when, what mends it; `ended_at` when it is over."""

    key: str
    text: str
    cure: str
    since: datetime
    ended_at: datetime | None = None


@dataclass(frozen=True, kw_only=True)
class Faults:
    """Portal alarms, for operators only."""

    faults: tuple[Fault, ...]


@dataclass(frozen=True, kw_only=True)
class EndingWaiver:
    """A waiver that ends soon; `scope` names its pair or tenant, `findings_count` what it covers."""

    waiver_id: int
    rule_id: str
    scope: str
    reason: str
    expires_at: datetime
    findings_count: int
    requested_by: str = ""


@dataclass(frozen=True, kw_only=True)
class Waivers:
    """Waivers of one tenant that end soon: afterwards their findings count and alert again."""

    tenant: str
    tenant_id: int
    waivers: tuple[EndingWaiver, ...]


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """How many pairs could not be verified, and why, in words."""

    why: str
    pairs_count: int


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """A limit that a pair will cross if it goes on like this."""

    pair: str
    text: str


@dataclass(frozen=True, kw_only=True)
class Digest:
    """A day of one tenant (""/None = the whole fleet): told once, in the reader's own hour."""

    tenant: str
    tenant_id: int | None
    standing: Standing
    since: datetime
    opened: tuple[Item, ...]
    still_open: tuple[Item, ...]
    resolved: tuple[Item, ...]
    waivers: tuple[EndingWaiver, ...] = ()
    doubts: tuple[Doubt, ...] = ()
    forecasts: tuple[Forecast, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """A week of one tenant, `first_day` to `last_day` included.

    `days` holds the share of compliant pairs at the end of each day (0 to 1, None = not
    recorded); `worst_pairs` names pairs with how many findings are open on each.
    """

    tenant: str
    tenant_id: int
    standing: Standing
    first_day: date
    last_day: date
    days: tuple[tuple[date, float | None], ...]
    opened_count: int
    resolved_count: int
    open_count: int
    median_open_s: float | None
    rules: tuple[RuleCount, ...]
    worst_pairs: tuple[tuple[str, int], ...]
    waivers: tuple[EndingWaiver, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Trial:
    """A test message: asked for by a person, says nothing about any pair."""

    channel: str
    asked_by: str


@dataclass(frozen=True, kw_only=True)
class Verification:
    """Asks the owner of an address whether mails may go there. `hours` is how long the link holds."""

    channel: str
    tenant: str  # "" = the operators' channel
    asked_by: str
    hours: int


Body = Alert | Storm | Faults | Waivers | Digest | Report | Trial | Verification


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message to one reader, as of `at` (aware UTC)."""

    reader: Reader
    at: datetime
    body: Body


@dataclass(frozen=True)
class Rendered:
    """A letter as it goes out: one-line subject and preheader, both bodies, and its own headers.

    Message-ID, References, From and To are the sender's to add.
    """

    subject: str
    preheader: str
    text: str
    html: str
    headers: Mapping[str, str]

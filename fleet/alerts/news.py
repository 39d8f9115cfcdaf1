"""What waits to be told, or is in one mail, read in one query and put together by rule and target."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any, Final, NamedTuple

from fleet.alerts.decide import LastTold, News
from fleet.registry.arrays import rows_of

# As many as one turn looks at: twice what a fleet of 10,000 pairs leaves when all of it is in
# maintenance. What is left comes with a later turn. Ours.
MOST: Final = 200_000


class _Row(NamedTuple):
    """One delivery with the finding it is about, and what the channel was last told."""

    channel_id: int
    target_id: int
    rule_id: str
    delivery_id: int
    made_at: datetime
    cause: str
    to_state: str
    finding_id: int
    state: str
    severity: str
    opened_at: datetime | None
    is_waived: bool
    is_flapping: bool
    tenant_id: int
    zone_id: int
    target_state: str
    least: str
    is_stopped: bool
    told_id: int | None
    told_is_open: bool
    told_severity: str
    told_finding_id: int
    told_opened_at: datetime | None
    told_is_flapping: bool
    told_at: list[datetime]
    told_mail_id: int | None


# The newest transition of each rule on each target comes last.
_READ: Final = """
SELECT d.channel_id, f.target_id, f.rule_id, d.id, d.made_at, t.cause, t.to_state,
    f.id, f.state, f.severity, f.opened_at, f.waiver_id IS NOT NULL, f.flapping_since IS NOT NULL,
    g.tenant_id, g.zone_id, g.state, c.min_severity,
    c.verified_at IS NULL OR c.stopped_at IS NOT NULL,
    k.id, k.is_open, k.severity, k.finding_id, k.opened_at, k.is_flapping, k.told_at, k.mail_id
FROM alerts_delivery d
JOIN findings_transition t ON t.id = d.transition_id
JOIN findings_finding f ON f.id = t.finding_id
JOIN registry_target g ON g.id = f.target_id
JOIN alerts_channel c ON c.id = d.channel_id
LEFT JOIN alerts_told k
    ON k.channel_id = d.channel_id AND k.target_id = f.target_id AND k.rule_id = f.rule_id
WHERE {which}
ORDER BY d.channel_id, f.target_id, f.rule_id, t.id
LIMIT {most}
"""
# All that was said in one mail was told at one time.
_TIMES: Final = """
SELECT k.channel_id, k.target_id, k.told_at
FROM unnest(%b::int8[], %b::int8[]) AS n(channel_id, target_id)
JOIN alerts_told k ON k.channel_id = n.channel_id AND k.target_id = n.target_id
"""


def waiting() -> list[News]:
    """Read all that waits to be told. Two queries."""
    return _read("d.state = 'waiting'", [])


def in_mail(mail_id: int) -> list[News]:
    """Read what one mail is to tell. Two queries."""
    return _read("d.mail_id = %b AND d.state = 'mailed'", [mail_id])


def _read(which: str, params: Sequence[Any]) -> list[News]:
    rows = [_Row._make(row) for row in rows_of(_READ.format(which=which, most=MOST), params)]
    return list(_together(rows, _times({row[:2] for row in rows})))


def _times(keys: Collection[tuple[int, int]]) -> dict[tuple[int, int], frozenset[datetime]]:
    """Give when each channel was told of each target, of any of its rules. One query."""
    if not keys:
        return {}
    found: defaultdict[tuple[int, int], set[datetime]] = defaultdict(set)
    for channel_id, target_id, told_at in rows_of(_TIMES, list(map(list, zip(*keys, strict=True)))):
        found[channel_id, target_id].update(told_at)
    return {key: frozenset(times) for key, times in found.items()}


def _together(
    rows: Iterable[_Row], times: Mapping[tuple[int, int], frozenset[datetime]]
) -> Iterator[News]:
    for key, of_rule in groupby(rows, key=lambda row: row[:3]):
        yield _news(list(of_rule), times.get(key[:2], frozenset()))


def _news(rows: Sequence[_Row], target_told_at: frozenset[datetime]) -> News:
    last = max(rows, key=lambda row: row.finding_id)
    ends = [row.cause for row in rows if row.to_state == "resolved"]
    return News(
        channel_id=last.channel_id,
        tenant_id=last.tenant_id,
        target_id=last.target_id,
        zone_id=last.zone_id,
        rule_id=last.rule_id,
        finding_id=last.finding_id,
        state=last.state,
        severity=last.severity,
        opened_at=last.opened_at,
        first_at=min(row.made_at for row in rows),
        least=last.least,
        causes=frozenset(row.cause for row in rows),
        delivery_ids=tuple(row.delivery_id for row in rows),
        closing=ends[-1] if ends else "",
        target_state=last.target_state,
        is_waived=last.is_waived,
        is_flapping=last.is_flapping,
        is_stopped=last.is_stopped,
        told=_told(last),
        target_told_at=target_told_at,
    )


def _told(row: _Row) -> LastTold | None:
    if row.told_id is None:
        return None
    return LastTold(
        is_open=row.told_is_open,
        severity=row.told_severity,
        finding_id=row.told_finding_id,
        opened_at=row.told_opened_at,
        is_flapping=row.told_is_flapping,
        at=tuple(row.told_at),
        mail_id=row.told_mail_id,
    )

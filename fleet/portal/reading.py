"""What the last visits of one pair left behind, read once for the pair and the finding page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from checks.address import AddressError, parse_redis_url
from checks.codec import CodecError, facts_from_json, verdict_from_json
from checks.facts import Engine, Missing
from checks.remedy import Server
from checks.rule import Cadence, Rule, Verdict
from fleet.inspections.models import LatestFacts, PairState
from fleet.portal.scoped_admin import Rows
from fleet.registry.models import Pair


@dataclass(frozen=True)
class Reading:
    """The latest verdicts of one pair, when each cadence was judged, and the server as read.

    Outcomes are always those of the last visit; `figures_at` is of when the oldest numbers are.
    """

    verdicts: Mapping[str, Verdict]
    judged_at: Mapping[Cadence, datetime]
    server: Server
    worker: str
    raw_at: datetime | None
    figures_at: datetime | None

    def read_at(self, rule: Rule) -> datetime | None:
        """When the rule was last judged."""
        return self.judged_at.get(rule.cadence)


def latest(rows: Rows, pair: Pair, state: PairState | None) -> Reading:
    """Read it in one query, without the raw replies. What a later version wrote is passed over."""
    kept = list(
        rows.of(LatestFacts).filter(target=pair.pk).defer("raw").order_by("read_at", "cadence")
    )
    return Reading(
        verdicts=_verdicts(kept),
        judged_at=_judged_at(kept, state),
        server=_server(kept, pair, state),
        worker=kept[-1].worker if kept else "",
        raw_at=max((row.raw_at for row in kept if row.raw_at), default=None),
        figures_at=kept[0].read_at if kept else None,
    )


def _verdicts(kept: list[LatestFacts]) -> dict[str, Verdict]:
    found: dict[str, Verdict] = {}
    for row in kept:
        for rule_id, data in row.verdicts.items():
            try:
                found[rule_id] = verdict_from_json(data)
            except CodecError:
                continue  # of another version of ours: not read, which the page says
    return found


def _judged_at(kept: list[LatestFacts], state: PairState | None) -> dict[Cadence, datetime]:
    """Take the state's own times: facts that did not change are not written at every visit."""
    found = {Cadence(row.cadence): row.read_at for row in kept}
    for cadence in Cadence:
        at = getattr(state, f"{cadence.value}_at", None)
        if at is not None:
            found[cadence] = at
    return found


def _server(kept: list[LatestFacts], pair: Pair, state: PairState | None) -> Server:
    """Name the server from what was detected, the newest facts that know it first."""
    host = host_of(pair)
    engine = Engine(state.engine) if state and state.engine else Engine.UNKNOWN
    version = state.version if state else ""
    for row in reversed(kept):
        try:
            redis = facts_from_json(row.facts).redis
        except CodecError:
            continue
        if not isinstance(redis, Missing):
            found = Server.read(redis, host)
            return Server(engine, version or found.version, host, found.config_file)
    return Server(engine, version, host)


def host_of(pair: Pair) -> str:
    """Give the Redis host (or socket) as registered."""
    try:
        address = parse_redis_url(pair.redis_url)
    except AddressError:
        return ""
    return address.host or address.path
